"""A coefficient with what is known about it: two intervals, standard error, what it rests on, or why it is undefined.

*This team*: the same people, other items. Items are drawn anew (Efron and Tibshirani 1993, percentiles of 1,000
bootstrap samples); for fewer than `FEW_ITEMS` items and for very many patterns it is Gwet's standard error with
Student's t. *Other people like them*: other items and other people. To the variance over items it adds that over
people, found by leaving out one after the other (the jackknife; Efron and Stein 1981), with Student's t for their
number. It is the wider one, and the right one for "would another team agree as well?": simulated teams of 4 to 100
people, of differing skill, had the value of all such people in it 92 to 98 times of 100, where the two-way bootstrap,
which draws people and items anew, had it 81 to 98 times and the interval for this team 32 to 78 times.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse
from scipy.special import stdtrit

from labeling.core.agreement.answers import Answers, Floats, Ints, Patterns, count_patterns
from labeling.core.agreement.coefficients import (
    Method,
    by_chance,
    rank_distances,
    standard_error,
    values,
)
from labeling.core.shares import Share

N_REPLICATES = 1_000
FEW_ITEMS = 10
MANY_PATTERNS = 5_000
NO_OVERLAP = "no item has two answers"


@dataclass(frozen=True, slots=True)
class Interval:
    """95 % limits and how they were made."""

    low: float
    high: float
    method: str


@dataclass(frozen=True, slots=True)
class Basis:
    """What a coefficient rests on: items with two answers or more, the answers they have, the people who gave them."""

    items: int
    labels: int
    annotators: int


@dataclass(frozen=True, slots=True)
class Coefficient:
    """`value` is None when it is not defined, and `reason` says why; else `reason` is empty.

    An interval is None when it cannot be had: one item, items that all disagree alike, or, for `others_like_them`,
    fewer than three people or none who could be left out.
    """

    title: str
    value: float | None
    se: float | None
    this_team: Interval | None
    others_like_them: Interval | None
    n: Basis
    reason: str = ""

    def n_more_items(self, half_width: float = 0.05) -> int | None:
        """How many more items answered twice narrow `this_team` to about plus or minus `half_width`; None: unknown.

        Widths shrink with the square root of the items, so n * (width now / width wanted)^2 are needed in all.
        """
        if self.value is None or self.this_team is None:
            return None
        half = (self.this_team.high - self.this_team.low) / 2
        return max(0, math.ceil(self.n.items * ((half / half_width) ** 2 - 1)))


@dataclass(frozen=True)
class Panel:
    """The answers that can agree (items with two or more, one a person), counted. Everything is measured on it."""

    answers: Answers
    patterns: Patterns
    place: Ints

    @classmethod
    def of(cls, answers: Answers) -> "Panel":
        """Leaves out items with fewer than two answers; of a person's several answers to an item the last counts."""
        kept = answers.without_repeats().several()
        return cls(kept, *count_patterns(kept))

    @cached_property
    def n(self) -> Basis:
        people = np.count_nonzero(np.bincount(self.answers.annotator)) if len(self.answers) else 0
        return Basis(int(self.patterns.times.sum()), len(self.answers), int(people))

    @cached_property
    def totals(self) -> Floats:
        """How often each label was given."""
        return np.bincount(self.answers.label, minlength=len(self.answers.names)).astype(np.float64)

    @property
    def reason(self) -> str:
        """Why nothing that corrects for chance is defined; empty when it is."""
        return why_undefined(self.totals, self.answers.names)

    @cached_property
    def steps(self) -> tuple[Ints, Ints]:
        """Pairs of pattern and label that occur, coded as pattern * labels + label, and each answer's place there."""
        code = self.place[self.answers.item] * len(self.answers.names) + self.answers.label
        n_codes = len(self.patterns) * len(self.answers.names)
        if n_codes > 4 * len(code):
            occurring, step = np.unique(code, return_inverse=True)
            return step, occurring
        occurs = np.bincount(code, minlength=n_codes) > 0
        return (np.cumsum(occurs) - 1)[code], np.flatnonzero(occurs)

    @cached_property
    def counts_of_others(self) -> sparse.csr_array:
        """For each of `steps` the vote counts that are left without the answer."""
        n_labels, occurring = len(self.answers.names), self.steps[1]
        before, label = occurring // n_labels, occurring % n_labels
        gone = sparse.csr_array((np.ones(len(label)), (np.arange(len(label)), label)), shape=(len(label), n_labels))
        return sparse.csr_array(self.patterns.counts[before] - gone)

    @cached_property
    def without_each(self) -> tuple[Patterns, sparse.csr_array]:
        """Patterns, and for each person the change of the histogram over them when that person's answers are gone."""
        n_patterns = len(self.patterns)
        step, occurring = self.steps
        counts = sparse.csr_array(sparse.vstack([self.patterns.counts, self.counts_of_others]))
        times = np.concatenate([self.patterns.times, np.zeros(len(occurring), dtype=np.int64)])
        who = np.concatenate([self.answers.annotator, self.answers.annotator])
        column = np.concatenate([self.place[self.answers.item], n_patterns + step])
        change = np.repeat([-1.0, 1.0], len(self.answers))
        shape = (self.answers.n_annotators, len(times))
        changes = sparse.csr_array((change, (who, column)), shape=shape)
        both = Patterns(counts, times)
        several = both.n_votes >= 2
        return both.where(several), sparse.csr_array(changes[:, several])


