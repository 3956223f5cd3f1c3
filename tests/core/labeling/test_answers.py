"""A row with an answer: what it becomes, why it is refused, and which column is guessed to be what."""

import csv
import io
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from labeling.core.answer_columns import AnswerColumns, answer_from_api, guess_answer_columns, holds_answers
from labeling.core.answers import AnswerDraft, draft_answer
from labeling.core.errors import Invalid
from labeling.core.formats import RowError
from labeling.core.schema import SchemaRules
from labeling.core.times import moment

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
CHOICE = SchemaRules("choice", ("negative", "neutral", "positive"))
CODES = SchemaRules("choice", ("0", "1"))
CHOICES = SchemaRules("choices", ("green", "red"), 0, 2)
RATING = SchemaRules("rating", tuple(str(point) for point in range(-4, 5)), -4, 4)
PAIR = SchemaRules("pair", ("a", "b", "tie"))


def draft(rules: SchemaRules = CHOICE, **cells: Any) -> AnswerDraft | RowError:
    return draft_answer(
        7, **({"item": "t1", "annotator": "kim", "value": "positive"} | cells), rules=rules, now=NOW, line=8
    )


def good(rules: SchemaRules = CHOICE, **cells: Any) -> AnswerDraft:
    found = draft(rules, **cells)
    assert isinstance(found, AnswerDraft), found
    return found


def bad(rules: SchemaRules = CHOICE, **cells: Any) -> tuple[str, str]:
    found = draft(rules, **cells)
    assert isinstance(found, RowError), found
    assert (found.row, found.line) == (7, 8)
    return found.field, found.message


def test_an_answer_is_kept_as_given() -> None:
    found = good(item=12, annotator=" Kim ", time="2026-01-31T10:00:00+02:00", seconds="3.5")
    assert (found.item, found.rater, found.value, found.seconds) == ("12", "Kim", "positive", 3.5)
    assert found.answered_at == datetime(2026, 1, 31, 8, tzinfo=UTC)
    assert good().answered_at is None and good().seconds is None


@pytest.mark.parametrize(
    ("rules", "given", "stored"),
    [
        (CHOICE, " positive ", "positive"),
        (CODES, 1, "1"),
        (CODES, 1.0, "1"),
        (RATING, "-4", -4),
        (RATING, 3.0, 3),
        (CHOICES, "red|green", ["green", "red"]),
        (CHOICES, ["red"], ["red"]),
        (CHOICES, "[]", []),
        (PAIR, "tie", "tie"),
    ],
)
def test_a_value_may_come_as_a_cell_of_any_table(rules: SchemaRules, given: Any, stored: Any) -> None:
    assert good(rules, value=given).value == stored


@pytest.mark.parametrize(
    ("cells", "field", "words"),
    [
        ({"item": None}, "item", "missing"),
        ({"item": ["t1"]}, "item", "not a text"),
        ({"item": "x" * 201}, "item", "the limit is 200"),
        ({"annotator": ""}, "annotator", "missing"),
        ({"annotator": "   "}, "annotator", "missing"),
        ({"annotator": True}, "annotator", "not a text"),
        ({"annotator": "x" * 121}, "annotator", "the limit is 120"),
        ({"annotator": "kim\x00"}, "annotator", "cannot be printed"),
        ({"annotator": "\ud800"}, "annotator", "cannot be printed"),
        ({"value": None}, "value", "missing"),
        ({"value": "angry"}, "value", "'angry' is not in the schema. Allowed: negative, neutral, positive"),
        ({"value": True}, "value", "not in the schema"),
        ({"value": ["positive"]}, "value", "not in the schema"),
        ({"time": "yesterday"}, "time", "not a time that can be read"),
        ({"time": ["2026"]}, "time", "not a text"),
        ({"time": "2026-05-02"}, "time", "future"),
        ({"time": 20.5}, "time", "too long ago"),
        ({"seconds": -1}, "seconds", "before being asked"),
        ({"seconds": "fast"}, "seconds", "not a number"),
        ({"seconds": float("nan")}, "seconds", "not a number"),
        ({"seconds": 10**400}, "seconds", "not a number"),
        ({"seconds": True}, "seconds", "not a number"),
    ],
)
def test_a_bad_cell_is_refused_by_field_and_reason(cells: dict[str, Any], field: str, words: str) -> None:
    refused, message = bad(**cells)
    assert refused == field and words in message


