"""How dense columns are brought to weights beside the words."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# How much the dense part weighs beside the words, whose rows have length 1. Measured: docs/learning.md.
DENSE_WEIGHT = 1.5


@dataclass(frozen=True, slots=True)
class DenseScaling:
    """How dense columns are centred and scaled before they are weighed; from the whole pool, not the labels alone."""

    center: NDArray[np.float64]
    scale: NDArray[np.float64]


def dense_scaling(
    parts: Sequence[tuple[str, int]], n: int, total: NDArray[np.float64], squares: NDArray[np.float64]
) -> DenseScaling:
    """Scaling that gives each part an average squared row length of DENSE_WEIGHT squared.

    An embedding keeps the proportions between its columns; an owner's vector and numbers do not mean anything
    by their units, so each of their columns is brought to variance 1 first.
    """
    center = total / max(n, 1)
    variance = np.maximum(squares / max(n, 1) - center**2, 0.0)
    scale = np.zeros_like(center)
    start = 0
    for name, width in parts:
        part = slice(start, start + width)
        if name == "embedding":
            spread = float(variance[part].sum())
            scale[part] = DENSE_WEIGHT / np.sqrt(spread) if spread > 1e-12 else 0.0
        else:
            own = variance[part]
            useful = own > 1e-10
            scale[part] = np.where(useful, DENSE_WEIGHT / np.sqrt(np.where(useful, own, 1.0) * width), 0.0)
        start += width
    return DenseScaling(center, scale)
