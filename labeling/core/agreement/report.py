"""What a project's owner asks of several people's answers: overall, by label, over time.

Items with one answer count nowhere. Alpha's scale follows the question: nominal for choices, ordinal or interval for
ratings; choices of several labels are compared as sets.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from labeling.core.agreement.answers import Answers, Floats, Ints, Patterns, stretches
from labeling.core.agreement.changes import Change, change_by_merging, labels_without_each
from labeling.core.agreement.coefficients import Method, conger, conger_without_each
from labeling.core.agreement.intervals import (
    FEW_ITEMS,
    Basis,
    Coefficient,
    Interval,
    Panel,
    draw,
    jackknifed,
    measure,
    unseen,
    why_undefined,
    with_t,
    without_each,
)
from labeling.core.agreement.scales import Scale, jaccard, masi, weights_of

# More distinct sets of labels than this are sampled: a table of all their likenesses would not fit.
MANY_SETS = 2_000


# Why nothing that sets people apart can be said of answers by nobody in particular.
ANONYMOUS = "some answers are anonymous, so that nobody can say which are one person's"


def overall(panel: Panel, scale: Scale, rng: np.random.Generator, *, people_known: bool = True) -> list[Coefficient]:
    """Percent agreement, Krippendorff's alpha, Gwet's AC, Fleiss' kappa, Cohen's (Conger's) kappa.

    On an ordered scale alpha comes twice: nominal, as if the labels had no order, and of that scale. AC2 and Fleiss
    then have Gwet's weights of that scale, Cohen's kappa quadratic ones. Unless `people_known` nothing is said of other
    people, and Cohen's kappa is not defined: both need to know which answers are one person's.
    """
    patterns, n, reason = panel.patterns, panel.n, panel.reason
    of = panel if people_known else None
    same = np.eye(len(panel.answers.names))
    weights = weights_of(scale, panel.answers.scale)
    draws = draw(patterns, rng)
    found = [
        measure(patterns, n, "Percent agreement", "percent", same, reason=reason, draws=draws, panel=of),
        measure(patterns, n, "Krippendorff's alpha, nominal", "alpha", same, reason=reason, draws=draws, panel=of),
    ]
    if scale != "nominal":
        own = None if scale == "ordinal" else weights
        title = f"Krippendorff's alpha, {scale}"
        found.append(measure(patterns, n, title, "alpha", own, reason=reason, draws=draws, panel=of))
    suffix = "" if scale == "nominal" else f", {scale} weights"
    gwet = "Gwet's AC1" if scale == "nominal" else f"Gwet's AC2{suffix}"
    found.append(measure(patterns, n, gwet, "gwet", weights, reason=reason, draws=draws, panel=of))
    fleiss = f"Fleiss' kappa{suffix}"
    found.append(measure(patterns, n, fleiss, "fleiss", weights, reason=reason, draws=draws, panel=of))
    return [*found, _cohen(panel, scale, people_known)]


def _cohen(panel: Panel, scale: Scale, people_known: bool) -> Coefficient:
    """Kappa with each person's own shares: Cohen's for two people, Conger's for more."""
    title = "Cohen's kappa" if people_known and panel.n.annotators <= 2 else "Conger's kappa"
    if scale != "nominal":
        title += ", quadratic weights"
    reason = panel.reason or ("" if people_known else ANONYMOUS)
    if reason:
        return Coefficient(title, None, None, None, None, panel.n, reason)
    answers = panel.answers
    _, annotator = np.unique(answers.annotator, return_inverse=True)
    # Enumerated anew: a number without answers would count as a person who chose nothing.
    present = Answers(answers.item, annotator, answers.label, answers.names, answers.scale)
    weights = weights_of("nominal" if scale == "nominal" else "interval", answers.scale)
    value, se = conger(present, weights)
    if np.isnan(value):
        return Coefficient(title, None, None, None, None, panel.n, "what people chose leaves nothing to chance")
    n = panel.n.items
    if value >= 1 - 1e-12:
        return Coefficient(title, value, se, unseen(n, "fleiss", panel.totals), None, panel.n)
    if se is not None and se < 1e-12:  # all items disagree alike: nothing varies
        return Coefficient(title, value, se, None, None, panel.n)
    left = conger_without_each(present, weights, without_each(panel, "percent", weights)[np.unique(answers.annotator)])
    team = with_t(value, se, n, "Gwet's standard error, t")
    return Coefficient(title, value, se, team, jackknifed(left, value, se), panel.n)


def code_sets(chosen: Iterable[frozenset[int]]) -> tuple[Ints, list[frozenset[int]]]:
    """Answers that are sets of labels as positions in the list of distinct sets."""
    places: dict[frozenset[int], int] = {}
    codes = [places.setdefault(labels, len(places)) for labels in chosen]
    return np.array(codes, dtype=np.int64), list(places)


def overall_of_sets(
    panel: Panel,
    sets: Sequence[frozenset[int]],
    n_labels: int,
    rng: np.random.Generator,
    *,
    people_known: bool = True,
) -> list[Coefficient]:
    """Agreement of answers that are sets of labels: equal or not, and alpha by exact, Jaccard's and MASI likeness.

    `panel` codes answers as positions in `sets`. Where there are very many distinct sets a random share of the items
    is measured; each coefficient's `n` says how many.
    """
    _, coded, sets = few_sets(panel.answers, sets, rng)
    panel = Panel.of(coded)
    patterns, n, reason = panel.patterns, panel.n, panel.reason
    draws = draw(patterns, rng)
    kinds: list[tuple[str, Method, Floats]] = [
        ("Percent equal", "percent", np.eye(len(sets))),
        ("Krippendorff's alpha, equal sets", "alpha", np.eye(len(sets))),
        ("Krippendorff's alpha, Jaccard", "alpha", jaccard(sets, n_labels)),
        ("Krippendorff's alpha, MASI", "alpha", masi(sets, n_labels)),
    ]
    return [
        measure(patterns, n, title, method, weights, reason=reason, draws=draws, panel=panel if people_known else None)
        for title, method, weights in kinds
    ]


def few_sets(
    answers: Answers, sets: Sequence[frozenset[int]], rng: np.random.Generator
) -> tuple[NDArray[np.bool_], Answers, list[frozenset[int]]]:
    """The answers to as many items, drawn at random, as have no more than MANY_SETS different sets; mostly all.

    Which answers those are, the answers coded anew, and what the codes stand for.
    """
    order = rng.permutation(answers.n_items)
    share = 1.0
    while True:
        keep = order[answers.item] < share * answers.n_items
        kept = answers.where(keep)
        used, label = np.unique(kept.label, return_inverse=True)
        if len(used) <= MANY_SETS:
            names = tuple(answers.names[i] for i in used)
            return keep, Answers(kept.item, kept.annotator, label, names), [sets[i] for i in used]
        share *= 0.7 * MANY_SETS / len(used)


@dataclass(frozen=True, slots=True)
class LabelAgreement:
    """One label against all others: its alpha, its share of the answers, the items where somebody chose it."""

    label: int
    name: str
    alpha: Coefficient
    share: float
    n_items: int


def by_label(
    panel: Panel,
    rng: np.random.Generator,
    sets: Sequence[frozenset[int]] | None = None,
    names: tuple[str, ...] | None = None,
    *,
    people_known: bool = True,
) -> list[LabelAgreement]:
    """Each label's own alpha, in the labels' order. With `sets` and `names`: whether the label is in the answer.

    On fewer than FEW_ITEMS items with the label there is no interval, unless nobody differed.
    """
    labels = names or panel.answers.names
    member = sparse.csr_array(sparse.eye_array(len(labels)))
    if sets is not None:
        rows = [row for row, members in enumerate(sets) for _ in members]
        columns = [label for members in sets for label in sorted(members)]
        member = sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(sets), len(labels)))
    chosen = sparse.csc_array(panel.patterns.counts @ member)
    left = None
    if people_known and panel.n.annotators >= 3:
        left = labels_without_each(panel, member)[np.unique(panel.answers.annotator)]
    n_votes, times = panel.patterns.n_votes.astype(np.int64), panel.patterns.times
    most = int(n_votes.max(initial=0)) + 1
    items_of_size = np.bincount(n_votes, times, most)
    found = []
    for label, name in enumerate(labels):
        stretch = slice(chosen.indptr[label], chosen.indptr[label + 1])
        rows, votes = chosen.indices[stretch], chosen.data[stretch].astype(np.int64)
        # Without entries bincount forgets that it adds up floats.
        table = np.bincount(n_votes[rows] * (most + 1) + votes, times[rows], most * (most + 1)).astype(np.float64)
        table = table.reshape(most, most + 1)
        n_items = int(table.sum())
        table[:, 0] += items_of_size - table.sum(axis=1)
        size, yes = np.nonzero(table)
        counts = sparse.csr_array(np.column_stack([yes, size - yes]).astype(np.float64))
        patterns = Patterns(counts, table[size, yes].astype(np.int64))
        totals = times_of(patterns)
        reason = why_undefined(totals, (name, ""))
        if reason and totals[1]:
            reason = f"nobody chose {name}"
        alpha = measure(
            patterns,
            panel.n,
            name,
            "alpha",
            np.eye(2),
            reason=reason,
            draws=draw(patterns, rng) if not reason else None,
        )
        if alpha.value is not None and alpha.value < 1 and n_items < FEW_ITEMS:
            # Hardly a bootstrap sample holds other items with it than these: nothing tells how sure this is.
            alpha = replace(alpha, this_team=None)
        elif left is not None and alpha.value is not None and alpha.value < 1:
            alpha = replace(alpha, others_like_them=jackknifed(left[:, label], alpha.value, alpha.se))
        share = float(totals[0] / totals.sum()) if totals.sum() else 0.0
        found.append(LabelAgreement(label, name, alpha, share, n_items))
    return found


