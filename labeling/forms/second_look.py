"""Which old labels are looked at again, and how many."""

from typing import Any

from django import forms

from labeling.core.second_look import half_width
from labeling.services.second_look import MOST

_SIZES = (50, 100, 200, 400)
_ANY = "any"


def _version(text: str) -> int | None:
    return None if text == _ANY else int(text)


def _widths() -> str:
    """How sure one is from how many labels."""
    return ", ".join(f"{n} to about ±{round(100 * half_width(n))}" for n in _SIZES)


class SecondLookForm(forms.Form):
    """`versions` are the older ones that somebody labelled under, with the number of their labels."""

    version = forms.TypedChoiceField(coerce=_version, empty_value=None, label="Labels given under")
    n = forms.IntegerField(
        min_value=1,
        max_value=MOST,
        initial=100,
        label="How many items",
        help_text=(
            f"Drawn at random. Where a quarter of the labels change, the share is known to within points: {_widths()}."
        ),
    )

    def __init__(self, *args: Any, versions: dict[int, int], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["version"]
        assert isinstance(field, forms.ChoiceField)
        each = [(version, f"version {version} ({n:,} label{'' if n == 1 else 's'})") for version, n in versions.items()]
        # Without any the service says what is missing.
        field.required = bool(each)
        field.choices = [(_ANY, "any older version"), *each] if len(each) > 1 else each
