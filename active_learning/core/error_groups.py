"""Where a model errs: its mistakes in groups, each with its share of all mistakes, and how sure that is.

Two kinds of cases are told apart throughout. Audit items were drawn at random: their rates are estimates of the truth.
Labeled items of the pool were picked, mostly because a model was torn: of them there are counts, and never a rate.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control, fisher_exact

from active_learning.core.audit import MIN_AUDITED, MIN_GROUP
from active_learning.core.cost_lines import ABSENT
from active_learning.core.costs import Expected, costs_of, expected
from active_learning.core.evaluation import is_right
from active_learning.core.segments import Ratio, groups_of, keys_of, ratio_of
from labeling.core.shares import Share, wilson

CONFUSION, SEGMENT, LENGTH, CLUSTER = KINDS = ("confusion", "segment", "length", "cluster")
# More groups of a kind are not listed: those with the fewest mistakes are left out.
MOST_LISTED = 12
N_LENGTHS = 4
# Groups that are this unlike the rest by chance are one in twenty among those that are called different.
FALSE_DISCOVERIES = 0.05


@dataclass(frozen=True, slots=True)
class Cases:
    """Items that were judged, audit and labeled pool alike: what they are (positions in `labels`, or a boolean matrix),
    what a model says that did not learn from them, and what each mistake costs (core.costs.cost_table)."""

    labels: tuple[str, ...]
    is_audit: NDArray[np.bool_]
    truth: NDArray[Any]
    said: NDArray[Any]
    table: NDArray[np.float64]
    # How clear each case is to people (clearness); None where each was judged once.
    clear: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def is_wrong(self) -> NDArray[np.bool_]:
        return ~is_right(self.truth, self.said)

    @property
    def is_multilabel(self) -> bool:
        return self.truth.ndim == 2


@dataclass(frozen=True, slots=True)
class Group:
    """Some of the cases: which, which of them are mistakes of its kind, and with which others they compare.

    `definition` says what belongs to it, so that items nobody has judged can be told to be like it.
    """

    kind: str
    definition: Mapping[str, Any]
    member: NDArray[np.bool_]
    mistake: NDArray[np.bool_]
    rest: NDArray[np.bool_]
    rest_mistake: NDArray[np.bool_]
    # What its mistake costs where it is one of several in a case; else the cost of the case.
    cost_each: float | None = None

    def key(self, version: int) -> str:
        """Names the group of this version, and no other: an address that was kept leads nowhere else later."""
        content = json.dumps([version, self.kind, self.definition], sort_keys=True)
        return f"{self.kind}-{hashlib.sha256(content.encode()).hexdigest()[:10]}"


@dataclass(frozen=True, slots=True)
class Measured:
    """What the audit split says of a group.

    `share`: of all mistakes; `of_items`: of all items. `rate`, `rest_rate` and their ratio `lift` are None under
    MIN_GROUP items on either side (the ratio also where the rest has no mistake). `p_value` is that of Fisher's exact
    test, `q_value` after Benjamini and Hochberg (1995) over all groups. `cost` is what its mistakes cost an item of
    the whole data: cost times frequency. `fixable` is how clear its mistakes are to people, on average: what people
    themselves disagree about no label mends. None where nobody was asked twice.
    """

    n: int
    n_errors: int
    share: Share | None
    of_items: float
    rate: Share | None
    cost: Expected
    rest_rate: Share | None = None
    lift: Ratio | None = None
    p_value: float | None = None
    q_value: float | None = None
    fixable: Expected | None = None

    @property
    def priority(self) -> float:
        """Cost times frequency times fixability."""
        return self.cost.value * (self.fixable.value if self.fixable is not None else 1.0)

    @property
    def verdict(self) -> str:
        """few, worse, better or alike: what may be said of the group against the rest."""
        if self.rate is None or self.rest_rate is None or self.q_value is None:
            return "few"
        if self.q_value >= FALSE_DISCOVERIES:
            return "alike"
        return "worse" if self.rate.value > self.rest_rate.value else "better"

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"verdict": self.verdict, "priority": self.priority}


def clearness(shares: NDArray[np.floating]) -> NDArray[np.float64]:
    """How clear cases are, of the share of people who gave the settled value: 1 when all did, 0 when half or fewer."""
    return np.clip(2 * np.asarray(shares, dtype=np.float64) - 1, 0.0, 1.0)


def find_groups(
    cases: Cases,
    *,
    metas: Sequence[Mapping[str, Any]],
    lengths: NDArray[np.int64] | None,
    clusters: NDArray[np.integer] | None,
) -> list[Group]:
    """All groups with a mistake in them, kind by kind in the order of KINDS.

    `metas`: of each case; `lengths`: characters of its text, None without texts; `clusters`: its cluster.
    """
    found = [*_confusions(cases), *_segments(cases, metas)]
    if lengths is not None:
        found += _lengths(cases, lengths)
    if clusters is not None:
        for number in np.unique(clusters):
            found.append(_plain(cases, CLUSTER, {"cluster": int(number)}, clusters == number))
    return [group for group in found if group.mistake.any()]


def _plain(cases: Cases, kind: str, definition: Mapping[str, Any], member: NDArray[np.bool_]) -> Group:
    wrong = cases.is_wrong
    return Group(kind, definition, member, member & wrong, ~member, ~member & wrong)


def _confusions(cases: Cases) -> list[Group]:
    """One label taken for another, compared with how often items of all further labels are; with several labels an
    item, one that is missed or one that is too many, which there is nothing to compare with."""
    found: list[Group] = []
    if cases.is_multilabel:
        for place, label in enumerate(cases.labels):
            is_true, was_said = cases.truth[:, place], cases.said[:, place]
            nobody = np.zeros_like(is_true)
            missed, added = float(cases.table[place, -1]), float(cases.table[-1, place])
            found.append(
                Group(CONFUSION, {"true": label, "said": ABSENT}, is_true, is_true & ~was_said, nobody, nobody, missed)
            )
            found.append(
                Group(CONFUSION, {"true": ABSENT, "said": label}, ~is_true, ~is_true & was_said, nobody, nobody, added)
            )
        return found
    wrong = cases.is_wrong
    for true, said in sorted({(int(a), int(b)) for a, b in zip(cases.truth[wrong], cases.said[wrong], strict=True)}):
        member = cases.truth == true
        rest = ~member & (cases.truth != said)
        definition = {"true": cases.labels[true], "said": cases.labels[said]}
        is_said = cases.said == said
        found.append(Group(CONFUSION, definition, member, member & is_said, rest, rest & is_said))
    return found


def _segments(cases: Cases, metas: Sequence[Mapping[str, Any]]) -> list[Group]:
    found = []
    for key in keys_of(metas):
        for name, places in groups_of([key], metas).items():
            member = np.zeros(len(metas), dtype=bool)
            member[places] = True
            found.append(_plain(cases, SEGMENT, {"key": key, "group": name.removeprefix(f"{key}: ")}, member))
    return found


def _lengths(cases: Cases, lengths: NDArray[np.int64]) -> list[Group]:
    """Quarters of the audit items by length, of all cases where there are few."""
    basis = lengths[cases.is_audit] if cases.is_audit.sum() >= MIN_AUDITED else lengths
    inner = np.unique(np.quantile(basis, np.arange(1, N_LENGTHS) / N_LENGTHS).astype(np.int64)).tolist()
    starts: list[int] = [0, *(edge + 1 for edge in inner)]
    ends: list[int | None] = [*inner, None]
    found = []
    for start, end in zip(starts, ends, strict=True):
        member = (lengths >= start) & (lengths <= (lengths.max() if end is None else end))
        if member.any() and not member.all():
            found.append(_plain(cases, LENGTH, {"from": start, "to": end}, member))
    return found


def measure(groups: Sequence[Group], cases: Cases, rng_seed: int) -> list[Measured | None]:
    """What the audit split says of each group; all None on fewer than MIN_AUDITED audit items."""
    audit = cases.is_audit
    n = int(audit.sum())
    if n < MIN_AUDITED:
        return [None] * len(groups)
    n_wrong = int((cases.is_wrong & audit).sum())
    found = [_measured(group, cases, n, n_wrong, rng_seed) for group in groups]
    tested = [place for place, one in enumerate(found) if one.p_value is not None]
    if tested:
        adjusted = false_discovery_control([found[place].p_value for place in tested], method="bh")
        for place, q_value in zip(tested, adjusted, strict=True):
            found[place] = replace(found[place], q_value=float(q_value))
    return list(found)


def _measured(group: Group, cases: Cases, n: int, n_wrong: int, rng_seed: int) -> Measured:
    audit = cases.is_audit
    n_group, n_errors = int((group.member & audit).sum()), int((group.mistake & audit).sum())
    n_rest, rest_errors = int((group.rest & audit).sum()), int((group.rest_mistake & audit).sum())
    of_case = costs_of(cases.truth, cases.said, cases.table) if group.cost_each is None else group.cost_each
    cost = expected(np.where(group.mistake, of_case, 0.0)[audit], np.random.default_rng(rng_seed))
    assert cost is not None  # there are audit items
    measured = Measured(
        n=n_group,
        n_errors=n_errors,
        share=wilson(n_errors, n_wrong),
        of_items=n_group / n,
        rate=wilson(n_errors, n_group) if n_group >= MIN_GROUP else None,
        cost=cost,
        fixable=None
        if cases.clear is None
        else expected(cases.clear[group.mistake & audit], np.random.default_rng(rng_seed)),
    )
    if n_group < MIN_GROUP or n_rest < MIN_GROUP:
        return measured
    table = [[n_errors, n_group - n_errors], [rest_errors, n_rest - rest_errors]]
    return replace(
        measured,
        rest_rate=wilson(rest_errors, n_rest),
        lift=ratio_of(n_errors, n_group, rest_errors, n_rest) if rest_errors else None,
        p_value=float(fisher_exact(table).pvalue),
    )


def listed(groups: Sequence[Group], measured: Sequence[Measured | None]) -> tuple[list[int], dict[str, int]]:
    """Which groups are shown, those most worth mending first within each kind, and how many of a kind are not.

    Segments with fewer than MIN_GROUP audit items are never shown where there is an audit: a number on three items
    misleads, and might tell of single people. Without one those with so few labeled items are not.
    """
    shown: list[int] = []
    hidden: dict[str, int] = {}
    for kind in KINDS:
        places = [place for place, group in enumerate(groups) if group.kind == kind]
        kept = []
        for place in places:
            one = measured[place]
            size = one.n if one is not None else int(groups[place].member.sum())
            if kind == CONFUSION or size >= MIN_GROUP:
                kept.append(place)
        kept.sort(key=lambda place: _worst_first(groups[place], measured[place]))
        shown += kept[:MOST_LISTED]
        if len(places) > len(kept[:MOST_LISTED]):
            hidden[kind] = len(places) - len(kept[:MOST_LISTED])
    return shown, hidden


def _worst_first(group: Group, measured: Measured | None) -> tuple[float, int]:
    return (-measured.priority if measured else 0.0, -int(group.mistake.sum()))
