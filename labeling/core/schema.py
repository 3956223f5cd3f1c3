"""What may be said under a label schema: which configurations are legal, and which values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from labeling.core.errors import Invalid

Kind = Literal["choice", "choices", "rating", "pair"]
KINDS: tuple[Kind, ...] = ("choice", "choices", "rating", "pair")
# A value as it is stored: a label, a sorted list of labels, a point of a scale, or the better of two.
Value = str | list[str] | int

MAX_LABELS = 500
MAX_LABEL_LENGTH = 100
MAX_RATING_POINTS = 101


@dataclass(frozen=True, slots=True)
class SchemaRules:
    """The part of a schema that decides about values.

    `labels` are the possible values in order; for a rating they are its points as text, for a pair its outcomes.
    """

    kind: Kind
    labels: tuple[str, ...]
    min: int | None = None
    max: int | None = None

    def check(self, value: object) -> Value:
        """`value` in its stored form. Raises Invalid naming what is allowed."""
        if self.kind == "choice" or self.kind == "pair":
            if isinstance(value, str) and value in self.labels:
                return value
            raise self._refusal(value)
        if self.kind == "rating":
            low, high = self.min or 0, self.max or 0
            if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
                return value
            raise self._refusal(value)
        return self._check_choices(value)

    def _check_choices(self, value: object) -> list[str]:
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            raise Invalid(
                "Several labels are given as a list of texts.",
                fields={"value": f"got {_short(value)}"},
            )
        chosen = cast(list[str], value)
        unknown = [v for v in chosen if v not in self.labels]
        if unknown:
            raise self._refusal(unknown[0])
        if len(set(chosen)) != len(chosen):
            raise Invalid("A label is named twice.", fields={"value": _short(value)})
        low, high = (
            self.min or 0,
            self.max if self.max is not None else len(self.labels),
        )
        if not low <= len(chosen) <= high:
            raise Invalid(
                f"Choose {low} to {high} labels.",
                fields={"value": f"{len(chosen)} chosen"},
            )
        return sorted(chosen)

    def _refusal(self, value: object) -> Invalid:
        if self.kind == "rating":
            allowed = f"whole numbers from {self.min} to {self.max}"
        else:
            shown = ", ".join(self.labels[:10])
            allowed = shown + (f" and {len(self.labels) - 10} more" if len(self.labels) > 10 else "")
        return Invalid(
            f"{_short(value)} is not in the schema. Allowed: {allowed}.",
            fields={"value": "not allowed"},
        )


def rules_of(kind: str, config: Mapping[str, Any]) -> SchemaRules:
    """The rules of a stored, already checked configuration."""
    if kind == "rating":
        low, high = int(config["min"]), int(config["max"])
        return SchemaRules("rating", tuple(str(point) for point in range(low, high + 1)), low, high)
    if kind == "pair":
        return SchemaRules("pair", ("a", "b", "tie") if config.get("tie") else ("a", "b"))
    labels = tuple(label["value"] for label in config["labels"])
    if kind == "choices":
        return SchemaRules("choices", labels, config.get("min", 0), config.get("max", len(labels)))
    return SchemaRules("choice", labels)


def check_config(kind: object, config: object) -> dict[str, Any]:
    """A configuration in its stored form. Raises Invalid naming the field.

    Labels may be plain texts or objects with value, name and color.
    """
    if kind not in KINDS:
        raise Invalid(
            f"{_short(kind)} is not a kind of schema. Kinds: {', '.join(KINDS)}.",
            fields={"schema.kind": "unknown"},
        )
    if not isinstance(config, Mapping):
        raise Invalid("A schema is an object.", fields={"schema": "not an object"})
    if kind == "rating":
        return _rating_config(config)
    if kind == "pair":
        return {"tie": bool(config.get("tie", False))}
    return _labels_config(cast(Kind, kind), config)


def _rating_config(config: Mapping[str, Any]) -> dict[str, Any]:
    low, high = config.get("min"), config.get("max")
    for field, point in (("min", low), ("max", high)):
        if not isinstance(point, int) or isinstance(point, bool):
            raise Invalid(
                "A rating has whole numbers min and max.",
                fields={f"schema.{field}": f"got {_short(point)}"},
            )
    assert isinstance(low, int) and isinstance(high, int)
    if not 1 <= high - low < MAX_RATING_POINTS:
        raise Invalid(
            f"A rating has 2 to {MAX_RATING_POINTS} points, min below max.",
            fields={"schema.max": f"{low} to {high}"},
        )
    stored: dict[str, Any] = {"min": low, "max": high}
    names = config.get("labels") or {}
    if names:
        if not isinstance(names, Mapping):
            raise Invalid(
                'Names of points look like {"1": "bad"}.',
                fields={"schema.labels": "not an object"},
            )
        stored["labels"] = {str(point): str(name)[:MAX_LABEL_LENGTH] for point, name in names.items()}
    return stored


def _labels_config(kind: Kind, config: Mapping[str, Any]) -> dict[str, Any]:
    given = config.get("labels")
    if not isinstance(given, list) or not 2 <= len(given) <= MAX_LABELS:
        count = len(given) if isinstance(given, list) else "none"
        raise Invalid(
            f"Name 2 to {MAX_LABELS} labels.",
            fields={"schema.labels": f"{count} given"},
        )
    labels: list[dict[str, str]] = []
    seen: set[str] = set()
    for label in given:
        entry = {"value": label, "name": label} if isinstance(label, str) else label
        value = entry.get("value") if isinstance(entry, Mapping) else None
        if not isinstance(value, str) or not value.strip() or len(value) > MAX_LABEL_LENGTH:
            raise Invalid(
                f"A label is a text of 1 to {MAX_LABEL_LENGTH} characters.",
                fields={"schema.labels": _short(label)},
            )
        if value in seen:
            raise Invalid(f"The label {value} is named twice.", fields={"schema.labels": value})
        seen.add(value)
        stored = {
            "value": value,
            "name": str(entry.get("name") or value)[:MAX_LABEL_LENGTH],
        }
        if entry.get("color"):
            stored["color"] = str(entry["color"])[:20]
        labels.append(stored)
    result: dict[str, Any] = {"labels": labels}
    if kind == "choices":
        low, high = config.get("min", 0), config.get("max", len(labels))
        if not isinstance(low, int) or not isinstance(high, int) or not 0 <= low <= high <= len(labels) or high < 1:
            raise Invalid(
                "min and max say how many labels may be chosen.",
                fields={"schema.min": f"{low} to {high}"},
            )
        result |= {"min": low, "max": high}
    return result


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
