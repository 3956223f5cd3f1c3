"""Two models on the same cases: how much one is better than the other, with intervals of the paired bootstrap.

Cases are drawn with replacement, both models' outcomes of a case together (Efron and Tibshirani 1993), so what is hard
for both does not widen the interval.
"""

import numpy as np
from numpy.typing import NDArray

from active_learning.core.gate import Figure

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
