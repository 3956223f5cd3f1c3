"""Whether the model is as sure as it is right: reliability, expected calibration error, confidences at the ends."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from active_learning.core.audit import MIN_CALIBRATED
from active_learning.core.gate import Figure
from active_learning.core.resampling import percentiles, resampled_sums
from labeling.core.shares import Share, wilson

MAX_BINS = 10
CASES_A_BIN = 20
# "Sure" for the check of the ends: a confidence from here on.
SURE = 0.95
# Models that are sure of so many of the cases say it of everything.
SURE_OF_ALL = 0.9
_N_BY_CHANCE = 200


@dataclass(frozen=True, slots=True)
class Bin:
    """Cases of like confidence: how sure the model was on average, and the share that was right."""

    confidence: float
    right: Share


@dataclass(frozen=True, slots=True)
class Calibration:
    """The expected calibration error with its 95 % interval, and what it is made of.

    `by_chance` is the error that a perfectly calibrated model with these confidences would show on as many cases: the
    figure is never 0, and the fewer the cases the larger. `n` counts items; several labels an item are one decision
    each.
    """

    ece: float
    low: float
    high: float
    by_chance: float
    n: int
    bins: tuple[Bin, ...]
    n_decisions: int
    sure: Share
    sure_and_right: Share | None

    @property
    def ends(self) -> str:
        """What is wrong with high confidences: "overconfident", "sure of everything", or nothing."""
        if self.sure_and_right is not None and self.sure_and_right.high < SURE:
            return "overconfident"
        return "sure of everything" if self.sure.low > SURE_OF_ALL else ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"ends": self.ends}


def undo_temperature(probabilities: NDArray[np.floating], temperature: float, *, is_multilabel: bool) -> NDArray[Any]:
    """What the probabilities were before their scores were divided by `temperature`. A 0 stays 0."""
    wide = probabilities.astype(np.float64)
    if is_multilabel:
        return expit(logit(wide) * temperature)
    with np.errstate(divide="ignore"):
        scores = np.log(wide) * temperature
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def calibration(
    probabilities: NDArray[np.floating], truth: NDArray[Any], rng: np.random.Generator
) -> Calibration | None:
    """How sure against how right, on bins of equally many decisions; None on fewer than MIN_CALIBRATED cases.

    `truth` holds positions, or a boolean matrix for several labels an item. The error is the mean distance between
    confidence and share of right ones over the bins (Naeini, Cooper and Hauskrecht 2015; bins of equal mass as in Nixon
    et al. 2019). Its interval is a percentile bootstrap over items with the bins kept, moved by as much as resampling
    alone adds.
    """
    n = len(truth)
    if n < MIN_CALIBRATED:
        return None
    confidence, right = _decisions(probabilities, truth)
    place, n_bins = _places(confidence)
    gaps = _by_bin(right - confidence, place, n_bins)
    found = _error(gaps.sum(axis=0), confidence.size)
    resampled = np.abs(resampled_sums(gaps, rng)).sum(axis=1) / confidence.size
    low, high = percentiles(resampled - (resampled.mean() - found))
    sure = confidence >= SURE
    share = wilson(int(sure.sum()), sure.size)
    assert share is not None
    return Calibration(
        ece=found,
        low=max(0.0, min(found, low)),
        high=max(found, high),
        by_chance=_by_chance(confidence, place, n_bins, rng),
        n=n,
        bins=_bins(confidence.ravel(), right.ravel(), place, n_bins),
        n_decisions=confidence.size,
        sure=share,
        sure_and_right=wilson(int(right[sure].sum()), int(sure.sum())),
    )


def calibration_difference(
    first: NDArray[np.floating], second: NDArray[np.floating], truth: NDArray[Any], rng: np.random.Generator
) -> Figure | None:
    """The calibration error of the first model's probabilities less that of the second's on the same cases.

    None on fewer than MIN_CALIBRATED of them. Each model has its own bins; a resample draws both outcomes of an item
    together. What resampling alone adds is taken off, as for one model.
    """
    if len(truth) < MIN_CALIBRATED:
        return None
    gaps = []
    for probabilities in (first, second):
        confidence, right = _decisions(probabilities, truth)
        gaps.append(_by_bin(right - confidence, *_places(confidence)) / confidence.shape[1])
    n, n_bins = gaps[0].shape
    errors = np.abs(resampled_sums(np.hstack(gaps), rng)) / n
    resampled = errors[:, :n_bins].sum(axis=1) - errors[:, n_bins:].sum(axis=1)
    value = _error(gaps[0].sum(axis=0), n) - _error(gaps[1].sum(axis=0), n)
    low, high = percentiles(resampled - (resampled.mean() - value))
    return Figure(value, min(low, value), max(high, value), n)


def _decisions(
    probabilities: NDArray[np.floating], truth: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """How sure the model was of each decision, and whether it was right: items x decisions, one or one a label."""
    wide = probabilities.astype(np.float64)
    if truth.ndim == 2:
        return np.maximum(wide, 1 - wide), (wide > 0.5) == truth
    return wide.max(axis=1)[:, None], (wide.argmax(axis=1) == truth)[:, None]


def _places(confidence: NDArray[np.float64]) -> tuple[NDArray[np.int64], int]:
    """The bin of each decision, and how many bins there are: equally many decisions in each."""
    n_bins = min(MAX_BINS, confidence.size // CASES_A_BIN)
    order = np.argsort(confidence, axis=None, kind="stable")
    place = np.empty(confidence.size, dtype=np.int64)
    place[order] = np.arange(confidence.size) * n_bins // confidence.size
    return place, n_bins


def _by_bin(gaps: NDArray[np.float64], place: NDArray[np.int64], n_bins: int) -> NDArray[np.float64]:
    """The sum of each item's gaps in each bin: items x bins."""
    rows = np.repeat(np.arange(len(gaps)), gaps.shape[1])
    sums = np.bincount(rows * n_bins + place, weights=gaps.ravel(), minlength=len(gaps) * n_bins)
    return np.asarray(sums, dtype=np.float64).reshape(-1, n_bins)


def _error(sums: NDArray[Any], n_decisions: int) -> float:
    return float(np.abs(sums).sum() / n_decisions)


def _by_chance(
    confidence: NDArray[np.float64], place: NDArray[np.int64], n_bins: int, rng: np.random.Generator
) -> float:
    flat = confidence.ravel()
    errors = [
        _error(np.bincount(place, weights=(rng.random(flat.size) < flat) - flat, minlength=n_bins), flat.size)
        for _ in range(_N_BY_CHANCE)
    ]
    return float(np.mean(errors))


def _bins(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], place: NDArray[np.int64], n_bins: int
) -> tuple[Bin, ...]:
    sizes = np.bincount(place, minlength=n_bins)
    means = np.bincount(place, weights=confidence, minlength=n_bins) / sizes
    n_right = np.bincount(place, weights=right, minlength=n_bins)
    return tuple(_bin(mean, int(hits), int(size)) for mean, hits, size in zip(means, n_right, sizes, strict=True))


def _bin(mean: float, n_right: int, n: int) -> Bin:
    share = wilson(n_right, n)
    assert share is not None
    return Bin(float(mean), share)
