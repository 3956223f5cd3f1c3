"""Coefficients of agreement, and their analytic standard errors.

Each is 1 - (observed disagreement) / (disagreement expected by chance), by different ideas of chance:

| method | chance | source |
|---|---|---|
| percent | none: the mean over items of the share of agreeing pairs of answers | |
| alpha | answers drawn from all that were given, not put back | Krippendorff 2011, Alpha-Reliability |
| fleiss | the labels' mean shares; for two people Scott's pi | Fleiss 1971; Gwet 2014 for missing answers |
| gwet | few items are hard: AC1, with weights AC2 | Gwet 2008, 2014 |
| brennan_prediger | all labels equally likely | Brennan and Prediger 1981 |
| conger | each person's own shares; with two people it is Cohen's kappa | Cohen 1960, 1968; Conger 1980 |

`values` gives one number for each histogram over the patterns, so that a bootstrap, leaving people out and windows in
time are all the same computation. Where everybody chose one label nothing but the percentage is defined: NaN.
Standard errors are Gwet's linearizations (2014, chapter 5), items drawn from many.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
from scipy import sparse

from labeling.core.agreement.answers import Answers, Floats, Ints, Patterns

Method = Literal["percent", "alpha", "fleiss", "gwet", "brennan_prediger"]
# Rows of a dense intermediate table are worked through in blocks of about so many numbers.
BLOCK = 4_000_000
TINY = 1e-12


def values(patterns: Patterns, method: Method, weights: Floats | None) -> Callable[[Floats], Floats]:
    """A function from histograms (a row each, a column a pattern) to the coefficient's value for each of them.

    `weights` None means Krippendorff's ordinal distances, which each histogram makes anew; only alpha has them.
    """
    if method == "alpha":
        return _ordinal_alpha(patterns) if weights is None else _alpha(patterns, weights)
    assert weights is not None
    return _share_based(patterns, method, weights)


def rank_distances(totals: Floats) -> Floats:
    """Krippendorff's squared ordinal distances for labels used `totals` times.

    The answers between two labels, half of the two labels' own included, are the difference of their mid-ranks.
    """
    ranks = _mid_ranks(totals)
    return (ranks[:, None] - ranks) ** 2


def _mid_ranks(totals: Floats) -> Floats:
    return np.cumsum(totals, axis=-1) - totals / 2


def rank_steps(n_labels: int) -> Floats:
    """By how much one more answer with a label (a row) raises the mid-rank of each label (a column)."""
    return np.triu(np.ones((n_labels, n_labels)), 1) + np.eye(n_labels) / 2


def alpha_disagreement(patterns: Patterns, weights: Floats | None) -> Floats:
    """What an item of each pattern adds to alpha's observed disagreement; `weights` None: labels differ or not.

    All patterns have two answers or more.
    """
    if weights is None:
        agreeing = np.asarray(patterns.counts.multiply(patterns.counts).sum(axis=1)).ravel() - patterns.n_votes
    else:
        agreeing = _agreeing(patterns, weights)
    return patterns.n_votes - agreeing / (patterns.n_votes - 1)


def _agreeing(patterns: Patterns, weights: Floats) -> Floats:
    """Weighted count of agreeing ordered pairs of different answers, for each pattern."""
    counts = patterns.counts
    step = max(1, BLOCK // max(1, len(weights)))
    parts = [
        np.asarray(block.multiply(block @ weights).sum(axis=1)).ravel()
        for block in (counts[start : start + step] for start in range(0, len(patterns), step))
    ]
    return np.concatenate([*parts, np.zeros(0)]) - patterns.n_votes


def _ratio(top: Floats, bottom: Floats, size: Floats) -> Floats:
    """top / bottom, and NaN where the bottom is nothing beside `size`."""
    return np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom > TINY * size)


def _alpha(patterns: Patterns, weights: Floats) -> Callable[[Floats], Floats]:
    several, keep = patterns.several(), patterns.n_votes >= 2
    disagreement = alpha_disagreement(several, weights)

    def of(times: Floats) -> Floats:
        chosen = times[:, keep]
        totals = chosen @ several.counts
        n = totals.sum(axis=1)
        expected = n * n - ((totals @ weights) * totals).sum(axis=1)
        return 1.0 - _ratio((n - 1) * (chosen @ disagreement), expected, n * n)

    return of


def _ordinal_alpha(patterns: Patterns) -> Callable[[Floats], Floats]:
    several, keep = patterns.several(), patterns.n_votes >= 2
    others = several.n_votes - 1

    def of(times: Floats) -> Floats:
        chosen = times[:, keep]
        totals = chosen @ several.counts
        n = totals.sum(axis=1)
        ranks = _mid_ranks(totals)
        first, second = several.counts @ ranks.T, several.counts @ (ranks * ranks).T
        within = (several.n_votes[:, None] * second - first * first) / others[:, None]
        between = n * (totals * ranks * ranks).sum(axis=1) - (totals * ranks).sum(axis=1) ** 2
        return 1.0 - _ratio((n - 1) * (chosen * within.T).sum(axis=1), between, n**4)

    return of


def _share_based(patterns: Patterns, method: Method, weights: Floats) -> Callable[[Floats], Floats]:
    keep = (patterns.n_votes >= 2).astype(np.float64)
    pairs = patterns.n_votes * (patterns.n_votes - 1)
    agreement = np.divide(_agreeing(patterns, weights), pairs, out=np.zeros(len(patterns)), where=pairs > 0)
    shares = _shares(patterns)

    def of(times: Floats) -> Floats:
        n_several, n = times @ keep, times.sum(axis=1)
        observed = _ratio(times @ agreement, n_several, np.ones_like(n))
        if method == "percent":
            return observed
        mean = (times @ shares) / np.maximum(n, 1)[:, None]
        found = _ratio(observed - by_chance(mean, method, weights), 1 - by_chance(mean, method, weights), n * 0 + 1)
        return np.where(mean.max(axis=1, initial=0.0) > 1 - TINY, np.nan, found)

    return of


def _shares(patterns: Patterns) -> sparse.csr_array:
    return sparse.csr_array(sparse.diags_array(1 / patterns.n_votes) @ patterns.counts)


def by_chance(shares: Floats, method: Method, weights: Floats) -> Floats:
    """Agreement expected by chance for the labels' shares (a row each)."""
    n_labels = len(weights)
    if method == "fleiss":
        return ((shares @ weights) * shares).sum(axis=1)
    spread = (shares * (1 - shares)).sum(axis=1) if method == "gwet" else 1 - 1 / n_labels
    return np.full(len(shares), weights.sum() / (n_labels * max(1, n_labels - 1)) * spread)


