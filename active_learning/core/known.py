"""Known inputs: a few rows of features that travel with a model, and what it said about them when it was made.

A model that no longer says so after loading is not the model that was measured: another library, another processor or
another reading of its files has changed it. The rows are hashed features, so no text can be read from them.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from active_learning.core.blocks import FeatureBlock
from active_learning.core.manifest import ArtifactRefused

N_KNOWN = 8
Predict = Callable[[FeatureBlock], NDArray[np.float32]]
# Sums in another order differ by about 1e-6 in float32; a changed weight by much more.
TOLERANCE = 1e-4


def known_rows(block: FeatureBlock) -> FeatureBlock:
    """Up to N_KNOWN rows, spread evenly over the block."""
    return block.take(np.unique(np.linspace(0, len(block) - 1, min(N_KNOWN, len(block))).astype(np.intp)))


def pack_known(predict: Predict, rows: FeatureBlock) -> dict[str, NDArray[Any]]:
    """The rows and what the model says about them, as arrays."""
    return {
        "known_data": rows.sparse.data,
        "known_indices": rows.sparse.indices,
        "known_indptr": rows.sparse.indptr,
        "known_columns": np.array([rows.sparse.shape[1]], dtype=np.int64),
        "known_dense": rows.dense,
        "known_probabilities": predict(rows),
    }


def check_known(predict: Predict, arrays: Mapping[str, NDArray[Any]]) -> int:
    """How many known inputs the model answers as it once did.

    0 for a model that was stored without any. Raises ArtifactRefused when it answers one otherwise.
    """
    if "known_probabilities" not in arrays:
        return 0
    off, n = off_by(predict, arrays), len(arrays["known_probabilities"])
    if not off <= TOLERANCE:  # NaN is refused too
        raise ArtifactRefused(
            f"The model answers {n} known inputs otherwise than when it was made: a probability is off by {off:.4f}."
        )
    return n


def off_by(predict: Predict, arrays: Mapping[str, NDArray[Any]]) -> float:
    """The most by which a probability of a known input differs from what was stored.

    Raises ArtifactRefused where there is another number of them.
    """
    expected = arrays["known_probabilities"]
    parts = (arrays["known_data"], arrays["known_indices"], arrays["known_indptr"])
    rows = sp.csr_matrix(parts, shape=(len(expected), int(arrays["known_columns"][0])))
    found = predict(FeatureBlock(rows, arrays["known_dense"]))
    if found.shape != expected.shape:
        raise ArtifactRefused(
            f"The model gives {found.shape[1]} probabilities, it was stored with {expected.shape[1]}."
        )
    return float(np.abs(found - expected).max(initial=0.0))
