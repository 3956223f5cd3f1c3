import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from active_learning.core.audit import audit_wanted
from active_learning.core.evaluation import compare, confusion, evaluate, f1_intervals, macro_f1_interval
from labeling.core.shares import wilson


def test_no_cases_no_number():
    nothing = evaluate(np.zeros(0, dtype=int), np.zeros(0, dtype=int), ("a", "b"))
    assert nothing.accuracy is None
    assert nothing.macro_f1 is None


def test_macro_f1_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    truth, said = rng.integers(0, 4, 200), rng.integers(0, 4, 200)
    found = evaluate(truth, said, ("a", "b", "c", "d"))
    assert found.macro_f1 == pytest.approx(f1_score(truth, said, average="macro"))
    assert sum(c.n_true for c in found.classes) == 200


def test_macro_f1_of_one_class_is_not_defined():
    assert evaluate(np.array([1, 1]), np.array([1, 1]), ("a", "b")).macro_f1 is None


def test_several_labels_are_right_when_all_are():
    truth = np.array([[1, 0], [1, 1], [0, 0]], dtype=bool)
    said = np.array([[1, 0], [1, 0], [0, 0]], dtype=bool)
    found = evaluate(truth, said, ("a", "b"))
    assert found.accuracy.value == pytest.approx(2 / 3)
    assert found.macro_f1 == pytest.approx((1.0 + 0.0) / 2)


def test_mcnemar_known_value_and_its_mirror():
    # 10 against 2 differing cases: P(X >= 10 | 12, 0.5) = 79/4096.
    first = np.array([True] * 10 + [False] * 2 + [True] * 20)
    second = np.array([False] * 10 + [True] * 2 + [True] * 20)
    better, worse = compare(first, second), compare(second, first)
    assert better.p_value == pytest.approx(79 / 4096)
    assert better.is_better
    assert not worse.is_better
    assert better.difference == pytest.approx(-worse.difference) == pytest.approx(8 / 32)


def test_the_interval_of_a_difference_is_walds_with_half_a_case_in_each_cell():
    # 12 against 4 of 50: (12 - 4) / 52 = 0.1538; variance ((12.5 + 4.5) / 52 - 0.1538 ** 2) / 52 = 0.005832.
    first = np.array([True] * 12 + [False] * 4 + [True] * 34)
    second = np.array([False] * 12 + [True] * 4 + [True] * 34)
    found = compare(first, second)
    assert (found.low, found.high) == pytest.approx((0.0042, 0.3035), abs=1e-4)
    mirrored = compare(second, first)
    assert (mirrored.low, mirrored.high) == pytest.approx((-found.high, -found.low))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40))
def test_the_interval_of_a_difference_holds_it_and_stays_in_bounds(cases):
    first, second = (np.array([case[side] for case in cases], dtype=bool) for side in (0, 1))
    found = compare(first, second)
    assert -1 <= found.low <= found.difference <= found.high <= 1


def test_the_interval_of_macro_f1_holds_it_and_narrows_with_more_cases():
    rng = np.random.default_rng(0)
    widths = []
    for n in (50, 2_000):
        truth = rng.integers(0, 3, n)
        said = np.where(rng.random(n) < 0.7, truth, rng.integers(0, 3, n))
        low, high = macro_f1_interval(truth, said, 3, np.random.default_rng(1))
        assert low < evaluate(truth, said, ("a", "b", "c")).macro_f1 < high
        assert macro_f1_interval(truth, said, 3, np.random.default_rng(1)) == (low, high)
        widths.append(high - low)
    # Forty times the cases: about a sixth of the width.
    assert widths[0] / widths[1] == pytest.approx(40**0.5, rel=0.3)


def test_the_interval_of_macro_f1_without_cases_or_doubt():
    several = np.array([[1, 0], [0, 1]] * 20, dtype=bool)
    # No mistake among forty is no proof that there are none.
    low, high = macro_f1_interval(several, several, 2, np.random.default_rng(0))
    assert (low, high) == (pytest.approx(1 - (1 - wilson(20, 20).low) / 2**0.5), 1.0)
    assert macro_f1_interval(several[:0], several[:0], 2, np.random.default_rng(0)) is None
    assert macro_f1_interval(~several & several, several, 2, np.random.default_rng(0)) is None


def test_equal_predictions_are_not_better_and_few_cases_never_are():
    same = np.ones(100, dtype=bool)
    assert compare(same, same).p_value == 1.0
    few = compare(np.ones(19, dtype=bool), np.zeros(19, dtype=bool))
    assert few.p_value < 0.001
    assert not few.is_better


def test_how_many_audit_items_an_interval_needs():
    assert audit_wanted(0.05) == 246


def test_precision_and_recall_with_their_intervals():
    truth, said = np.array([0, 0, 0, 0, 1, 1, 2]), np.array([0, 0, 0, 1, 1, 0, 0])
    first, second, third = evaluate(truth, said, ("a", "b", "c")).classes
    assert first.precision == wilson(3, 5)
    assert first.recall == wilson(3, 4)
    assert (second.precision.value, second.recall.value) == (0.5, 0.5)
    assert third.precision is None  # never said
    assert third.recall.value == 0
    assert third.to_json()["precision"] is None


def test_f1_intervals_of_labels():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 300)
    said = np.where(rng.random(300) < 0.8, truth, 0)
    macro, by_label = f1_intervals(truth, said, 4, np.random.default_rng(1))
    assert macro == macro_f1_interval(truth, said, 4, np.random.default_rng(1))
    for score, (low, high) in zip(evaluate(truth, said, ("a", "b", "c", "d")).classes, by_label[:3]):
        assert low < score.f1 < high
    assert by_label[3] is None  # neither there nor said
    # Three of three, and none of three: the resamples would all say the same.
    truth, said = np.array([0] * 3 + [1] * 3 + [2] * 60), np.array([0] * 3 + [2] * 63)
    (low, high), (first, second, _) = f1_intervals(truth, said, 3, np.random.default_rng(1))
    assert first == (wilson(3, 3).low, 1.0) and second == (0.0, wilson(0, 3).high)
    value = evaluate(truth, said, ("a", "b", "c")).macro_f1
    assert low < value - (1 - first[0]) / 3 and high > value + second[1] / 3
    assert f1_intervals(truth[:0], said[:0], 2, rng) == (None, [None, None])


def test_confusion_counts_and_the_commonest_mistakes():
    truth, said = np.array([0, 0, 1, 1, 1, 2]), np.array([0, 1, 0, 0, 1, 2])
    found = confusion(truth, said, ("a", "b", "c"))
    assert found.counts == ((1, 1, 0), (2, 1, 0), (0, 0, 1))
    assert found.taken_for == (("b", "a", 2), ("a", "b", 1))
    assert found.n_merged == 0


def test_many_labels_share_a_row():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 150, 2_000)
    said = np.where(rng.random(2_000) < 0.7, truth, rng.integers(0, 150, 2_000))
    found = confusion(truth, said, tuple(f"l{i}" for i in range(150)))
    assert (len(found.labels), len(found.counts), found.n_merged) == (19, 20, 131)
    assert sum(map(sum, found.counts)) == 2_000
    assert len(found.taken_for) == 10
