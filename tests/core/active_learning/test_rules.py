import pytest

from active_learning.core.rules import Rule, parse_rules, rule_predictions


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
