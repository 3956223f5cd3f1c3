import pytest

from active_learning.core.rules import Rule, parse_rules, rule_predictions, rules_from_lines, rules_to_lines


def test_the_first_rule_that_applies_decides():
    rules = parse_rules([{"contains": ["Goal", "penalty"], "value": "sport"}, {"contains": ["bank"], "value": "money"}])
    texts = ["A late GOAL at the bank", "the bank", "bread"]
    assert rule_predictions(rules, texts, "food") == ["sport", "money", "food"]
    assert rules[0] == Rule(("Goal", "penalty"), "sport")


@pytest.mark.parametrize(
    "stored",
    [
        {},
        [{"contains": "goal", "value": "x"}],
        [{"contains": [], "value": "x"}],
        [{"contains": ["x"]}],
        [{"contains": [" "], "value": "x"}],
    ],
)
def test_malformed_rules_are_refused(stored):
    with pytest.raises(ValueError, match="Rule"):
        parse_rules(stored)


def test_rules_are_typed_one_a_line():
    text = "refund, money back => complaint\n\n  thank you => praise"
    stored = rules_from_lines(text, kind="choice")
    assert stored == [
        {"contains": ["refund", "money back"], "value": "complaint"},
        {"contains": ["thank you"], "value": "praise"},
    ]
    assert rules_to_lines(stored) == "refund, money back => complaint\nthank you => praise"
    assert rules_from_lines("bad => -2", kind="rating") == [{"contains": ["bad"], "value": -2}]
    assert rules_from_lines("x => b, a", kind="choices") == [{"contains": ["x"], "value": ["a", "b"]}]
    assert rules_to_lines([{"contains": ["x"], "value": ["a", "b"]}]) == "x => a, b"
    assert rules_from_lines("", kind="choice") == []


@pytest.mark.parametrize(
    ("line", "kind"), [("refund", "choice"), ("=> x", "choice"), ("a =>", "choice"), ("a => b", "rating")]
)
def test_a_line_that_is_no_rule_is_named(line, kind):
    with pytest.raises(ValueError, match="Line 2"):
        rules_from_lines(f"a => 1\n{line}", kind=kind)
