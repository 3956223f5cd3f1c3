"""Logistic regression over hashed words and a dense part, calibrated by a temperature."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.special import expit, softmax
from threadpoolctl import threadpool_limits

from active_learning.core.blocks import FeatureBlock
from active_learning.core.gram import Design, Rows
from active_learning.core.material import Material
from active_learning.core.regression import balanced, regress
from active_learning.core.targets import Targets, check_learnable
from active_learning.core.temperature import ScorePart

# Rows of a dense block that are widened to float32 at a time: keeps the copy inside the cache.
_CHUNK = 2_048
# Up to so many stored numbers are searched for one by one; a table of all hashed columns would cost more than a row.
_LOOKED_UP = 20_000


@dataclass(frozen=True, slots=True)
class LinearModel:
    """Calibrated logistic regression over the hashed columns seen among the labels, and the dense part.

    Columns that no labeled item has would get weight 0 under L2 anyway, so they are left out: exact, and 50 times
    faster. `seen` are the positions of the labels that had examples; the others get probability 0.
    """

    labels: tuple[str, ...]
    is_multilabel: bool
    seen: NDArray[np.int64]
    columns: NDArray[np.int64]
    sparse_weights: NDArray[np.float32]
    dense_weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    temperature: float = 1.0

    def scores(self, block: FeatureBlock) -> NDArray[np.float32]:
        """Uncalibrated scores, a column for each seen label."""
        places, is_known = self._places(block.sparse)
        scores = self._words(block.sparse, places, is_known) + self.bias
        if block.dense.shape[1]:
            for start in range(0, len(block), _CHUNK):
                part = slice(start, start + _CHUNK)
                scores[part] += block.dense[part].astype(np.float32) @ self.dense_weights
        return scores

    def _words(
        self, sparse: sp.csr_matrix, places: NDArray[np.int32], is_known: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """What the words add to each score. What no labeled item has is left out: copying all weights to give it a row
        of zeros would cost more."""
        data, places = sparse.data[is_known], places[is_known]
        if sparse.shape[0] == 1:  # to make a sparse matrix takes longer than to add up one row
            return np.asarray(data @ self.sparse_weights[places])[None]
        starts = np.concatenate([[0], np.cumsum(is_known)])[sparse.indptr]
        known_only = sp.csr_matrix((data, places, starts), shape=(sparse.shape[0], len(self.columns)), copy=False)
        return np.asarray(known_only @ self.sparse_weights, dtype=np.float32)

    def _places(self, sparse: sp.csr_matrix) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Where each stored number's column stands among `columns`, and whether it is there at all."""
        n = len(self.columns)
        if not n or len(sparse.indices) > _LOOKED_UP:
            table = np.full(sparse.shape[1], -1, dtype=np.int32)
            table[self.columns] = np.arange(n, dtype=np.int32)
            places = table[sparse.indices]
            return places, places >= 0
        places = np.searchsorted(self.columns, sparse.indices).clip(max=n - 1).astype(np.int32)
        return places, self.columns[places] == sparse.indices

    def predict_proba(self, block: FeatureBlock) -> NDArray[np.float32]:
        scores = self.scores(block) / self.temperature
        inner = expit(scores) if self.is_multilabel else softmax(scores, axis=1)
        if len(self.seen) == len(self.labels):
            return np.asarray(inner, dtype=np.float32)
        full = np.zeros((len(block), len(self.labels)), dtype=np.float32)
        full[:, self.seen] = inner
        return full

    @property
    def linear_part(self) -> "LinearModel":
        """The model itself: all of it is linear."""
        return self

    def word_weights(self, label: int) -> dict[int, float]:
        """What one unit of each hashed column adds to the score of a label, against the average of the others."""
        place = np.flatnonzero(self.seen == label)
        if not len(place):
            return {}
        own = self.sparse_weights[:, place[0]]
        if not self.is_multilabel and len(self.seen) > 1:
            own = (own * len(self.seen) - self.sparse_weights.sum(axis=1)) / (len(self.seen) - 1)
        return dict(zip(self.columns.tolist(), own.tolist(), strict=True))

    def to_arrays(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        arrays: dict[str, NDArray[Any]] = {
            "seen": self.seen,
            "columns": self.columns,
            "sparse_weights": self.sparse_weights,
            "dense_weights": self.dense_weights,
            "bias": self.bias,
        }
        about = {"labels": list(self.labels), "is_multilabel": self.is_multilabel, "temperature": self.temperature}
        return arrays, {"kind": "linear"} | about

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], about: Mapping[str, Any]) -> Self:
        return cls(
            labels=tuple(about["labels"]),
            is_multilabel=about["is_multilabel"],
            seen=arrays["seen"],
            columns=arrays["columns"],
            sparse_weights=arrays["sparse_weights"],
            dense_weights=arrays["dense_weights"],
            bias=arrays["bias"],
            temperature=about["temperature"],
        )


