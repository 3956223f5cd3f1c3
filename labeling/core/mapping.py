"""Which column of a file is what: a guess with reasons, and the step from a row to an item."""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from labeling.core.drafts import ItemDraft, draft_item
from labeling.core.errors import Invalid
from labeling.core.formats.rows import RowError
from labeling.core.schema import SchemaRules

# What a column can be. "field" keeps its name inside the item's data, "meta" inside its segments; "data" is a column
# that holds the whole data object, as the HTTP API takes it.
ROLES = {
    "text": "Text to judge",
    "a": "First of two (a)",
    "b": "Second of two (b)",
    "image": "Image address",
    "field": "Another field to show",
    "data": "All fields, as an object",
    "id": "Your id",
    "meta": "Segment (meta)",
    "features": "Feature vector",
    "gold": "Known answer",
    "skip": "Leave out",
}
_CONTENT = ("text", "a", "b", "image", "field", "data")

PREVIEW_ROWS = 20
_MANY_NUMBERS = 8
_SHORT_TEXT = 60


@dataclass(frozen=True, slots=True)
class ColumnGuess:
    """What a column seems to be, and why."""

    column: str
    role: str
    reason: str


D = TypeVar("D")


@dataclass(frozen=True, slots=True)
class Columns(ABC, Generic[D]):
    """The role of each column that is used, in the order of the file. Columns that are not named are left out.

    D is what a row becomes.
    """

    roles: tuple[tuple[str, str], ...]

    # What a column can be, in words.
    names: ClassVar[dict[str, str]]
    # Roles that one column has at most.
    only_one: ClassVar[tuple[str, ...]]

    def columns_of(self, role: str) -> list[str]:
        return [column for column, its_role in self.roles if its_role == role]

    def check(self, rules: SchemaRules) -> None:
        """Raises Invalid when no row could be used under these roles."""
        for column, role in self.roles:
            if role not in self.names:
                raise Invalid(f"“{role}” is not something a column can be.", fields={column: "unknown role"})
        for role in self.only_one:
            columns = self.columns_of(role)
            if len(columns) > 1:
                named = " and ".join(f"“{column}”" for column in columns[:3])
                raise Invalid(f"Only one column can be “{self.names[role]}”, not {named}.", fields={columns[1]: role})
        self.check_needed(rules)

    @abstractmethod
    def check_needed(self, rules: SchemaRules) -> None:
        """Raises Invalid when a column is missing that every row needs."""

    @abstractmethod
    def draft(self, row: int, values: dict[str, Any], rules: SchemaRules, line: int | None = None) -> D | RowError:
        """What one row becomes, or what is wrong with it."""


class Mapping(Columns[ItemDraft]):
    """Columns of a file with items to judge."""

    __slots__ = ()
    names = ROLES
    only_one = ("text", "a", "b", "image", "data", "id", "gold")

    def check_needed(self, rules: SchemaRules) -> None:
        if not any(role in _CONTENT for _, role in self.roles):
            raise Invalid("Say which column holds what people will judge: a text, an image address or other fields.")
        has_pair = self.columns_of("a") and self.columns_of("b")
        if rules.kind == "pair" and not has_pair and not self.columns_of("data"):
            raise Invalid("This project compares two: say which columns are a and b.")

    def draft(
        self, row: int, values: dict[str, Any], rules: SchemaRules, line: int | None = None
    ) -> ItemDraft | RowError:
        data: dict[str, Any] = {}
        meta: dict[str, Any] = {}
        features: list[Any] = []
        external_id = gold = whole = None
        for column, role in self.roles:
            value = values.get(column)
            if role == "skip":
                continue
            if role in ("text", "a", "b", "image"):
                if value is None or value == "":
                    return RowError(row, _missing(column, role, values), column, line)
                data[role] = value
            elif value is None or value == "":
                continue
            elif role == "field":
                data[column] = value
            elif role == "meta":
                # The API's form: a column named meta holds an object of its own.
                if isinstance(value, dict):
                    meta.update(value)
                else:
                    meta[column] = value
            elif role == "id":
                external_id = value
            elif role == "gold":
                gold = value
            elif role == "features":
                features.append(value)
            elif role == "data":
                whole = value
        if whole is not None:
            data = {**whole, **data} if isinstance(whole, dict) else whole  # a wrong type is reported by draft_item
        return draft_item(
            row,
            data=data,
            rules=rules,
            external_id=external_id,
            meta=meta,
            features=_vector(features, self.columns_of("features")),
            gold=gold,
            line=line,
        )


