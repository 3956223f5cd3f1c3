"""How good the model is for each group of items, and whether groups that must not be treated worse are.

Groups come from what the owner stored beside the items (`meta`). Groups that are too small say nothing, and are not
shown: a number on three items would only mislead, and might tell of single people.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from active_learning.core.audit import MIN_GROUP, Z95
from labeling.core.shares import Share, wilson

# Keys with more groups name items rather than groups; so many keys are looked at.
MAX_GROUPS = 20
MAX_KEYS = 8
# Where an item does not say.
UNKNOWN = "(not given)"


@dataclass(frozen=True, slots=True)
class Ratio:
    """A group's rate over the reference group's, with its 95 % interval.

    `rate` and `n`: the group's own share and the cases behind it. The reference group itself is 1 by definition.
    """

    rate: float
    n: int
    value: float
    low: float
    high: float
    is_reference: bool = False

    @property
    def is_below(self) -> bool:
        """Below four fifths: a convention of the US Equal Employment Opportunity Commission (1978), not a law of
        statistics."""
        return self.value < 0.8

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"is_below": self.is_below, "is_surely_below": self.high < 0.8}


@dataclass(frozen=True, slots=True)
class Group:
    """One value of a key. `selected` compares how often the model said the favourable label, `found` how often it did
    where that was true; both None where they cannot be told, or nobody asked."""

    name: str
    n: int
    accuracy: Share | None
    selected: Ratio | None = None
    found: Ratio | None = None

    def to_json(self) -> dict[str, Any]:
        # The size of a small group is not told either.
        return {
            "group": self.name,
            "n": self.n if self.accuracy else None,
            "accuracy": asdict(self.accuracy) if self.accuracy else None,
            "disparate_impact": self.selected.to_json() if self.selected else None,
            "equal_opportunity": self.found.to_json() if self.found else None,
        }


def keys_of(metas: Sequence[Mapping[str, Any]], always: Sequence[str] = ()) -> list[str]:
    """The keys that tell groups apart: 2 to MAX_GROUPS short values, at least one of them with MIN_GROUP items.

    Those named in `always` are kept whatever their values, if any item has them. At most MAX_KEYS others.
    """
    counts: dict[str, Counter[str]] = {}
    for meta in metas:
        for key, value in meta.items():
            if (name := group_name(value)) is not None:
                counts.setdefault(key, Counter())[name] += 1
    found = []
    for key in sorted(counts):
        missing = len(metas) - counts[key].total()
        n_groups = len(counts[key]) + (missing > 0)
        if 2 <= n_groups <= MAX_GROUPS and max(counts[key].most_common(1)[0][1], missing) >= MIN_GROUP:
            found.append(key)
    wanted = [key for key in always if key in counts]
    return wanted + [key for key in found if key not in wanted][:MAX_KEYS]


def group_name(value: object) -> str | None:
    """The name of the group that a value of meta puts an item in; None where it names none."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str) and len(value) <= 60 and value.strip():
        return value
    return str(value) if isinstance(value, int) else None


def groups_of(keys: Sequence[str], metas: Sequence[Mapping[str, Any]]) -> dict[str, list[int]]:
    """The places of the items in each group of these keys, by "key: group"; at most MAX_GROUPS of a key."""
    found: dict[str, list[int]] = {}
    for key in keys:
        names = [group_name(meta.get(key)) or UNKNOWN for meta in metas]
        for name, _ in Counter(names).most_common(MAX_GROUPS):
            found[f"{key}: {name}"] = [place for place, one in enumerate(names) if one == name]
    return found


def segment(
    key: str,
    metas: Sequence[Mapping[str, Any]],
    right: NDArray[np.bool_],
    favourable: tuple[NDArray[np.bool_], NDArray[np.bool_]] | None = None,
) -> list[Group]:
    """The groups of a key, largest first, at most MAX_GROUPS of them; numbers only for those with MIN_GROUP items.

    `favourable`: of each item, whether the favourable label is true, and whether the model said it. Then the groups are
    compared with the one that has the highest rate, as the four-fifths convention asks: the rate of saying it
    (disparate impact), and of saying it where it is true (equal opportunity; Hardt, Price and Srebro 2016).
    """
    names = np.array([group_name(meta.get(key)) or UNKNOWN for meta in metas], dtype=object)
    largest = Counter(names.tolist()).most_common(MAX_GROUPS)
    masks = {name: names == name for name, _ in largest}
    selected: dict[str, Ratio] = {}
    found: dict[str, Ratio] = {}
    if favourable is not None:
        is_true, is_said = favourable
        selected = _ratios({name: (is_said & mask, mask) for name, mask in masks.items()})
        found = _ratios({name: (is_said & is_true & mask, is_true & mask) for name, mask in masks.items()})
    return [
        Group(
            name,
            n,
            wilson(int(right[masks[name]].sum()), n) if n >= MIN_GROUP else None,
            selected.get(name),
            found.get(name),
        )
        for name, n in largest
    ]


def _ratios(cases: Mapping[str, tuple[NDArray[np.bool_], NDArray[np.bool_]]]) -> dict[str, Ratio]:
    """Each group's rate against the highest one. Nothing with fewer than two groups that are large enough, or when no
    group ever has it."""
    counts = {
        name: (int(hits.sum()), int(among.sum())) for name, (hits, among) in cases.items() if among.sum() >= MIN_GROUP
    }
    if len(counts) < 2:
        return {}
    reference = max(counts, key=lambda name: (counts[name][0] / counts[name][1], counts[name][1]))
    if not counts[reference][0]:
        return {}
    return {name: ratio_of(*counts[name], *counts[reference], is_same=name == reference) for name in counts}


def ratio_of(hits: int, n: int, reference_hits: int, reference_n: int, *, is_same: bool = False) -> Ratio:
    """One rate over another, with Katz's interval (1978) on the logarithm, half a case added to each count (Walter
    1975) so that no rate of 0 breaks it. The reference group itself is 1, without doubt."""
    rate, reference = hits / n, reference_hits / reference_n
    if is_same:
        return Ratio(rate, n, 1.0, 1.0, 1.0, is_reference=True)
    value = rate / reference
    middle = math.log((hits + 0.5) / (n + 0.5) / ((reference_hits + 0.5) / (reference_n + 0.5)))
    spread = 1 / (hits + 0.5) - 1 / (n + 0.5) + 1 / (reference_hits + 0.5) - 1 / (reference_n + 0.5)
    half = Z95 * math.sqrt(spread)
    return Ratio(rate, n, value, min(value, math.exp(middle - half)), max(value, math.exp(middle + half)))
