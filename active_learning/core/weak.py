"""Weak labels: what users of the answers say an item is, before a person has judged it, and how much that may weigh
beside the answers of people. Needs no numeric library: what users say comes in through the web process.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Beside a label that a person gave, which weighs 1: a weak one at most; all of a class together at most of it.
MAX_WEIGHT = 0.3
MAX_CLASS_SHARE = 0.3
# Of all that weak labels could weigh in a training: one subject, one network at most.
MAX_SUBJECT_SHARE = 0.01
MAX_NETWORK_SHARE = 0.05
# Less than this is not written into a data set.
_LEAST_WEIGHT = 1e-4


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
    of all that weak labels could weigh in this training; a label's weight is shared by its backers.
    """
    share = MAX_CLASS_SHARE / (1 - MAX_CLASS_SHARE)
    most = share * sum(gold.values())
    parts: list[list[tuple[str, str, float]]] = [
        [(subject, network, MAX_WEIGHT * max(0.0, 2 * one.certainty - 1) / len(one.backers))
         for subject, network in one.backers]
        for one in labels
    ]  # fmt: skip
    subjects = _factors(((subject, w) for own in parts for subject, _, w in own), lambda _: MAX_SUBJECT_SHARE * most)
    networks = _factors(
        ((network, w * subjects[subject]) for own in parts for subject, network, w in own if network),
        lambda _: MAX_NETWORK_SHARE * most,
    )
    weights = [sum(w * subjects[subject] * networks.get(network, 1.0) for subject, network, w in own) for own in parts]
    by_class = _factors(
        ((name, w) for one, weight in zip(labels, weights, strict=True) for value, w in one.rows(weight)
         for name in classes_of(value)),
        lambda name: share * gold.get(str(name), 0.0),
    )  # fmt: skip
    return [
        weight * min(by_class[name] for value, _ in one.rows(weight) for name in classes_of(value))
        for one, weight in zip(labels, weights, strict=True)
    ]


def classes_of(value: Any) -> tuple[str, ...]:
    """The labels that a value names; that none of them applies is a class as well, without a name."""
    return (tuple(map(str, value)) or ("",)) if isinstance(value, list | tuple) else (str(value),)


def _factors(weights: Iterable[tuple[Hashable, float]], cap: Callable[[Hashable], float]) -> dict[Hashable, float]:
    """What each group's weights are to be multiplied by, so that together they keep its cap."""
    sums: dict[Hashable, float] = defaultdict(float)
    for group, weight in weights:
        sums[group] += weight
    return {group: min(1.0, cap(group) / total) if total else 1.0 for group, total in sums.items()}


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