# What the HTTP API takes.
_API_KEYS = frozenset(("id", "data", "meta", "features", "gold"))


def draft_from_api(row: int, values: object, rules: SchemaRules) -> ItemDraft | RowError:
    """The item that one element of an API request describes, or what is wrong with it."""
    if not isinstance(values, dict):
        return RowError(row, 'It is not an object such as {"data": {"text": "…"}}.')
    unknown = sorted(set(values) - _API_KEYS)
    if unknown:
        return RowError(row, f"“{str(unknown[0])[:60]}” is not a field of an item: id, data, meta, features, gold.")
    return draft_item(
        row,
        data=values.get("data"),
        rules=rules,
        external_id=values.get("id"),
        meta=values.get("meta"),
        features=values.get("features"),
        gold=values.get("gold"),
    )


def _missing(column: str, role: str, values: dict[str, Any]) -> str:
    what = {"text": "text", "a": "first of two", "b": "second of two", "image": "image address"}[role]
    if column not in values:
        return f"It has no column “{column}”, which holds the {what}."
    return f"The {what} is empty (column “{column}”)."


def _vector(values: list[Any], columns: list[str]) -> Any:
    """One column with a list, or one column per number."""
    if not values:
        return None
    if len(columns) == 1:
        return values[0]
    if len(values) < len(columns):
        return values  # Too short: the wrong length is reported where the project's length is known.
    return [_number(value) for value in values]


