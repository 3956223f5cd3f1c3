"""What mistakes cost: an owner's table, and the expected cost of an item."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from active_learning.core.cost_lines import ABSENT, ANY
from active_learning.core.resampling import percentiles, resampled_sums


@dataclass(frozen=True, slots=True)
class Expected:
    """A mean cost an item with its 95 % percentile bootstrap interval."""

    value: float
    low: float
    high: float
    n: int


def cost_table(stored: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> NDArray[np.float64]:
    """The cost of each mistake: true label (rows) by what was said (columns); 1 where the owner says nothing.

    The last row and column stand for "not there", which only several labels an item know. Of two entries for a
    mistake the one that names more of it counts, then the later one. Labels that the schema no longer has are passed
    over.
    """
    place = {label: number for number, label in enumerate(labels)} | {ABSENT: len(labels)}
    table = np.ones((len(labels) + 1, len(labels) + 1))
    for entry in sorted(stored, key=lambda one: (one["true"] != ANY) + (one["said"] != ANY)):
        sides = [entry["true"], entry["said"]]
        if any(side != ANY and side not in place for side in sides):
            continue
        rows, columns = (slice(None) if side == ANY else place[side] for side in sides)
        table[rows, columns] = entry["cost"]
    np.fill_diagonal(table, 0.0)
    return table


def costs_of(truth: NDArray[Any], predicted: NDArray[Any], table: NDArray[np.float64]) -> NDArray[np.float64]:
    """The cost of each case; with several labels an item, of all labels missed and all that should not be there."""
    if truth.ndim == 1:
        return table[truth, predicted]
    missed, added = table[:-1, -1], table[-1, :-1]
    return (truth & ~predicted) @ missed + (predicted & ~truth) @ added


def expected(costs: NDArray[np.float64], rng: np.random.Generator) -> Expected | None:
    """The mean cost; None without cases."""
    n = len(costs)
    if not n:
        return None
    low, high = percentiles(resampled_sums(costs[:, None], rng)[:, 0] / n)
    value = float(costs.mean())
    return Expected(value, min(value, low), max(value, high), n)


def cost_report(
    truth: NDArray[Any],
    predicted: NDArray[Any],
    baselines: Mapping[str, NDArray[Any]],
    stored: Sequence[Mapping[str, Any]],
    labels: Sequence[str],
    seed: int,
) -> dict[str, Any]:
    """The model's expected cost, each baseline's, and what the model saves against it on the same cases."""
    table = cost_table(stored, labels)
    own = costs_of(truth, predicted, table)
    found: dict[str, Any] = {"table": list(stored), "model": _json(expected(own, np.random.default_rng(seed)))}
    found["baselines"] = {}
    for name, said in baselines.items():
        theirs = costs_of(truth, said, table)
        found["baselines"][name] = {
            "cost": _json(expected(theirs, np.random.default_rng(seed))),
            "saved": _json(expected(theirs - own, np.random.default_rng(seed))),
        }
    return found


def _json(found: Expected | None) -> dict[str, Any] | None:
    return asdict(found) if found else None
