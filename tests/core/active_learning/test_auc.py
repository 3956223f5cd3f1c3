import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from active_learning.core.auc import area, mean_area


def test_the_area_agrees_with_scikit_learn_also_with_ties():
    rng = np.random.default_rng(0)
    truth, scores = rng.random(300) < 0.3, rng.integers(0, 9, 300) / 9
    assert area(scores, truth).value == pytest.approx(roc_auc_score(truth, scores))


def test_a_label_that_all_or_none_have_has_no_area():
    assert area(np.arange(4.0), np.zeros(4, dtype=bool)) is None
    assert area(np.arange(4.0), np.ones(4, dtype=bool)) is None
    assert mean_area(np.ones((4, 1)), np.ones((4, 1), dtype=bool)) is None


def test_perfect_ranks_are_not_certain():
    truth = np.array([True] * 5 + [False] * 20)
    found = area(truth.astype(float), truth)
    assert (found.value, found.high) == (1.0, 1.0)
    assert 0.5 < found.low < 0.95
    assert mean_area(truth[:, None].astype(float), truth[:, None]).low == pytest.approx(found.low)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=40))
def test_the_interval_holds_the_area_and_turns_with_it(cases):
    scores, truth = np.array([c[0] for c in cases], dtype=float), np.array([c[1] for c in cases])
    found = area(scores, truth)
    if found is not None:
        assert 0 <= found.low <= found.value <= found.high <= 1
        turned = area(-scores, truth)
        assert (turned.value, turned.low, turned.high) == pytest.approx(
            (1 - found.value, 1 - found.high, 1 - found.low)
        )


def test_the_intervals_cover_the_truth():
    rng = np.random.default_rng(1)
    true, hits, mean_hits = norm.cdf(1 / np.sqrt(2)), 0, 0
    truth = np.array([True] * 20 + [False] * 40)
    for _ in range(400):
        scores = rng.normal(truth.astype(float), 1)
        one, mean = area(scores, truth), mean_area(np.column_stack([scores, -scores]), np.column_stack([truth, ~truth]))
        assert mean.value == pytest.approx(one.value)
        hits += one.low <= true <= one.high
        mean_hits += mean.low <= true <= mean.high
    assert 0.92 <= hits / 400 <= 0.98
    assert 0.91 <= mean_hits / 400 <= 0.98


def test_delongs_error_of_one_label():
    # DeLong's variance by hand: placements of the cases with the label 1, 2/3, 1 and of those without 1, 1, 2/3.
    scores, truth = np.array([3.0, 1.5, 4.0, 0.0, 1.0, 2.0]), np.array([True, True, True, False, False, False])
    found = mean_area(scores[:, None], truth[:, None])
    variance = (np.var([1, 2 / 3, 1], ddof=1) + np.var([1, 1, 2 / 3], ddof=1)) / 3
    value = 8 / 9
    assert found.value == pytest.approx(value)
    half = 1.959964 * np.sqrt(variance) / (value * (1 - value))
    assert np.log(found.high / (1 - found.high)) - np.log(value / (1 - value)) == pytest.approx(half, rel=1e-5)