def test_an_hour_long_look_is_kept_as_unknown() -> None:
    assert good(seconds=3600).seconds == 3600
    assert good(seconds=3601).seconds is None and good(seconds=1e9).seconds is None


@pytest.mark.parametrize(
    "given",
    [
        "2026-01-31T23:59:00Z",
        "2026-01-31 23:59",
        "2026-01-31 23:59:00 UTC",
        "2026-02-01T01:59:00+02:00",
        "20260131T2359",
        "2026/01/31 23:59",
        "31.01.2026 23:59",
        "Sat, 31 Jan 2026 23:59:00 GMT",
        "Sat, 31 Jan 2026 15:59:00 -0800",
        "1769903940",
        "1769903940.0",
        "1769903940000",
        1769903940,
        1769903940000,
    ],
)
def test_a_moment_may_be_written_in_many_ways(given: str | float) -> None:
    assert moment(given, NOW) == datetime(2026, 1, 31, 23, 59, tzinfo=UTC)


def test_a_day_alone_is_its_first_moment() -> None:
    for given in ("2026-01-31", "20260131", 20260131, "31.01.2026"):
        assert moment(given, NOW) == datetime(2026, 1, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    "given",
    ["", "05/01/2026", "soon", "nan", "inf", "1e300", "-1e300", "2026-13-01", "0001-01-01T00:00+14:00", "12:30", -5, 0]
    + ["9999-12-31T23:59:59-14:00", "x" * 10_000, 10**400, "2026-05-01T12:06Z", "1969-07-20"],
)
def test_a_moment_that_cannot_be_is_refused_with_words(given: Any) -> None:
    with pytest.raises(ValueError, match="“"):
        moment(given, NOW)


def test_clocks_may_differ_by_minutes_but_nothing_is_stored_ahead() -> None:
    assert moment("2026-05-01T12:04Z", NOW) == NOW
    assert moment(str(NOW.astimezone(timezone(timedelta(hours=5)))), NOW) == NOW


def rows_of(table: str) -> list[dict[str, Any]]:
    return list(csv.DictReader(io.StringIO(table)))


def guessed(table: str, rules: SchemaRules = CHOICE) -> dict[str, str]:
    guesses = guess_answer_columns(rows_of(table), rules)
    assert all(guess.reason for guess in guesses)
    return {guess.role: guess.column for guess in guesses if guess.role != "skip"}


CROWD = "item,worker,label\n0,w0,1\n0,w1,0\n"
STUDIO = (
    "annotation_id,annotator,created_at,id,lead_time,sentiment,text\n"
    "5,1,2026-01-31T10:00:00Z,12,4.1,positive,so good\n6,2,2026-01-31T10:00:00Z,12,3.0,neutral,so good\n"
)
TURK = "HITId,AssignmentId,WorkerId,WorkTimeInSeconds,SubmitTime,Answer.label\nH1,A1,W1,12,2026-01-31,positive\n"
OURS = (
    "annotation_id,item_id,external_id,text,split,value,annotator,source,seconds,created_at\n"
    "1,55,t-1,so good,pool,positive,kim,import,2.5,2026-01-31T10:00:00+00:00\n"
)
ANONYMOUS = OURS.replace(",kim,", ",,")


