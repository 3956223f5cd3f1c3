"""Histogram gradient boosting for tables: numbers and categories, which a linear model can only add up."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from active_learning.core.blocks import FeatureBlock
from active_learning.core.forest import Forest
from active_learning.core.material import Material
from active_learning.core.regression import balanced
from active_learning.core.targets import check_learnable
from active_learning.core.temperature import ScorePart

# Named values (categories, ranges of numbers) or words that get a column of the table: the commonest.
MAX_NAMED_COLUMNS = 200
# A column that fewer rows have could not be split off.
MIN_ROWS = 5


@dataclass(frozen=True, slots=True)
class TreeModel:
    """Boosted trees over the dense columns from `first_dense` on and some of the hashed ones, with a temperature."""

    labels: tuple[str, ...]
    seen: NDArray[np.int64]
    columns: NDArray[np.int64]
    first_dense: int
    forest: Forest
    temperature: float = 1.0
    is_multilabel: bool = False

    def scores(self, block: FeatureBlock) -> NDArray[np.float64]:
        """Uncalibrated scores, a column for each seen label."""
        return _two_sided(self.forest.scores(_table(block, self.columns, self.first_dense)))

    def predict_proba(self, block: FeatureBlock) -> NDArray[np.float32]:
        full = np.zeros((len(block), len(self.labels)), dtype=np.float32)
        full[:, self.seen] = softmax(self.scores(block) / self.temperature, axis=1)
        return full

    @property
    def linear_part(self) -> None:
        """None: what a tree makes of a value depends on everything else in the item."""
        return None

    def to_arrays(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        about = {"labels": list(self.labels), "first_dense": self.first_dense, "temperature": self.temperature}
        return {"seen": self.seen, "columns": self.columns} | self.forest.to_arrays(), {"kind": "boosting"} | about

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], about: Mapping[str, Any]) -> Self:
        return cls(
            labels=tuple(about["labels"]),
            seen=arrays["seen"],
            columns=arrays["columns"],
            first_dense=about["first_dense"],
            forest=Forest.from_arrays(arrays),
            temperature=about["temperature"],
        )


@dataclass(frozen=True, slots=True)
class BoostingLearner:
    """Gradient boosting on binned columns, with rows weighted as LinearLearner weighs them.

    Dense columns before `first_dense` (an embedding) are left out: trees cut one column at a time, and none of these
    means anything alone.
    """

    rounds: int = 100
    leaves: int = 8
    rate: float = 0.1
    balance: float = 1.0
    first_dense: int = 0

    def fit(self, material: Material) -> TreeModel:
        """The uncalibrated model.

        Raises ValueError without rows, with one class only, and for several labels an item.
        """
        targets = material.targets
        check_learnable(targets)
        if targets.is_multilabel:
            raise ValueError("boosting learns one label an item")
        columns = _common_columns(material.block)
        # One thread: sums in another order would give another model from the same data.
        with threadpool_limits(limits=1):
            table = _table(material.block, columns, self.first_dense)
            forest, seen = self._grow(table, targets.y, material.weights)
        return TreeModel(targets.labels, seen, columns, self.first_dense, forest)

    def scorer(self, material: Material) -> ScorePart:
        table = _table(material.block, _common_columns(material.block), self.first_dense)

        def score_part(
            inside: NDArray[np.int64], outside: NDArray[np.int64]
        ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
            forest, seen = self._grow(table[inside], material.targets.y[inside], material.weights[inside])
            return _two_sided(forest.scores(table[outside])), seen

        return score_part

    def _grow(
        self, table: NDArray[np.float64], said: NDArray[np.int64], sample_weight: NDArray[np.float64]
    ) -> tuple[Forest, NDArray[np.int64]]:
        """The trees, and which labels were seen."""
        seen, y = np.unique(said, return_inverse=True)
        boosting = HistGradientBoostingClassifier(
            max_iter=self.rounds,
            max_leaf_nodes=self.leaves,
            learning_rate=self.rate,
            min_samples_leaf=MIN_ROWS,
            l2_regularization=1.0,
            categorical_features=None,
            early_stopping=False,
            random_state=0,
        )
        boosting.fit(table, y, sample_weight=balanced(y, sample_weight, self.balance))
        return Forest.of(boosting), seen


def _two_sided(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """One score z becomes -z/2 and +z/2, whose softmax is the same."""
    return np.hstack([-scores / 2, scores / 2]) if scores.shape[1] == 1 else scores


def _common_columns(block: FeatureBlock) -> NDArray[np.int64]:
    """The hashed columns that most rows have and not all have alike, in order."""
    columns, counts = np.unique(block.sparse.indices, return_counts=True)
    useful = (counts >= MIN_ROWS) & (counts <= len(block) - MIN_ROWS)
    commonest = np.argsort(-counts[useful], kind="stable")[:MAX_NAMED_COLUMNS]
    return np.sort(columns[useful][commonest]).astype(np.int64)


def _table(block: FeatureBlock, columns: NDArray[np.int64], first_dense: int) -> NDArray[np.float64]:
    """The columns that trees may cut, as numbers side by side."""
    named = block.sparse[:, columns].toarray() if len(columns) else np.zeros((len(block), 0))
    # Without any column there is one that says nothing: trees need something to look at.
    own = block.dense[:, first_dense:]
    nothing = np.zeros((len(block), 0 if own.shape[1] or len(columns) else 1))
    return np.hstack([own.astype(np.float64), named.astype(np.float64), nothing])
