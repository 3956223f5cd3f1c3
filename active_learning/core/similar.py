"""Items like a given one: cosine by the stored features, the nearest of each shard, merged."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from active_learning.core.acquisition import top
from active_learning.core.blocks import FeatureBlock
from active_learning.core.featurize import FeaturizerSpec


@dataclass(frozen=True, slots=True)
class Likeness:
    """How much like one item others are. `by` says what was compared: embedding, vector or words."""

    by: str
    columns: slice
    # Of length 1: a dense row of those columns, or a sparse one of the hashed words.
    direction: Any

    def of(self, block: FeatureBlock) -> NDArray[np.float32]:
        """The cosine of each row with the item, from -1 to 1; 0 for a row without any such features."""
        if self.by == "words":
            products = np.asarray((block.sparse @ self.direction.T).todense(), dtype=np.float32).ravel()
            squares = np.asarray(block.sparse.multiply(block.sparse).sum(axis=1), dtype=np.float32).ravel()
        else:
            rows = np.asarray(block.dense[:, self.columns], dtype=np.float32)
            products = rows @ self.direction
            squares = np.einsum("ij,ij->i", rows, rows)
        lengths = np.sqrt(squares)
        return np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0).clip(-1.0, 1.0)


def likeness_to(spec: FeaturizerSpec, block: FeatureBlock) -> Likeness | None:
    """Likeness to the one item of `block`: by its embedding, else the owner's vector, else its words.

    What is all zero (an item without text has such an embedding) is passed over; None when nothing is left.
    """
    if len(block) != 1:
        raise ValueError(f"likeness to one item, not to {len(block)}")
    start = 0
    for name, width in spec.dense_parts:
        columns = slice(start, start + width)
        start += width
        row = np.asarray(block.dense[0, columns], dtype=np.float32)
        length = float(np.linalg.norm(row))
        # Numbers of different kinds have no direction in common, and their words hold their ranges.
        if name != "numeric" and length > 0:
            return Likeness(name, columns, row / np.float32(length))
    length = float(np.sqrt(block.sparse.multiply(block.sparse).sum()))
    return Likeness("words", slice(0), block.sparse / np.float32(length)) if length > 0 else None


def likeness_to_middle(spec: FeaturizerSpec, block: FeatureBlock) -> Likeness | None:
    """Likeness to the middle of several items, the mean of their directions; None where nothing can be compared."""
    start = 0
    for name, width in spec.dense_parts:
        columns = slice(start, start + width)
        start += width
        rows = np.asarray(block.dense[:, columns], dtype=np.float32)
        if name == "numeric":
            continue
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        middle = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0).mean(axis=0)
        if (length := float(np.linalg.norm(middle))) > 0:
            return Likeness(name, columns, middle / np.float32(length))
    # Rows of words have length 1 already.
    total = block.sparse.sum(axis=0)
    length = float(np.linalg.norm(total))
    if not length:
        return None
    return Likeness("words", slice(0), sp.csr_matrix(np.asarray(total, dtype=np.float32) / np.float32(length)))


@dataclass(frozen=True, slots=True)
class Nearest:
    """Ids with their cosines, the nearest first."""

    ids: NDArray[np.int64]
    cosines: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.ids)


NONE = Nearest(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32))


def nearest(ids: NDArray[np.int64], cosines: NDArray[np.float32], n: int) -> Nearest:
    """The `n` nearest; equal ones in order of position."""
    chosen = top(cosines, n)
    return Nearest(np.asarray(ids)[chosen], cosines[chosen])


def merge_nearest(one: Nearest, other: Nearest, n: int) -> Nearest:
    """The `n` nearest of both: memory does not grow with the number of shards."""
    return nearest(np.concatenate([one.ids, other.ids]), np.concatenate([one.cosines, other.cosines]), n)
