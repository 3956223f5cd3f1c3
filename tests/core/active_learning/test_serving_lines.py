import pytest

from active_learning.core.serving_lines import (
    bands_from_lines,
    bands_to_lines,
    edge_rules_from_lines,
    edge_rules_to_lines,
    keepings_from_lines,
    keepings_to_lines,
)


def test_what_is_written_is_read_as_it_was():
    bands = {"urgent": [0.6, 0.955], "a => b": [0.0, 1.0]}
    assert bands_from_lines(bands_to_lines(bands)) == bands
    assert bands_from_lines("\n x => 50 %, 90 %\n") == {"x": [0.5, 0.9]}
    rules = [
        {"when": "amount > 1000 and new_user", "why": "large => new"},
        {"when": '"=>" in text', "why": "an arrow"},
        {"when": "missing(order)", "why": "missing(order)"},
    ]
    read = edge_rules_from_lines(edge_rules_to_lines(rules))
    assert [rule["when"] for rule in read] == [rule["when"] for rule in rules]
    assert [rule["why"] for rule in read] == ["large => new", "an arrow", ""]
    assert keepings_from_lines(keepings_to_lines({"user.mail": "never"})) == {"user.mail": "never"}


@pytest.mark.parametrize(
    ("read", "text", "words"),
    [
        (bands_from_lines, "urgent 60, 95", "Line 1 does not read"),
        (bands_from_lines, "\nurgent => 95, 60", "Line 2: The bands overlap: below 95 %"),
        (bands_from_lines, "urgent => 60, nan", "Line 1"),
        (bands_from_lines, "urgent => 60", "Line 1 does not read"),
        (bands_from_lines, "x => 1, 2\nx => 1, 3", "Line 2: x has bands already"),
        (edge_rules_from_lines, "a > 1 => why\n\n  amount > => large", "Line 3, character"),
        (edge_rules_from_lines, "open('x') => why", "Line 1, character 1:"),
        (keepings_from_lines, "mail => away", "never or hash or mask"),
    ],
)
def test_what_cannot_be_read_says_where(read, text, words):
    with pytest.raises(ValueError, match=r".*") as problem:
        read(text)
    assert words in str(problem.value)
