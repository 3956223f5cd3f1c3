"""How much alpha would change: without somebody, or with two labels as one. Each change has an interval of its own.

The two alphas are made from the same items, so the interval is that of their difference and much narrower than either's
own. It comes from how much one more item of each kind would move the difference (Gwet's linearization, 2014, chapter 5;
for ordinal distances, which follow the answers, with what the answers do to them), with Student's t over the items.
Drawing the items anew a thousand times gives the same widths and takes a thousand times as long: tests compare the two.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from labeling.core.agreement.answers import Floats, Ints, Patterns
from labeling.core.agreement.coefficients import TINY, alpha_disagreement, rank_steps
from labeling.core.agreement.intervals import Interval, Panel, with_t

PAIRED = "the same items in both, linearized, t"


@dataclass(frozen=True, slots=True)
class Change:
    """A difference of two alphas. None: not defined; the interval, where nothing varies from which to tell it."""

    value: float | None
    interval: Interval | None
    n_items: int


# Alpha of a histogram over the patterns (NaN: not defined), and what one more item of each pattern would add to it.
Slopes = Callable[[Floats], tuple[float, Floats]]


def changes_by_person(panel: Panel, weights: Floats | None, people: Sequence[int]) -> list[Change]:
    """Alpha minus alpha without each of these people; `weights` None: Krippendorff's ordinal distances."""
    patterns, n_labels = panel.patterns, len(panel.answers.names)
    step, occurring = panel.steps
    before = occurring // n_labels
    rest = panel.counts_of_others
    still = np.asarray(rest.sum(axis=1)).ravel() >= 2
    # Where each pattern leads when the answer is gone; -1 where no two answers are left.
    after = np.where(still, len(patterns) + np.cumsum(still) - 1, -1)
    counts = sparse.csr_array(sparse.vstack([patterns.counts, rest[still]]))
    both = Patterns(counts, np.zeros(counts.shape[0], dtype=np.int64))
    slopes_with, slopes_without = _slopes(patterns, weights), _slopes(both, weights)
    times = patterns.times.astype(np.float64)
    value, slope = slopes_with(times)
    rank = np.full(panel.answers.n_annotators, -1)
    rank[list(people)] = np.arange(len(people))
    theirs = rank[panel.answers.annotator] >= 0
    places = (rank[panel.answers.annotator[theirs]], step[theirs])
    taken = sparse.csr_array((np.ones(len(places[0])), places), shape=(len(people), len(occurring)))
    taken.sum_duplicates()
    found = []
    for row in range(len(people)):
        stretch = slice(taken.indptr[row], taken.indptr[row + 1])
        cells, n = taken.indices[stretch], taken.data[stretch]
        left = times - np.bincount(before[cells], n, len(times))
        without = np.concatenate([left, np.zeros(int(still.sum()))])
        moved = after[cells]
        np.add.at(without, moved[moved >= 0], n[moved >= 0])
        value_without, slope_without = slopes_without(without)
        own = slope[before[cells]] - np.where(moved >= 0, slope_without[moved], 0.0)
        parts = np.concatenate([slope - slope_without[: len(times)], own])
        found.append(_change(value - value_without, parts, np.concatenate([left, n])))
    return found


def change_by_merging(panel: Panel, first: int, second: int) -> Change:
    """Nominal alpha with two labels as one, minus as they are."""
    patterns = panel.patterns
    one, other = (patterns.counts[:, [label]].toarray().ravel() for label in (first, second))
    apart = alpha_disagreement(patterns, None)
    together = apart - 2 * one * other / (patterns.n_votes - 1)

    def merged(totals: Floats) -> Floats:
        found = totals.copy()
        found[[first, second]] = totals[first] + totals[second]
        return found

    times = patterns.times.astype(np.float64)
    before, slope_before = _fixed(patterns, apart, lambda totals: totals)(times)
    after, slope_after = _fixed(patterns, together, merged)(times)
    return _change(after - before, slope_after - slope_before, times)


def _change(value: float, parts: Floats, times: Floats) -> Change:
    n = times.sum()
    if np.isnan(value):
        return Change(None, None, round(n))
    spread = parts - times @ parts / n
    se = float(np.sqrt(times @ spread**2 * n / (n - 1))) if n >= 2 else 0.0
    interval = with_t(value, se, round(n), PAIRED, lowest=-2.0) if se > TINY else None
    return Change(value, interval, round(n))


def _slopes(patterns: Patterns, weights: Floats | None) -> Slopes:
    if weights is None:
        return _ordinal(patterns)
    return _fixed(patterns, alpha_disagreement(patterns, weights), lambda totals: totals @ weights)


