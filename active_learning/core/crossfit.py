"""What a model says of the very items that it learned from, as if it had not."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from active_learning.core.learners import Learner, calibrate
from active_learning.core.material import Material
from active_learning.core.targets import decide

FOLDS = 5


def cross_fitted(learner: Learner, material: Material, rng: np.random.Generator) -> NDArray[np.int64]:
    """Each row's label (a position in `targets.labels`) by a model that learned from the rows of the other folds.

    -1 where the others have a single label, which teaches nothing. For one label a row. Takes FOLDS fits.
    """
    said = np.full(len(material), -1, dtype=np.int64)
    for own, others in _folds(material, rng):
        model = learner.fit(material.take(others))
        said[own] = decide(model.predict_proba(material.block.take(own)), is_multilabel=False)
    return said


def cross_fitted_probabilities(learner: Learner, material: Material, rng: np.random.Generator) -> NDArray[np.float32]:
    """Each row's calibrated probabilities (rows x labels) by a model that learned from the rows of the other folds.

    nan where the others have a single label. For one label a row or several. Takes FOLDS fits, each with its own
    calibration.
    """
    found = np.full((len(material), len(material.targets.labels)), np.nan, dtype=np.float32)
    for own, others in _folds(material, rng):
        part = material.take(others)
        model = calibrate(learner, learner.fit(part), part, rng)
        found[own] = model.predict_proba(material.block.take(own))
    return found


def _folds(material: Material, rng: np.random.Generator) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """The rows of each fold, and the others, where these have more than one label.

    Rows fall into folds by chance alone: to deal out the labels evenly would let a row's own label into its model.
    """
    n = len(material)
    fold = rng.permutation(n) % FOLDS
    for held_out in range(min(FOLDS, n)):
        others, own = np.flatnonzero(fold != held_out), np.flatnonzero(fold == held_out)
        part = material.targets.take(others)
        if len(part) and (part.is_multilabel or np.count_nonzero(part.counts()) > 1):
            yield own, others
