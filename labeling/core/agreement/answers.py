"""Who said what of which item, and the same counted: how many items got which votes.

Every coefficient of this package but Conger's depends on the answers only through each item's vote counts. Items with
equal counts are one *pattern*: a million items with three answers among five labels are 35 patterns, and drawing a
thousand bootstrap samples of them is drawing a thousand histograms of 35 numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Answers:
    """Answers of several people: three arrays of equal length, one entry an answer.

    `item` and `annotator` number items and people from 0 without large gaps; `label` is a position in `names`, the
    labels that could be chosen, in their order. An answer that was not given is no entry. `scale` are the labels'
    numeric values; without it the labels stand 1, 2, 3, ... apart.

    Raises ValueError for arrays of different lengths, negative numbers and labels that `names` does not have.
    """

    item: Ints
    annotator: Ints
    label: Ints
    names: tuple[str, ...]
    scale: Floats = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        for name in ("item", "annotator", "label"):
            array = np.asarray(getattr(self, name))
            object.__setattr__(self, name, array.astype(np.int64, copy=False))
            if array.ndim != 1 or len(array) != len(self.item):
                raise ValueError("items, annotators and labels are one-dimensional and of equal length")
            if array.size and int(array.min()) < 0:
                raise ValueError(f"a negative {name}")
        if self.label.size and int(self.label.max()) >= len(self.names):
            raise ValueError(f"label {int(self.label.max())} of {len(self.names)}")
        scale = np.asarray(self.scale, dtype=np.float64)
        object.__setattr__(self, "scale", scale if scale.size else np.arange(1.0, len(self.names) + 1))
        if self.scale.shape != (len(self.names),):
            raise ValueError("one scale value for each label")

    def __len__(self) -> int:
        return len(self.item)

    @cached_property
    def n_items(self) -> int:
        """One more than the highest item number."""
        return int(self.item.max()) + 1 if len(self) else 0

    @cached_property
    def n_annotators(self) -> int:
        """One more than the highest annotator number."""
        return int(self.annotator.max()) + 1 if len(self) else 0

    @cached_property
    def n_of_item(self) -> Ints:
        """How many answers each item has."""
        return np.bincount(self.item, minlength=self.n_items)

    def where(self, keep: NDArray[np.bool_] | Ints) -> "Answers":
        """Some of the answers, under the same numbers."""
        return Answers(self.item[keep], self.annotator[keep], self.label[keep], self.names, self.scale)

    def several(self) -> "Answers":
        """The answers of items that have two or more: the only ones that can agree."""
        return self.where(self.n_of_item[self.item] >= 2)

    @cached_property
    def last_places(self) -> Ints:
        """Where each person's last answer to each item stands, in the order they came."""
        pair = self.item * max(1, self.n_annotators) + self.annotator
        _, last = np.unique(pair[::-1], return_index=True)
        return np.sort(len(self) - 1 - last)

    def without_repeats(self) -> "Answers":
        """One answer a person and item, the last one given."""
        return self if len(self.last_places) == len(self) else self.where(self.last_places)


@dataclass(frozen=True)
class Patterns:
    """Vote counts that occur (`counts`, a sparse row for each) and how many items show them (`times`)."""

    counts: sparse.csr_array
    times: Ints

    @cached_property
    def n_votes(self) -> Floats:
        """Answers of one item, pattern by pattern."""
        return np.asarray(self.counts.sum(axis=1), dtype=np.float64).ravel()

    def __len__(self) -> int:
        return len(self.times)

    def where(self, keep: NDArray[np.bool_]) -> "Patterns":
        return Patterns(self.counts[keep], self.times[keep])

    def several(self) -> "Patterns":
        """Those of items with two or more answers."""
        return self.where(self.n_votes >= 2)


def count_patterns(answers: Answers) -> tuple[Patterns, Ints]:
    """The patterns of the answers and each item's place among them (-1: no answers).

    Items are compared by two sums of 40-bit random numbers, one number a label: equal counts have equal sums, and
    among a million different counts the chance of any mix-up is below one in a million.
    """
    n_labels = len(answers.names)
    marks = np.random.default_rng(20_240_229).integers(1, 1 << 40, size=(2, max(1, n_labels))).astype(np.float64)
    sums = [np.bincount(answers.item, row[answers.label], answers.n_items).astype(np.uint64) for row in marks]
    key = sums[0] * np.uint64(0x9E3779B97F4A7C15) + sums[1]
    answered = np.flatnonzero(answers.n_of_item)
    _, first, place, times = np.unique(key[answered], return_index=True, return_inverse=True, return_counts=True)
    place_of_item = np.full(answers.n_items, -1, dtype=np.int64)
    place_of_item[answered] = place
    example = np.full(answers.n_items, -1, dtype=np.int64)
    example[answered[first]] = np.arange(len(first))
    row = example[answers.item]
    shown = row >= 0
    ones = np.ones(int(shown.sum()))
    counts = sparse.csr_array((ones, (row[shown], answers.label[shown])), shape=(len(first), n_labels))
    counts.sum_duplicates()
    return Patterns(counts, times.astype(np.int64)), place_of_item


def named(labels: Sequence[object]) -> tuple[str, ...]:
    return tuple(str(label) for label in labels)


def stretches(sorted_values: Ints) -> list[tuple[int, int]]:
    """Where each run of equal values starts and stops."""
    borders = np.flatnonzero(np.diff(sorted_values)) + 1
    edges = [0, *borders.tolist(), len(sorted_values)]
    return [(a, b) for a, b in pairwise(edges) if b > a]
