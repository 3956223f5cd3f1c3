"""From a row to an item: what is accepted, what is refused and in which words."""

import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labeling.core.drafts import ItemDraft, draft_item, is_in_audit_split
from labeling.core.errors import Invalid
from labeling.core.formats import RowError
from labeling.core.mapping import Mapping, draft_from_api, guess_mapping
from labeling.core.schema import SchemaRules, rules_of

CHOICE = rules_of("choice", {"labels": [{"value": "yes"}, {"value": "no"}]})
CHOICES = rules_of("choices", {"labels": [{"value": "red"}, {"value": "green"}], "min": 0, "max": 2})
RATING = rules_of("rating", {"min": -4, "max": 4})
PAIR = rules_of("pair", {"tie": True})


def good(rules: SchemaRules = CHOICE, **row: Any) -> ItemDraft:
    draft = draft_from_api(1, row, rules)
    assert isinstance(draft, ItemDraft), draft
    return draft


def bad(rules: SchemaRules = CHOICE, **row: Any) -> tuple[str, str]:
    error = draft_from_api(7, row, rules)
    assert isinstance(error, RowError) and error.row == 7
    return error.field, error.message


def test_a_whole_row_is_kept() -> None:
    draft = good(id=12, data={"text": "hi", "n": {"deep": [1]}}, meta={"lang": "en"}, features=[1, 0.5], gold="yes")
    assert draft.external_id == "12" and draft.gold == "yes" and draft.meta == {"lang": "en"}
    assert draft.features == struct.pack("<2f", 1, 0.5)


@pytest.mark.parametrize(
    ("row", "field", "words"),
    [
        ({}, "data", "not an object"),
        ({"data": "hello"}, "data", "not an object"),
        ({"data": {}}, "data", "empty"),
        ({"data": {"title": ""}}, "data", "empty"),
        ({"data": {"text": ""}}, "data", "empty"),
        ({"data": {"text": "", "n": 1}}, "text", "empty"),
        ({"data": {"text": " \n"}}, "text", "spaces"),
        ({"data": {"text": 5}}, "text", "not a text"),
        ({"data": {"text": "x" * 10_000_000}}, "text", "text is 10.0 MB; the limit is 1 MB."),
        ({"data": {"text": "zero \x00"}}, "data", "zero character"),
        ({"data": {"text": "half \ud800"}}, "data", "lone surrogate"),
        ({"data": {"n": math.nan}}, "data", "NaN"),
        ({"data": {"n": [math.inf]}}, "data", "NaN or Infinity"),
        ({"data": {"image": "http://example.org/a.png"}}, "image", "https"),
        ({"data": {"image": "javascript:alert(1)"}}, "image", "https"),
        ({"data": {"image": "https://"}}, "image", "https"),
        ({"data": {"image": "https://me:secret@example.org/a.png"}}, "image", "https"),
        ({"data": {"image": "https://example.org/a b.png"}}, "image", "https"),
        ({"data": {"image": "https://[broken"}}, "image", "https"),
        ({"data": {"text": "a"}, "id": ["x"]}, "id", "not a text"),
        ({"data": {"text": "a"}, "id": True}, "id", "not a text"),
        ({"data": {"text": "a"}, "id": 1.5}, "id", "whole number"),
        ({"data": {"text": "a"}, "id": "x" * 201}, "id", "201"),
        ({"data": {"text": "a"}, "id": "a\nb"}, "id", "printed"),
        ({"data": {"text": "a"}, "meta": ["x"]}, "meta", "not an object"),
        ({"data": {"text": "a"}, "meta": {"x": "y" * 30_000}}, "meta", "30 kB"),
        ({"data": {"text": "a"}, "gold": "maybe"}, "gold", "'maybe' is not in the schema"),
        ({"data": {"text": "a"}, "features": []}, "features", "list"),
        ({"data": {"text": "a"}, "features": {"x": 1}}, "features", "list"),
        ({"data": {"text": "a"}, "features": [1, "x"]}, "features", "features[1]"),
        ({"data": {"text": "a"}, "features": [1, True]}, "features", "features[1]"),
        ({"data": {"text": "a"}, "features": [math.nan]}, "features", "nan"),
        ({"data": {"text": "a"}, "features": [0, math.inf]}, "features", "inf"),
        ({"data": {"text": "a"}, "features": [1e300]}, "features", "32 bits"),
        ({"data": {"text": "a"}, "features": [0] * 11_000}, "features", "11,000"),
        ({"data": {"text": "a"}, "lable": "yes"}, "", "lable"),
    ],
)
def test_a_bad_row_is_refused_by_field_and_reason(row: dict[str, Any], field: str, words: str) -> None:
    refused_field, message = bad(**row)
    assert refused_field == field and words in message


