"""What to export, and in which form."""

from django import forms

from labeling.core.exports import FORMATS, KINDS

_SUITS = {
    "jsonl": "every field as it is, for programs",
    "csv": "for spreadsheets; cells that look like formulas get an apostrophe in front",
    "parquet": "typed columns, small, for data frames",
}


class ExportForm(forms.Form):
    kind = forms.ChoiceField(label="What", choices=list(KINDS.items()), initial="annotations", widget=forms.RadioSelect)
    format = forms.ChoiceField(
        label="Format",
        choices=[(value, f"{name}: {_SUITS[value]}") for value, name in FORMATS.items()],
        initial="jsonl",
        widget=forms.RadioSelect,
    )
