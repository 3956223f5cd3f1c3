"""How much two different answers agree: a symmetric matrix of weights, 1 on the diagonal and 0 for nothing in common.

Gwet (2014), Handbook of Inter-Rater Reliability, 4th edition, chapter 3; for sets of labels Jaccard (1901) and MASI
(Passonneau 2006, LREC). Krippendorff's own ordinal distance depends on how often each label was used: see
`coefficients.rank_distances`; it is not Gwet's "ordinal" weighting, and the two alphas differ on the same data.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from labeling.core.agreement.answers import Floats

Scale = Literal["nominal", "ordinal", "interval", "ratio"]


def weights_of(scale: Scale, values: Floats) -> Floats:
    """Gwet's weights for labels with these numeric values, given in their order."""
    if scale == "nominal":
        return np.eye(len(values))
    if scale == "ordinal":
        return ordinal(len(values))
    return quadratic(values) if scale == "interval" else ratio(values)


def linear(values: Floats) -> Floats:
    return 1.0 - _shrunk(np.abs(values[:, None] - values))


def quadratic(values: Floats) -> Floats:
    return 1.0 - _shrunk((values[:, None] - values) ** 2)


def ratio(values: Floats) -> Floats:
    """Differences in proportion to the size; of zero and zero there is none. For values of one sign."""
    total = values[:, None] + values
    share = np.divide(values[:, None] - values, total, out=np.zeros_like(total), where=total != 0)
    return 1.0 - _shrunk(share**2)


def ordinal(n: int) -> Floats:
    """By how many pairs of labels lie within the stretch from the one to the other."""
    place = np.arange(n)
    length = np.abs(place[:, None] - place) + 1
    return 1.0 - _shrunk(length * (length - 1) / 2.0)


def jaccard(sets: Sequence[frozenset[int]], n_labels: int) -> Floats:
    """Shared labels over all labels of the two sets; two empty sets are the same."""
    member = _members(sets, n_labels)
    shared = member @ member.T
    size = member.sum(axis=1)
    union = size[:, None] + size - shared
    return np.divide(shared, union, out=np.ones_like(shared), where=union > 0)


def masi(sets: Sequence[frozenset[int]], n_labels: int) -> Floats:
    """Jaccard's share times 1 for equal sets, 2/3 when one holds the other, 1/3 when they overlap, else 0."""
    member = _members(sets, n_labels)
    shared = member @ member.T
    size = member.sum(axis=1)
    smaller, larger = np.minimum(size[:, None], size), np.maximum(size[:, None], size)
    kind = np.where(shared > 0, 1 / 3, 0.0)
    kind = np.where((shared == smaller) & (shared > 0), 2 / 3, kind)
    kind = np.where((shared == larger) & (smaller == larger), 1.0, kind)
    return jaccard(sets, n_labels) * kind


def _members(sets: Sequence[frozenset[int]], n_labels: int) -> Floats:
    member = np.zeros((len(sets), n_labels))
    for row, labels in enumerate(sets):
        member[row, list(labels)] = 1.0
    return member


def _shrunk(distance: Floats) -> Floats:
    largest = distance.max(initial=0.0)
    return distance / largest if largest > 0 else distance
