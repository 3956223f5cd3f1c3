"""Points of a scale in their order: a regression for each step, "is it at least this point?" (Frank and Hall 2001).

Against one that takes the points for mere names, it is nearer to the truth and right more often (docs/learning.md).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax
from threadpoolctl import threadpool_limits

from active_learning.core.blocks import FeatureBlock
from active_learning.core.gram import Design, Rows
from active_learning.core.linear import LinearModel
from active_learning.core.material import Material
from active_learning.core.regression import balanced, regress
from active_learning.core.targets import check_learnable
from active_learning.core.temperature import ScorePart

# What is left to a point between two steps whose regressions contradict each other.
_LEAST = 1e-6


@dataclass(frozen=True, slots=True)
class OrdinalModel:
    """The steps as a linear model whose scores are log odds of "at least" each seen point but the lowest."""

    labels: tuple[str, ...]
    seen: NDArray[np.int64]
    steps: LinearModel
    temperature: float = 1.0
    is_multilabel: bool = False

    def scores(self, block: FeatureBlock) -> NDArray[np.float64]:
        """Logarithms of uncalibrated probabilities, a column for each seen point."""
        return _log_probabilities(self.steps.scores(block).astype(np.float64))

    def predict_proba(self, block: FeatureBlock) -> NDArray[np.float32]:
        full = np.zeros((len(block), len(self.labels)), dtype=np.float32)
        full[:, self.seen] = softmax(self.scores(block) / self.temperature, axis=1)
        return full

    @property
    def linear_part(self) -> LinearModel:
        """Of each point: what speaks for having reached it, less what speaks for having reached the next."""
        steps = self.steps
        nothing = np.zeros((1, len(self.seen) + 1), dtype=np.float32)

        def by_point(weights: NDArray[np.float32]) -> NDArray[np.float32]:
            padded = np.repeat(nothing, len(weights), axis=0)
            padded[:, 1:-1] = weights
            return padded[:, :-1] - padded[:, 1:]

        return replace(
            steps,
            labels=self.labels,
            seen=self.seen,
            sparse_weights=by_point(steps.sparse_weights),
            dense_weights=by_point(steps.dense_weights),
            bias=by_point(steps.bias[None, :])[0],
        )

    def to_arrays(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        arrays, _ = self.steps.to_arrays()
        about = {"labels": list(self.labels), "temperature": self.temperature}
        return arrays | {"seen": self.seen}, {"kind": "ordinal"} | about

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], about: Mapping[str, Any]) -> Self:
        labels, seen = tuple(about["labels"]), arrays["seen"]
        return cls(labels, seen, _steps(labels, seen, arrays), about["temperature"])


@dataclass(frozen=True, slots=True)
class OrdinalLearner:
    """A regression a step with an L2 penalty of strength 1/C; rows weighted by the class frequency of their point."""

    C: float = 3.0
    balance: float = 1.0
    max_iterations: int = 300

    def fit(self, material: Material) -> OrdinalModel:
        """The uncalibrated model. Raises ValueError without rows and with one class only."""
        targets = material.targets
        check_learnable(targets)
        # One thread: sums in another order would give another model from the same data.
        with threadpool_limits(limits=1):
            rows = Rows.of(material.block, material.scaling, n_labels=len(targets.labels))
            inner, bias, seen = self._weights(rows.design, targets.y, material.weights)
            arrays = rows.as_arrays(inner, bias)
        return OrdinalModel(targets.labels, seen, _steps(targets.labels, seen, arrays))

    def scorer(self, material: Material) -> ScorePart:
        design = Rows.of(material.block, material.scaling, n_labels=len(material.targets.labels)).design

        def score_part(
            inside: NDArray[np.int64], outside: NDArray[np.int64]
        ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
            weights, bias, seen = self._weights(design[inside], material.targets.y[inside], material.weights[inside])
            return _log_probabilities(np.asarray(design[outside] @ weights) + bias), seen

        return score_part

    def _weights(
        self, design: Design, y: NDArray[np.int64], sample_weight: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
        """Weights (columns of the design x steps), biases, and which points were seen."""
        seen, place = np.unique(y, return_inverse=True)
        weight = balanced(place, sample_weight, self.balance)
        options: dict[str, Any] = {"C": self.C, "max_iterations": self.max_iterations}
        steps = [regress(design, (place >= step).astype(np.int64), weight, **options) for step in range(1, len(seen))]
        return np.hstack([weights for weights, _ in steps]), np.concatenate([bias for _, bias in steps]), seen


def _log_probabilities(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each point, from the log odds of having reached each but the lowest (rows x steps)."""
    # Regressions that know nothing of each other may cross: to reach a point one has reached those below it.
    reached = np.minimum.accumulate(expit(scores), axis=1)
    edges = np.hstack([np.ones((len(scores), 1)), reached, np.zeros((len(scores), 1))])
    return np.log(np.maximum(edges[:, :-1] - edges[:, 1:], _LEAST))


def _steps(labels: tuple[str, ...], seen: NDArray[np.int64], arrays: Mapping[str, NDArray[Any]]) -> LinearModel:
    return LinearModel(
        labels=tuple(f"at least {labels[point]}" for point in seen[1:]),
        is_multilabel=True,
        seen=np.arange(len(seen) - 1),
        columns=arrays["columns"],
        sparse_weights=arrays["sparse_weights"],
        dense_weights=arrays["dense_weights"],
        bias=arrays["bias"],
    )
