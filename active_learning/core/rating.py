"""How far off a rating is: mean absolute error in points, and kappa that counts a miss by its squared distance."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from active_learning.core.resampling import percentiles, resampled_sums


@dataclass(frozen=True, slots=True)
class RatingFigure:
    """A value with its 95 % percentile bootstrap interval and the number of cases."""

    value: float
    low: float
    high: float
    n: int


def rating_figures(truth: NDArray[np.int64], said: NDArray[np.int64], rng: np.random.Generator) -> dict[str, Any]:
    """`mean_error` (points of the scale) and `kappa` (quadratic weights, Cohen 1968), each None where not defined.

    Both arguments are places on the scale. Kappa is not defined when all cases are, and are said to be, one point.
    """
    if not len(truth):
        return {"mean_error": None, "kappa": None}
    t, s = truth.astype(np.float64), said.astype(np.float64)
    columns = np.stack([np.abs(t - s), (t - s) ** 2, t**2 + s**2, t, s], axis=1)
    whole, parts = columns.sum(axis=0)[None, :], resampled_sums(columns, rng)
    n = len(truth)
    errors, kappas = parts[:, 0] / n, _kappa(parts, n)
    error = RatingFigure(float(whole[0, 0] / n), *percentiles(errors), n)
    value = float(_kappa(whole, n)[0])
    kappa = RatingFigure(value, *percentiles(kappas), n) if np.isfinite(value) else None
    return {"mean_error": asdict(error), "kappa": asdict(kappa) if kappa else None}


def _kappa(sums: NDArray[np.floating], n: int) -> NDArray[np.floating]:
    """1 less the squared misses over those by chance, from sums of (t-s)^2, t^2+s^2, t and s; nan where there are none
    by chance."""
    by_chance = sums[:, 2] - 2 * sums[:, 3] * sums[:, 4] / n
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(by_chance > 1e-9, 1 - sums[:, 1] / by_chance, np.nan)
