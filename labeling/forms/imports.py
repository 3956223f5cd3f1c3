"""The forms of an import: the file, then what it holds and what each of its columns is."""

from typing import Any

from django import forms

from labeling.core.formats import ENCODINGS
from labeling.core.mapping import ColumnGuess

# More selects than this help nobody: further columns keep what was guessed.
MAX_COLUMNS_SHOWN = 40

CONTENTS = {"items": "Items to judge", "labels": "Answers already given"}


class UploadForm(forms.Form):
    file = forms.FileField(
        label="File",
        help_text="CSV, TSV, JSON, JSON Lines or Parquet.",
        allow_empty_file=True,  # Said in our own words when it is read.
        max_length=None,
    )


class ReadingForm(forms.Form):
    """How to read the file: what it holds, and the encoding of its text. Both may be left to a guess."""

    contents = forms.ChoiceField(choices=list(CONTENTS.items()), required=False)
    encoding = forms.ChoiceField(choices=list(ENCODINGS.items()), required=False)

    def chosen(self) -> dict[str, str | None]:
        """What the person said; None for what is left to a guess, and for what is none of the choices."""
        self.is_valid()
        return {name: self.cleaned_data.get(name) or None for name in self.fields}


class ColumnsForm(forms.Form):
    """One select per column. Fields are numbered because a column may have any name."""

    def __init__(self, guesses: list[ColumnGuess], names: dict[str, str], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.guesses = guesses
        for number, guess in enumerate(self.shown):
            self.fields[f"column-{number}"] = forms.ChoiceField(
                label=guess.column, choices=list(names.items()), initial=guess.role
            )

    @property
    def shown(self) -> list[ColumnGuess]:
        return self.guesses[:MAX_COLUMNS_SHOWN]

    @property
    def n_hidden(self) -> int:
        return len(self.guesses) - len(self.shown)

    def columns(self) -> list[tuple[ColumnGuess, forms.BoundField]]:
        return [(guess, self[f"column-{number}"]) for number, guess in enumerate(self.shown)]

    def roles(self) -> list[tuple[str, str]]:
        """What the person chose, after is_valid()."""
        chosen = [(guess.column, self.cleaned_data[f"column-{number}"]) for number, guess in enumerate(self.shown)]
        return chosen + [(guess.column, guess.role) for guess in self.guesses[MAX_COLUMNS_SHOWN:]]