def _fixed(patterns: Patterns, disagreement: Floats, weighed: Callable[[Floats], Floats]) -> Slopes:
    """`weighed`: how many of all answers agree with each label."""
    counts, n_votes = patterns.counts, patterns.n_votes

    def of(times: Floats) -> tuple[float, Floats]:
        totals = times @ counts
        near = weighed(totals)
        n, observed = totals.sum(), times @ disagreement
        expected = n * n - totals @ near
        if expected <= TINY * n * n:
            return float("nan"), np.zeros(len(n_votes))
        ratio = (n - 1) * observed / expected
        wider = 2 * (n * n_votes - counts @ near)
        return float(1 - ratio), (ratio * wider - n_votes * observed - (n - 1) * disagreement) / expected

    return of


def _ordinal(patterns: Patterns) -> Slopes:
    counts, n_votes = patterns.counts, patterns.n_votes
    others, steps = n_votes - 1, rank_steps(counts.shape[1])

    def of(times: Floats) -> tuple[float, Floats]:
        totals = times @ counts
        ranks, n = totals @ steps, totals.sum()
        first, second = counts @ ranks, counts @ (ranks * ranks)
        within = (n_votes * second - first * first) / others
        observed = times @ within
        sum_1, sum_2 = totals @ ranks, totals @ (ranks * ranks)
        expected = n * sum_2 - sum_1**2
        if expected <= TINY * n**4:
            return float("nan"), np.zeros(len(n_votes))
        # An answer also moves the ranks, and with them all distances.
        by_rank = 2 * ranks * ((times * n_votes / others) @ counts) - 2 * ((times * first / others) @ counts)
        wider_by_rank = 2 * totals * (n * ranks - sum_1)
        more = within + counts @ (steps @ by_rank)
        wider = n_votes * sum_2 + n * second - 2 * sum_1 * first + counts @ (steps @ wider_by_rank)
        ratio = (n - 1) * observed / expected
        return float(1 - ratio), (ratio * wider - n_votes * observed - (n - 1) * more) / expected

    return of


def labels_without_each(panel: Panel, member: sparse.csr_array) -> Floats:
    """Each label's alpha against all others (a column) without each person (a row); NaN: not defined then.

    `member`: which of the labels (a column) a code of the answers (a row) stands for.
    """
    patterns, n_labels = panel.patterns, len(panel.answers.names)
    step, occurring = panel.steps
    before, code = occurring // n_labels, occurring % n_labels
    yes = sparse.csr_array(patterns.counts @ member)
    n_votes, times = patterns.n_votes, patterns.times.astype(np.float64)
    yes_after = sparse.csr_array(yes[before] - member[code])
    left = n_votes[before] - 1
    still = (left >= 2).astype(np.float64)
    differing = _differing(yes, n_votes)
    lost_yes = sparse.csr_array(_scaled(yes_after, still) - yes[before])
    lost = sparse.csr_array(_scaled(_differing(yes_after, left), still) - differing[before])
    shape = (panel.answers.n_annotators, len(occurring))
    taken = sparse.csr_array((np.ones(len(step)), (panel.answers.annotator, step)), shape=shape)
    total = (times @ n_votes + taken @ (still * left - n_votes[before]))[:, None]
    n_yes = times @ yes + (taken @ lost_yes).toarray()
    observed = times @ differing + (taken @ lost).toarray()
    expected = 2 * n_yes * (total - n_yes)
    ratio = np.divide((total - 1) * observed, expected, out=np.full_like(expected, np.nan), where=expected > 0.5)
    return np.asarray(1 - ratio)


def _differing(yes: sparse.csr_array, n_votes: Floats) -> sparse.csr_array:
    """Of `n_votes` answers of which some say yes: 2 yes (n - yes) / (n - 1), a row a pattern."""
    pairs = _scaled(yes, n_votes) - yes.multiply(yes)
    return _scaled(sparse.csr_array(pairs), 2 / np.maximum(n_votes - 1, 1))


def _scaled(rows: sparse.csr_array, by: Floats) -> sparse.csr_array:
    return sparse.csr_array(sparse.diags_array(by) @ rows)


def plurality_of_others(panel: Panel, steps: Ints) -> Ints:
    """For pairs of pattern and label (places in `panel.steps`) what most of the other answers say; -1: a tie."""
    rest = sparse.csr_array(panel.counts_of_others[steps])
    rest.eliminate_zeros()
    starts = rest.indptr[:-1]
    most = np.maximum.reduceat(rest.data, starts) if len(starts) else np.zeros(0)
    is_top = rest.data == np.repeat(most, np.diff(rest.indptr))
    n_top = np.add.reduceat(is_top, starts, dtype=np.int64) if len(starts) else np.zeros(0, dtype=np.int64)
    place = np.add.reduceat(np.where(is_top, rest.indices, 0), starts) if len(starts) else np.zeros(0, dtype=np.int64)
    return np.where(n_top == 1, place, -1)
