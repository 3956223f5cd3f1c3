import numpy as np
import pytest

from active_learning.core.cost_lines import check_costs, costs_from_lines, costs_to_lines
from active_learning.core.costs import cost_report, cost_table, costs_of, expected

LABELS = ("urgent", "later", "never")


def test_lines_there_and_back():
    text = "urgent => later: 10\nurgent => *: 20\n* => never: 0.5"
    stored = costs_from_lines(text + "\n\n")
    assert stored[0] == {"true": "urgent", "said": "later", "cost": 10.0}
    assert costs_to_lines(stored) == text
    check_costs(stored, LABELS, is_multilabel=False)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("urgent later 10", "Line 1 does not read"),
        ("urgent => later", "Line 1 does not read"),
        ("urgent => later: ten", "a cost is a number, not ten"),
        ("urgent => soon: 1", "soon is not a label"),
        ("urgent => later: -1", "from 0 to"),
        ("urgent => later: nan", "from 0 to"),
        ("urgent => later: inf", "from 0 to"),
        ("urgent => urgent: 1", "no mistake"),
        ("urgent => -: 1", "- is not a label"),
    ],
)
def test_what_makes_no_sense_is_named(line, complaint):
    with pytest.raises(ValueError, match=complaint):
        check_costs(costs_from_lines(line), LABELS, is_multilabel=False)


def test_the_more_exact_entry_counts_whatever_the_order():
    stored = costs_from_lines("urgent => later: 10\nurgent => *: 20\n* => never: 5\ngone => later: 99")
    table = cost_table(stored, LABELS)
    assert table[:3, :3].tolist() == [[0, 10, 5], [1, 0, 5], [1, 1, 0]]


def test_the_expected_cost():
    table = cost_table(costs_from_lines("urgent => *: 10"), LABELS)
    truth, said = np.array([0, 0, 1, 2]), np.array([0, 1, 2, 2])
    assert costs_of(truth, said, table).tolist() == [0, 10, 1, 0]
    found = expected(costs_of(truth, said, table), np.random.default_rng(0))
    assert found.value == pytest.approx(11 / 4)
    assert found.low <= found.value <= found.high
    assert expected(np.zeros(0), np.random.default_rng(0)) is None


def test_without_a_table_it_is_the_share_of_mistakes():
    truth, said = np.array([0, 1, 2, 0]), np.array([0, 1, 1, 1])
    assert costs_of(truth, said, cost_table([], LABELS)).mean() == 0.5


def test_several_labels_cost_what_is_missed_and_what_is_added():
    stored = costs_from_lines("urgent => -: 10\n- => *: 2")
    check_costs(stored, LABELS, is_multilabel=True)
    with pytest.raises(ValueError, match="one side is -"):
        check_costs(costs_from_lines("urgent => later: 3"), LABELS, is_multilabel=True)
    table = cost_table(stored, LABELS)
    truth = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0]], dtype=bool)
    said = np.array([[0, 1, 0], [0, 0, 0], [0, 1, 1]], dtype=bool)
    assert costs_of(truth, said, table).tolist() == [12, 1, 4]


def test_what_a_model_saves_against_a_baseline_is_paired():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 200)
    said = np.where(rng.random(200) < 0.8, truth, 0)
    found = cost_report(truth, said, {"majority": np.zeros(200, dtype=int), "same": said}, [], LABELS, 1)
    same, majority = found["baselines"]["same"]["saved"], found["baselines"]["majority"]["saved"]
    assert (same["value"], same["low"], same["high"]) == (0, 0, 0)
    assert majority["low"] > 0
