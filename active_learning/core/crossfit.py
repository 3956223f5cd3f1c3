"""What a model says of the very items that it learned from, as if it had not."""

import numpy as np
from numpy.typing import NDArray

from active_learning.core.blocks import FeatureBlock
from active_learning.core.learners import Learner
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

    Rows fall into folds by chance alone: to deal out the labels evenly would let a row's own label into its model.
    -1 where the others have a single label, which teaches nothing. For one label a row. Takes FOLDS fits.
    """
    n = len(targets)
    fold = rng.permutation(n) % FOLDS
    said = np.full(n, -1, dtype=np.int64)
    for held_out in range(min(FOLDS, n)):
        others, own = np.flatnonzero(fold != held_out), np.flatnonzero(fold == held_out)
        part = targets.take(others)
        if np.count_nonzero(part.counts()) < 2:
            continue
        model = learner.fit(block.take(others), part, sample_weight[others], rng, scaling, is_calibrated=False)
        said[own] = decide(model.predict_proba(block.take(own)), is_multilabel=False)
    return said
