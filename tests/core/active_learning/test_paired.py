import numpy as np
import pytest

from active_learning.core.paired import accuracy_difference, time_ratio


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
