"""What a model says of the very items that it learned from, as if it had not."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from active_learning.core.blocks import FeatureBlock
from active_learning.core.learners import Learner, Model
from active_learning.core.scaling import DenseScaling
from active_learning.core.targets import Targets, decide

FOLDS = 5


def cross_fitted(
    learner: Learner,
    block: FeatureBlock,
    targets: Targets,
    sample_weight: NDArray[np.float64],
    scaling: DenseScaling,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Each row's label (a position in `targets.labels`) by a model that learned from the rows of the other folds.

    -1 where the others have a single label, which teaches nothing. For one label a row. Takes FOLDS fits.
    """
    said = np.full(len(targets), -1, dtype=np.int64)
    for own, model in _models(learner, block, targets, sample_weight, scaling, rng, is_calibrated=False):
        said[own] = decide(model.predict_proba(block.take(own)), is_multilabel=False)
    return said


def cross_fitted_probabilities(
    learner: Learner,
    block: FeatureBlock,
    targets: Targets,
    sample_weight: NDArray[np.float64],
    scaling: DenseScaling,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Each row's calibrated probabilities (rows x labels) by a model that learned from the rows of the other folds.

    nan where the others have a single label. For one label a row or several. Takes FOLDS fits, each with its own
    calibration.
    """
    found = np.full((len(targets), len(targets.labels)), np.nan, dtype=np.float32)
    for own, model in _models(learner, block, targets, sample_weight, scaling, rng, is_calibrated=True):
        found[own] = model.predict_proba(block.take(own))
    return found


def _models(
    learner: Learner,
    block: FeatureBlock,
    targets: Targets,
    sample_weight: NDArray[np.float64],
    scaling: DenseScaling,
    rng: np.random.Generator,
    *,
    is_calibrated: bool,
) -> Iterator[tuple[NDArray[np.intp], Model]]:
    """The rows of each fold, and a model of the others.

    Rows fall into folds by chance alone: to deal out the labels evenly would let a row's own label into its model.
    """
    n = len(targets)
    fold = rng.permutation(n) % FOLDS
    for held_out in range(min(FOLDS, n)):
        others, own = np.flatnonzero(fold != held_out), np.flatnonzero(fold == held_out)
        part = targets.take(others)
        if not len(part) or (not part.is_multilabel and np.count_nonzero(part.counts()) < 2):
            continue
        yield (
            own,
            learner.fit(block.take(others), part, sample_weight[others], rng, scaling, is_calibrated=is_calibrated),
        )
