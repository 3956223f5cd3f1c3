"""What an owner types about learning: shares in percent, rules one a line."""

from collections.abc import Sequence
from typing import Any

from django import forms

from active_learning.core.cost_lines import ABSENT, ANY, costs_from_lines, costs_to_lines
from active_learning.core.outbound import MAX_URL
from active_learning.core.rules import MARK, rules_from_lines, rules_to_lines
from active_learning.models import LearningPolicy
from active_learning.selectors import strategy_titles


class PolicyForm(forms.Form):
    is_enabled = forms.BooleanField(label="Learn and order the queue by itself", required=False)
    strategy = forms.ChoiceField(label="What to ask next")
    learner = forms.ChoiceField(
        label="What learns",
        choices=LearningPolicy.Learner.choices,
        required=False,  # left out, it stays as it is
        help_text="Each version's page says what was compared. What does not suit the items is not used.",
    )
    exploration_percent = forms.IntegerField(
        label="Random share of the queue, in percent",
        min_value=0,
        max_value=100,
        help_text="Random items cost little and find what the model does not know that it does not know.",
    )
    retrain_after = forms.IntegerField(label="Learn again after so many new labels", min_value=1, max_value=1_000_000)
    retrain_days = forms.IntegerField(
        label="Learn again after so many days",
        min_value=0,
        max_value=366,
        required=False,
        help_text="Also when nothing has changed; 30 is a good rhythm. 0 is never.",
    )
    retrain_drop = forms.IntegerField(
        label="Learn again when the live model lost so many points of accuracy",
        min_value=0,
        max_value=100,
        required=False,
        help_text="On the newest audit answers, when chance does not explain it. 0 is not looked at.",
    )
    fields_left_out = forms.CharField(
        label="Fields to leave out",
        required=False,
        help_text="Names with commas between them. No model sees these fields of the items; people do.",
    )
    fields_trusted = forms.CharField(
        label="Fields to trust",
        required=False,
        help_text="These may predict the answer perfectly: they are known before anybody answers.",
    )
    promotion = forms.ChoiceField(
        label="A version that passes every check",
        choices=LearningPolicy.Promotion.choices,
        required=False,  # left out, it stays as it is
        help_text="An owner approves who did not ask for the training. Without another owner, the only one may.",
    )
    rules = forms.CharField(
        label="Rules to beat",
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        help_text=f"A baseline, one rule a line, the first that applies counts: refund, money back {MARK} complaint",
    )

    costs = forms.CharField(
        label="What mistakes cost",
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        help_text=f"One mistake a line, any other costs 1: urgent {MARK} later: 10. {ANY} stands for every label.",
    )
    protected = forms.CharField(
        label="Protected segments",
        required=False,
        help_text="Keys of meta, separated by commas, whose groups must not be treated worse: language, region",
    )
    favourable = forms.ChoiceField(
        label="The label that is good to get",
        required=False,
        help_text="Protected groups are compared by how often the model says it.",
    )

    def __init__(self, data: Any = None, *, policy: LearningPolicy, kind: str, labels: Sequence[str]) -> None:
        initial = {
            "is_enabled": policy.is_enabled,
            "strategy": policy.strategy,
            "learner": policy.learner,
            "exploration_percent": round(100 * policy.exploration_share),
            "retrain_after": policy.retrain_after,
            "retrain_days": policy.retrain_days,
            "retrain_drop": policy.retrain_drop,
            "fields_left_out": ", ".join(policy.fields_left_out),
            "fields_trusted": ", ".join(policy.fields_trusted),
            "promotion": policy.promotion,
            "rules": rules_to_lines(policy.rules),
            "costs": costs_to_lines(policy.costs),
            "protected": ", ".join(policy.protected),
            "favourable": policy.favourable,
        }
        super().__init__(data, initial=initial)
        self.kind = kind
        self.fields["strategy"].choices = list(strategy_titles(kind).items())  # type: ignore[attr-defined]
        self.fields["favourable"].choices = [("", "none"), *((label, label) for label in labels)]  # type: ignore[attr-defined]
        if kind == "choices":
            self.fields["costs"].help_text += f" A missed label is urgent {MARK} {ABSENT}: 10."

    def clean_costs(self) -> list[dict[str, Any]]:
        try:
            return costs_from_lines(self.cleaned_data["costs"])
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None

    def clean_protected(self) -> list[str]:
        keys = [key.strip() for key in self.cleaned_data["protected"].split(",")]
        return list(dict.fromkeys(key for key in keys if key))

    def clean_rules(self) -> list[dict[str, Any]]:
        try:
            return rules_from_lines(self.cleaned_data["rules"], kind=self.kind)
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None

    def clean_fields_left_out(self) -> list[str]:
        return _names(self.cleaned_data["fields_left_out"])

    def clean_fields_trusted(self) -> list[str]:
        return _names(self.cleaned_data["fields_trusted"])

    def changes(self) -> dict[str, Any]:
        """The settings as the service takes them."""
        data = self.cleaned_data
        choices = {name: data[name] for name in ("promotion", "learner") if data[name]}
        numbers = {name: data[name] for name in ("retrain_days", "retrain_drop") if data[name] is not None}
        return (
            choices
            | numbers
            | {
                "is_enabled": data["is_enabled"],
                "strategy": data["strategy"],
                "exploration_share": data["exploration_percent"] / 100,
                "retrain_after": data["retrain_after"],
                "rules": data["rules"],
                "fields_left_out": data["fields_left_out"],
                "fields_trusted": data["fields_trusted"],
                "costs": data["costs"],
                "protected": data["protected"],
                "favourable": data["favourable"],
            }
        )


