import numpy as np
import pytest

from active_learning.core.forecast import Forecast, Measured, forecast
from active_learning.core.quality import forecast_words


def campaign(*, a=0.92, b=1.2, c=0.6, noise=0.0, shared=0.0, half=0.04, sizes=range(40, 401, 20), seed=0):
    rng = np.random.default_rng(seed)
    moved = shared * rng.standard_normal()
    points = []
    for n in sizes:
        y = float(np.clip(a - b * n**-c + moved + noise * rng.standard_normal(), 0, 1))
        points.append(Measured(n, y, y - half, y + half))
    return points


def test_an_exact_curve_is_found_again():
    found = forecast(campaign(), np.random.default_rng(0))
    assert isinstance(found, Forecast)
    assert found.ceiling == pytest.approx(0.92, abs=0.01)
    assert found.now == pytest.approx(0.92 - 1.2 * 400**-0.6, abs=0.002)
    assert found.goal.accuracy == 0.9
    # 0.92 - 1.2 * n^-0.6 = 0.9 at n = 919.
    assert found.goal.n_more == pytest.approx(919 - 400, rel=0.1)
    assert found.goal.gain_after < found.gain_next < 0.01
    assert found.gain_low <= found.gain_next <= found.gain_high
    assert found.goal.gain_after <= found.goal.gain_after_high < found.gain_high
    assert found.ahead[0].n_labels == 400
    assert all(one.low <= one.accuracy <= one.high for one in found.ahead)


def test_the_band_holds_where_the_curve_goes():
    hits = 0
    for seed in range(60):
        found = forecast(campaign(noise=0.008, shared=0.02, seed=seed), np.random.default_rng(seed))
        last = found.ahead[-1]
        hits += last.low <= 0.92 - 1.2 * last.n_labels**-0.6 <= last.high
    assert hits / 60 > 0.88


@pytest.mark.parametrize(
    ("points", "why"),
    [
        ([], "0 of 5 measured versions"),
        (campaign(sizes=range(40, 120, 20)), "4 of 5 measured versions"),
        (campaign(sizes=range(200, 300, 20)), "too short a stretch"),
        (campaign(sizes=[100] * 9), "too short a stretch"),
        (campaign(half=0.2), "40 points wide"),
    ],
)
def test_not_enough_is_said(points, why):
    assert why in forecast(points, np.random.default_rng(0))


def test_a_flat_or_falling_curve_promises_nothing():
    flat = forecast(campaign(b=0.0), np.random.default_rng(0))
    assert flat.goal is None
    assert flat.gain_next == pytest.approx(0, abs=1e-6)
    falling = forecast(campaign(b=-1.0, a=0.6), np.random.default_rng(0))
    assert falling.goal is None
    assert falling.gain_next == 0
    # What looks flat on noisy points may yet rise.
    noisy = forecast(campaign(b=0.0, noise=0.03, half=0.07, sizes=[60, 100, 160, 250, 400]), np.random.default_rng(0))
    assert noisy.gain_low == 0 and noisy.gain_high > 0.001


def test_nothing_is_promised_beyond_one():
    steep = forecast(campaign(a=1.3, b=1.6, c=0.15, sizes=range(40, 401, 20)), np.random.default_rng(0))
    assert steep.ceiling <= 1.0
    assert all(one.high <= 1 for one in steep.ahead)


def test_the_same_points_give_the_same_forecast():
    points = campaign(noise=0.01)
    assert forecast(points, np.random.default_rng(7)) == forecast(points, np.random.default_rng(7))


class Lopsided:
    """Chance that moves every point the same way."""

    def __init__(self, shift):
        self.shift = shift

    def standard_normal(self, shape):
        return np.full(shape, self.shift)


@pytest.mark.parametrize("shift", [-1.0, 1.0])
def test_what_it_says_stands_within_its_interval_whatever_chance_does(shift):
    goal = forecast(campaign(), Lopsided(shift)).goal
    assert goal.low <= goal.n_more <= (goal.high or np.inf)
    assert goal.n_more in (goal.low, goal.high)


def test_rounded_words_stand_within_their_interval_too():
    goal = {"accuracy": 0.9, "n_more": 104, "low": 102, "high": 1034, "gain_after": 0.001}
    said = forecast_words({"goal": goal, "n_labels": 400}, None, "your")
    assert said[0].startswith("About 100 more labels to reach 90 %")
    assert said[1] == "95 % of the resampled curves get there after 100 to 1,000."
    said = forecast_words({"goal": goal | {"low": 0, "high": None}, "n_labels": 404}, None, "your")
    assert said[1] == "95 % of the resampled curves get there after 0 to more than 1,600, or never."
