"""Two models on the same cases: how much one is better than the other, with intervals of the paired bootstrap.

Cases are drawn with replacement, both models' outcomes of a case together (Efron and Tibshirani 1993), so what is hard
for both does not widen the interval.
"""

import numpy as np
from numpy.typing import NDArray

from active_learning.core.gate import Figure

N_RESAMPLES = 2_000
# Confidences are compared with outcomes in bins of a tenth each (Guo et al. 2017).
N_BINS = 10
_PART = 250  # resamples drawn at a time: bounds memory


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


def calibration_error(confidence: NDArray[np.floating], outcome: NDArray[np.bool_]) -> float:
    """Expected calibration error in ten equal bins: the mean distance of confidence and outcome, 0 at best.

    One row a case; with several labels a case, one column a label.
    """
    gaps = _gaps(confidence, outcome)
    return float(np.abs(gaps.mean(axis=0)).sum())


def calibration_difference(
    first: tuple[NDArray[np.floating], NDArray[np.bool_]],
    second: tuple[NDArray[np.floating], NDArray[np.bool_]],
    rng: np.random.Generator,
) -> Figure | None:
    """The first's expected calibration error less the second's, each given as (confidence, outcome); None without
    cases."""
    n = len(first[0])
    if n == 0:
        return None
    gaps = np.hstack([_gaps(*first), _gaps(*second)])
    found = []
    for _ in range(N_RESAMPLES // _PART):
        times = rng.multinomial(n, np.full(n, 1 / n), size=_PART)
        errors = np.abs(times @ gaps) / n
        found.append(errors[:, :N_BINS].sum(axis=1) - errors[:, N_BINS:].sum(axis=1))
    low, high = np.quantile(np.concatenate(found), [0.025, 0.975])
    value = calibration_error(*first) - calibration_error(*second)
    return Figure(value, float(low), float(high), n)


def _gaps(confidence: NDArray[np.floating], outcome: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Confidence less outcome of each case, in the column of its bin; of several labels their mean."""
    sure = confidence.reshape(len(confidence), -1).astype(np.float64)
    right = outcome.reshape(len(outcome), -1).astype(np.float64)
    bins = np.minimum((sure * N_BINS).astype(np.intp), N_BINS - 1)
    gaps = np.zeros((len(sure), N_BINS))
    rows = np.repeat(np.arange(len(sure)), sure.shape[1])
    np.add.at(gaps, (rows, bins.ravel()), ((sure - right) / sure.shape[1]).ravel())
    return gaps


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
