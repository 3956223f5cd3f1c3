"""What the rows of a block were said to be, as positions 0..K-1, and what probabilities say."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Targets:
    """What the rows of a block were said to be.

    `y` holds the position in `labels` of each row's label, or for several labels per row a boolean matrix.
    Positions are always 0..K-1: scikit-learn's temperature calibration silently flattens other integers.
    """

    labels: tuple[str, ...]
    y: NDArray[Any]

    @property
    def is_multilabel(self) -> bool:
        return self.y.ndim == 2

    def __len__(self) -> int:
        return len(self.y)

    def counts(self) -> NDArray[np.int64]:
        """How many rows carry each label."""
        if self.is_multilabel:
            return self.y.sum(axis=0).astype(np.int64)
        return np.bincount(self.y, minlength=len(self.labels)).astype(np.int64)

    def take(self, rows: NDArray[Any]) -> "Targets":
        return Targets(self.labels, self.y[rows])


def encode_targets(values: Sequence[object], labels: Sequence[str], *, is_multilabel: bool) -> Targets:
    """Stored values as positions in `labels`; ratings by their text. Raises KeyError for a value not among them."""
    position = {label: i for i, label in enumerate(labels)}
    if is_multilabel:
        matrix = np.zeros((len(values), len(labels)), dtype=bool)
        for row, value in enumerate(values):
            for label in value if isinstance(value, list) else [value]:
                matrix[row, position[str(label)]] = True
        return Targets(tuple(labels), matrix)
    return Targets(tuple(labels), np.array([position[str(v)] for v in values], dtype=np.int64))


def check_learnable(targets: Targets) -> None:
    """Raises ValueError without rows or with one class only: nothing can be told apart."""
    if len(targets) == 0:
        raise ValueError("no labels to learn from")
    if not targets.is_multilabel and np.count_nonzero(targets.counts()) < 2:
        raise ValueError("all labels are the same")


def decide(probabilities: NDArray[np.float32], *, is_multilabel: bool) -> NDArray[Any]:
    """Predictions in the form of `Targets.y`: the likeliest label, or every label above a half."""
    if is_multilabel:
        return probabilities > 0.5
    return probabilities.argmax(axis=1)


def stratified_folds(targets: Targets, n_folds: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """A fold for each row; every class is dealt out evenly, also one with fewer rows than folds."""
    order = rng.permutation(len(targets))
    if not targets.is_multilabel:
        order = order[np.argsort(targets.y[order], kind="stable")]
    folds = np.empty(len(targets), dtype=np.int64)
    folds[order] = np.arange(len(targets)) % n_folds
    return folds
