"""What a reviewer asks for and says."""

import json
from typing import Any

from django import forms

from labeling.core.errors import Invalid
from labeling.models import LabelSchema, ReviewItem
from labeling.selectors import ReviewFilter


class ReviewFilterForm(forms.Form):
    """Which reviews to list. What is not valid does not filter."""

    reason = forms.ChoiceField(required=False, choices=[("", "Any reason"), *ReviewItem.Reason.choices])
    one = forms.ChoiceField(required=False, label="Somebody said")
    other = forms.ChoiceField(required=False, label="and somebody said")
    who = forms.ChoiceField(required=False, label="Answered by")
    whom = forms.ChoiceField(required=False, label="differently from")
    segment = forms.CharField(
        required=False, max_length=200, label="Segment", widget=forms.TextInput(attrs={"placeholder": "language=en"})
    )

    def __init__(self, data: Any, *, labels: list[tuple[Any, str]], people: list[tuple[str, str]]) -> None:
        super().__init__(data)
        values = [(json.dumps(value), text) for value, text in labels]
        for name in ("one", "other"):
            self._choices(name, [("", "anything"), *values])
        for name in ("who", "whom"):
            self._choices(name, [("", "anybody"), *people])

    def _choices(self, name: str, choices: list[tuple[str, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices

    @property
    def chosen(self) -> dict[str, str]:
        """What filters, as in the address."""
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value}

    @property
    def wanted(self) -> ReviewFilter:
        chosen = self.chosen
        key, mark, value = chosen.get("segment", "").partition("=")
        people = dict.fromkeys(chosen[name] for name in ("who", "whom") if name in chosen)
        labels = dict.fromkeys(chosen[name] for name in ("one", "other") if name in chosen)
        return ReviewFilter(
            reason=chosen.get("reason", ""),
            labels=tuple(json.loads(label) for label in labels),
            people=tuple(people),
            segment=(key.strip(), value.strip()) if mark and key.strip() else None,
        )


def decided_value(schema: LabelSchema, data: Any) -> Any:
    """The value that a posted decision names: of a button, or of the labels or the number chosen beside it.

    Of very many labels one is picked from a list.
    """
    given = data.get("value", "")
    if given == "chosen":
        if schema.kind == "choices":
            return data.getlist("label")
        given = data.get("number") or data.get("picked", "")
    try:
        return json.loads(given)
    except ValueError:
        raise Invalid("Choose a value first. Nothing was changed.", fields={"value": "missing"}) from None
