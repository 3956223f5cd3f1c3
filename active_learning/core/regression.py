"""One weighted logistic regression: the piece of which all linear learners are made."""

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from active_learning.core.gram import Design


def balanced(y: NDArray[np.int64], sample_weight: NDArray[np.float64], power: float) -> NDArray[np.float64]:
    """The weights times the inverse class frequency to a power; their mean is 1. Classes are 0..K-1."""
    totals = np.bincount(y, weights=sample_weight)
    by_class = (totals.sum() / (len(totals) * np.maximum(totals, 1e-9))) ** power
    weight = sample_weight * by_class[y]
    return weight * (len(y) / weight.sum())


def regress(
    design: Design, y: NDArray[np.int64], weight: NDArray[np.float64], *, C: float, max_iterations: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights (columns of the design x classes, x 1 for two of them) and biases."""
    regression = LogisticRegression(C=C, max_iter=max_iterations).fit(design, y, sample_weight=weight)
    return regression.coef_.T, regression.intercept_