def test_a_pair_needs_both_sides() -> None:
    assert good(PAIR, data={"a": "one", "b": "two"}, gold="tie").gold == "tie"
    assert bad(PAIR, data={"a": "one"})[0] == "b"
    assert bad(PAIR, data={"a": "", "b": "x"})[0] == "a"


@pytest.mark.parametrize(
    ("rules", "given", "stored"),
    [
        (RATING, "-4", -4),
        (RATING, 3, 3),
        (CHOICES, "red|green", ["green", "red"]),
        (CHOICES, '["red"]', ["red"]),
        (CHOICES, ["red"], ["red"]),
        (CHOICE, " no ", "no"),
    ],
)
def test_a_known_answer_may_come_as_text(rules: SchemaRules, given: Any, stored: Any) -> None:
    assert good(rules, data={"text": "a"}, gold=given).gold == stored


def test_a_vector_may_come_as_text() -> None:
    for text in ("[0.5, 1]", "0.5 1", "0.5;1", "0.5,1.0"):
        assert good(data={"text": "a"}, features=text).features == struct.pack("<2f", 0.5, 1)
    assert bad(data={"text": "a"}, features="a b")[0] == "features"
    assert bad(data={"text": "a"}, features="[NaN, 1]")[0] == "features"


@given(
    st.dictionaries(
        st.text(min_size=1, alphabet="abc"), st.integers() | st.text(alphabet="xyz", min_size=1), min_size=2
    )
)
def test_the_content_hash_does_not_depend_on_the_order_of_fields(data: dict[str, Any]) -> None:
    turned = dict(reversed(data.items()))
    one, two = draft_item(1, data=data, rules=CHOICE), draft_item(2, data=turned, rules=CHOICE)
    assert isinstance(one, ItemDraft) and isinstance(two, ItemDraft) and one.content_hash == two.content_hash


def test_the_content_hash_counts_data_and_features_only() -> None:
    plain = good(data={"text": "a"})
    assert good(data={"text": "a"}, id="1", meta={"x": 1}, gold="yes").content_hash == plain.content_hash
    assert good(data={"text": "a"}, features=[1.0]).content_hash != plain.content_hash
    assert len(plain.content_hash) == 32


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5])
def test_the_audit_split_takes_its_share(share: float) -> None:
    hashes = [good(data={"text": f"text {i}"}).content_hash for i in range(20_000)]
    taken = sum(is_in_audit_split(h, share) for h in hashes)
    assert abs(taken / len(hashes) - share) < 0.012
    assert [is_in_audit_split(h, share) for h in hashes[:50]] == [is_in_audit_split(h, share) for h in hashes[:50]]


# Mapping


def roles(rows: list[dict[str, Any]], rules: SchemaRules = CHOICE) -> dict[str, str]:
    guesses = guess_mapping(rows, rules)
    assert all(guess.reason for guess in guesses)
    return {guess.column: guess.role for guess in guesses}


def test_columns_are_guessed_by_name_and_values() -> None:
    rows = [
        {"tweet_id": str(i), "tweet": f"some longer words number {i}", "lang": "en", "label": "yes", "empty": ""}
        for i in range(20)
    ]
    assert roles(rows) == {"tweet_id": "id", "tweet": "text", "lang": "meta", "label": "gold", "empty": "skip"}


def test_labels_of_another_schema_are_not_taken_for_answers() -> None:
    assert roles([{"text": "hello there", "label": "spam"}])["label"] == "meta"