def standard_error(patterns: Patterns, method: Method, weights: Floats) -> float | None:
    """Gwet's analytic standard error for these items; None for fewer than two items or an undefined coefficient."""
    if method == "alpha":
        patterns = patterns.several()
    times = patterns.times.astype(np.float64)
    n = times.sum()
    if n < 2:
        return None
    coefficient = float(values(patterns, method, weights)(times[None])[0])
    if np.isnan(coefficient):
        return None
    parts = _alpha_parts(patterns, weights) if method == "alpha" else _parts(patterns, method, weights, coefficient)
    return float(np.sqrt(times @ (parts - times @ parts / n) ** 2 / (n * (n - 1))))


def _parts(patterns: Patterns, method: Method, weights: Floats, coefficient: float) -> Floats:
    """What an item of each pattern adds to the coefficient, to first order; their mean is the coefficient."""
    times, n_votes = patterns.times.astype(np.float64), patterns.n_votes
    n, n_several = times.sum(), times @ (n_votes >= 2)
    pairs = n_votes * (n_votes - 1)
    agreement = np.divide(_agreeing(patterns, weights), pairs, out=np.zeros(len(pairs)), where=pairs > 0)
    if method == "percent":
        return np.where(n_votes >= 2, agreement * n / n_several, 0.0)
    shares = _shares(patterns)
    mean = (times @ shares) / n
    chance = float(by_chance(mean[None], method, weights)[0])
    parts = np.where(n_votes >= 2, n / n_several * (agreement - chance) / (1 - chance), 0.0)
    if method == "brennan_prediger":
        return parts
    if method == "fleiss":
        own_chance = shares @ (weights @ mean)
    else:
        n_labels = len(weights)
        own_chance = weights.sum() / (n_labels * (n_labels - 1)) * (shares @ (1 - mean))
    return parts - 2 * (1 - coefficient) * (own_chance - chance) / (1 - chance)


def _alpha_parts(patterns: Patterns, weights: Floats) -> Floats:
    times, n_votes = patterns.times.astype(np.float64), patterns.n_votes
    n_answers = times @ n_votes
    mean_votes = n_answers / times.sum()
    agreement = _agreeing(patterns, weights) / (mean_votes * (n_votes - 1))
    mean_agreement = times @ agreement / times.sum()
    shares = (times @ patterns.counts) / n_answers
    chance = float(shares @ weights @ shares)
    # Of the two alphas Gwet gives the one without the correction for few answers is the mean of the items' parts.
    uncorrected = (mean_agreement - chance) / (1 - chance)
    surplus = (n_votes - mean_votes) / mean_votes
    own_agreement = agreement - mean_agreement * surplus
    own_chance = (patterns.counts @ (weights @ shares)) / mean_votes - chance * surplus
    return (own_agreement - chance) / (1 - chance) - 2 * (1 - uncorrected) * (own_chance - chance) / (1 - chance)


