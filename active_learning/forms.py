"""What an owner types about learning: shares in percent, rules one a line."""

from typing import Any

from django import forms

from active_learning.core.rules import MARK, rules_from_lines, rules_to_lines
from active_learning.core.strategies import titles_for
from active_learning.models import LearningPolicy


class PolicyForm(forms.Form):
    is_enabled = forms.BooleanField(label="Learn and order the queue by itself", required=False)
    strategy = forms.ChoiceField(label="What to ask next")
    exploration_percent = forms.IntegerField(
        label="Random share of the queue, in percent",
        min_value=0,
        max_value=100,
        help_text="Random items cost little and find what the model does not know that it does not know.",
    )
    retrain_after = forms.IntegerField(label="Learn again after so many new labels", min_value=1, max_value=1_000_000)
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

    def __init__(self, data: Any = None, *, policy: LearningPolicy, kind: str) -> None:
        initial = {
            "is_enabled": policy.is_enabled,
            "strategy": policy.strategy,
            "exploration_percent": round(100 * policy.exploration_share),
            "retrain_after": policy.retrain_after,
            "promotion": policy.promotion,
            "rules": rules_to_lines(policy.rules),
        }
        super().__init__(data, initial=initial)
        self.kind = kind
        self.fields["strategy"].choices = list(titles_for(kind).items())  # type: ignore[attr-defined]

    def clean_rules(self) -> list[dict[str, Any]]:
        try:
            return rules_from_lines(self.cleaned_data["rules"], kind=self.kind)
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None

    def changes(self) -> dict[str, Any]:
        """The settings as the service takes them."""
        data = self.cleaned_data
        promotion = {"promotion": data["promotion"]} if data["promotion"] else {}
        return promotion | {
            "is_enabled": data["is_enabled"],
            "strategy": data["strategy"],
            "exploration_share": data["exploration_percent"] / 100,
            "retrain_after": data["retrain_after"],
            "rules": data["rules"],
        }