@dataclass(frozen=True, slots=True)
class LinearLearner:
    """Logistic regression with an L2 penalty of strength 1/C.

    `balance` is the power of the inverse class frequency that weighs each row: 0 leaves rows as they are, 1 gives
    every class the same total, which was measured to lift macro-F1 most while labels are few (docs/learning.md).
    """

    C: float = 3.0
    balance: float = 1.0
    max_iterations: int = 300

    def fit(self, material: Material) -> LinearModel:
        """The uncalibrated model. Raises ValueError without rows or with one class only: nothing can be told apart."""
        targets = material.targets
        check_learnable(targets)
        # One thread: sums in another order would give another model from the same data.
        with threadpool_limits(limits=1):
            rows = self._rows(material)
            inner, bias, seen = self._weights(rows.design, targets, material.weights)
            arrays = rows.as_arrays(inner, bias)
        return LinearModel(targets.labels, targets.is_multilabel, seen, **arrays, temperature=1.0)

    def scorer(self, material: Material) -> ScorePart:
        design = self._rows(material).design

        def score_part(
            inside: NDArray[np.int64], outside: NDArray[np.int64]
        ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
            fitted, bias, seen = self._weights(design[inside], material.targets.take(inside), material.weights[inside])
            return np.asarray(design[outside] @ fitted) + bias, seen

        return score_part

    def _rows(self, material: Material) -> Rows:
        return Rows.of(material.block, material.scaling, n_labels=len(material.targets.labels))

    def _weights(
        self, design: Design, targets: Targets, sample_weight: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
        """Weights (columns of the design x seen labels), biases, and which labels were seen."""
        if targets.is_multilabel:
            return self._weights_one_against_rest(design, targets, sample_weight)
        seen, y = np.unique(targets.y, return_inverse=True)
        coefficients, bias = self._regress(design, y, sample_weight)
        if len(seen) == 2:  # one score z becomes -z/2 and +z/2, whose softmax is the same
            return np.hstack([-coefficients / 2, coefficients / 2]), np.array([-bias[0] / 2, bias[0] / 2]), seen
        return coefficients, bias, seen

    def _weights_one_against_rest(
        self, design: Design, targets: Targets, sample_weight: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
        n_labels = len(targets.labels)
        weights = np.zeros((design.shape[1], n_labels))
        bias = np.zeros(n_labels)
        for label in range(n_labels):
            y = targets.y[:, label].astype(np.int64)
            positive = int(y.sum())
            if positive in (0, len(y)):  # nothing to tell apart: its rate, pulled towards a half
                bias[label] = np.log((positive + 0.5) / (len(y) - positive + 0.5))
                continue
            coefficients, own_bias = self._regress(design, y, sample_weight)
            weights[:, label], bias[label] = coefficients[:, 0], own_bias[0]
        return weights, bias, np.arange(n_labels)

    def _regress(
        self, design: Design, y: NDArray[np.int64], sample_weight: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        weight = balanced(y, sample_weight, self.balance)
        return regress(design, y, weight, C=self.C, max_iterations=self.max_iterations)