def why_undefined(totals: Floats, names: tuple[str, ...]) -> str:
    chosen = np.flatnonzero(totals)
    if len(chosen) == 0:
        return NO_OVERLAP
    return f"everyone chose {names[chosen[0]]}" if len(chosen) == 1 else ""


def draw(patterns: Patterns, rng: np.random.Generator) -> Floats | None:
    """Histograms of bootstrap samples of the items; None where Gwet's standard error serves better."""
    n = int(patterns.times.sum())
    if n < FEW_ITEMS or len(patterns) > MANY_PATTERNS:
        return None
    return rng.multinomial(n, patterns.times / n, size=N_REPLICATES).astype(np.float64)


def measure(
    patterns: Patterns,
    n: Basis,
    title: str,
    method: Method,
    weights: Floats | None,
    *,
    reason: str,
    draws: Floats | None = None,
    panel: Panel | None = None,
) -> Coefficient:
    """The coefficient of these patterns, all with two answers or more; `weights` None: Krippendorff's ordinal alpha.

    `reason` is why chance-corrected coefficients are undefined here. With `draws` the team's interval is the
    bootstrap's, with `panel` there is one for other people.
    """
    if n.items == 0 or (reason and method != "percent"):
        return Coefficient(title, None, None, None, None, n, reason or NO_OVERLAP)
    of = values(patterns, method, weights)
    value = float(of(patterns.times[None].astype(np.float64))[0])
    totals = patterns.times @ patterns.counts
    fixed = weights if weights is not None else 1 - _to_one(rank_distances(totals))
    se = standard_error(patterns, method, fixed)
    if value >= 1 - 1e-12:
        return Coefficient(title, 1.0, se, unseen(n.items, method, totals), None, n)
    if se is not None and se < 1e-12:
        # All items disagree alike: nothing varies from which to tell how sure this is.
        return Coefficient(title, value, se, None, None, n)
    team = _bootstrapped(of(draws)) if draws is not None else with_t(value, se, n.items, "Gwet's standard error, t")
    others = _others(panel, value, se, method, weights) if panel else None
    return Coefficient(title, value, se, team, others, n)


def unseen(n: int, method: Method, totals: Floats) -> Interval:
    """The interval of full agreement on `n` items: a share of disagreeing ones that none among `n` leaves possible.

    Clopper and Pearson (1934). Of answers that differ each is taken to differ as far as two different answers do on
    average. `totals`: how often each label was given.
    """
    room = 1.0
    if method != "percent":
        shares = (totals / totals.sum())[None]
        room -= float(by_chance(shares, "fleiss" if method == "alpha" else method, np.eye(len(totals)))[0])
    return Interval(max(-1.0, 1 - (1 - 0.025 ** (1 / n)) / room), 1.0, "no disagreement seen: exact limit of its share")


def _to_one(distances: Floats) -> Floats:
    return distances / max(distances.max(initial=0.0), 1e-300)


def _bootstrapped(found: Floats) -> Interval | None:
    defined = found[~np.isnan(found)]
    if len(defined) < N_REPLICATES / 2:
        return None
    low, high = np.quantile(defined, [0.025, 0.975])
    return Interval(float(low), float(high), "bootstrap of items")


def with_t(value: float, se: float | None, n: int, method: str, lowest: float = -1.0) -> Interval | None:
    """Student's interval, cut at `lowest` and 1; None without a standard error."""
    if se is None or n < 2:
        return None
    half = float(stdtrit(n - 1, 0.975)) * se
    return Interval(max(lowest, value - half), min(1.0, value + half), method)


def without_each(panel: Panel, method: Method, weights: Floats | None) -> Floats:
    """The coefficient without each person's answers; NaN where it is not defined then."""
    patterns, changes = panel.without_each
    of = values(patterns, method, weights)
    step = max(1, 2_000_000 // max(1, len(patterns)))
    blocks = range(0, changes.shape[0], step)
    return np.concatenate([of(changes[s : s + step].toarray() + patterns.times) for s in blocks] or [np.zeros(0)])


def _others(panel: Panel, value: float, se: float | None, method: Method, weights: Floats | None) -> Interval | None:
    answered = np.bincount(panel.answers.annotator) > 0
    return jackknifed(without_each(panel, method, weights)[answered], value, se)


def jackknifed(left: Floats, value: float, se: float | None) -> Interval | None:
    """The interval for other people; `left`: the coefficient without each person. None unless all are defined."""
    n = len(left)
    if se is None or n < 3 or np.isnan(left).any():
        return None
    variance = (n - 1) / n * float(((left - left.mean()) ** 2).sum())
    return with_t(value, math.sqrt(se * se + variance), n, "items, and people left out in turn, t")


def of_share(share: Share | None) -> Interval | None:
    """The interval of a share as that of any other number."""
    return None if share is None else Interval(share.low, share.high, "Wilson")
