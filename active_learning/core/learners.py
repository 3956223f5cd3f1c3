"""What a learner and a model are, whatever their kind."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from active_learning.core.blocks import FeatureBlock
from active_learning.core.scaling import DenseScaling
from active_learning.core.targets import Targets


class Model(Protocol):
    """A fitted model. Probabilities have one column for each of `labels`; those of a single label sum to 1."""

    @property
    def labels(self) -> tuple[str, ...]: ...
    @property
    def is_multilabel(self) -> bool: ...
    def predict_proba(self, block: FeatureBlock) -> NDArray[np.float32]: ...
    def to_arrays(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]: ...


class Learner(Protocol):
    """Something that can be fitted. The same block, targets, weights and `rng` state give the same model."""

    def fit(
        self,
        block: FeatureBlock,
        targets: Targets,
        sample_weight: NDArray[np.float64],
        rng: np.random.Generator,
        scaling: DenseScaling,
    ) -> Model: ...
