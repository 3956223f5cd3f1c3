"""Whether weak labels help: a model that learned from them too beside one that did not, on the audit items."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from active_learning.core.audit import MIN_AUDITED
from active_learning.core.paired import Gain, macro_f1_gain

# So many of the paired resamples have to be better with the weak labels than without.
LEAST_SURE = 0.95


@dataclass(frozen=True, slots=True)
class Ablation:
    """What a model that learned from weak labels too is worth beside one that did not, on the same `n` audit items.

    `gain` is None where too few were audited, or of a single class.
    """

    is_kept: bool
    why: str
    n: int
    gain: Gain | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def ablate(
    truth: NDArray[Any], said_with: NDArray[Any], said_without: NDArray[Any], n_labels: int, rng: np.random.Generator
) -> Ablation:
    """Whether weak labels stay: when in LEAST_SURE of the resamples macro-F1 is better with them than without."""
    n = len(truth)
    if n < MIN_AUDITED:
        return Ablation(False, f"insufficient data: {n} of {MIN_AUDITED} audit items answered", n)
    gain = macro_f1_gain(truth, said_with, said_without, n_labels, rng)
    if gain is None:
        return Ablation(False, "macro-F1 is not defined on these audit items", n)
    why = f"better in {100 * gain.sure:.0f} % of the resamples"
    if gain.sure < LEAST_SURE:
        return Ablation(False, f"not shown to help: {why}, {100 * LEAST_SURE:.0f} % are asked for", n, gain)
    return Ablation(True, why, n, gain)