@pytest.mark.parametrize(
    ("table", "rules", "roles"),
    [
        (CROWD, CODES, {"item": "item", "annotator": "worker", "value": "label"}),
        (
            STUDIO,
            CHOICE,
            {
                "item": "id",
                "annotator": "annotator",
                "value": "sentiment",
                "time": "created_at",
                "seconds": "lead_time",
            },
        ),
        (
            TURK,
            CHOICE,
            {
                "item": "HITId",
                "annotator": "WorkerId",
                "value": "Answer.label",
                "time": "SubmitTime",
                "seconds": "WorkTimeInSeconds",
            },
        ),
        (
            OURS,
            CHOICE,
            {
                "item": "external_id",
                "annotator": "annotator",
                "value": "value",
                "time": "created_at",
                "seconds": "seconds",
            },
        ),
        (OURS.replace(",t-1,", ",,"), CHOICE, {"item": "item_id"}),
        ("doc,rater,score,label\n1,kim,0.4,positive\n", CHOICE, {"value": "label"}),
        ("doc,rater,label\n1,kim,pos\n2,kim,neg\n", CHOICE, {"value": "label"}),
        ("doc,rater,label\n1,kim,positive\n2,kim,neg\n", CHOICE, {"value": "label"}),
    ],
)
def test_columns_of_other_tools_are_known_by_their_names(table: str, rules: SchemaRules, roles: dict[str, str]) -> None:
    found = guessed(table, rules)
    assert {role: found.get(role) for role in roles} == roles


@pytest.mark.parametrize(
    ("table", "are_answers"),
    [
        (CROWD, True),
        (STUDIO, True),
        (TURK, True),
        (OURS, True),
        (ANONYMOUS, False),
        ("id,text,label\n1,so good,positive\n", False),
        # Tweets come with their author.
        (f"id,user,text,sentiment\n1,kim,{'so good ' * 10},positive\n", False),
        ("id,user,sentiment\n1,kim,positive\n", True),
        ("text\nhello\n", False),
    ],
)
def test_answers_are_told_from_items_by_the_columns(table: str, are_answers: bool) -> None:
    assert holds_answers(rows_of(table), CODES if table == CROWD else CHOICE) is are_answers


def test_a_file_without_rows_is_no_answers() -> None:
    assert guess_answer_columns([], CHOICE) == [] and not holds_answers([], CHOICE)


def columns(*roles: tuple[str, str]) -> AnswerColumns:
    return AnswerColumns(roles, NOW)


NEEDED = (("doc", "item"), ("who", "annotator"), ("said", "value"))


def test_three_columns_are_needed_and_each_but_once() -> None:
    columns(*NEEDED).check(CHOICE)
    for place, words in enumerate(("the item's id", "who answered", "the answer")):
        with pytest.raises(Invalid, match=f"Say which column holds {words}"):
            columns(*NEEDED[:place], *NEEDED[place + 1 :]).check(CHOICE)
    with pytest.raises(Invalid, match="Only one column"):
        columns(*NEEDED, ("more", "value")).check(CHOICE)
    with pytest.raises(Invalid, match="not something"):
        columns(*NEEDED, ("more", "text")).check(CHOICE)


def test_a_row_lacks_a_column_or_a_cell() -> None:
    def error(values: dict[str, Any]) -> tuple[str, str]:
        found = columns(*NEEDED).draft(1, values, CHOICE, 2)
        assert isinstance(found, RowError)
        return found.field, found.message

    assert error({"who": "kim", "said": "positive"}) == ("doc", "It has no column “doc”, which holds the item's id.")
    assert error({"doc": "1", "who": "", "said": "positive"}) == (
        "who",
        "It does not say who answered (column “who” is empty).",
    )


def test_the_api_takes_five_fields() -> None:
    whole = {"item": "t1", "annotator": "kim", "value": "positive", "time": 1769903940, "seconds": 2}
    assert isinstance(answer_from_api(1, whole, CHOICE, NOW), AnswerDraft)
    for given, words in (
        (whole | {"rater": "x"}, "“rater” is not a field"),
        ("oops", "not an object"),
        ({}, "item is"),
    ):
        refused = answer_from_api(1, given, CHOICE, NOW)
        assert isinstance(refused, RowError) and words in refused.message
