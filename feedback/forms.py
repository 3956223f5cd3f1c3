"""What comes from forms: of other people's pages, and of the owner's."""

import re
from typing import Any

from django import forms
from django.http import QueryDict

from active_learning.services.tokens import MAX_SUBJECT
from feedback.core.origins import parse_origins
from feedback.core.statements import Statement
from feedback.models import WidgetKey
from feedback.selectors import Part
from labeling.core.errors import Invalid

MAX_SEGMENT = 100
_CLIENT_ID = re.compile(r"[\w.:-]{1,64}")


def posted_statement(post: QueryDict, choices: list[dict[str, Any]], several: bool) -> tuple[Statement, str]:
    """What a form says, and its client_id (empty when it has none that could be one).

    `correction` is the place of a choice in their list, or its value; empty ones are none.
    """
    picked = [_choice(text, choices) for text in post.getlist("correction") if text]
    correction = None if not picked else picked if several else picked[0]
    verdict = post.get("verdict", "")
    if verdict not in ("", "up", "down", "undo"):
        raise Invalid("Say up, down or undo.", fields={"verdict": "unknown"})
    said = Statement(
        verdict=verdict,
        correction=correction if verdict == "down" else None,
        reasons=tuple(post.getlist("reasons")) if verdict != "undo" else (),
        comment=post.get("comment", "") if verdict != "undo" else "",
    )
    client_id = post.get("client_id", "")
    return said, client_id if _CLIENT_ID.fullmatch(client_id) else ""


def _choice(text: str, choices: list[dict[str, Any]]) -> Any:
    if text.isascii() and text.isdigit() and len(text) < 4 and int(text) < len(choices):
        return choices[int(text)]["value"]
    return text


def part_of(query: QueryDict) -> Part:
    """The part of the predictions that a query asks for: `model` is a number, or "rules"; `segment` a name."""
    model, segment = query.get("model", ""), query.get("segment", "")
    number = int(model) if model.isascii() and model.isdigit() and len(model) < 9 else None
    return Part(0 if model == "rules" else number or None, segment[:MAX_SEGMENT] or None)


class KeyForm(forms.Form):
    """A publishable key: what for, for which pages, and what users are told."""

    name = forms.CharField(
        max_length=80, label="What is it for?", widget=forms.TextInput(attrs={"placeholder": "shop, production"})
    )
    origins = forms.CharField(
        label="Pages that may use it",
        widget=forms.Textarea(attrs={"rows": 3, "placeholder": "https://shop.example"}),
        help_text="One a line: scheme and host, and the port where there is one. http://localhost:* is any port.",
    )
    notice = forms.CharField(
        max_length=200,
        required=False,
        label="What users are told",
        help_text="Shown below the form in which they can say more, such as: Used to improve these suggestions.",
    )

    @classmethod
    def of(cls, key: WidgetKey) -> "KeyForm":
        return cls(initial={"name": key.name, "origins": "\n".join(key.origins), "notice": key.notice})

    def clean_origins(self) -> list[str]:
        try:
            found = parse_origins(self.cleaned_data["origins"].splitlines())
        except Invalid as error:
            raise forms.ValidationError(error.message) from None
        if not found:
            raise forms.ValidationError("Name at least one page.")
        return found


class SubjectForm(forms.Form):
    """One user of the product."""

    subject = forms.CharField(
        max_length=MAX_SUBJECT,
        strip=False,
        label="Id of the user",
        help_text="As your pages name them. It is looked for both as vouched for by your server and as only claimed.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
