"""Optimal design of experiments: which answers would make a model surest of the whole pool."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# The precision that a penalized regression begins with, for rows of a mean squared length of ROW_LENGTH squared: those
# of the linear learner (C = 3, the dense part's weight of 1.5).
RIDGE = 1.0 / 3.0
ROW_LENGTH = 1.5

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Weighted:
    """Rows (points of one space), and a weight for each."""

    points: NDArray[np.floating]
    weights: Floats


def most_telling(offered: Weighted, known: Weighted, pool: Weighted, n: int) -> NDArray[np.intp]:
    """Up to `n` rows of `offered`, one after the other: the one whose answer would lower the error on the pool most.

    The error is the variance of a penalized regression's scores over the `pool`, a sample of all items: A-optimal
    design towards that sample (also V-optimal), picked greedily, each pick as if the ones before were answered. A
    row's weight is how much its answer would tell (for a regression of classes the variance of its label), in the
    pool how much an error there counts. Ash et al. 2021, "Gone fishing" (arXiv 2106.09675), do so for neural networks.
    """
    middle = pool.points.mean(axis=0, dtype=np.float64)
    centred = [(part.points - middle).astype(np.float64) for part in (offered, known, pool)]
    length = np.sqrt(np.square(centred[2]).sum(axis=1).mean())
    new, old, aim = (part * (ROW_LENGTH / max(length, 1e-12)) for part in centred)
    target = (aim.T * pool.weights) @ aim / max(len(aim), 1)
    covariance = np.linalg.inv(RIDGE * np.eye(new.shape[1]) + (old.T * known.weights) @ old)
    spread = new @ covariance
    own = np.einsum("ij,ij->i", spread, new)
    shared = np.einsum("ij,ij->i", spread @ target, spread)
    # Read once a pick, it takes most of the time: half the precision is half of it, and enough.
    rows = new.astype(np.float32)
    is_open = np.ones(len(new), dtype=bool)
    chosen: list[int] = []
    for _ in range(min(n, len(new))):
        gain = np.where(is_open, offered.weights * shared / (1.0 + offered.weights * own), -1.0)
        best = int(gain.argmax())
        chosen.append(best)
        is_open[best] = False
        # The inverse after one more row (Sherman and Morrison), and what that does to the two forms of each row.
        along = covariance @ new[best]
        aimed = target @ along
        step = offered.weights[best] / (1.0 + offered.weights[best] * own[best])
        both = np.column_stack([along, covariance @ aimed]).astype(np.float32)
        to_along, to_aimed = (rows @ both).T.astype(np.float64)
        shared = shared - 2.0 * step * to_along * to_aimed + step**2 * (along @ aimed) * to_along**2
        own = own - step * to_along**2
        covariance -= step * np.outer(along, along)
    return np.array(chosen, dtype=np.intp)
