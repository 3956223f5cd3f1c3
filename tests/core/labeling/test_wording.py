"""Items, values and times in words."""

import pytest

from labeling.core.wording import (
    LabelWord,
    Passage,
    first_words,
    item_parts,
    marked_passages,
    reason_words,
    result_words,
    seconds_words,
    value_words,
)

TONES = {"labels": [{"value": "neg", "name": "Negative"}, {"value": "pos", "name": "pos"}]}


@pytest.mark.parametrize(
    "data, words",
    [
        ({"text": "  two\n lines "}, "two lines"),
        ({"text": "x" * 200}, "x" * 139 + "…"),
        ({"a": "left", "b": "right"}, "left / right"),
        ({"image": "https://example.org/a.png", "alt": "a dog"}, "a dog"),
        ({"image": "https://example.org/a.png"}, "image"),
        ({"size": 3, "tags": []}, "3"),
        ({"text": "   "}, "an item without text"),
        ("bare", "bare"),
    ],
)
def test_an_item_on_one_line(data: object, words: str) -> None:
    assert first_words(data) == words


def test_the_image_comes_first_and_nothing_empty_is_shown() -> None:
    parts = item_parts(
        {"title": "a dog", "note": "", "image": "https://example.org/a.png", "tags": ["x"], "sure": True}
    )
    assert [(part.name, part.kind) for part in parts] == [
        ("image", "image"),
        ("title", "text"),
        ("tags", "code"),
        ("sure", "code"),
    ]
    assert parts[0].alt == "a dog"


@pytest.mark.parametrize(
    "kind, config, value, words",
    [
        ("choice", TONES, "neg", [LabelWord("Negative", 1)]),
        ("choice", TONES, "gone", [LabelWord("gone")]),
        ("choices", TONES, ["neg", "pos"], [LabelWord("Negative", 1), LabelWord("pos", 2)]),
        ("choices", TONES, [], [LabelWord("none of the labels")]),
        ("rating", {"min": 1, "max": 5, "labels": {"1": "bad"}}, 1, [LabelWord("1 bad")]),
        ("rating", {"min": 1, "max": 5}, 4, [LabelWord("4")]),
        ("pair", {"tie": True}, "tie", [LabelWord("Equally good")]),
    ],
)
def test_a_value_by_the_names_of_its_schema(kind: str, config: dict, value: object, words: list) -> None:
    assert value_words(kind, config, value) == words


def test_the_ninth_label_has_no_colour() -> None:
    nine = {"labels": [{"value": str(n), "name": str(n)} for n in range(9)]}
    assert [word.colour for word in value_words("choices", nine, ["7", "8"])] == [8, None]


def test_passages_carry_the_marks_and_lose_no_character() -> None:
    text = "so good, so bad"
    spans = [{"start": 12, "end": 15}, {"start": 3, "end": 7}, {"start": 5, "end": 9}, {"start": 14, "end": 99}]
    passages = marked_passages(text, spans)
    assert passages == [Passage("so ", False), Passage("good", True), Passage(", so ", False), Passage("bad", True)]
    assert marked_passages(text, []) == [Passage(text, False)]


def test_the_reason_names_what_the_model_is_torn_between() -> None:
    torn = {"p": [["neutral", 0.48], ["negative", 0.451]]}
    assert reason_words("acquisition", torn) == "the model is torn: neutral 0.48 / negative 0.45"
    assert reason_words("acquisition", {}) == "the model is torn"
    assert reason_words("second_opinion", {}) == "second opinion"


@pytest.mark.parametrize(
    "seconds, words",
    [
        (None, ""),
        (0.44, "0.4 s"),
        (38.4, "38 s"),
        (59.7, "1 min"),
        (125, "2 min 5 s"),
        (4800, "1 h 20 min"),
        (7200, "2 h"),
    ],
)
def test_durations(seconds: float | None, words: str) -> None:
    assert seconds_words(seconds) == words


def test_a_result_in_words_leaves_lists_to_programs() -> None:
    result = {"created": 1200, "macro_f1": 0.71239, "errors": [], "note": "", "is_final": True, "file": "labels.csv"}
    assert result_words(result) == "created 1,200 · file labels.csv · macro f1 0.7124"
    assert result_words(None) == ""
