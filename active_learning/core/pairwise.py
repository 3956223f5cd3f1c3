"""Which of two is better: swapping the two sides mirrors the answer, whatever was learned."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from active_learning.core.gram import Design, Rows
from active_learning.core.linear import LinearLearner
from active_learning.core.material import Material
from active_learning.core.regression import balanced, regress
from active_learning.core.scaling import DenseScaling
from active_learning.core.targets import Targets

# Places of the outcomes in a pair's labels: a, b, and tie where there is one.
A, B = 0, 1


@dataclass(frozen=True, slots=True)
class PairLearner(LinearLearner):
    """Logistic regression on one side's features less the other's, learned from each pair and its mirror image.

    So a wins by x.w what b loses by it, and that people prefer the side they see first is not learned (Bradley and
    Terry 1952, with covariates; a tie has a score of its own, Davidson 1970).
    """

    def _rows(self, material: Material) -> Rows:
        # Centred differences would not change sign with their sides.
        around_zero = DenseScaling(np.zeros_like(material.scaling.center), material.scaling.scale)
        return Rows.of(material.block, around_zero, n_labels=len(material.targets.labels))

    def _weights(
        self, design: Design, targets: Targets, sample_weight: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
        """Weights (columns of the design x outcomes), biases, and all outcomes that a pair or its mirror image had."""
        mirrored = np.where(targets.y == A, B, np.where(targets.y == B, A, targets.y))
        rows = design if isinstance(design, np.ndarray) else design.tocsr()
        both = np.vstack([rows, -rows]) if isinstance(rows, np.ndarray) else sp.vstack([rows, -rows], format="csr")
        seen, y = np.unique(np.concatenate([targets.y, mirrored]), return_inverse=True)
        weight = balanced(y, np.tile(sample_weight, 2), self.balance)
        # Each pair counts once, not twice.
        coefficients, bias = regress(both, y, weight, C=self.C / 2, max_iterations=self.max_iterations)
        if len(seen) == 2:
            won = coefficients[:, 0] / 2  # the score of b against a
            return np.stack([-won, won], axis=1), np.zeros(2), seen
        # The solution is antisymmetric up to the solver's last digits; from here on it is exactly.
        won = (coefficients[:, A] - coefficients[:, B]) / 2
        level = (bias[A] + bias[B]) / 2
        return np.stack([won, -won, np.zeros_like(won)], axis=1), np.array([level, level, bias[2]]), seen
