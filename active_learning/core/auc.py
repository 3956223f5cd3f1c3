"""How well scores rank: the area under the receiver operating characteristic, one label against the rest."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import rankdata

from active_learning.core.audit import Z95


@dataclass(frozen=True, slots=True)
class Area:
    """The chance that a case with the label is ranked above one without it (ties count half), with its 95 % interval.

    `n_with` and `n_without`: cases behind it; of a mean over labels, those of the rarest label.
    """

    value: float
    low: float
    high: float
    n_with: int
    n_without: int


def area(scores: NDArray[np.floating], has_label: NDArray[np.bool_]) -> Area | None:
    """One label's area; None unless there are cases with it and without it.

    The interval is Newcombe's method 5 (2006, Statistics in Medicine 25, 559-573): a score interval on Hanley and
    McNeil's variance. Unlike DeLong's it keeps a width where every case is ranked rightly.
    """
    n_with = int(has_label.sum())
    n_without = len(has_label) - n_with
    if not n_with or not n_without:
        return None
    ranks = rankdata(scores)
    value = float((ranks[has_label].sum() - n_with * (n_with + 1) / 2) / (n_with * n_without))
    low, high = _newcombe(value, n_with, n_without)
    return Area(value, low, high, n_with, n_without)


def _newcombe(value: float, n_with: int, n_without: int) -> tuple[float, float]:
    mean_less_one = (n_with + n_without) / 2 - 1

    def deviation(at: float) -> float:
        spread = at * (1 - at) * (1 + mean_less_one * ((1 - at) / (2 - at) + at / (1 + at))) / (n_with * n_without)
        return Z95 * math.sqrt(max(spread, 0.0))

    # At 0 and 1 the deviation is 0 as well, so that an area of 1 would meet its own bound: a hair inside it does not.
    hair = 1e-9
    low = 0.0 if value <= hair else brentq(lambda at: value - at - deviation(at), 0.0, value - hair)
    high = 1.0 if value >= 1 - hair else brentq(lambda at: at - value - deviation(at), value + hair, 1.0)
    return float(low), float(high)


def mean_area(probabilities: NDArray[np.floating], truth: NDArray[np.bool_]) -> Area | None:
    """The mean of the labels' areas (cases x labels, both), every label counting the same; None without any.

    Its interval is DeLong, DeLong and Clarke-Pearson's (1988) on the logit scale: the labels are ranked on the same
    cases, and what each case does to the mean is summed over them. Where nothing is ranked wrongly that has no width;
    then the mean of the labels' own intervals stands for it.
    """
    n = len(truth)
    found: list[Area] = []
    influence = np.zeros(n)
    for label in range(truth.shape[1]):
        has_label = truth[:, label]
        one = area(probabilities[:, label], has_label)
        if one is None:
            continue
        found.append(one)
        influence += _influence(probabilities[:, label], has_label, one.value)
    if not found:
        return None
    rarest = min(found, key=lambda one: min(one.n_with, one.n_without))
    value = sum(one.value for one in found) / len(found)
    error = math.sqrt(float(np.square(influence / len(found)).sum())) / n
    low, high = _on_logit_scale(value, error, found)
    return Area(value, low, high, rarest.n_with, rarest.n_without)


def _on_logit_scale(value: float, error: float, found: Sequence[Area]) -> tuple[float, float]:
    if error < 1e-12 or not 0.0 < value < 1.0:
        return sum(one.low for one in found) / len(found), sum(one.high for one in found) / len(found)
    middle, half = math.log(value / (1 - value)), Z95 * error / (value * (1 - value))
    return 1 / (1 + math.exp(-(middle - half))), 1 / (1 + math.exp(-(middle + half)))


def _influence(scores: NDArray[np.floating], has_label: NDArray[np.bool_], value: float) -> NDArray[np.float64]:
    """What each case does to the area, n times: the square root of the sum of squares, over n, is DeLong's error."""
    n = len(scores)
    n_with = int(has_label.sum())
    n_without = n - n_with
    among_all, found = rankdata(scores), np.zeros(n)
    # The share of the others that a case stands on the right side of.
    above = (among_all[has_label] - rankdata(scores[has_label])) / n_without
    below = 1 - (among_all[~has_label] - rankdata(scores[~has_label])) / n_with
    found[has_label] = (above - value) * n / n_with * math.sqrt(n_with / max(n_with - 1, 1))
    found[~has_label] = (below - value) * n / n_without * math.sqrt(n_without / max(n_without - 1, 1))
    return found
