"""What a model was taught to see: the fields of what it learned from, and whether an input is like them."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from active_learning.core.featurize import FeaturizerSpec, flatten, is_blank, number_of, sides

# A text beyond this is refused: what it costs must not depend on who sends it.
MAX_CHARACTERS = 100_000
# A field with more categories than this is not checked for new ones.
MAX_CATEGORIES = 1_000
MAX_CATEGORY_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class InputSchema:
    """Fields by kind: the range of each number and the categories that occurred, over the items learned from.

    A field with more than MAX_CATEGORIES has an empty list: anything may come.
    """

    texts: tuple[str, ...] = ()
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    is_pair: bool = False
    vector_dimension: int = 0
    n: int = 0

    @property
    def fields(self) -> tuple[str, ...]:
        return (*self.texts, *self.ranges, *self.categories)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "InputSchema":
        return cls(
            texts=tuple(stored["texts"]),
            ranges={name: (float(low), float(high)) for name, (low, high) in stored["ranges"].items()},
            categories={name: tuple(values) for name, values in stored["categories"].items()},
            is_pair=bool(stored["is_pair"]),
            vector_dimension=int(stored["vector_dimension"]),
            n=int(stored["n"]),
        )


def learn_inputs(data: Iterable[Mapping[str, Any]], spec: FeaturizerSpec) -> InputSchema:
    """The schema of these items under the spec's fields. The order of the items does not matter."""
    ranges: dict[str, tuple[float, float]] = {}
    seen: dict[str, set[str]] = {name: set() for name in spec.categorical_fields}
    n = 0
    for one in data:
        n += 1
        for row in map(flatten, sides(one, spec.is_pair)):
            for number_field in spec.numeric_fields:
                number = number_of(row.get(number_field.name))
                if number is not None:
                    low, high = ranges.get(number_field.name, (number, number))
                    ranges[number_field.name] = (min(low, number), max(high, number))
            for name, values in seen.items():
                if len(values) <= MAX_CATEGORIES:
                    values.update(_categories(row.get(name)))
    for number_field in spec.numeric_fields:  # nothing that was learned from had it: what the pool had then
        edges = number_field.edges or (number_field.center,)
        ranges.setdefault(number_field.name, (edges[0], edges[-1]))
    return InputSchema(
        texts=spec.text_fields,
        ranges=ranges,
        categories={name: tuple(sorted(v)) if len(v) <= MAX_CATEGORIES else () for name, v in seen.items()},
        is_pair=spec.is_pair,
        vector_dimension=spec.vector_dimension,
        n=n,
    )


def unchecked_inputs(spec: FeaturizerSpec) -> InputSchema:
    """The schema of a version that kept none: the fields by kind, every number and every category."""
    return InputSchema(
        texts=spec.text_fields,
        ranges={one.name: (-math.inf, math.inf) for one in spec.numeric_fields},
        categories=dict.fromkeys(spec.categorical_fields, ()),
        is_pair=spec.is_pair,
        vector_dimension=spec.vector_dimension,
    )


@dataclass(frozen=True, slots=True)
class Checked:
    """What is wrong with an input (field and words), and what is unusual about it, by field."""

    errors: tuple[tuple[str, str], ...] = ()
    missing: tuple[str, ...] = ()
    out_of_range: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()


def check_input(data: object, schema: InputSchema) -> Checked:
    """Whether a model with this schema can judge `data`.

    A field that is missing, outside its range or of an unknown category is counted; one of the wrong type, and an
    input with nothing that the model looks at, is an error.
    """
    if not isinstance(data, Mapping):
        return Checked(errors=(("", "is not an object with fields"),))
    if schema.is_pair:
        gone = [name for name in ("a", "b") if is_blank(data.get(name))]
        if gone:
            return Checked(errors=tuple((name, "is missing: a pair has a and b") for name in gone))
    errors: list[tuple[str, str]] = []
    missing: list[str] = []
    out_of_range: list[str] = []
    unseen: list[str] = []
    for prefix, side in zip(("a.", "b.") if schema.is_pair else ("",), sides(data, schema.is_pair), strict=True):
        row = flatten(side)
        for name in schema.fields:
            value = row.get(name)
            place = prefix + name
            if is_blank(value) or (isinstance(value, str) and name in schema.texts and not value.strip()):
                if any(other.startswith(f"{name}.") for other in row):
                    errors.append((place, "is an object, where a single value belongs"))
                missing.append(place)
                continue
            problem = _problem(name, value, schema)
            if problem:
                errors.append((place, problem))
            elif name in schema.ranges:
                low, high = schema.ranges[name]
                if not low <= (number_of(value) or 0.0) <= high:
                    out_of_range.append(place)
            elif schema.categories.get(name) and _categories(value) - set(schema.categories[name]):
                unseen.append(place)
    if not errors and len(missing) == len(schema.fields) * (2 if schema.is_pair else 1) and not schema.vector_dimension:
        looked_at = ", ".join(schema.fields[:5])
        errors.append((schema.fields[0] if schema.fields else "", f"is missing: the model looks at {looked_at}"))
    return Checked(tuple(errors), tuple(missing), tuple(out_of_range), tuple(unseen))


def counts(checked: Sequence[Checked]) -> dict[str, dict[str, int]]:
    """How many inputs miss each field, have it out of range, or have an unseen category of it."""
    return {
        name: dict(sorted(Counter(place for one in checked for place in getattr(one, name)).items()))
        for name in ("missing", "out_of_range", "unseen")
    }


def _problem(name: str, value: Any, schema: InputSchema) -> str:
    if name in schema.ranges:
        return "" if number_of(value) is not None else f"is {_kind(value)}, not a number"
    values = value if isinstance(value, list) else [value]
    allowed: tuple[type, ...] = (str,) if name in schema.texts else (str, int, float, bool)
    wrong = [one for one in values if not isinstance(one, allowed)]
    if wrong:
        return f"is {_kind(wrong[0])}, not {'a text' if name in schema.texts else 'a single value'}"
    if name in schema.texts and sum(map(len, values)) > MAX_CHARACTERS:
        return f"is longer than {MAX_CHARACTERS:,} characters"
    return ""


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    names = {str: "a text", int: "a number", float: "a number", list: "a list", dict: "an object", type(None): "null"}
    return names.get(type(value), "of another kind")


def _categories(value: Any) -> set[str]:
    if is_blank(value):
        return set()
    return {str(one)[:MAX_CATEGORY_CHARACTERS] for one in (value if isinstance(value, list) else [value])}
