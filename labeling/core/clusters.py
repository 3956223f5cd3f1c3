"""What answers say that come in clusters: several of one person, several to one item.

Two groups of answers are compared, those to whom something was shown and those from whom chance hid it. Answers of one
person are alike, and so are answers to one item; taken one by one they would seem to say more than they do.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from labeling.core.agreement.answers import Floats, Ints
from labeling.core.influence import Difference, difference
from labeling.core.shares import Share, wilson

# With fewer people intervals speak of these people only. Simulated teams of 5 to 25 people who differ in how they
# answer and in what showing does to them had the difference among all such people in it 94 to 99 times of 100.
LEAST_PEOPLE = 5
N_REPLICATES = 400
# Replicates times answers: some seconds of work.
MOST_DRAWN = 60_000_000
SEED = 20_260_101


@dataclass(frozen=True, slots=True)
class Grouped:
    """Who gave each answer, to which item, and whether it was given with the thing shown."""

    person: Ints
    item: Ints
    is_shown: NDArray[np.bool_]

    @property
    def n_people(self) -> int:
        return len(np.unique(self.person))

    @property
    def speaks_of_others(self) -> bool:
        """Whether intervals hold for other people like these, and not only for these on other items."""
        groups = (self.is_shown, ~self.is_shown)
        return all(len(np.unique(self.person[group])) >= LEAST_PEOPLE for group in groups)

    def where(self, keep: NDArray[np.bool_]) -> "Grouped":
        return Grouped(self.person[keep], self.item[keep], self.is_shown[keep])


@dataclass(frozen=True, slots=True)
class ComparedShares:
    shown: Share
    hidden: Share
    change: Difference


def compare_shares(is_so: NDArray[np.bool_], grouped: Grouped) -> ComparedShares | None:
    """Of how many answers something is so, shown and hidden, and the difference; None without either.

    Wilson's and Newcombe's intervals of so many answers as say as much one by one. How many fewer that are is Kish's
    design effect (1965): the variance with clusters of people and of items (Cameron, Gelbach and Miller 2011, Journal
    of Business & Economic Statistics 29) over that without, and never below 1.
    """
    shown, hidden = is_so[grouped.is_shown], is_so[~grouped.is_shown]
    counts = [(int(group.sum()), len(group)) for group in (shown, hidden)]
    parts = np.zeros((2, len(is_so)))
    plain, effects = [], []
    for place, (group, (k, n)) in enumerate(zip((grouped.is_shown, ~grouped.is_shown), counts, strict=True)):
        if n == 0:
            return None
        parts[place, group] = (is_so[group] - k / n) / n
        plain.append(k / n * (1 - k / n) / n)
        effects.append(_effect(parts[place, group], plain[place], grouped, group))
    of_both = _effect(parts[0] - parts[1], sum(plain), grouped, np.ones(len(is_so), dtype=bool))
    first, second = (wilson(k, n, effect) for (k, n), effect in zip(counts, effects, strict=True))
    fewer = [wilson(k, n, of_both) for k, n in counts]
    assert first and second and fewer[0] and fewer[1]  # there are answers of both
    return ComparedShares(first, second, difference(fewer[0], fewer[1]))


def _effect(parts: Floats, plain: float, grouped: Grouped, group: NDArray[np.bool_]) -> float:
    """How many times the variance is what it would be one by one; the sum of `parts` is what varies."""
    by_item, n = _between(parts, grouped.item[group])
    variance = by_item
    if grouped.speaks_of_others:
        by_person, n = _between(parts, grouped.person[group])
        variance = _two_way(by_person, by_item, float(parts @ parts))
    wider = (_t(n) / _t(len(parts))) ** 2
    return max(1.0, wider * variance / plain) if plain > 0 else wider


def _two_way(by_person: float, by_item: float, by_answer: float) -> float:
    # What varies from answer to answer is in both.
    return max(by_person, by_item, by_person + by_item - by_answer)


def _t(n_clusters: int) -> float:
    return float(stdtrit(max(1, n_clusters - 1), 0.975))


def _between(parts: Floats, cluster: Ints) -> tuple[float, int]:
    """The variance of the sum of `parts` from cluster to cluster, and how many clusters there are."""
    names, place = np.unique(cluster, return_inverse=True)
    n = len(names)
    sums = np.bincount(place, parts, n)
    return (float(sums @ sums) * n / (n - 1) if n > 1 else 0.0), n


@dataclass(frozen=True, slots=True)
class Estimate:
    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class ComparedMedians:
    shown: Estimate
    hidden: Estimate
    change: Estimate


def compare_medians(values: Floats, grouped: Grouped) -> ComparedMedians | None:
    """The medians of times that are known (not NaN), shown and hidden, and their difference; None without either.

    The variances come from bootstraps in which each person, each item or each answer has a random weight (Rubin 1981,
    Annals of Statistics 9), and are put together as those of shares are.
    """
    order = np.argsort(values, kind="stable")
    order = order[~np.isnan(values[order])]
    values = values[order]
    grouped = Grouped(grouped.person[order], grouped.item[order], grouped.is_shown[order])
    groups = [np.flatnonzero(group) for group in (grouped.is_shown, ~grouped.is_shown)]
    if not all(len(group) for group in groups):
        return None
    by_item = _variances(values, groups, grouped.item)
    variances, n = by_item, len(np.unique(grouped.item))
    if grouped.speaks_of_others:
        by_person, n = _variances(values, groups, grouped.person), grouped.n_people
        by_answer = _variances(values, groups, np.arange(len(values)))
        variances = [_two_way(*three) for three in zip(by_person, by_item, by_answer, strict=True)]
    first, second = (float(np.median(values[group])) for group in groups)
    shown, hidden, apart = (_t(n) * variance**0.5 for variance in variances)
    return ComparedMedians(
        Estimate(first, max(0.0, first - shown), first + shown, len(groups[0])),
        Estimate(second, max(0.0, second - hidden), second + hidden, len(groups[1])),
        Estimate(first - second, first - second - apart, first - second + apart, len(values)),
    )


def _variances(values: Floats, groups: list[Ints], cluster: Ints) -> list[float]:
    """Of the two medians of sorted values and of their difference, when clusters weigh more or less by chance."""
    rng = np.random.default_rng(SEED)
    names, place = np.unique(cluster, return_inverse=True)
    n_replicates = max(100, min(N_REPLICATES, MOST_DRAWN // len(values)))
    drawn = np.zeros((2, n_replicates))
    for replicate in range(n_replicates):
        weight = rng.standard_exponential(len(names))[place]
        for row, group in enumerate(groups):
            reached = np.cumsum(weight[group])
            drawn[row, replicate] = values[group[np.searchsorted(reached, reached[-1] / 2)]]
    n = len(names)
    scale = n / (n - 1) if n > 1 else 0.0
    return [float(scale * sample.var(ddof=1)) for sample in (drawn[0], drawn[1], drawn[0] - drawn[1])]