def conger(answers: Answers, weights: Floats) -> tuple[float, float | None]:
    """Conger's kappa and its standard error (None for one item); of two people it is Cohen's kappa.

    NaN when it is not defined: fewer than two people, no item with two answers, or one label only. Each person
    answers an item at most once.
    """
    n_people, n_labels = answers.n_annotators, len(answers.names)
    patterns, place = _each_item(answers)
    n, n_votes = float(len(patterns)), patterns.n_votes
    several = n_votes >= 2
    if n_people < 2 or not several.any():
        return float("nan"), None
    flat = np.bincount(answers.annotator * n_labels + answers.label, minlength=n_people * n_labels)
    table = flat.reshape(n_people, n_labels).astype(np.float64)
    n_answers = table.sum(axis=1)
    shares = table / np.maximum(n_answers, 1)[:, None]
    mean = shares.mean(axis=0)
    spread = shares.T @ shares - n_people * np.outer(mean, mean)
    chance = float((weights * (np.outer(mean, mean) - spread / (n_people - 1) / n_people)).sum())
    if 1 - chance <= TINY:
        return float("nan"), None
    pairs = n_votes * (n_votes - 1)
    agreement = np.divide(_agreeing(patterns, weights), pairs, out=np.zeros(len(pairs)), where=pairs > 0)
    coefficient = (agreement[several].mean() - chance) / (1 - chance)
    if n < 2:
        return float(coefficient), None
    own = np.where(several, n / several.sum() * (agreement - chance) / (1 - chance), 0.0)
    # A person's answer moves the chance through how it agrees with everybody else's shares.
    rest = (n_people * mean - shares) @ weights / (n_people * (n_people - 1))
    who = answers.annotator
    moved = n / n_answers[who] * (rest[who, answers.label] - (rest[who] * shares[who]).sum(axis=1))
    own_chance = np.bincount(place[answers.item], moved, len(patterns)) + chance
    parts = own - 2 * (1 - coefficient) * (own_chance - chance) / (1 - chance)
    return float(coefficient), float(np.sqrt(((parts - coefficient) ** 2).sum() / (n * (n - 1))))


def conger_without_each(answers: Answers, weights: Floats, agreement: Floats) -> Floats:
    """Conger's kappa without each person; NaN where it is not defined then.

    `agreement`: the weighted percent agreement without each. As everywhere in this kappa the single answers that an
    item is left with still count for their author's shares.
    """
    n_people, n_labels = answers.n_annotators, len(answers.names)
    flat = np.bincount(answers.annotator * n_labels + answers.label, minlength=n_people * n_labels)
    shares = flat.reshape(n_people, n_labels) / np.bincount(answers.annotator, minlength=n_people)[:, None]
    own = ((shares @ weights) * shares).sum(axis=1)
    total, n = shares.sum(axis=0), n_people - 1
    left = total - shares
    chance = (((left @ weights) * left).sum(axis=1) - (own.sum() - own)) / (n * max(1, n - 1))
    return _ratio(agreement - chance, 1 - chance, np.ones(n_people))


def _each_item(answers: Answers) -> tuple[Patterns, Ints]:
    """Every answered item as a pattern of its own, and the place of each item number."""
    answered = answers.n_of_item > 0
    place = np.cumsum(answered) - 1
    ones = np.ones(len(answers))
    shape = (int(answered.sum()), len(answers.names))
    counts = sparse.csr_array((ones, (place[answers.item], answers.label)), shape=shape)
    counts.sum_duplicates()
    return Patterns(counts, np.ones(shape[0], dtype=np.int64)), place


def cohen(table: Floats, weights: Floats) -> tuple[float, float | None]:
    """Cohen's kappa of two people's cross table and its large-sample standard error (Fleiss, Cohen, Everitt 1969).

    NaN when it is not defined: no items, or one label only. No standard error for one item.
    """
    n = table.sum()
    if n == 0:
        return float("nan"), None
    cells = table / n
    first, second = cells.sum(axis=1), cells.sum(axis=0)
    chance = float(first @ weights @ second)
    if 1 - chance <= TINY:
        return float("nan"), None
    kappa = (float((weights * cells).sum()) - chance) / (1 - chance)
    if n < 2:
        return kappa, None
    means = (weights @ second)[:, None] + first @ weights
    spread = (cells * (weights - (1 - kappa) * means) ** 2).sum() - (kappa - chance * (1 - kappa)) ** 2
    return kappa, float(np.sqrt(max(0.0, spread) / n) / (1 - chance))
