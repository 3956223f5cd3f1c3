"""The forms of an import: the file, then what each of its columns is."""

from typing import Any

from django import forms

from labeling.core.formats import ENCODINGS
from labeling.core.mapping import ROLES, ColumnGuess, Mapping

# More selects than this help nobody: further columns keep what was guessed.
MAX_COLUMNS_SHOWN = 40


class UploadForm(forms.Form):
    file = forms.FileField(
        label="File",
        help_text="CSV, TSV, JSON, JSON Lines or Parquet.",
        allow_empty_file=True,  # Said in our own words when it is read.
        max_length=None,
    )


class MappingForm(forms.Form):
    """One select per column. Fields are numbered because a column may have any name."""

    encoding = forms.ChoiceField(choices=list(ENCODINGS.items()), required=False, widget=forms.HiddenInput)

    def __init__(self, guesses: list[ColumnGuess], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.guesses = guesses
        for number, guess in enumerate(self.shown):
            self.fields[f"column-{number}"] = forms.ChoiceField(
                label=guess.column, choices=list(ROLES.items()), initial=guess.role
            )

    @property
    def shown(self) -> list[ColumnGuess]:
        return self.guesses[:MAX_COLUMNS_SHOWN]

    @property
    def n_hidden(self) -> int:
        return len(self.guesses) - len(self.shown)

    def columns(self) -> list[tuple[ColumnGuess, forms.BoundField]]:
        return [(guess, self[f"column-{number}"]) for number, guess in enumerate(self.shown)]

    def mapping(self) -> Mapping:
        """What the person chose, after is_valid()."""
        chosen = [(guess.column, self.cleaned_data[f"column-{number}"]) for number, guess in enumerate(self.shown)]
        kept = [(guess.column, guess.role) for guess in self.guesses[MAX_COLUMNS_SHOWN:]]
        return Mapping(tuple(chosen + kept))
