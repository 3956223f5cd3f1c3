"""Where the learning curve goes: an inverse power law fitted to the audited accuracies, with a band.

accuracy(n) = a - b * n^-c (Cortes et al. 1993; Figueroa et al. 2012, BMC Medical Informatics 12:8, who weigh the points
as well). It extrapolates, so it is only made where there is enough to go by, and only a short way ahead.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from active_learning.core.audit import Z95

MIN_POINTS = 5
# From the first point to the last the labels have to grow at least so many times.
MIN_GROWTH = 2.0
# A wider last interval says too little about where the curve stands now.
MAX_WIDTH = 0.25
# How far ahead, in multiples of the labels there are.
HORIZON = 5.0
# Accuracies that people name.
GOALS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99)
# A goal nearer than this is as good as reached.
WORTH_NAMING = 0.01
N_RESAMPLES = 500
_EXPONENTS = np.geomspace(0.1, 2.0, 40)
_N_DRAWN = 13


@dataclass(frozen=True, slots=True)
class Measured:
    """One version: its labels and its audited accuracy with the 95 % interval."""

    n_labels: int
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Ahead:
    """The fitted accuracy at so many labels, with the 95 % band of the bootstrap."""

    n_labels: int
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Goal:
    """Labels beyond those there are until the curve reaches `accuracy`: the fit's, and the resamples' middle 95 %.

    The fit's stands between `low` and `high`: where hardly a resample is as it is, the interval reaches out to it.
    `high` is None when the slowest of them do not get there within the horizon. `gain_after`: what the next 100 labels
    after it add; 97.5 % of the resamples add at most `gain_after_high`.
    """

    accuracy: float
    n_more: int
    low: int
    high: int | None
    gain_after: float
    gain_after_high: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """`ceiling` is a, where the fitted curve ends. `goal` is None when the next one is beyond the horizon.

    `gain_next`: what the next 100 labels add, with the middle 95 % of the resamples. `n_labels`: from where it looks
    ahead.
    """

    n_labels: int
    n_points: int
    ceiling: float
    exponent: float
    now: float
    gain_next: float
    gain_low: float
    gain_high: float
    goal: Goal | None
    ahead: tuple[Ahead, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def forecast(points: Sequence[Measured], rng: np.random.Generator) -> Forecast | str:
    """The forecast from the versions measured so far, newest last, or why there is none yet.

    The band: each resample moves all points together and each by itself. How much of a point's error is its own is told
    by how far the points scatter about the fit; the rest they share, because they are measured on the same items.
    """
    if why := _too_little(points):
        return why
    n = np.array([p.n_labels for p in points], dtype=np.float64)
    y = np.array([p.accuracy for p in points])
    error = np.array([max((p.high - p.low) / (2 * Z95), 1e-4) for p in points])
    weight = 1 / np.square(error)
    a, b, c = (float(found[0]) for found in _fit(n, y[None, :], weight))
    scatter = float(np.sqrt(np.mean(np.square((y - _curve(n, a, b, c)) / error)) * len(n) / (len(n) - 3)))
    own = min(max(scatter, 0.1), 1.0)
    shared = math.sqrt(1 - own * own)
    noise = own * rng.standard_normal((N_RESAMPLES, len(n))) + shared * rng.standard_normal((N_RESAMPLES, 1))
    resampled = _fit(n, y + noise * error, weight)
    today = float(n[-1])
    goal = _goal(today, (a, b, c), resampled)
    gain = float(_gain(today, a, b, c))
    gain_low, gain_high = (float(q) for q in np.quantile(_gain(today, *resampled), [0.025, 0.975]))
    end = min(HORIZON * today, max(2 * today, 1.15 * (today + goal.n_more) if goal else 0.0))
    ahead = [_ahead(at, (a, b, c), resampled) for at in np.linspace(today, end, _N_DRAWN).round()]
    return Forecast(
        n_labels=int(today),
        n_points=len(points),
        ceiling=a,
        exponent=c,
        now=float(_curve(today, a, b, c)),
        gain_next=gain,
        gain_low=min(gain, gain_low),
        gain_high=max(gain, gain_high),
        goal=goal,
        ahead=tuple(ahead),
    )


def _too_little(points: Sequence[Measured]) -> str:
    if len(points) < MIN_POINTS:
        return f"{len(points)} of {MIN_POINTS} measured versions"
    labels = [p.n_labels for p in points]
    if len(set(labels)) < MIN_POINTS or labels[-1] < MIN_GROWTH * min(labels):
        return f"the versions learned from {min(labels):,} to {max(labels):,} labels: too short a stretch"
    if points[-1].high - points[-1].low > MAX_WIDTH:
        width = 100 * (points[-1].high - points[-1].low)
        return f"the last interval is {width:.0f} points wide; {100 * MAX_WIDTH:.0f} are the most that say anything"
    return ""


def _curve(n: Any, a: Any, b: Any, c: Any) -> Any:
    return a - b * np.power(n, -c)


def _gain(n: Any, a: Any, b: Any, c: Any) -> Any:
    """What 100 labels add to `n` of them."""
    return _curve(n + 100, a, b, c) - _curve(n, a, b, c)


def _fit(
    n: NDArray[np.float64], y: NDArray[np.float64], weight: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """a, b and c of each row of `y` by weighted least squares, with 0 <= b and a <= 1.

    For a fixed exponent the rest is a straight line, so the exponents are tried one after another.
    """
    best = np.full(len(y), np.inf)
    found = [np.zeros(len(y)) for _ in range(3)]
    share = weight / weight.sum()
    y_mean = y @ share
    for c in _EXPONENTS:
        x = -np.power(n, -c)
        x_mean = float(x @ share)
        spread = float(share @ np.square(x - x_mean))
        b = np.maximum(((y - y_mean[:, None]) * (x - x_mean)) @ share / spread, 0.0)
        a = y_mean - b * x_mean
        over = a > 1.0
        if over.any():  # the line goes through 1 at its end; the slope that fits best then
            b[over] = np.maximum((((y[over] - 1.0) * x) @ share) / float(share @ np.square(x)), 0.0)
            a[over] = 1.0
        loss = np.square(y - a[:, None] - b[:, None] * x) @ share
        is_better = loss < best
        best[is_better] = loss[is_better]
        for kept, new in zip(found, (a, b, np.full(len(y), c)), strict=True):
            kept[is_better] = new[is_better]
    return found[0], found[1], found[2]


def _ahead(at: float, fit: tuple[float, float, float], resampled: tuple[NDArray[np.float64], ...]) -> Ahead:
    value = float(_curve(at, *fit))
    low, high = np.quantile(_curve(at, *resampled), [0.025, 0.975])
    return Ahead(int(at), value, max(0.0, min(value, float(low))), min(1.0, max(value, float(high))))


def _labels_to(goal: float, a: Any, b: Any, c: Any) -> Any:
    """Labels at which the curve has `goal`; infinite where it never has."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        needed = np.power(np.asarray(b) / np.maximum(np.asarray(a) - goal, 1e-12), 1 / np.asarray(c))
    return np.where(np.asarray(a) > goal, needed, np.inf)


def _goal(today: float, fit: tuple[float, float, float], resampled: tuple[NDArray[np.float64], ...]) -> Goal | None:
    """The next goal that the fitted curve reaches within the horizon."""
    now = float(_curve(today, *fit))
    for goal in GOALS:
        if goal < now + WORTH_NAMING:
            continue
        needed = float(_labels_to(goal, *fit))
        if needed > HORIZON * today:
            return None
        more = np.maximum(_labels_to(goal, *resampled) - today, 0.0)
        low, high = np.quantile(np.minimum(more, HORIZON * today), [0.025, 0.975])
        after = float(_gain(needed, *fit))
        n_more = max(1, round(needed - today))
        return Goal(
            goal,
            n_more,
            min(n_more, round(low)),
            None if high >= (HORIZON - 1) * today else max(n_more, round(high)),
            after,
            max(after, float(np.quantile(_gain(needed, *resampled), 0.975))),
        )
    return None
