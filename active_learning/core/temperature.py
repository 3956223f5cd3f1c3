"""One divisor of a model's scores that makes its confidence fit."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from active_learning.core.targets import Targets, stratified_folds

# A row counts at most so many times what it would, and at least this part of it.
MOST_WEIGHT = 10.0
# How far from 1 a temperature is held to be before rows speak, as a difference of logarithms: the models of
# docs/performance.md, whose best one is known, needed 0.1 to 0.7.
USUAL_LOG = 0.3


def fit_temperature(
    scores: NDArray[Any], truth: NDArray[Any], weight: NDArray[np.float64], *, repeats: int = 1
) -> float:
    """The likeliest T in [0.05, 20], if `truth` was drawn by `scores / T`.

    `truth` holds positions for a softmax, or a boolean matrix for one sigmoid a column. Scores of minus infinity
    stand for labels that cannot be. `repeats` says how often each case stands among the rows.

    Few rows say little: before them log T has a Cauchy distribution around 0 (weakly informative as in Gelman et al.
    2008: it pulls a doubtful temperature towards 1, and hardly a sure one). Rows weigh as much against it as they are
    worth by Kish's effective number.
    """
    n_effective = float(weight.sum() ** 2 / max(np.square(weight).sum(), 1e-12)) / repeats
    weight = weight * (n_effective / max(float(weight.sum()), 1e-12))

    # As in Platt's scaling, a truth is held to be slightly less than certain: a handful of rows that are all right
    # would otherwise make every confidence 1.
    doubt = 1.0 / (len(truth) + 2.0)
    possible = np.isfinite(scores)

    def loss(log_t: float) -> float:
        return misfit(log_t) + float(np.log1p((log_t / USUAL_LOG) ** 2))

    def misfit(log_t: float) -> float:
        scaled = scores / np.exp(log_t)
        if truth.ndim == 2:
            wrong = np.logaddexp(0.0, np.where(truth, -scaled, scaled))
            right = np.logaddexp(0.0, np.where(truth, scaled, -scaled))
            return float((weight[:, None] * ((1 - doubt) * wrong + doubt * right)).sum())
        log_p = log_softmax(scaled, axis=1)
        spread = np.where(possible, log_p, 0.0).sum(axis=1) / possible.sum(axis=1)
        return float(-(weight * ((1 - doubt) * log_p[np.arange(len(truth)), truth] + doubt * spread)).sum())

    # The Cauchy makes a second valley possible: the deeper one is looked for first.
    looks = np.linspace(np.log(0.05), np.log(20.0), 25)
    deepest = int(np.argmin([loss(log_t) for log_t in looks]))
    bounds = looks[max(deepest - 1, 0)], looks[min(deepest + 1, len(looks) - 1)]
    best = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-3})
    return float(np.exp(best.x))


# Given the rows to learn from and the rows to score: uncalibrated scores, a column for each label that was seen, and
# the positions of these labels.
ScorePart = Callable[[NDArray[np.int64], NDArray[np.int64]], tuple[NDArray[Any], NDArray[np.int64]]]


def out_of_fold_temperature(
    score_part: ScorePart,
    targets: Targets,
    sample_weight: NDArray[np.float64],
    rng: np.random.Generator,
    pool_leads: Sequence[float] = (),
    *,
    n_weak: int = 0,
) -> float:
    """The divisor of the scores that makes out-of-fold probabilities fit best; 1 when too few to tell.

    What was labeled because the model was unsure is harder than the rest. With `pool_leads`, the quartiles of how far
    the first label leads on the whole pool, rows are weighed so that each quarter of the pool counts as much as the
    others: importance weighting by a covariate of one dimension (Sugiyama et al. 2007, covariate shift). They are for
    one label a row. The last `n_weak` rows are learned from each time and never judged by.
    """
    n = len(targets) - n_weak
    if n < 20:
        return 1.0
    always = np.arange(n, len(targets))
    scores, truths, weights = [], [], []
    for fold, outside in _parts(targets.take(np.arange(n)), rng):
        inside = np.concatenate([fold, always])
        part = targets.take(inside)
        if not targets.is_multilabel and np.count_nonzero(part.counts()) < 2:
            continue
        raw, seen = score_part(inside, outside)
        if targets.is_multilabel:
            scores.append(raw)
            truths.append(targets.y[outside])
        else:
            # A label without examples in this fold has no score; its rows say nothing about the temperature.
            place = np.searchsorted(seen, targets.y[outside]).clip(max=len(seen) - 1)
            known = seen[place] == targets.y[outside]
            full = np.full((len(outside), len(targets.labels)), -np.inf)
            full[:, seen] = raw
            scores.append(full[known])
            truths.append(targets.y[outside][known])
            outside = outside[known]
        weights.append(sample_weight[outside])
    if not scores or sum(len(s) for s in scores) < 20:
        return 1.0
    judged_scores, weight = np.concatenate(scores), np.concatenate(weights)
    if len(pool_leads):
        weight = weight * _shares_of_pool(leads(judged_scores), np.asarray(pool_leads))
    return fit_temperature(judged_scores, np.concatenate(truths), weight, repeats=_times(n))


def _times(n: int) -> int:
    """With few rows it matters how they fall into folds: they fall thrice."""
    return 3 if n < 500 else 1


def _parts(targets: Targets, rng: np.random.Generator) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Rows to learn from and rows to judge by."""
    n = len(targets)
    for _time in range(_times(n)):
        folds = stratified_folds(targets, 5 if n < 1_000 else 3, rng)
        # Beyond this one held-out fold says enough, and the fits would take most of the time.
        for fold in range(1 if n > 1_500 else int(folds.max()) + 1):
            yield np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)


def leads(scores: NDArray[Any]) -> NDArray[np.float64]:
    """How much likelier the first label is than the second, by the softmax of the scores (rows x labels): 0 to 1."""
    p = softmax(scores.astype(np.float64), axis=1)
    if p.shape[1] < 2:
        return np.ones(len(p))
    first = np.partition(p, p.shape[1] - 2, axis=1)
    return np.asarray(first[:, -1] - first[:, -2])


def _shares_of_pool(own: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """A weight for each row: how much commoner its stretch between the edges is in the pool than among these rows."""
    stretch = np.searchsorted(edges, own)
    share = np.bincount(stretch, minlength=len(edges) + 1) / len(own)
    wanted = 1.0 / (len(edges) + 1)
    return np.clip(wanted / np.maximum(share, 1e-9), 1.0 / MOST_WEIGHT, MOST_WEIGHT)[stretch]
