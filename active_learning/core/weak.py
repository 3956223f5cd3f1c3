"""Weak labels: what users of the answers say an item is, before a person has judged it, and how much that may weigh
beside the answers of people. Needs no numeric library: what users say comes in through the web process.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Beside a label that a person gave, which weighs 1: a weak one at most; all of a class together at most of it.
MAX_WEIGHT = 0.3
MAX_CLASS_SHARE = 0.3
# Of all that weak labels weigh in a training: one subject, one network at most.
MAX_SUBJECT_SHARE = 0.01
MAX_NETWORK_SHARE = 0.05
# Fewer than a hundred subjects cannot weigh a hundredth each of what all of them weigh: among few, so many even shares.
TIMES_EVEN = 3
_MAX_ROUNDS, _SETTLED = 50, 1e-6
# Less than this is not written into a data set.
_LEAST_WEIGHT = 1e-4


# Of one label: its subjects, their networks, and what each weighs.
_Parts = list[tuple[str, str, float]]


@dataclass(frozen=True, slots=True)
class WeakLabel:
    """`value`, and how likely it is right; `other` is what the item is if not, where only one thing is left.

    `backers` are the subjects who say so, each with the network they came from (empty where that is not known).
    """

    value: Any
    certainty: float
    backers: tuple[tuple[str, str], ...]
    other: Any = None

    def rows(self, weight: float) -> list[tuple[Any, float]]:
        """The label as rows of a training set: one, or of two classes both, each weighing as much as it is likely."""
        if self.other is None:
            return [(self.value, weight)]
        return [(self.value, weight * self.certainty), (self.other, weight * (1 - self.certainty))]


def weights_of(labels: Sequence[WeakLabel], gold: Mapping[str, float]) -> list[float]:
    """What each weak label may weigh beside the weight that people gave each class.

    Each: MAX_WEIGHT times how far its certainty is above chance. All of a class: MAX_CLASS_SHARE of its total weight at
    most, so nothing for a class that no person has named. One subject: MAX_SUBJECT_SHARE, one network MAX_NETWORK_SHARE
    of all that weak labels weigh, where there are enough of them that it can be kept, else TIMES_EVEN an even share;
    and never more than that share of what they could weigh. A label's weight is shared by its backers.
    """
    share = MAX_CLASS_SHARE / (1 - MAX_CLASS_SHARE)
    most = share * sum(gold.values())
    parts: list[_Parts] = [
        [(subject, network, MAX_WEIGHT * max(0.0, 2 * one.certainty - 1) / len(one.backers))
         for subject, network in one.backers]
        for one in labels
    ]  # fmt: skip
    # Each step only takes away, and may leave somebody with more than their share of what is left: until none does.
    for _ in range(_MAX_ROUNDS):
        before = _total(parts)
        parts = _capped(parts, lambda subject, _: subject, MAX_SUBJECT_SHARE, most)
        parts = _capped(parts, lambda _, network: network, MAX_NETWORK_SHARE, most)
        parts = _within_classes(parts, labels, lambda name: share * gold.get(name, 0.0))
        if _total(parts) >= before * (1 - _SETTLED):
            break
    return [sum(weight for _, _, weight in own) for own in parts]


def _total(parts: Iterable[_Parts]) -> float:
    return sum(weight for own in parts for _, _, weight in own)


def _capped(parts: Sequence[_Parts], name_of: Callable[[str, str], str], share: float, most: float) -> list[_Parts]:
    """The weights after the cap of each subject or network (`name_of`); whose network is not known has none."""
    sums: dict[str, float] = defaultdict(float)
    for own in parts:
        for who, network, weight in own:
            sums[name_of(who, network)] += weight
    free = sums.pop("", 0.0)
    level = min(share * most, _level(sorted(filter(None, sums.values()), reverse=True), free, share))
    factor = {name: min(1.0, level / total) if total else 1.0 for name, total in sums.items()}
    return [
        [(who, network, weight * factor.get(name_of(who, network), 1.0)) for who, network, weight in own]
        for own in parts
    ]


def _level(sums: Sequence[float], free: float, share: float) -> float:
    """What each of these, the largest first, may weigh so that none has more than its share of the whole that is left;
    `free` is what weighs beside them."""
    share = max(share, TIMES_EVEN / len(sums)) if sums else 1.0
    rest = free + sum(sums)
    for n, weight in enumerate(sums):
        if n * share >= 1:
            break
        level = share * rest / (1 - n * share)  # those before are cut to it
        if weight <= level:
            return level
        rest -= weight
    return math.inf if share >= 1 else 0.0


def _within_classes(parts: Sequence[_Parts], labels: Sequence[WeakLabel], cap: Callable[[str], float]) -> list[_Parts]:
    rows = [
        [(name, row) for value, row in one.rows(sum(weight for *_, weight in own)) for name in classes_of(value)]
        for one, own in zip(labels, parts, strict=True)
    ]
    sums: dict[str, float] = defaultdict(float)
    for of_label in rows:
        for name, row in of_label:
            sums[name] += row
    factor = {name: min(1.0, cap(name) / total) if total else 1.0 for name, total in sums.items()}
    least = [min(factor[name] for name, _ in of_label) for of_label in rows]
    return [[(who, network, weight * less) for who, network, weight in own]
            for own, less in zip(parts, least, strict=True)]  # fmt: skip


def classes_of(value: Any) -> tuple[str, ...]:
    """The labels that a value names; that none of them applies is a class as well, without a name."""
    return (tuple(map(str, value)) or ("",)) if isinstance(value, list | tuple) else (str(value),)


@dataclass(frozen=True, slots=True)
class WeakRows:
    """Rows of a training set that come of weak labels: ids of items (one may stand in two), values, weights."""

    ids: tuple[int, ...] = ()
    values: tuple[Any, ...] = ()
    weights: tuple[float, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)


def rows_of(labels: Mapping[int, WeakLabel], gold: Mapping[str, float]) -> WeakRows:
    """The labels of these items as rows, in order of the items; what weighs next to nothing is left out."""
    ids = sorted(labels)
    weights = weights_of([labels[pk] for pk in ids], gold)
    rows = [
        (pk, value, round(own, 6))
        for pk, weight in zip(ids, weights, strict=True)
        for value, own in labels[pk].rows(weight)
        if own >= _LEAST_WEIGHT
    ]
    return WeakRows(*(tuple(column) for column in zip(*rows, strict=True))) if rows else WeakRows()