def test_an_id_that_repeats_is_no_id() -> None:
    assert roles([{"user_id": "1", "text": "hello there"}, {"user_id": "1", "text": "and here"}])["user_id"] == "meta"


def test_pictures_vectors_pairs_and_the_form_of_the_api_are_recognized() -> None:
    assert roles([{"url": "https://example.org/1.png", "v": [0.1, 0.2]}]) == {"url": "image", "v": "features"}
    numbered = {f"f{i}": str(i / 10) for i in range(12)}
    assert set(roles([{"text": "hello there"} | numbered]).values()) == {"text", "features"}
    assert roles([{"chosen": "this one", "rejected": "that one"}], PAIR) == {"chosen": "a", "rejected": "b"}
    api = [{"id": "1", "data": {"text": "hello"}, "meta": {"x": 1}, "gold": "yes"}]
    assert roles(api) == {"id": "id", "data": "data", "meta": "meta", "gold": "gold"}


def test_a_few_bad_values_do_not_hide_what_a_column_is_named_after() -> None:
    rows = [{"text": "hello there", "features": [0.1, 0.2]}, {"text": "and here", "features": ["a", 0.2]}]
    assert roles(rows)["features"] == "features"
    pictures = [{"image": "https://example.org/1.png"}, {"image": "1.png"}, {"image": "http://example.org/2.png"}]
    assert roles(pictures) == {"image": "image"}


def test_a_short_prompt_is_shown_beside_the_answers_to_it() -> None:
    rows = [{"prompt": f"Why {i}?", "a": "Because.", "b": "It is so.", "lang": "en"} for i in range(3)]
    assert roles(rows, PAIR) == {"prompt": "field", "a": "a", "b": "b", "lang": "meta"}


def test_a_guess_survives_odd_tables() -> None:
    assert roles([]) == {}
    assert roles([{"": ""}]) == {"": "skip"}
    assert roles([{"n": 1}, {"m": [1, {"x": 2}]}]) == {"n": "meta", "m": "field"}


def test_a_row_is_drafted_by_its_mapping() -> None:
    mapping = Mapping((("t", "text"), ("k", "id"), ("l", "meta"), ("x", "skip"), ("more", "field"), ("f", "features")))
    draft = mapping.draft(3, {"t": "hi", "k": "9", "l": "en", "x": "no", "more": "too", "f": "[1]"}, CHOICE, line=4)
    assert isinstance(draft, ItemDraft)
    assert (draft.data, draft.external_id, draft.meta) == ({"text": "hi", "more": "too"}, "9", {"l": "en"})
    assert draft.features == struct.pack("<f", 1) and (draft.row, draft.line) == (3, 4)


def test_a_row_without_its_text_is_named() -> None:
    mapping = Mapping((("t", "text"),))
    for values, words in (({"other": "x"}, "no column “t”"), ({"t": ""}, "empty"), ({"t": None}, "empty")):
        error = mapping.draft(5, values, CHOICE)
        assert isinstance(error, RowError) and words in error.message and error.field == "t"


def test_one_column_per_number_makes_one_vector() -> None:
    mapping = Mapping((("t", "text"), ("f0", "features"), ("f1", "features")))
    draft = mapping.draft(1, {"t": "hi", "f0": "1", "f1": "2"}, CHOICE)
    assert isinstance(draft, ItemDraft) and draft.features == struct.pack("<2f", 1, 2)
    assert isinstance(mapping.draft(1, {"t": "hi", "f0": "1", "f1": "much"}, CHOICE), RowError)


@pytest.mark.parametrize(
    ("pairs", "rules", "words"),
    [
        ((("x", "id"),), CHOICE, "will judge"),
        ((), CHOICE, "will judge"),
        ((("x", "text"), ("y", "text")), CHOICE, "“x” and “y”"),
        ((("x", "nonsense"),), CHOICE, "nonsense"),
        ((("x", "text"),), PAIR, "a and b"),
    ],
)
def test_a_mapping_that_makes_no_items_is_refused(pairs: Any, rules: SchemaRules, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        Mapping(pairs).check(rules)