def times_of(patterns: Patterns) -> Floats:
    """How often each label was given."""
    return np.asarray(patterns.times @ patterns.counts, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Confusion:
    """Two labels given to the same items.

    `share` is their part in all disagreement; `gain` what nominal alpha would win were they one label.
    """

    first: int
    second: int
    n_items: int
    share: float
    gain: Change


def confusions(panel: Panel, most: int = 20) -> list[Confusion]:
    """The pairs of labels that are taken for each other, the largest gain first."""
    if panel.reason:
        return []
    patterns, totals = panel.patterns, panel.totals
    n = totals.sum()
    per_pair = sparse.diags_array(patterns.times / (patterns.n_votes - 1))
    together = (patterns.counts.T @ per_pair @ patterns.counts).toarray()
    present = patterns.counts.sign()
    items = (present.T @ sparse.diags_array(patterns.times.astype(np.float64)) @ present).toarray()
    np.fill_diagonal(together, 0.0)
    observed, expected = together.sum(), n * n - totals @ totals
    merged = expected - 2 * np.outer(totals, totals)
    left = np.divide(observed - 2 * together, merged, out=np.full_like(merged, np.nan), where=merged > 0.5)
    gains = (n - 1) * (observed / expected - left)
    first, second = np.nonzero(np.triu(together, 1))
    order = np.argsort(-np.nan_to_num(gains[first, second], nan=np.inf), kind="stable")[:most]
    return [
        Confusion(
            int(a),
            int(b),
            round(float(items[a, b])),
            float(2 * together[a, b] / observed),
            change_by_merging(panel, int(a), int(b)),
        )
        for a, b in zip(first[order], second[order], strict=True)
    ]


@dataclass(frozen=True, slots=True)
class Window:
    """Alpha of a stretch of items; `first` and `last` are the times at which its items got their second answer.

    `has_changed`: its interval lies apart from that of the window before.
    """

    first: float
    last: float
    alpha: Coefficient
    has_changed: bool


def over_time(
    answers: Answers, when: Floats, n_items: int, scale: Scale, weights: Floats | None = None
) -> list[Window]:
    """Alpha in windows of `n_items` items, in the order in which they got their second answer.

    `when` is each answer's time, as a number that grows. A rest of fewer than half a window joins the last one.
    """
    if n_items < 2:
        raise ValueError("a window holds two items or more")
    when, answers = np.asarray(when)[answers.last_places], answers.without_repeats()
    several = answers.n_of_item[answers.item] >= 2
    order = np.lexsort((when[several], answers.item[several]))
    item, moment = answers.item[several][order], when[several][order]
    second = np.flatnonzero(np.diff(item, prepend=-1)) + 1
    of_item = np.full(answers.n_items, np.inf)
    of_item[item[second]] = moment[second]
    panel = Panel.of(answers)
    ready = np.unique(panel.answers.item)
    ready = ready[np.argsort(of_item[ready], kind="stable")]
    n_windows = max(1, (len(ready) + n_items // 2) // n_items) if len(ready) else 0
    own = weights if weights is not None else None if scale == "ordinal" else weights_of(scale, answers.scale)
    window_of_item = np.full(answers.n_items, -1)
    window_of_item[ready] = np.minimum(np.arange(len(ready)) // n_items, n_windows - 1)
    found: list[Window] = []
    title = f"Krippendorff's alpha, {scale}"
    by_window = np.argsort(window_of_item[panel.answers.item], kind="stable")
    for start, stop in stretches(window_of_item[panel.answers.item][by_window]):
        inside = by_window[start:stop]
        items = np.unique(panel.answers.item[inside])
        times = np.bincount(panel.place[items], minlength=len(panel.patterns))
        shown = times > 0
        patterns = Patterns(panel.patterns.counts[shown], times[shown])
        n = Basis(len(items), len(inside), len(np.unique(panel.answers.annotator[inside])))
        reason = why_undefined(times_of(patterns), answers.names)
        alpha = measure(patterns, n, title, "alpha", own, reason=reason)
        changed = bool(found) and _apart(found[-1].alpha.this_team, alpha.this_team)
        found.append(Window(float(of_item[items].min()), float(of_item[items].max()), alpha, changed))
    return found


def _apart(first: Interval | None, second: Interval | None) -> bool:
    return first is not None and second is not None and (first.high < second.low or second.high < first.low)