def _names(text: str) -> list[str]:
    return [name for part in text.split(",") if (name := part.strip())]


class LiveForm(forms.Form):
    """One input, a field for each that the live version looks at; without a live version a text."""

    def __init__(self, data: Any = None, *, schema: Any) -> None:
        super().__init__(data)
        self.text_fields: tuple[str, ...] = ("text",) if schema is None else schema.texts
        self._is_pair = schema is not None and schema.is_pair
        sides = ("a.", "b.") if self._is_pair else ("",)
        for side in sides:
            for name in self.text_fields:
                self.fields[side + name] = forms.CharField(
                    label=_called(side + name),
                    required=False,
                    strip=False,
                    widget=forms.Textarea(attrs={"rows": 4, "maxlength": 100_000}),
                )
            for name, (low, high) in (schema.ranges if schema else {}).items():
                self.fields[side + name] = forms.FloatField(
                    label=_called(side + name), required=False, help_text=f"It has seen {low:g} to {high:g}."
                )
            for name, known in (schema.categories if schema else {}).items():
                seen = ", ".join(known[:8]) + (", …" if len(known) > 8 else "")
                self.fields[side + name] = forms.CharField(
                    label=_called(side + name), required=False, help_text=f"It has seen {seen}." if known else ""
                )
        if schema is not None and schema.vector_dimension:
            self.fields["features"] = forms.CharField(
                label="Features", help_text=f"{schema.vector_dimension} numbers.", widget=forms.Textarea({"rows": 2})
            )

        if len(self.fields) == 1:
            next(iter(self.fields.values())).required = True

    def data_of_input(self) -> dict[str, Any]:
        """The input as a program would send it."""
        data: dict[str, Any] = {}
        for name, value in self.cleaned_data.items():
            if value in ("", None):
                continue
            if name == "features":
                data[name] = [float(word) for word in str(value).strip("[]").replace(",", " ").split()]
                continue
            side, _, rest = name.partition(".") if self._is_pair else ("", "", name)
            inner = data.setdefault(side, {}) if side else data
            *outer, last = rest.split(".")
            for part in outer:
                inner = inner.setdefault(part, {})
            inner[last] = value
        return data

    def add_errors(self, error: Any) -> None:
        """What the service refused, at the fields that it named."""
        for name, words in error.fields.items():
            self.add_error(name if name in self.fields else None, words)
        if not error.fields:
            self.add_error(None, error.message)

    def clean_features(self) -> str:
        value: str = self.cleaned_data["features"]
        try:
            [float(word) for word in value.strip("[] ").replace(",", " ").split()]
        except ValueError:
            raise forms.ValidationError("Write numbers with spaces or commas between them.") from None
        return value


def _called(name: str) -> str:
    return name[:1].upper() + name[1:]


class WebhookForm(forms.Form):
    """Where to post decisions."""

    url = forms.CharField(
        max_length=MAX_URL,
        label="Address",
        help_text="https, on a host of the public network. Redirects are not followed.",
        widget=forms.URLInput(attrs={"placeholder": "https://shop.example/hooks/touchstone"}),
    )
