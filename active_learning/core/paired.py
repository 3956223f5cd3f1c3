"""Two models on the same cases: how much one is better than the other, with intervals of the paired bootstrap.

Cases are drawn with replacement, both models' outcomes of a case together (Efron and Tibshirani 1993), so what is hard
for both does not widen the interval.
"""

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


def macro_f1_difference(
    truth: NDArray[Any], first: NDArray[Any], second: NDArray[Any], n_labels: int, rng: np.random.Generator
) -> Figure | None:
    """The first's macro-F1 less the second's, over the labels that occur; None with fewer than two of them."""
    true, *said = (indicators(values, n_labels) for values in (truth, first, second))
    occurs = true.any(axis=0)
    if occurs.sum() < 2:
        return None
    true, one, other = true[:, occurs], said[0][:, occurs], said[1][:, occurs]
    counts = np.hstack([true, one, true & one, other, true & other]).astype(np.float32)
    value = _f1_difference(counts.sum(axis=0)[None, :])[0]
    low, high = percentiles(_f1_difference(resampled_sums(counts, rng)))
    return Figure(float(value), min(float(value), low), max(float(value), high), len(truth))


def _f1_difference(sums: NDArray[np.floating]) -> NDArray[np.float64]:
    """Of each row of sums (true, said and right of the first, said and right of the second; labels side by side)."""
    n_true, said, right, other_said, other_right = np.hsplit(np.asarray(sums, dtype=np.float64), 5)
    present = n_true > 0
    n_present = np.maximum(present.sum(axis=1), 1)
    with np.errstate(invalid="ignore"):
        gain = 2 * right / (n_true + said) - 2 * other_right / (n_true + other_said)
    return np.asarray(np.where(present, gain, 0.0).sum(axis=1) / n_present)


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
