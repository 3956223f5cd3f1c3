"""A batch of items as numbers: hashed counts and a dense part side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

IntArray = NDArray[np.integer]
FloatArray = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class FeatureBlock:
    """Rows of features. `sparse` is CSR float32 over the hash space; `dense` may have zero columns.

    It has a `shape`, so that query functions written for matrices can count its rows.
    """

    sparse: sp.csr_matrix
    dense: FloatArray

    def __post_init__(self) -> None:
        if self.sparse.shape[0] != self.dense.shape[0]:
            raise ValueError(f"{self.sparse.shape[0]} sparse rows beside {self.dense.shape[0]} dense ones")

    def __len__(self) -> int:
        return int(self.dense.shape[0])

    @property
    def shape(self) -> tuple[int, int]:
        return len(self), int(self.sparse.shape[1] + self.dense.shape[1])

    def take(self, rows: IntArray | NDArray[np.bool_]) -> "FeatureBlock":
        """The rows named by index or mask, in that order."""
        return FeatureBlock(self.sparse[rows], self.dense[rows])


def stack_blocks(blocks: Sequence[FeatureBlock]) -> FeatureBlock:
    """All rows of `blocks` in order. Raises ValueError without blocks: the width would be unknown."""
    if not blocks:
        raise ValueError("no blocks to stack")
    if len(blocks) == 1:
        return blocks[0]
    return FeatureBlock(
        sp.csr_matrix(sp.vstack([block.sparse for block in blocks], format="csr")),
        np.concatenate([block.dense for block in blocks]),
    )
