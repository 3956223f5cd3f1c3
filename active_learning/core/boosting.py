"""Histogram gradient boosting for tables: numbers and categories, which a linear model can only add up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from active_learning.core.blocks import FeatureBlock
from active_learning.core.forest import Forest
from active_learning.core.regression import balanced
from active_learning.core.scaling import DenseScaling
from active_learning.core.targets import Targets, check_learnable
from active_learning.core.temperature import out_of_fold_temperature

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
        raw = self.forest.scores(_table(block, self.columns, self.first_dense))
        # One score z becomes -z/2 and +z/2, whose softmax is the same.
        return np.hstack([-raw / 2, raw / 2]) if raw.shape[1] == 1 else raw

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

    def fit(
        self,
        block: FeatureBlock,
        targets: Targets,
        sample_weight: NDArray[np.float64],
        rng: np.random.Generator,
        scaling: DenseScaling,
        *,
        is_calibrated: bool = True,
        pool_leads: Sequence[float] = (),
    ) -> TreeModel:
        """The model. Raises ValueError without rows, with one class only, and for several labels an item."""
        check_learnable(targets)
        if targets.is_multilabel:
            raise ValueError("boosting learns one label an item")
        columns = _common_columns(block)
        table = _table(block, columns, self.first_dense)

        def part(rows: NDArray[np.int64]) -> TreeModel:
            seen, y = np.unique(targets.y[rows], return_inverse=True)
            forest = self._grow(table[rows], y, sample_weight[rows])
            return TreeModel(targets.labels, seen, columns, self.first_dense, forest)

        def score_part(
            inside: NDArray[np.int64], outside: NDArray[np.int64]
        ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
            model = part(inside)
            return model.scores(block.take(outside)), model.seen

        # One thread: sums in another order would give another model from the same data.
        with threadpool_limits(limits=1):
            whole = part(np.arange(len(targets)))
            temperature = 1.0
            if is_calibrated:
                temperature = out_of_fold_temperature(score_part, targets, sample_weight, rng, pool_leads)
        return TreeModel(targets.labels, whole.seen, columns, self.first_dense, whole.forest, temperature)

    def _grow(self, table: NDArray[np.float64], y: NDArray[np.int64], sample_weight: NDArray[np.float64]) -> Forest:
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
        return Forest.of(boosting.fit(table, y, sample_weight=balanced(y, sample_weight, self.balance)))


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
