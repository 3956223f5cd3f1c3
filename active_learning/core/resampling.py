"""The bootstrap (Efron and Tibshirani 1993), for every number that is a function of sums over cases."""

import numpy as np
from numpy.typing import NDArray

N_RESAMPLES = 1_000
# Numbers drawn at a time: more would only take memory.
_AT_ONCE = 2_000_000


def resampled_sums(
    columns: NDArray[np.floating], rng: np.random.Generator, n_resamples: int = N_RESAMPLES
) -> NDArray[np.float64]:
    """The sums of the columns (cases x columns) over each resample of the cases: resamples x columns.

    Generators with the same seed draw the same resamples, so that sums from two calls belong together.
    """
    n = len(columns)
    sums = np.empty((n_resamples, columns.shape[1]))
    step = max(1, _AT_ONCE // max(n, 1))
    wide = columns.astype(np.float32)
    for start in range(0, n_resamples, step):
        rows = min(step, n_resamples - start)
        drawn = rng.integers(n, size=(rows, n)) + np.arange(rows)[:, None] * n
        times = np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float32)
        sums[start : start + rows] = times @ wide
    return sums


def percentiles(values: NDArray[np.floating]) -> tuple[float, float]:
    """The middle 95 % of what the resamples gave, nan left out."""
    low, high = np.nanquantile(values, [0.025, 0.975])
    return float(low), float(high)
