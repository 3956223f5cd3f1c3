"""Whether more labels would still pay: three conditions, an advice, never an act.

Mean kappa of successive models: Bloodgood and Vijay-Shanker (2009). A model that says the commonest label of everything
agrees with itself, so agreement alone is not enough: every label has to be known and said, and the audit sample has to
be large enough to notice what could still be gained.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labeling.core.shares import Share

SAMPLE_SIZE = 2_000
KAPPA = 0.95
N_PAIRS = 3
MIN_LABELS = 100
MIN_PER_LABEL = 10
FINE = 0.05
# Names of missing labels that are stored and shown; of 150 labels many may be missing.
_MAX_NAMED = 10


def stable_sample(ids: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """`n` of the ids, the same ones each time as long as they are there: those whose hash is smallest (splitmix64)."""
    if len(ids) <= n:
        return np.sort(ids)
    with np.errstate(over="ignore"):
        mixed = ids.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return np.sort(ids[np.argpartition(mixed, n)[:n]])


def kappa(first: NDArray[Any], second: NDArray[Any]) -> float | None:
    """Cohen's kappa of two sets of predictions; of several labels an item, over all decisions.

    None without items, and when both say one and the same thing of everything.
    """
    if not len(first):
        return None
    one, other = first.ravel().astype(np.int64), second.ravel().astype(np.int64)
    n_labels = int(max(one.max(), other.max())) + 1
    observed = float((one == other).mean())
    shares = [np.bincount(said, minlength=n_labels) / len(said) for said in (one, other)]
    by_chance = float(shares[0] @ shares[1])
    return None if by_chance >= 1.0 else (observed - by_chance) / (1 - by_chance)


@dataclass(frozen=True, slots=True)
class Condition:
    """`holds` is None where it cannot be told yet. `detail` has the figures that it rests on."""

    name: str
    holds: bool | None
    detail: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "holds": self.holds} | self.detail


def is_stable(kappas: Sequence[float | None], n_labels: int) -> Condition:
    """Successive models say the same: the mean of the last N_PAIRS kappas is above KAPPA, with MIN_LABELS labels.

    `kappas`: newest first; None where two models could not be compared.
    """
    last = list(kappas[:N_PAIRS])
    known = [one for one in last if one is not None]
    mean = sum(known) / len(known) if known else None
    detail = {"kappas": last, "mean": mean, "n_labels": n_labels}
    if len(last) < N_PAIRS:
        return Condition("stable", None, detail)
    return Condition(
        "stable", len(known) == N_PAIRS and mean is not None and mean > KAPPA and n_labels >= MIN_LABELS, detail
    )


def covers_labels(n_learned: Mapping[str, int], n_said: Mapping[str, int]) -> Condition:
    """Every label has at least MIN_PER_LABEL examples, and is said of some item of the sample."""
    rare = [label for label, n in n_learned.items() if n < MIN_PER_LABEL]
    never_said = [label for label in n_learned if not n_said.get(label, 0)]
    detail = {
        "rare": rare[:_MAX_NAMED],
        "n_rare": len(rare),
        "never_said": never_said[:_MAX_NAMED],
        "n_never_said": len(never_said),
        "n_labels": len(n_learned),
    }
    return Condition("covered", not rare and not never_said, detail)


def is_precise(accuracy: Share | None) -> Condition:
    """The audit interval is narrower than what could still be gained: all that is not right yet.

    What a forecast promises goes to 0 at the end of a curve, where no interval could be narrower. So the hoped gain is
    taken as its most: from the accuracy to 1, and at least FINE, because where next to nothing is left to gain
    nobody waits for an interval of next to nothing.
    """
    if accuracy is None:
        return Condition("precise", None, {"width": None, "to_gain": None, "n": 0})
    width, to_gain = accuracy.high - accuracy.low, max(1 - accuracy.value, FINE)
    return Condition("precise", width < to_gain, {"width": width, "to_gain": to_gain, "n": accuracy.n})


def advice(conditions: Sequence[Condition]) -> dict[str, Any]:
    """All conditions, and whether each of them holds."""
    return {
        "conditions": [condition.to_json() for condition in conditions],
        "holds": all(condition.holds for condition in conditions),
    }
