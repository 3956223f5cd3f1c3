"""A project's rules as people type them: labels one a line, shares in percent."""

from collections.abc import Mapping
from typing import Any

from django import forms

from labeling.core.schema import MAX_RATING_POINTS
from labeling.core.search import MAX_QUERY
from labeling.models import ApiKey, Item, LabelSchema, Project
from labeling.services.projects import MAX_GUIDELINES, SETTINGS

# Stands between a label's value and its name on the page. The blanks belong to it: "a=b" is a label.
NAMED_AS = " = "
# Scopes that a person may give a key on the page, in their words.
KEY_SCOPES = {
    "annotate": "Annotate: take items and submit answers, as this person",
    "manage": "Manage: all that, and import, export, settings, training, as far as your role allows",
}
# Which field of the form an error of labeling.core.schema is about, by kind.
_FIELD_OF_ERROR = {
    "rating": {"schema.min": "lowest", "schema.max": "highest", "schema.labels": "point_names"},
    "choices": {"schema.labels": "labels", "schema.min": "at_least"},
    "choice": {"schema.labels": "labels"},
    "pair": {},
}
_FIELDS_OF_KIND = {
    "choice": ("labels",),
    "choices": ("labels", "at_least", "at_most"),
    "rating": ("lowest", "highest", "point_names"),
    "pair": ("tie",),
}
# Those of them that a kind cannot do without.
_ALWAYS_NEEDED = frozenset({"labels", "lowest", "highest"})


