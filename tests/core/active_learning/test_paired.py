import numpy as np
import pytest

from active_learning.core.paired import accuracy_difference, calibration_difference, calibration_error, time_ratio


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
    assert calibration_difference((nothing.astype(float), nothing), (nothing.astype(float), nothing), rng()) is None
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


def test_calibration_error_by_hand():
    # Ten cases at 0.95 of which nine are right, ten at 0.65 of which five are: 0.5 * 0.05 + 0.5 * 0.15.
    confidence = np.array([0.95] * 10 + [0.65] * 10)
    outcome = np.array([True] * 9 + [False] + [True] * 5 + [False] * 5)
    assert calibration_error(confidence, outcome) == pytest.approx(0.1)
    several = np.stack([confidence, confidence], axis=1), np.stack([outcome, outcome], axis=1)
    assert calibration_error(*several) == pytest.approx(0.1)
    assert calibration_error(np.array([1.0, 0.0]), np.array([True, False])) == 0


def test_an_overconfident_model_is_shown_to_be_worse_calibrated():
    draw = np.random.default_rng(1)
    honest = draw.uniform(0.5, 1.0, 600)
    outcome = draw.random(600) < honest
    found = calibration_difference((np.full(600, 0.99), outcome), (honest, outcome), rng())
    assert found.low > 0.1
    assert found.low < found.value < found.high


def test_time_ratio_is_the_median_with_its_order_statistics():
    found = time_ratio(np.array([2.0, 2.0, 4.0, 2.0, 20.0]), np.full(5, 2.0))
    assert (found.value, found.low, found.high, found.n) == (1.0, 1.0, 10.0, 5)
