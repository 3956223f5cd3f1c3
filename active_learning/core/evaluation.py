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
from active_learning.core.resampling import percentiles, resampled_sums
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

    @property
    def precision(self) -> Share | None:
        """The share of those said to have it that do; None when it was never said."""
        return wilson(self.n_right, self.n_predicted)

    @property
    def recall(self) -> Share | None:
        """The share of those that have it that were found; None when none has it."""
        return wilson(self.n_right, self.n_true)

    def to_json(self) -> dict[str, Any]:
        precision, recall = self.precision, self.recall
        return asdict(self) | {
            "f1": self.f1,
            "precision": asdict(precision) if precision else None,
            "recall": asdict(recall) if recall else None,
        }


@dataclass(frozen=True, slots=True)
class Evaluation:
    accuracy: Share | None
    macro_f1: float | None
    classes: tuple[ClassScore, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "accuracy": asdict(self.accuracy) if self.accuracy else None,
            "macro_f1": self.macro_f1,
            "classes": [score.to_json() for score in self.classes],
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


def f1_intervals(
    truth: NDArray[Any], predicted: NDArray[Any], n_labels: int, rng: np.random.Generator, n_resamples: int = 1_000
) -> tuple[tuple[float, float] | None, list[tuple[float, float] | None]]:
    """The 95 % intervals of macro-F1 and of each label's F1 by the percentile bootstrap; None where there are no cases.

    Each resample is judged by the labels that occur in it. Where a label is always right, or never, resamples all say
    the same, as if nothing were in doubt: its interval is then Wilson's of so many hits or misses, and what that leaves
    open is added to the interval of macro-F1 (squares of the distances add up: Zou and Donner 2008).
    """
    if not len(truth):
        return None, [None] * n_labels
    true, said = indicators(truth, n_labels), indicators(predicted, n_labels)
    sums = resampled_sums(np.hstack([true, said, true & said]), rng, n_resamples)
    n_true, n_said, n_right = np.hsplit(sums, 3)
    with np.errstate(invalid="ignore"):
        each = 2 * n_right / (n_true + n_said)
    present = n_true > 0
    n_present = present.sum(axis=1)
    judged = n_present > 0
    macro = np.where(present, each, 0.0).sum(axis=1)[judged] / n_present[judged]
    seen = np.asarray(np.isfinite(each).any(axis=0))
    by_label = [percentiles(each[:, label]) if seen[label] else None for label in range(n_labels)]
    n_true, n_said, n_right = (cells.sum(axis=0).astype(int).tolist() for cells in (true, said, true & said))
    open_low = open_high = 0.0
    occurs = [label for label in range(n_labels) if n_true[label]]
    for label in range(n_labels):
        without_doubt = _without_doubt(n_true[label], n_said[label], n_right[label])
        if without_doubt is None:
            continue
        by_label[label] = without_doubt
        if n_true[label]:
            open_low += ((1.0 if n_right[label] else 0.0) - without_doubt[0]) ** 2
            open_high += (without_doubt[1] - (1.0 if n_right[label] else 0.0)) ** 2
    if not len(macro):
        return None, by_label
    low, high = percentiles(macro)
    value = sum(2 * n_right[label] / (n_true[label] + n_said[label]) for label in occurs) / len(occurs)
    return (
        max(0.0, value - math.hypot(value - min(value, low), math.sqrt(open_low) / len(occurs))),
        min(1.0, value + math.hypot(max(value, high) - value, math.sqrt(open_high) / len(occurs))),
    ), by_label


def _without_doubt(n_true: int, n_said: int, n_right: int) -> tuple[float, float] | None:
    """The interval of an F1 of 1 or 0; None of any other."""
    if n_right and n_right == n_true == n_said:
        share = wilson(n_right, n_right)
    elif not n_right:
        share = wilson(0, n_true or n_said)
    else:
        share = None
    return (share.low, share.high) if share else None


def macro_f1_interval(
    truth: NDArray[Any], predicted: NDArray[Any], n_labels: int, rng: np.random.Generator, n_resamples: int = 1_000
) -> tuple[float, float] | None:
    """The 95 % percentile bootstrap interval of macro-F1; None without cases."""
    return f1_intervals(truth, predicted, n_labels, rng, n_resamples)[0]


def indicators(values: NDArray[Any], n_labels: int) -> NDArray[np.bool_]:
    """Positions (or a matrix already) as a matrix: cases x labels."""
    return np.asarray(values if values.ndim == 2 else values[:, None] == np.arange(n_labels), dtype=bool)


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often each label (rows) was said to be which (columns). `n_merged` labels share the last row and column.

    `taken_for`: the commonest mistakes as (true, said, n).
    """

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    n_merged: int
    taken_for: tuple[tuple[str, str, int], ...]


def confusion(
    truth: NDArray[np.int64], predicted: NDArray[np.int64], labels: Sequence[str], most: int = 20, most_pairs: int = 10
) -> Confusion:
    """The table of one label an item. Of more than `most` labels, those with most mistakes keep a row of their own."""
    n = len(labels)
    counts = np.bincount(truth * n + predicted, minlength=n * n).reshape(n, n)
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    pairs = [place for place in np.argsort(-wrong, axis=None, kind="stable")[:most_pairs] if wrong.flat[place]]
    taken_for = tuple((labels[int(p) // n], labels[int(p) % n], int(wrong.flat[p])) for p in pairs)
    if n <= most:
        return Confusion(tuple(labels), tuple(tuple(row) for row in counts.tolist()), 0, taken_for)
    mistakes = wrong.sum(axis=0) + wrong.sum(axis=1)
    own = np.sort(np.argsort(-mistakes, kind="stable")[: most - 1])
    place = np.full(n, most - 1)
    place[own] = np.arange(most - 1)
    merged = np.zeros((most, most), dtype=np.int64)
    np.add.at(merged, (place[:, None], place[None, :]), counts)
    names = tuple(labels[int(label)] for label in own)
    return Confusion(names, tuple(tuple(row) for row in merged.tolist()), n - (most - 1), taken_for)


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