class PercentField(forms.FloatField):
    """A share between 0 and 1, typed and shown in percent."""

    def __init__(self, *, least: float = 0.0, most: float = 1.0, **kwargs: Any) -> None:
        super().__init__(min_value=100 * least, max_value=100 * most, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return f"{100 * value:.6g}" if isinstance(value, float) else value

    def clean(self, value: Any) -> float | None:
        percent = super().clean(value)
        return None if percent is None else percent / 100


class LinesField(forms.CharField):
    """A text of several lines. Browsers send CRLF; with LF an unchanged text is recognized as unchanged."""

    def __init__(self, *, rows: int, **kwargs: Any) -> None:
        super().__init__(widget=forms.Textarea(attrs={"rows": rows}), **kwargs)

    def to_python(self, value: Any) -> str:
        return str(super().to_python(value)).replace("\r\n", "\n")


class SchemaForm(forms.Form):
    """What may be said about an item. Fields of other kinds than `kind` are left out when it is given."""

    labels = LinesField(
        required=False,
        rows=6,
        label="Labels, one a line",
        help_text=(
            "The order gives the keys: the first is 1. To show another name than the one that is stored: "
            f"“neg{NAMED_AS}Negative”."
        ),
    )
    at_least = forms.IntegerField(required=False, min_value=0, label="At least this many labels")
    at_most = forms.IntegerField(required=False, min_value=1, label="At most this many labels")
    lowest = forms.IntegerField(required=False, initial=1, label="Lowest point")
    highest = forms.IntegerField(
        required=False, initial=5, label="Highest point", help_text=f"A scale has 2 to {MAX_RATING_POINTS} points."
    )
    point_names = LinesField(
        required=False,
        rows=3,
        label="Names of points, one a line",
        help_text=f"Such as “1{NAMED_AS}very bad”. Points without a name show their number.",
    )
    tie = forms.BooleanField(required=False, label="“Equally good” is an answer too")
    guidelines = LinesField(
        required=False,
        rows=10,
        max_length=MAX_GUIDELINES,
        strip=False,
        help_text="Markdown. What each label means, and what to do when in doubt. Everybody sees it beside the items.",
    )

    def __init__(self, *args: Any, schema: LabelSchema | None = None, **kwargs: Any) -> None:
        self._stored: Mapping[str, Any] = schema.config if schema else {}
        if schema:
            kwargs["initial"] = _initial(schema) | kwargs.get("initial", {})
        super().__init__(*args, **kwargs)
        if schema:
            kept = {*_FIELDS_OF_KIND[schema.kind], "guidelines"}
            for name in [name for name in SchemaForm.base_fields if name not in kept]:
                del self.fields[name]
            for name in _ALWAYS_NEEDED & self.fields.keys():
                self.fields[name].required = True

    def clean_labels(self) -> list[dict[str, str]]:
        if "labels" in self._stored and "labels" not in self.changed_data:
            return list(self._stored["labels"])
        colours = {label["value"]: label["color"] for label in self._stored.get("labels", []) if "color" in label}
        labels = []
        for line in _lines(self.cleaned_data["labels"]):
            value, _, name = (part.strip() for part in line.partition(NAMED_AS))
            label = {"value": value, "name": name or value}
            labels.append(label | {"color": colours[value]} if value in colours else label)
        return labels

    def clean_point_names(self) -> dict[str, str]:
        names = {}
        for line in _lines(self.cleaned_data["point_names"]):
            point, separator, name = (part.strip() for part in line.partition(NAMED_AS.strip()))
            try:
                names[str(int(point))] = name
            except ValueError:
                separator = ""
            if not separator or not name:
                raise forms.ValidationError(f"“{line}” does not look like “1{NAMED_AS}very bad”.")
        return names

    def config_of(self, kind: str) -> dict[str, Any]:
        """The configuration as labeling.core.schema takes it; the service checks it."""
        data = self.cleaned_data
        if kind == "rating":
            return {"min": data["lowest"], "max": data["highest"], "labels": data["point_names"]}
        if kind == "pair":
            return {"tie": data["tie"]}
        config: dict[str, Any] = {"labels": data["labels"]}
        if kind == "choices":
            bounds = {"min": data["at_least"], "max": data["at_most"]}
            config |= {name: bound for name, bound in bounds.items() if bound is not None}
        return config


class ProjectForm(SchemaForm):
    """A new project."""

    name = forms.CharField(max_length=120, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    slug = forms.SlugField(
        required=False,
        max_length=60,
        label="Short name for addresses",
        help_text="Lower-case letters, digits and hyphens; made from the name when left empty. It never changes.",
    )
    kind = forms.ChoiceField(
        choices=[
            ("choice", "One label: each item gets exactly one of yours"),
            ("choices", "Several labels: as many of yours as fit"),
            ("rating", "A rating: a point on a scale of whole numbers"),
            ("pair", "Which of two is better: each item has an A and a B"),
        ],
        initial="choice",
        widget=forms.RadioSelect,
        label="What do people say about an item?",
    )
    description = LinesField(
        required=False,
        rows=3,
        help_text="For the project's front page: what the data is, and whom it is owed to.",
    )
    overlap = forms.IntegerField(
        min_value=1,
        max_value=50,
        initial=1,
        label="People for each item",
        help_text="With 2 or more, their agreement can be measured, and differences become visible.",
    )
    audit_share = PercentField(
        most=0.5,
        initial=0.05,
        label="Audit share in percent",
        help_text=(
            "A random part of the items that people judge blind and that no model learns from: what its accuracy is "
            "measured on. Items are sorted when they arrive, so this cannot be changed later."
        ),
    )

    # The order in which the page shows them and lists what is wrong with them.
    field_order = ("name", "slug", "description", "kind", *SchemaForm.base_fields)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        wanted = _FIELDS_OF_KIND.get(self["kind"].value(), ())
        for name in _ALWAYS_NEEDED:
            self.fields[name].required = not self.is_bound or name in wanted

    def clean_slug(self) -> str:
        return str(self.cleaned_data["slug"]).lower()

    def clean(self) -> None:
        # What was typed for another kind is not on the page any more, so it cannot be wrong.
        wanted = _FIELDS_OF_KIND.get(self.cleaned_data.get("kind", ""), ())
        for name in {field for fields in _FIELDS_OF_KIND.values() for field in fields}.difference(wanted):
            self.errors.pop(name, None)


class SettingsForm(forms.ModelForm):
    """The knobs of services.projects.SETTINGS."""

    description = LinesField(required=False, rows=4)
    suggestion_hidden_share = PercentField(
        label="Hidden share in percent",
        help_text="With the random policy: on this part of the items nobody sees the suggestion, to measure its pull.",
    )

    target_posterior = PercentField(
        least=0.5,
        most=0.999,
        label="Sure enough in percent",
        help_text="An item is asked no further when its consensus is this sure. With the same number for all items: "
        "what a tie needs to be settled without a reviewer.",
    )
    full_overlap_share = PercentField(
        label="Random share with the most people, in percent",
        help_text="Agreement is measured on these items, because stopping early makes it look other than it is.",
    )

    gold_share = PercentField(
        most=0.5,
        label="Known items among what people are given, in percent",
        help_text="Items with a known answer (from an import, or decided by a reviewer), hidden among the rest.",
    )
    gold_bar = PercentField(
        most=0.99,
        label="Pause people who are right on fewer, in percent",
        help_text="Only when it is sure: the upper end of the 95 % interval of their known items lies below it. "
        "They are told why, and an owner can lift it. 0 pauses nobody.",
    )

    class Meta:
        model = Project
        fields = SETTINGS
        widgets = {"overlap_policy": forms.RadioSelect, "gold_feedback": forms.RadioSelect}
        labels = {
            "overlap_policy": "How many people judge an item?",
            "overlap": "People for each item",
            "max_overlap": "At most",
            "has_single_truth": "There is one right answer for each item",
            "lease_seconds": "Lease in seconds",
            "submit_on_choice": "A single choice submits at once, without Enter",
            "suggestion_policy": "The model's suggestion",
            "person_limit": "Most answers of one person",
            "onboarding": "Known items that a new annotator begins with",
            "gold_feedback": "Tell people the known answer after theirs?",
            "reviews_a_day": "Reviews a day",
        }
        help_texts = {
            "overlap": "Or, with as many as it takes, how many at first. Settled items stay settled.",
            "max_overlap": "The most people asked about one item. Then a reviewer decides.",
            "submit_on_choice": "",
            "person_limit": "Empty: no limit.",
            "onboarding": "Practice: they are told that its answers are known, and at its end how they did. 0: none.",
            "gold_feedback": "With what the reviewer wrote who decided it so. An answer that was followed by the known "
            "one stands: it cannot be undone.",
        }


class KeyForm(forms.Form):
    """A new API key of one's own."""

    name = forms.CharField(
        max_length=80, label="What is it for?", widget=forms.TextInput(attrs={"placeholder": "nightly import"})
    )
    scope = forms.ChoiceField(
        choices=[(scope, words) for scope, words in KEY_SCOPES.items() if scope in ApiKey.SCOPES],
        initial="annotate",
        widget=forms.RadioSelect,
        label="What may it do?",
    )


class ItemFilterForm(forms.Form):
    """Which items to list."""

    state = forms.ChoiceField(required=False, choices=[("", "Any state"), *Item.State.choices])
    split = forms.ChoiceField(required=False, choices=[("", "Pool and audit"), *Item.Split.choices])
    flagged = forms.BooleanField(required=False, label="Flagged only")
    words = forms.CharField(
        required=False,
        max_length=MAX_QUERY,
        widget=forms.TextInput(attrs={"type": "search", "autocomplete": "off", "placeholder": "all of these words"}),
    )
    after = forms.IntegerField(required=False, min_value=0, max_value=2**62, widget=forms.HiddenInput)
    before = forms.IntegerField(required=False, min_value=0, max_value=2**62, widget=forms.HiddenInput)


def field_of_error(kind: str) -> dict[str, str]:
    """Which form field an error of the schema belongs to."""
    return _FIELD_OF_ERROR[kind] | {"schema.kind": "kind"}


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _initial(schema: LabelSchema) -> dict[str, Any]:
    config = schema.config
    initial: dict[str, Any] = {"guidelines": schema.guidelines}
    if schema.kind == "rating":
        # Sorted, because PostgreSQL keeps no order of keys.
        points = sorted(config.get("labels", {}).items(), key=lambda named: int(named[0]))
        names = [f"{point}{NAMED_AS}{name}" for point, name in points]
        return initial | {"lowest": config["min"], "highest": config["max"], "point_names": "\n".join(names)}
    if schema.kind == "pair":
        return initial | {"tie": config["tie"]}
    labels = config["labels"]
    initial["labels"] = "\n".join(
        label["value"] if label["name"] == label["value"] else f"{label['value']}{NAMED_AS}{label['name']}"
        for label in labels
    )
    if schema.kind == "choices":
        # A bound that binds nothing is left empty, so that it follows when labels are added.
        initial["at_least"] = config["min"] or None
        initial["at_most"] = config["max"] if config["max"] < len(labels) else None
    return initial
