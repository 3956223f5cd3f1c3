"""From what somebody said elsewhere to an answer that may be stored, or the reason why not."""

import math
from dataclasses import dataclass
from datetime import datetime

from labeling.core.drafts import MAX_EXTERNAL_ID, BadValueError, checked_name, checked_value, shortened
from labeling.core.formats.rows import RowError
from labeling.core.schema import SchemaRules, Value
from labeling.core.times import moment

MAX_RATER = 120
# Longer than this means that a page was left open: the time is kept as unknown rather than wrong.
MAX_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class AnswerDraft:
    """An answer that was checked and not yet stored. `row` and `line` say where it came from."""

    row: int
    # The item's external id or its number, as it was written.
    item: str
    rater: str
    value: Value
    # None: not given.
    answered_at: datetime | None = None
    seconds: float | None = None
    line: int | None = None
    # The item itself, once it was looked up.
    item_id: int | None = None


def draft_answer(
    row: int,
    *,
    item: object,
    annotator: object,
    value: object,
    rules: SchemaRules,
    now: datetime,
    time: object = None,
    seconds: object = None,
    line: int | None = None,
) -> AnswerDraft | RowError:
    """The answer that a row describes, or what is wrong with it. None and "" stand for "not given"."""
    try:
        return AnswerDraft(
            row=row,
            item=_needed(checked_name(item, "item", MAX_EXTERNAL_ID), "item", "the id or number of an item"),
            rater=_needed(checked_name(annotator, "annotator", MAX_RATER), "annotator", "who gave the answer"),
            value=_checked_answer(value, rules),
            answered_at=_checked_time(time, now),
            seconds=_checked_seconds(seconds),
            line=line,
        )
    except BadValueError as error:
        return RowError(row, error.message, error.field, line)


def _needed(name: str | None, field: str, what: str) -> str:
    if name is None:
        raise BadValueError(field, f"{field} is missing: {what}.")
    return name


def _checked_answer(value: object, rules: SchemaRules) -> Value:
    # No label at all is a legal answer where several may be chosen, but an empty cell is no answer.
    if value is None or value == "":
        raise BadValueError("value", "value is missing: the answer.")
    return checked_value(value, "value", rules)


def _checked_time(time: object, now: datetime) -> datetime | None:
    if time is None or time == "":
        return None
    if isinstance(time, bool) or not isinstance(time, (str, int, float)):
        raise BadValueError("time", f"time is {shortened(time)}, not a text or a number.")
    try:
        return moment(time, now)
    except ValueError as error:
        raise BadValueError("time", f"time: {error}") from None


def _checked_seconds(seconds: object) -> float | None:
    if seconds is None or seconds == "":
        return None
    problem = f"seconds is {shortened(seconds)}, not a number of seconds."
    if isinstance(seconds, bool) or not isinstance(seconds, (str, int, float)):
        raise BadValueError("seconds", problem)
    try:
        number = float(seconds)
    except (ValueError, OverflowError):
        raise BadValueError("seconds", problem) from None
    if not math.isfinite(number):
        raise BadValueError("seconds", problem)
    if number < 0:
        raise BadValueError("seconds", f"seconds is {shortened(seconds)}: nobody answers before being asked.")
    return number if number <= MAX_SECONDS else None
