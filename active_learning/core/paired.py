"""Two models on the same cases: how much one is better than the other, with intervals of the paired bootstrap.

Cases are drawn with replacement, both models' outcomes of a case together (Efron and Tibshirani 1993), so what is hard
for both does not widen the interval.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from active_learning.core.evaluation import indicators
from active_learning.core.gate import Figure
from active_learning.core.resampling import percentiles, resampled_sums

N_RESAMPLES = 2_000


def accuracy_difference(
    right_first: NDArray[np.bool_], right_second: NDArray[np.bool_], rng: np.random.Generator
) -> Figure | None:
    """The first's accuracy less the second's; None without cases."""
    n = len(right_first)
    if n == 0:
        return None
    gained = int((right_first & ~right_second).sum())
    lost = int((~right_first & right_second).sum())
    # Only three things can happen to a case, so a resample is a draw of how often each happens.
    draws = rng.multinomial(n, [gained / n, lost / n, (n - gained - lost) / n], size=N_RESAMPLES)
    low, high = np.quantile((draws[:, 0] - draws[:, 1]) / n, [0.025, 0.975])
    return Figure((gained - lost) / n, float(low), float(high), n)


@dataclass(frozen=True, slots=True)
class Gain:
    """The macro-F1 of two models on the same cases, and the first's less the second's; `sure` is the share of resamples
    in which the first is better."""

    first: float
    second: float
    figure: Figure
    sure: float


def macro_f1_difference(
    truth: NDArray[Any], first: NDArray[Any], second: NDArray[Any], n_labels: int, rng: np.random.Generator
) -> Figure | None:
    """The first's macro-F1 less the second's, over the labels that occur; None with fewer than two of them."""
    gain = macro_f1_gain(truth, first, second, n_labels, rng)
    return None if gain is None else gain.figure


def macro_f1_gain(
    truth: NDArray[Any], first: NDArray[Any], second: NDArray[Any], n_labels: int, rng: np.random.Generator
) -> Gain | None:
    """The macro-F1 of both, over the labels that occur; None with fewer than two of them.

    What they say is in the form of `Targets.y`. Each resample is judged by the labels that occur in it.
    """
    true, *said = (indicators(values, n_labels) for values in (truth, first, second))
    occurs = true.any(axis=0)
    if occurs.sum() < 2:
        return None
    true, one, other = true[:, occurs], said[0][:, occurs], said[1][:, occurs]
    counts = np.hstack([true, one, true & one, other, true & other]).astype(np.float32)
    own, others = (float(scores[0]) for scores in _macro_f1(counts.sum(axis=0)[None, :]))
    resampled = _macro_f1(resampled_sums(counts, rng))
    gains = resampled[0] - resampled[1]
    value, (low, high) = own - others, percentiles(gains)
    return Gain(own, others, Figure(value, min(value, low), max(value, high), len(truth)), float((gains > 0).mean()))


def _macro_f1(sums: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of each row of sums (true, said and right of the first, said and right of the second; labels side by side)."""
    n_true, *said = np.hsplit(np.asarray(sums, dtype=np.float64), 5)
    present = n_true > 0
    n_present = np.maximum(present.sum(axis=1), 1)

    def of(n_said: NDArray[np.float64], n_right: NDArray[np.float64]) -> NDArray[np.float64]:
        each = 2 * n_right / np.maximum(n_true + n_said, 1.0)
        return np.asarray(np.where(present, each, 0.0).sum(axis=1) / n_present)

    return of(*said[:2]), of(*said[2:])


def time_ratio(first: NDArray[np.float64], second: NDArray[np.float64]) -> Figure | None:
    """How many times as long the first took on the same cases: the median of the ratios; None without cases.

    The interval is that of the median by order statistics (binomial, 95 %).
    """
    n = len(first)
    if n == 0:
        return None
    ratios = np.sort(first / np.maximum(second, 1e-9))
    half = 0.98 * np.sqrt(n)
    low, high = max(0, int(np.floor(n / 2 - half))), min(n - 1, int(np.ceil(n / 2 + half)))
    return Figure(float(np.median(ratios)), float(ratios[low]), float(ratios[high]), n)
