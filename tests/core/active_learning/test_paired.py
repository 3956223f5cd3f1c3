import numpy as np
import pytest
from sklearn.metrics import f1_score

from active_learning.core.paired import accuracy_difference, macro_f1_difference, time_ratio


def rng():
    return np.random.default_rng(0)


def test_accuracy_difference_is_gains_less_losses():
    first = np.array([True] * 8 + [False] * 2)
    second = np.array([True] * 6 + [False] * 3 + [True])
    found = accuracy_difference(first, second, rng())
    assert (found.value, found.n) == (pytest.approx(0.1), 10)
    assert found.low < 0.1 < found.high


def test_the_same_answers_differ_by_nothing_and_no_cases_by_none():
    right = np.array([True, False, True])
    found = accuracy_difference(right, right, rng())
    assert (found.value, found.low, found.high) == (0, 0, 0)
    nothing = np.zeros(0, dtype=bool)
    assert accuracy_difference(nothing, nothing, rng()) is None
    assert time_ratio(np.zeros(0), np.zeros(0)) is None


def test_the_interval_covers_the_truth_as_often_as_it_says():
    draw = np.random.default_rng(7)
    hits = 0
    for _ in range(400):
        hard = draw.random(150)
        first, second = hard + draw.normal(0, 0.2, 150) < 0.8, hard + draw.normal(0, 0.2, 150) < 0.8
        found = accuracy_difference(first, second, draw)
        hits += found.low <= 0 <= found.high
    assert 0.92 <= hits / 400 <= 0.98


def test_time_ratio_is_the_median_with_its_order_statistics():
    found = time_ratio(np.array([2.0, 2.0, 4.0, 2.0, 20.0]), np.full(5, 2.0))
    assert (found.value, found.low, found.high, found.n) == (1.0, 1.0, 10.0, 5)


def test_the_difference_in_macro_f1_is_scikit_learns_and_its_interval_that_of_a_plain_bootstrap():
    rng = np.random.default_rng(4)
    truth = rng.choice(3, size=200, p=[0.8, 0.15, 0.05])
    first = np.where(rng.random(200) < 0.7, truth, rng.integers(3, size=200))
    usual = np.zeros(200, dtype=np.int64)

    def gain(rows):
        return f1_score(truth[rows], first[rows], average="macro", zero_division=0) - f1_score(
            truth[rows], usual[rows], average="macro", zero_division=0
        )

    found = macro_f1_difference(truth, first, usual, 4, rng)
    assert found.value == pytest.approx(gain(np.arange(200)))
    assert found.n == 200
    plain = np.quantile([gain(rng.integers(200, size=200)) for _ in range(300)], [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx(tuple(plain), abs=0.04)
    assert macro_f1_difference(usual, usual, usual, 4, rng) is None
