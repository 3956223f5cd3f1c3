"""Which column of a file with answers is what: a guess with reasons, and the step from a row to an answer."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, ClassVar

from labeling.core.answers import AnswerDraft, draft_answer
from labeling.core.drafts import BadValueError, checked_value
from labeling.core.errors import Invalid
from labeling.core.formats.rows import RowError
from labeling.core.mapping import ColumnGuess, Columns, columns_in
from labeling.core.schema import SchemaRules

ROLES = {
    "item": "Which item",
    "annotator": "Who answered",
    "value": "The answer",
    "time": "When",
    "seconds": "Seconds it took",
    "skip": "Leave out",
}
_NEEDED = {
    "item": "the item's id",
    "annotator": "who answered",
    "value": "the answer",
}


@dataclass(frozen=True, slots=True)
class AnswerColumns(Columns[AnswerDraft]):
    """Columns of a file with answers already given. `now` is what times are compared with."""

    now: datetime

    names: ClassVar[dict[str, str]] = ROLES
    only_one: ClassVar[tuple[str, ...]] = ("item", "annotator", "value", "time", "seconds")

    def check_needed(self, rules: SchemaRules) -> None:
        for role, what in _NEEDED.items():
            if not self.columns_of(role):
                raise Invalid(f"Say which column holds {what}.", fields={role: "missing"})

    def draft(
        self, row: int, values: dict[str, Any], rules: SchemaRules, line: int | None = None
    ) -> AnswerDraft | RowError:
        cells: dict[str, Any] = {}
        for column, role in self.roles:
            value = values.get(column)
            if role in _NEEDED and (value is None or value == ""):
                return RowError(row, _missing(column, role, values), column, line)
            cells[role] = value
        return draft_answer(
            row,
            item=cells.get("item"),
            annotator=cells.get("annotator"),
            value=cells.get("value"),
            time=cells.get("time"),
            seconds=cells.get("seconds"),
            rules=rules,
            now=self.now,
            line=line,
        )


def _missing(column: str, role: str, values: dict[str, Any]) -> str:
    if column not in values:
        return f"It has no column “{column}”, which holds {_NEEDED[role]}."
    return f"It does not say {_NEEDED[role]} (column “{column}” is empty)."


_API_KEYS = ("item", "annotator", "value", "time", "seconds")


def answer_from_api(row: int, values: object, rules: SchemaRules, now: datetime) -> AnswerDraft | RowError:
    """The answer that one element of an API request describes, or what is wrong with it."""
    if not isinstance(values, dict):
        return RowError(row, 'It is not an object such as {"item": "…", "annotator": "…", "value": "…"}.')
    unknown = sorted(set(values) - set(_API_KEYS))
    if unknown:
        return RowError(row, f"“{str(unknown[0])[:60]}” is not a field of an answer: {', '.join(_API_KEYS)}.")
    return draft_answer(row, **{key: values.get(key) for key in _API_KEYS}, rules=rules, now=now)


# Words in the names of columns, the surest first.
_ANNOTATOR_WORDS = (
    frozenset(
        [
            "annotator",
            "rater",
            "worker",
            "coder",
            "labeler",
            "labeller",
            "judge",
            "assessor",
            "grader",
            "reviewer",
            "participant",
        ]
    ),
    frozenset(["user", "email", "person", "author", "creator", "by", "who"]),
)
_ITEM_WORDS = (
    frozenset(("external",)),
    frozenset(("item",)),
    frozenset(
        ["task", "unit", "document", "doc", "example", "question", "instance", "object", "sample", "record", "hit"]
    ),
    frozenset(("id",)),
)
_VALUE_WORDS = (
    frozenset(["value", "answer", "judgment", "judgement", "verdict", "response", "vote"]),
    frozenset(["label", "annotation", "choice", "rating", "score", "class", "category", "sentiment"]),
)
_SECONDS_WORDS = (frozenset(["seconds", "secs", "sec", "duration", "lead", "elapsed", "spent"]),)
_TIME_WORDS = (frozenset(["time", "timestamp", "datetime", "date", "created", "submitted", "annotated", "at"]),)
# What an id may be of without being the item's.
_OTHER_IDS = frozenset(["annotation", "assignment", "job", "schema", "project", "session"])
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_LONG_TEXT = 60


def guess_answer_columns(rows: Sequence[dict[str, Any]], rules: SchemaRules) -> list[ColumnGuess]:
    """What each column of a file with answers seems to be, judged by its name and its values in the first rows."""
    columns = columns_in(rows)
    values = {column: [row[column] for row in rows if row.get(column) not in (None, "")] for column in columns}
    guesses: dict[str, ColumnGuess] = {}

    def settle(role: str, tiers: Iterable[frozenset[str]], fits: Callable[[str], bool], reason: str) -> bool:
        """Gives the role to the column with the surest name among those that fit; False when there is none."""
        for tier in tiers:
            for column in columns:
                if column not in guesses and values[column] and _words(column) & tier and fits(column):
                    guesses[column] = ColumnGuess(column, role, reason)
                    return True
        return False

    def are_names(column: str) -> bool:
        return all(_is_name(value) for value in values[column])

    def are_items(column: str) -> bool:
        # The id of an item stands in every row; where some lack it, another column may have it for all.
        return are_names(column) and len(values[column]) == len(rows) and not _words(column) & _OTHER_IDS

    def are_numbers(column: str) -> bool:
        return all(_is_number(value) for value in values[column])

    def has_answers(column: str, least: float) -> bool:
        return sum(_is_answer(value, rules) for value in values[column]) >= least * len(values[column])

    by_name = "Its name says so."
    settle("seconds", _SECONDS_WORDS, are_numbers, "Its name says so and it holds numbers.")
    settle("time", _TIME_WORDS, are_names, by_name)
    settle("annotator", _ANNOTATOR_WORDS, are_names, by_name)
    settle("item", _ITEM_WORDS, are_items, by_name)
    for least, reason in (
        (1.0, "Its values are answers under this project's schema."),
        (0.01, "Some of its values are answers under this project's schema."),
        (0.0, "Its name says so, but none of its values is in this project's schema."),
    ):
        if settle("value", _VALUE_WORDS, partial(has_answers, least=least), reason):
            break
    return [guesses.get(column, ColumnGuess(column, "skip", "Not needed for an answer.")) for column in columns]


def holds_answers(rows: Sequence[dict[str, Any]], rules: SchemaRules) -> bool:
    """Whether a file seems to hold answers already given rather than items to judge."""
    role_of = {guess.role: guess.column for guess in guess_answer_columns(rows, rules)}
    if any(role not in role_of for role in _NEEDED):
        return False
    if _words(role_of["annotator"]) & _ANNOTATOR_WORDS[0]:
        return True
    # A "user" beside a text is as likely its author.
    return not any(isinstance(value, str) and len(value) > _LONG_TEXT for row in rows for value in row.values())


def _words(column: str) -> frozenset[str]:
    """The words in a column's name: WorkerId, worker_id and "worker id" have the same."""
    return frozenset(word.lower() for word in _WORD.findall(column))


def _is_name(value: Any) -> bool:
    return isinstance(value, (str, int, float)) and not isinstance(value, bool) and len(str(value)) <= _LONG_TEXT


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return not isinstance(value, bool)


def _is_answer(value: Any, rules: SchemaRules) -> bool:
    try:
        checked_value(value, "value", rules)
    except BadValueError:
        return False
    return True
