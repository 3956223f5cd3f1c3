"""What a learner learns from: labeled rows, what each was said to be, how much it counts, and the scale of the pool."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from active_learning.core.blocks import FeatureBlock
from active_learning.core.scaling import DenseScaling
from active_learning.core.targets import Targets


@dataclass(frozen=True, slots=True)
class Material:
    """Features, targets and weights of labeled rows; `scaling` is that of the dense columns in the whole pool.

    The last `n_weak` rows are learned from and never measured on: nobody knows whether what they say is right.
    """

    block: FeatureBlock
    targets: Targets
    weights: NDArray[np.float64]
    scaling: DenseScaling
    n_weak: int = 0

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, rows: NDArray[Any]) -> "Material":
        """These rows, all to be measured on."""
        return Material(self.block.take(rows), self.targets.take(rows), self.weights[rows], self.scaling)