def _number(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def columns_in(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Every column of some rows, in the order of first appearance."""
    return list(dict.fromkeys(column for row in rows for column in row))


_TEXT_NAME = re.compile(
    r"text|sentence|review|body|content|comment|message|tweet|post|question|utterance|document|title|headline|"
    r"description|prompt|snippet|phrase|abstract|summary|input"
)
_ID_NAME = re.compile(r"(^|[_\s.-])(id|uuid|guid|key)$|^(id|uuid|guid|key)|.*ID$")
_IMAGE_NAME = re.compile(r"image|img|photo|picture|thumbnail")
_IMAGE_ADDRESS = re.compile(r"https://\S+\.(png|jpe?g|gif|webp|avif|svg)(\?\S*)?$", re.IGNORECASE)
_VECTOR_NAME = re.compile(r"feature|embedding|vector|^emb")
_ANSWER_NAME = re.compile(r"gold|label|class|category|target|answer|sentiment|rating|expected")
_PAIRS = (("a", "b"), ("response_a", "response_b"), ("chosen", "rejected"), ("answer_a", "answer_b"), ("left", "right"))


def guess_mapping(rows: Sequence[dict[str, Any]], rules: SchemaRules) -> list[ColumnGuess]:
    """What each column seems to be, judged by its name and its values in the first rows."""
    columns = columns_in(rows)
    values = {column: [row[column] for row in rows if row.get(column) not in (None, "")] for column in columns}
    guesses: dict[str, ColumnGuess] = {}

    def settle(column: str, role: str, reason: str) -> None:
        guesses[column] = ColumnGuess(column, role, reason)

    for column in columns:
        if not values[column]:
            settle(column, "skip", "It is empty in the first rows.")
        elif column == "data" and all(isinstance(value, dict) for value in values[column]):
            settle(column, "data", "It holds objects, as the API takes them.")
        elif column == "meta" and all(isinstance(value, dict) for value in values[column]):
            settle(column, "meta", "It holds objects, as the API takes them.")
        elif vectors := _vectors(column, values[column]):
            settle(column, "features", f"It holds lists of {_length(vectors[0])} numbers.")
    _guess_number_columns(columns, values, guesses)
    rest = [column for column in columns if column not in guesses]
    for column in rest:
        if _answers(values[column], rules) and (_ANSWER_NAME.search(column.lower()) or rules.kind != "rating"):
            settle(column, "gold", "Its values are answers under this project's schema.")
            break
    for column in [column for column in rest if column not in guesses]:
        distinct = {str(value) for value in values[column]}
        if _ID_NAME.search(column) and len(distinct) == len(values[column]) and _all_short(values[column]):
            settle(column, "id", "Its name says so and its values are all different.")
            break
    _guess_content([column for column in rest if column not in guesses], values, guesses, rules)
    for column in [column for column in rest if column not in guesses]:
        # A short headline, or what two answers are answers to, belongs to what is judged.
        if _all_short(values[column]) and not _TEXT_NAME.search(column.lower()):
            settle(column, "meta", "Its values are short: a segment to count by.")
        else:
            settle(column, "field", "It is shown beside what is judged.")
    return [guesses[column] for column in columns]


def _guess_content(
    columns: list[str], values: dict[str, list[Any]], guesses: dict[str, ColumnGuess], rules: SchemaRules
) -> None:
    if any(guess.role == "data" for guess in guesses.values()):
        return
    for column in columns:
        addresses = sum(isinstance(value, str) and bool(_IMAGE_ADDRESS.match(value)) for value in values[column])
        # Rows whose address is none are left out one by one; they do not make the column another thing.
        named = _IMAGE_NAME.search(column.lower()) and any(str(v).startswith("https://") for v in values[column])
        if addresses == len(values[column]) or named:
            guesses[column] = ColumnGuess(column, "image", "It holds addresses of pictures.")
            columns = [other for other in columns if other != column]
            break
    texts = [column for column in columns if all(isinstance(value, str) for value in values[column])]
    if rules.kind == "pair":
        lower = {column.lower(): column for column in columns}
        named_pair = next(((lower[a], lower[b]) for a, b in _PAIRS if a in lower and b in lower), None)
        longest = sorted(sorted(texts, key=lambda column: -_mean_length(values[column]))[:2], key=columns.index)
        pair = named_pair or (tuple(longest) if len(longest) == 2 else None)
        if pair:
            why = "Its name says so." if named_pair else "One of the two longest texts."
            guesses[pair[0]] = ColumnGuess(pair[0], "a", why)
            guesses[pair[1]] = ColumnGuess(pair[1], "b", why)
        return
    if not texts:
        return
    named_texts = [column for column in texts if _TEXT_NAME.search(column.lower())]
    chosen = max(named_texts or texts, key=lambda column: (column.lower() == "text", _mean_length(values[column])))
    has_image = any(guess.role == "image" for guess in guesses.values())
    if named_texts:
        guesses[chosen] = ColumnGuess(chosen, "text", "Its name says so and it holds texts.")
    elif not has_image or _mean_length(values[chosen]) > _SHORT_TEXT:
        guesses[chosen] = ColumnGuess(chosen, "text", "It holds the longest texts.")


def _guess_number_columns(columns: list[str], values: dict[str, list[Any]], guesses: dict[str, ColumnGuess]) -> None:
    """Many columns such as f0, f1, f2 … that hold one number each are one vector."""
    families: dict[str, list[str]] = {}
    for column in columns:
        stem = re.sub(r"\d+$", "", column)
        if column not in guesses and stem != column and all(_is_number(value) for value in values[column]):
            families.setdefault(stem, []).append(column)
    if not families or any(guess.role == "features" for guess in guesses.values()):
        return
    stem, members = max(families.items(), key=lambda one: len(one[1]))
    if len(members) >= _MANY_NUMBERS:
        for column in members:
            reason = f"{len(members)} columns named {stem}… hold one number each."
            guesses[column] = ColumnGuess(column, "features", reason)


def _answers(values: list[Any], rules: SchemaRules) -> bool:
    probe = {"text": "probe", "a": "a", "b": "b"}
    return all(isinstance(draft_item(1, data=probe, rules=rules, gold=value), ItemDraft) for value in values)


def _vectors(column: str, values: list[Any]) -> list[Any]:
    """The vectors among the values; none where the column is something else. A name may stand for a few bad ones."""
    vectors = [value for value in values if _is_vector(value)]
    return vectors if len(vectors) == len(values) or _VECTOR_NAME.search(column.lower()) else []


def _is_vector(value: Any) -> bool:
    if isinstance(value, str) and value.startswith("[") and value.endswith("]"):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return False
    return (
        isinstance(value, list)
        and len(value) > 1
        and all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in value)
    )


def _length(value: Any) -> int:
    return len(json.loads(value)) if isinstance(value, str) else len(value)


def _is_number(value: Any) -> bool:
    return isinstance(_number(value), (int, float)) and not isinstance(value, bool)


def _all_short(values: list[Any]) -> bool:
    return all(not isinstance(value, (dict, list)) and len(str(value)) <= _SHORT_TEXT for value in values)


def _mean_length(values: list[Any]) -> float:
    return sum(len(str(value)) for value in values) / len(values)
