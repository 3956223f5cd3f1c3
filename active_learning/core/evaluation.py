"""How good a model is, with what certainty, and whether it is better than something simpler.

Only the audit split is judged: items drawn at random, labeled blind, never trained on. An undefined number is None.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from active_learning.core.audit import MIN_AUDITED
from labeling.core.shares import Z95, Share, wilson


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One label: how many cases truly have it, how many were said to, how many of these rightly."""

    label: str
    n_true: int
    n_predicted: int
    n_right: int

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall; None when the label was neither there nor predicted."""
        total = self.n_true + self.n_predicted
        return 2 * self.n_right / total if total else None


@dataclass(frozen=True, slots=True)
class Evaluation:
    accuracy: Share | None
    macro_f1: float | None
    classes: tuple[ClassScore, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "accuracy": asdict(self.accuracy) if self.accuracy else None,
            "macro_f1": self.macro_f1,
            "classes": [asdict(score) | {"f1": score.f1} for score in self.classes],
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two sets of predictions on the same cases.

    `difference` is the gain in accuracy, with its 95 % interval; `p_value` that of McNemar's exact test against "not
    better".
    """

    difference: float
    low: float
    high: float
    n: int
    n_only_first: int
    n_only_second: int
    p_value: float

    @property
    def is_better(self) -> bool:
        """Enough cases, and a gain that chance gives less than once in twenty."""
        return self.n >= MIN_AUDITED and self.p_value < 0.05

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"is_better": self.is_better}


def is_right(truth: NDArray[Any], predicted: NDArray[Any]) -> NDArray[np.bool_]:
    """Case by case; of several labels all must be right."""
    equal = truth == predicted
    return equal.all(axis=1) if equal.ndim == 2 else equal


def evaluate(truth: NDArray[Any], predicted: NDArray[Any], labels: Sequence[str]) -> Evaluation:
    """Accuracy, macro-F1 and counts per label.

    Macro-F1 is the mean over the labels that occur in the truth; None when fewer than two do (for several labels
    per item: when none does).
    """
    right = is_right(truth, predicted)
    several = truth.ndim == 2
    classes = []
    for position, label in enumerate(labels):
        true = truth[:, position] if several else truth == position
        said = predicted[:, position] if several else predicted == position
        classes.append(ClassScore(label, int(true.sum()), int(said.sum()), int((true & said).sum())))
    present = [score.f1 for score in classes if score.n_true]
    defined = len(present) >= (1 if several else 2)
    macro = sum(f1 or 0.0 for f1 in present) / len(present) if defined else None
    return Evaluation(wilson(int(right.sum()), len(right)), macro, tuple(classes))


def macro_f1_interval(
    truth: NDArray[Any], predicted: NDArray[Any], n_labels: int, rng: np.random.Generator, n_resamples: int = 1_000
) -> tuple[float, float] | None:
    """The 95 % percentile bootstrap interval of macro-F1 (Efron and Tibshirani 1993); None without cases.

    Each resample is judged by the labels that occur in it.
    """
    n = len(truth)
    if n == 0:
        return None
    positions = np.arange(n_labels)
    true = (truth if truth.ndim == 2 else truth[:, None] == positions).astype(np.float32)
    said = (predicted if predicted.ndim == 2 else predicted[:, None] == positions).astype(np.float32)
    right = true * said
    found = []
    for _ in range(n_resamples):
        times = np.bincount(rng.integers(n, size=n), minlength=n).astype(np.float32)
        n_true = times @ true
        present = n_true > 0
        if present.any():
            found.append(float((2 * (times @ right) / np.maximum(n_true + times @ said, 1))[present].mean()))
    if not found:
        return None
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)


def compare(right_first: NDArray[np.bool_], right_second: NDArray[np.bool_]) -> Comparison:
    """Whether the first predictions are better than the second on the same cases (McNemar, exact, one-sided).

    The interval of the difference is that of Agresti and Min (2005): Wald's with half a case added to each of the
    four cells.
    """
    only_first = int((right_first & ~right_second).sum())
    only_second = int((~right_first & right_second).sum())
    differing = only_first + only_second
    p_value = float(binomtest(only_first, differing, 0.5, alternative="greater").pvalue) if differing else 1.0
    n = len(right_first)
    difference = (only_first - only_second) / n if n else 0.0
    middle = (only_first - only_second) / (n + 2)
    half = Z95 * math.sqrt(((differing + 1) / (n + 2) - middle * middle) / (n + 2))
    low, high = max(-1.0, min(difference, middle - half)), min(1.0, max(difference, middle + half))
    return Comparison(difference, low, high, n, only_first, only_second, p_value)
