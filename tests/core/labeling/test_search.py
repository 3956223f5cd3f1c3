"""Which items a query means."""

import json

import pytest

from labeling.core.search import holds_words, like_patterns, query_words


@pytest.mark.parametrize(
    "query, words",
    [
        ("late  refund", ("late", "refund")),
        ('"not good" at all', ("not good", "at", "all")),
        ('"open end', ("open", "end")),
        ("twice twice", ("twice",)),
        ("   ", ()),
        ('""', ()),
        ("a " * 200, ("a",)),
    ],
)
def test_a_query_is_words_and_phrases(query: str, words: tuple[str, ...]) -> None:
    assert query_words(query) == words


@pytest.mark.parametrize(
    "data, query, holds",
    [
        ({"text": "A LATE refund"}, "refund late", True),
        ({"text": "a late reply"}, "refund late", False),
        ({"text": "nothing of it"}, "text", False),  # a field's name is no content
        ({"a": {"b": ["deep", {"c": "Refund"}]}, "n": 45}, "refund 45", True),
        ({"text": "not\n  good"}, '"not good"', True),
        ({"text": "good, not"}, '"not good"', False),
        ({"text": "ÄRGER"}, "ärger", True),
        ({"text": 'say "hi" \\ 100 %'}, "100 %", True),
        ({"text": None}, "none", False),
    ],
)
def test_all_words_are_in_the_values(data: dict, query: str, holds: bool) -> None:
    assert holds_words(data, query_words(query)) is holds


@pytest.mark.parametrize("is_ascii", [True, False])
def test_patterns_say_what_the_json_says(is_ascii: bool) -> None:
    assert like_patterns("late", is_ascii=is_ascii) == ["%late%"]
    assert like_patterns("50%_!", is_ascii=is_ascii) == ["%50!%!_!!%"]
    written = json.dumps("Ärger", ensure_ascii=is_ascii)[1:-1]
    assert f"%{written}%" in like_patterns("ärger", is_ascii=is_ascii)
    assert like_patterns("not good", is_ascii=is_ascii) == ["%not%good%"]
