import numpy as np
import pytest
from scipy.special import expit, softmax

from active_learning.core.calibration import calibration, calibration_difference, undo_temperature


def drawn(n, seed=0, sharpness=1.0):
    """Probabilities of three labels and truths drawn from them; sharpened or blunted probabilities are wrong."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(n, 3)) * 2
    p = softmax(scores, axis=1)
    truth = np.array([rng.choice(3, p=row) for row in p])
    return softmax(scores * sharpness, axis=1), truth


def test_a_known_error():
    # Forty cases said with .6, half of them right, forty with .9, all right: (40 * .1 + 40 * .1) / 80.
    p = np.array([[0.6, 0.4]] * 40 + [[0.9, 0.1]] * 40)
    truth = np.array([0, 1] * 20 + [0] * 40)
    found = calibration(p, truth, np.random.default_rng(0))
    assert found.ece == pytest.approx(0.1)
    assert len(found.bins) == 4
    assert [one.right.n for one in found.bins] == [20, 20, 20, 20]
    assert found.bins[0].confidence == pytest.approx(0.6)
    assert found.low <= found.ece <= found.high


def test_what_is_calibrated_differs_from_perfect_by_chance_alone():
    p, truth = drawn(5_000)
    found = calibration(p, truth, np.random.default_rng(0))
    assert found.ece < 0.03
    assert found.ece == pytest.approx(found.by_chance, abs=0.01)
    assert found.ends == ""


def test_too_sure_is_seen_and_said():
    p, truth = drawn(2_000, sharpness=6.0)
    found = calibration(p, truth, np.random.default_rng(0))
    assert found.low > found.by_chance + 0.05
    assert found.ends == "overconfident"
    assert found.sure_and_right.high < 0.95


def test_sure_of_everything_and_right_is_said_too():
    truth = np.zeros(200, dtype=int)
    p = np.tile([0.99, 0.01], (200, 1))
    assert calibration(p, truth, np.random.default_rng(0)).ends == "sure of everything"


def test_few_cases_say_nothing():
    p, truth = drawn(39)
    assert calibration(p, truth, np.random.default_rng(0)) is None


def test_several_labels_are_a_decision_each():
    rng = np.random.default_rng(0)
    p = rng.random((300, 4))
    truth = rng.random((300, 4)) < p
    found = calibration(p, truth, np.random.default_rng(0))
    assert (found.n, found.n_decisions) == (300, 1_200)
    assert found.ece < 0.06


def test_the_temperature_can_be_taken_back():
    scores = np.random.default_rng(0).normal(size=(50, 4)) * 3
    scores[:, 3] = -np.inf
    scaled = softmax(scores / 2.5, axis=1).astype(np.float32)
    assert undo_temperature(scaled, 2.5, is_multilabel=False) == pytest.approx(softmax(scores, axis=1), abs=1e-5)
    each = scores[:, :3]
    scaled = expit(each / 0.5).astype(np.float32)
    assert undo_temperature(scaled, 0.5, is_multilabel=True) == pytest.approx(expit(each), abs=1e-4)


def test_the_interval_covers_the_error_of_a_large_sample():
    p, truth = drawn(60_000, seed=3, sharpness=3.0)
    true = calibration(p, truth, np.random.default_rng(0)).ece
    hits = 0
    for start in range(0, 60_000, 500):
        part = slice(start, start + 500)
        found = calibration(p[part], truth[part], np.random.default_rng(start))
        hits += found.low <= true <= found.high
    assert hits / 120 > 0.88


def test_the_difference_of_two_is_that_of_their_errors():
    honest, truth = drawn(600)
    scores = np.log(honest)
    for blunt, several in ((softmax(scores / 3, axis=1), False), (expit(scores + 1), True)):
        first, second = (blunt, honest) if not several else (blunt, expit(scores))
        true = (np.random.default_rng(0).random(second.shape) < second) if several else truth
        found = calibration_difference(first, second, true, np.random.default_rng(0))
        errors = [calibration(p, true, np.random.default_rng(0)).ece for p in (first, second)]
        assert found.value == pytest.approx(errors[0] - errors[1])
        assert 0 < found.low < found.value < found.high
    same = calibration_difference(honest, honest, truth, np.random.default_rng(0))
    assert (same.value, same.low, same.high, same.n) == (0, 0, 0, 600)
    assert calibration_difference(honest[:39], honest[:39], truth[:39], np.random.default_rng(0)) is None
