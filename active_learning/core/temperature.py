"""One divisor of a model's scores that makes its confidence fit."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax


def fit_temperature(scores: NDArray[Any], truth: NDArray[Any], weight: NDArray[np.float64]) -> float:
    """The T in [0.05, 20] under which `scores / T` give `truth` the highest likelihood.

    `truth` holds positions for a softmax, or a boolean matrix for one sigmoid a column. Scores of minus infinity
    stand for labels that cannot be.
    """

    # As in Platt's scaling, a truth is held to be slightly less than certain: a handful of rows that are all right
    # would otherwise make every confidence 1.
    doubt = 1.0 / (len(truth) + 2.0)
    possible = np.isfinite(scores)

    def loss(log_t: float) -> float:
        scaled = scores / np.exp(log_t)
        if truth.ndim == 2:
            wrong = np.logaddexp(0.0, np.where(truth, -scaled, scaled))
            right = np.logaddexp(0.0, np.where(truth, scaled, -scaled))
            return float((weight[:, None] * ((1 - doubt) * wrong + doubt * right)).sum())
        log_p = log_softmax(scaled, axis=1)
        spread = np.where(possible, log_p, 0.0).sum(axis=1) / possible.sum(axis=1)
        return float(-(weight * ((1 - doubt) * log_p[np.arange(len(truth)), truth] + doubt * spread)).sum())

    best = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20.0)), method="bounded", options={"xatol": 1e-3})
    return float(np.exp(best.x))
