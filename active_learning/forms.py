"""What an owner types about learning and serving: shares in percent, rules one a line."""

from collections.abc import Callable, Sequence
from typing import Any

from django import forms

from active_learning.core.cost_lines import ABSENT, ANY, costs_from_lines, costs_to_lines
from active_learning.core.outbound import MAX_URL
from active_learning.core.rules import MARK, rules_from_lines, rules_to_lines
from active_learning.core.serving_lines import (
    bands_from_lines,
    bands_problem,
    bands_to_lines,
    edge_rules_from_lines,
    edge_rules_to_lines,
    keepings_from_lines,
    keepings_to_lines,
)
from active_learning.models import BatchSchedule, LearningPolicy, ServingPolicy
from active_learning.selectors import strategy_titles
from labeling.core.exports import FORMATS


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
    uses_weak_labels = forms.BooleanField(
        label="Learn from what users say too",
        required=False,
        help_text="Only of items that nobody has judged, once it is known how far users can be believed, and only in "
        "trainings in which it helps on audit items. Each version's page tells both results.",
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
            "uses_weak_labels": policy.uses_weak_labels,
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
                "uses_weak_labels": data["uses_weak_labels"],
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


class BatchForm(forms.Form):
    """A file to be predicted."""

    file = forms.FileField(
        label="File",
        help_text="CSV, TSV, JSON, JSON Lines or Parquet.",
        allow_empty_file=True,  # Said in our own words when it is read.
    )
    format = forms.ChoiceField(label="Answers as", choices=list(FORMATS.items()), initial="csv")


class ScheduleForm(forms.Form):
    """What is predicted again and again: the pool, or a file that is sent now or lies in the folder of sources."""

    source = forms.ChoiceField(label="What", choices=BatchSchedule.Source.choices)
    name = forms.CharField(label="Name of the file", required=False, max_length=200)
    every = forms.ChoiceField(label="How often", choices=BatchSchedule.Every.choices)
    format = forms.ChoiceField(label="Answers as", choices=list(FORMATS.items()), initial="csv")

    def add_problem(self, problem: Any) -> None:
        """What the service refused, at the field that it named."""
        self.add_error(next((name for name in problem.fields if name in self.fields), None), problem.message)


def _lines_field(label: str, rows: int, help_text: str) -> forms.CharField:
    return forms.CharField(
        label=label,
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": rows, "spellcheck": "false", "autocapitalize": "off"}),
        help_text=help_text,
    )


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{100 * share:.6g}"


class ServingForm(forms.Form):
    """The settings of serving, named as the service names them."""

    review_below = forms.FloatField(label="A person decides below, in percent", min_value=0, max_value=100)
    auto_above = forms.FloatField(label="The model decides alone above, in percent", min_value=0, max_value=100)
    max_wrong = forms.FloatField(
        label="At most so many wrong of what it decides alone, in percent",
        required=False,
        min_value=0.1,
        max_value=50,
        help_text="A promise: the model then decides alone only above the certainty for which it has earned it. Empty: "
        "the boundary above counts.",
    )
    label_bands = _lines_field(
        "Boundaries of single labels", 3, f"One label a line, a person below and alone above: urgent {MARK} 60, 95"
    )
    segment_field = forms.CharField(
        label="Field that holds the segment", required=False, max_length=100, help_text="Of an input: country"
    )
    segment_bands = _lines_field("Boundaries of single segments", 3, f"One segment a line: de {MARK} 40, 85")
    person_labels = forms.MultipleChoiceField(
        label="Labels that always go to a person",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="What is said there cannot be undone, or matters too much.",
    )
    edge_rules = _lines_field(
        "Inputs that always go to a person",
        4,
        f"One rule a line, and what the person reads: amount > 1000 and new_user {MARK} large order of a new customer",
    )
    exploration_share = forms.FloatField(
        label="Random share judged blind, in percent",
        min_value=0,
        max_value=100,
        help_text="Drawn from all answers, whatever their certainty. Without it nobody knows how often the model is "
        "right, and no promise can be earned.",
    )
    score_field = forms.CharField(
        label="Name of the score in an answer", max_length=60, help_text="clarity_score: one number from 0 to 1."
    )
    score_label = forms.ChoiceField(label="The score is the probability of", required=False)
    keeps_input = forms.BooleanField(label="Log the inputs too", required=False)
    log_fields = _lines_field(
        "Fields that are not logged as they are", 3, f"One field a line, never, hash or mask: user.mail {MARK} never"
    )
    keep_days = forms.IntegerField(
        label="Days in the database",
        min_value=1,
        max_value=3_650,
        help_text="Older predictions move into Parquet files below the storage folder.",
    )

    def __init__(self, data: Any = None, *, policy: ServingPolicy, kind: str, labels: Sequence[str]) -> None:
        as_they_are = ("segment_field", "person_labels", "score_field", "score_label", "keeps_input", "keep_days")
        shares = ("review_below", "auto_above", "max_wrong", "exploration_share")
        initial = {name: getattr(policy, name) for name in as_they_are}
        initial |= {name: _percent(getattr(policy, name)) for name in shares}
        initial |= {
            "label_bands": bands_to_lines(policy.label_bands),
            "segment_bands": bands_to_lines(policy.segment_bands),
            "edge_rules": edge_rules_to_lines(policy.edge_rules),
            "log_fields": keepings_to_lines(policy.log_fields),
        }
        super().__init__(data, initial=initial)
        # A label of an older schema stays to be seen, so that it can be taken away.
        known = list(dict.fromkeys([*labels, *map(str, policy.person_labels)]))
        self.fields["person_labels"].choices = [(label, label) for label in known]  # type: ignore[attr-defined]
        otherwise = "how far up its scale the rating is" if kind == "rating" else f"the last label: {labels[-1]}"
        self.fields["score_label"].choices = [("", otherwise), *((label, label) for label in labels)]  # type: ignore[attr-defined]

    def clean_label_bands(self) -> dict[str, list[float]]:
        return _read(bands_from_lines, self.cleaned_data["label_bands"])

    def clean_segment_bands(self) -> dict[str, list[float]]:
        return _read(bands_from_lines, self.cleaned_data["segment_bands"])

    def clean_edge_rules(self) -> list[dict[str, str]]:
        return _read(edge_rules_from_lines, self.cleaned_data["edge_rules"])

    def clean_log_fields(self) -> dict[str, str]:
        return _read(keepings_from_lines, self.cleaned_data["log_fields"])

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        below, above = data.get("review_below"), data.get("auto_above")
        if below is not None and above is not None and (problem := bands_problem(below, above)):
            self.add_error("auto_above", problem)
        return data

    def changes(self) -> dict[str, Any]:
        """The settings as the service takes them."""
        shares = ("review_below", "auto_above", "max_wrong", "exploration_share")
        return self.cleaned_data | {
            name: None if self.cleaned_data[name] is None else round(self.cleaned_data[name] / 100, 8)
            for name in shares
        }

    def add_problem(self, problem: Any) -> None:
        """What the service refused, at the field that it named."""
        names = {name.partition("[")[0] for name in problem.fields} & set(self.fields)
        self.add_error(next(iter(sorted(names)), None), problem.message)


def _read(read: Callable[[str], Any], text: str) -> Any:
    try:
        return read(text)
    except ValueError as error:
        raise forms.ValidationError(str(error)) from None
