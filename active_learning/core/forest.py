"""Boosted trees as plain arrays, and what they say: read out of scikit-learn once, evaluated here ever after.

A stored model is then data alone: nothing is unpickled, and scikit-learn's classes may change.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

# Rows that walk down all trees at a time: keeps their places inside the cache.
_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Forest:
    """All nodes of all trees, one after another; a leaf leads to itself, so every row may take `depth` steps.

    `roots` (rounds x scores) are the places of the first nodes, `baseline` (scores) what the trees add to. Rows go to
    `left` where their value in column `feature` is at most `threshold`, or missing where `missing_left` says so.
    """

    feature: NDArray[np.int32]
    threshold: NDArray[np.float64]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    missing_left: NDArray[np.bool_]
    value: NDArray[np.float64]
    roots: NDArray[np.int32]
    baseline: NDArray[np.float64]
    depth: int

    @classmethod
    def of(cls, boosting: Any) -> Self:
        """The trees of a fitted HistGradientBoostingClassifier without categorical columns."""
        parts, roots, n = [], [], 0
        for trees in boosting._predictors:
            for tree in trees:
                parts.append(_own_nodes(tree.nodes, n))
                roots.append(n)
                n += len(tree.nodes)
        nodes = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        shape = (len(boosting._predictors), len(boosting._predictors[0]))
        depth = max(int(tree.nodes["depth"].max()) for trees in boosting._predictors for tree in trees)
        baseline = np.asarray(boosting._baseline_prediction, dtype=np.float64).ravel()
        return cls(**nodes, roots=np.array(roots, dtype=np.int32).reshape(shape), baseline=baseline, depth=depth)

    def scores(self, table: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the trees add up to for each row (rows x scores): the same sums in the same order as scikit-learn's."""
        found = np.repeat(self.baseline[None, :], len(table), axis=0)
        for start in range(0, len(table), _AT_ONCE):
            part = table[start : start + _AT_ONCE]
            leaves = self._leaves(part)
            for values in np.moveaxis(self.value[leaves], 1, 0):
                found[start : start + _AT_ONCE] += values
        return found

    def _leaves(self, table: NDArray[np.float64]) -> NDArray[np.int32]:
        """The leaf in which each row ends in each tree: rows x rounds x scores."""
        row = np.arange(len(table))[:, None, None]
        node = np.repeat(self.roots[None], len(table), axis=0)
        may_miss = bool(np.isnan(table).any())
        for _ in range(self.depth):
            x = table[row, self.feature[node]]
            is_left = x <= self.threshold[node]
            if may_miss:
                is_left |= np.isnan(x) & self.missing_left[node]
            node = np.where(is_left, self.left[node], self.right[node])
        return node

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        return {f"tree_{name}": np.atleast_1d(array) for name, array in asdict(self).items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        fields: dict[str, Any] = {name: arrays[f"tree_{name}"] for name in cls.__dataclass_fields__}
        return cls(**fields | {"depth": int(fields["depth"][0])})


def _own_nodes(nodes: NDArray[Any], start: int) -> dict[str, NDArray[Any]]:
    """scikit-learn's nodes of one tree, whose first is to stand at place `start`."""
    is_leaf = nodes["is_leaf"].astype(bool)
    own = np.arange(len(nodes), dtype=np.int32)
    return {
        "feature": np.where(is_leaf, 0, nodes["feature_idx"]).astype(np.int32),
        "threshold": np.where(is_leaf, 0.0, nodes["num_threshold"]),
        "left": np.where(is_leaf, own, nodes["left"]).astype(np.int32) + np.int32(start),
        "right": np.where(is_leaf, own, nodes["right"]).astype(np.int32) + np.int32(start),
        "missing_left": nodes["missing_go_to_left"].astype(bool),
        "value": nodes["value"].astype(np.float64),
    }
