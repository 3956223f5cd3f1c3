"""What a model has to beat: the commonest label, and a draw."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from active_learning.core.targets import Targets


def majority_prediction(targets: Targets) -> NDArray[Any]:
    """What the majority baseline says of any item: the commonest label, or each label's commoner state."""
    if targets.is_multilabel:
        return targets.y.mean(axis=0) > 0.5
    return np.asarray(int(targets.counts().argmax()))


def random_predictions(targets: Targets, n: int, rng: np.random.Generator) -> NDArray[Any]:
    """`n` draws with the labels' own frequencies."""
    if targets.is_multilabel:
        return rng.random((n, len(targets.labels))) < targets.y.mean(axis=0)
    return rng.choice(len(targets.labels), size=n, p=targets.counts() / len(targets))
