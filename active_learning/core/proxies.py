"""Columns that stand for a group of people: whether what drives a model tells a protected segment.

The measure is Cramér's V with the correction of Bergsma (2013, Journal of the Korean Statistical Society 42): 0 when
column and segment have nothing to do with each other, 1 when one tells the other. Intervals are bootstrapped.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# With fewer items nothing is said; an association is told when its whole interval lies above a small one (Cohen 1988).
MIN_ITEMS = 50
TOLD_FROM = 0.1
MAX_GROUPS = 20
RESAMPLES = 300


@dataclass(frozen=True, slots=True)
class Association:
    """Cramér's V with its 95 % interval, from `n` items."""

    value: float
    low: float
    high: float
    n: int

    @property
    def is_told(self) -> bool:
        return self.low > TOLD_FROM


def cramers_v(table: NDArray[np.floating]) -> float | None:
    """The corrected V of a table of counts; None where one side has a single value, so nothing could differ."""
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    n, (r, k) = float(table.sum()), table.shape
    if r < 2 or k < 2 or n < 2:
        return None
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / n
    phi2 = float(((table - expected) ** 2 / expected).sum()) / n
    corrected = max(0.0, phi2 - (r - 1) * (k - 1) / (n - 1))
    rows, columns = r - (r - 1) ** 2 / (n - 1), k - (k - 1) ** 2 / (n - 1)
    least = min(rows, columns) - 1
    return min(1.0, float(np.sqrt(corrected / least))) if least > 0 else None


def association(
    values: Sequence[object], groups: Sequence[object], rng: np.random.Generator, resamples: int = RESAMPLES
) -> Association | None:
    """How far `values` tell the `groups` of the same items; None with too few items or a single value."""
    n = len(values)
    if n < MIN_ITEMS:
        return None
    first, second = _coded(values), _coded(groups)
    table = np.zeros((first.max() + 1, second.max() + 1))
    np.add.at(table, (first, second), 1)
    value = cramers_v(table)
    if value is None:
        return None
    drawn = rng.multinomial(n, (table / n).ravel(), size=resamples).reshape(resamples, *table.shape).astype(float)
    found = [one for one in map(cramers_v, drawn) if one is not None]
    low, high = np.quantile(found, [0.025, 0.975]) if found else (0.0, 1.0)
    return Association(value, min(value, float(low)), max(value, float(high)), n)


def _coded(values: Sequence[object]) -> NDArray[np.intp]:
    """Values as numbers; beyond MAX_GROUPS different ones the rarest are one."""
    names = [str(value) for value in values]
    place = {name: i for i, (name, _) in enumerate(Counter(names).most_common(MAX_GROUPS))}
    return np.array([place.get(name, MAX_GROUPS) for name in names], dtype=np.intp)


@dataclass(frozen=True, slots=True)
class Proxy:
    """The column at position `column` tells the protected segment `key`."""

    column: int
    key: str
    association: Association


def proxies(
    columns: Sequence[Sequence[object]], groups: Mapping[str, Sequence[object]], rng: np.random.Generator
) -> list[Proxy]:
    """The columns that surely have to do with a protected segment, closest first. `groups`: of each item, by key."""
    found = []
    for key, of_items in groups.items():
        for number, values in enumerate(columns):
            # What is too weak to be told needs no interval.
            quick = association(values, of_items, rng, resamples=0)
            if quick is not None and quick.value > TOLD_FROM:
                sure = association(values, of_items, rng)
                if sure is not None and sure.is_told:
                    found.append(Proxy(number, key, sure))
    return sorted(found, key=lambda proxy: -proxy.association.value)
