"""What a project's owner asks of several people's answers: overall, by label, by pair, by person, over time.

Items with one answer count nowhere. Alpha's scale follows the question: nominal for choices, ordinal or interval for
ratings; choices of several labels are compared as sets.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import sparse
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from labeling.core.agreement.answers import Answers, Floats, Ints, Patterns
from labeling.core.agreement.coefficients import Method, cohen, conger
from labeling.core.agreement.intervals import (
    Basis,
    Coefficient,
    Interval,
    Panel,
    draw,
    measure,
    unseen,
    why_undefined,
    wilson,
    with_t,
    without_each,
)
from labeling.core.agreement.scales import Scale, jaccard, masi, weights_of

# More distinct sets of labels than this are sampled: a table of all their likenesses would not fit.
MANY_SETS = 2_000


def overall(panel: Panel, scale: Scale, rng: np.random.Generator) -> list[Coefficient]:
    """Percent agreement, Krippendorff's alpha, Gwet's AC, Fleiss' kappa, Cohen's (Conger's) kappa.

    On an ordered scale alpha comes twice: nominal, as if the labels had no order, and of that scale. AC2 and Fleiss
    then have Gwet's weights of that scale, Cohen's kappa quadratic ones.
    """
    patterns, n, reason = panel.patterns, panel.n, panel.reason
    same = np.eye(len(panel.answers.names))
    weights = weights_of(scale, panel.answers.scale)
    draws = draw(patterns, rng)
    found = [
        measure(patterns, n, "Percent agreement", "percent", same, reason=reason, draws=draws, panel=panel),
        measure(patterns, n, "Krippendorff's alpha, nominal", "alpha", same, reason=reason, draws=draws, panel=panel),
    ]
    if scale != "nominal":
        own = None if scale == "ordinal" else weights
        title = f"Krippendorff's alpha, {scale}"
        found.append(measure(patterns, n, title, "alpha", own, reason=reason, draws=draws, panel=panel))
    suffix = "" if scale == "nominal" else f", {scale} weights"
    gwet = "Gwet's AC1" if scale == "nominal" else f"Gwet's AC2{suffix}"
    found.append(measure(patterns, n, gwet, "gwet", weights, reason=reason, draws=draws, panel=panel))
    fleiss = f"Fleiss' kappa{suffix}"
    found.append(measure(patterns, n, fleiss, "fleiss", weights, reason=reason, draws=draws, panel=panel))
    return [*found, _cohen(panel, scale)]


def _cohen(panel: Panel, scale: Scale) -> Coefficient:
    """Kappa with each person's own shares: Cohen's for two people, Conger's for more."""
    title = "Cohen's kappa" if panel.n.annotators <= 2 else "Conger's kappa"
    if scale != "nominal":
        title += ", quadratic weights"
    if panel.reason:
        return Coefficient(title, None, None, None, None, panel.n, panel.reason)
    answers = panel.answers
    _, annotator = np.unique(answers.annotator, return_inverse=True)
    # Enumerated anew: a number without answers would count as a person who chose nothing.
    present = Answers(answers.item, annotator, answers.label, answers.names, answers.scale)
    value, se = conger(present, weights_of("nominal" if scale == "nominal" else "interval", answers.scale))
    if np.isnan(value):
        return Coefficient(title, None, None, None, None, panel.n, "what people chose leaves nothing to chance")
    perfect = value >= 1 - 1e-12
    n = panel.n.items
    interval = unseen(n, "fleiss", panel.totals) if perfect else with_t(value, se, n, "Gwet's standard error, t")
    return Coefficient(title, value, se, interval, None, panel.n)


def code_sets(chosen: Iterable[frozenset[int]]) -> tuple[Ints, list[frozenset[int]]]:
    """Answers that are sets of labels as positions in the list of distinct sets."""
    places: dict[frozenset[int], int] = {}
    codes = [places.setdefault(labels, len(places)) for labels in chosen]
    return np.array(codes, dtype=np.int64), list(places)


def overall_of_sets(
    panel: Panel, sets: Sequence[frozenset[int]], n_labels: int, rng: np.random.Generator
) -> list[Coefficient]:
    """Agreement of answers that are sets of labels: equal or not, and alpha by exact, Jaccard's and MASI likeness.

    `panel` codes answers as positions in `sets`. Where there are very many distinct sets a random share of the items
    is measured; each coefficient's `n` says how many.
    """
    panel, sets = _few_sets(panel, sets, rng)
    patterns, n, reason = panel.patterns, panel.n, panel.reason
    draws = draw(patterns, rng)
    kinds: list[tuple[str, Method, Floats]] = [
        ("Percent equal", "percent", np.eye(len(sets))),
        ("Krippendorff's alpha, equal sets", "alpha", np.eye(len(sets))),
        ("Krippendorff's alpha, Jaccard", "alpha", jaccard(sets, n_labels)),
        ("Krippendorff's alpha, MASI", "alpha", masi(sets, n_labels)),
    ]
    return [
        measure(patterns, n, title, method, weights, reason=reason, draws=draws, panel=panel)
        for title, method, weights in kinds
    ]


def _few_sets(
    panel: Panel, sets: Sequence[frozenset[int]], rng: np.random.Generator
) -> tuple[Panel, Sequence[frozenset[int]]]:
    answers = panel.answers
    order = rng.permutation(answers.n_items)
    share = 1.0
    while True:
        kept = answers.where(order[answers.item] < share * answers.n_items)
        used, label = np.unique(kept.label, return_inverse=True)
        if len(used) <= MANY_SETS:
            names = tuple(answers.names[i] for i in used)
            coded = Answers(kept.item, kept.annotator, label, names)
            return Panel.of(coded), [sets[i] for i in used]
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
) -> list[LabelAgreement]:
    """Each label's own alpha, in the labels' order. With `sets` and `names`: whether the label is in the answer."""
    labels = names or panel.answers.names
    chosen = sparse.csc_array(panel.patterns.counts)
    if sets is not None:
        rows = [row for row, members in enumerate(sets) for _ in members]
        columns = [label for members in sets for label in sorted(members)]
        member = sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(sets), len(labels)))
        chosen = sparse.csc_array(panel.patterns.counts @ member)
    n_votes, times = panel.patterns.n_votes.astype(np.int64), panel.patterns.times
    most = int(n_votes.max(initial=0)) + 1
    items_of_size = np.bincount(n_votes, times, most)
    found = []
    for label, name in enumerate(labels):
        stretch = slice(chosen.indptr[label], chosen.indptr[label + 1])
        rows, votes = chosen.indices[stretch], chosen.data[stretch].astype(np.int64)
        table = np.bincount(n_votes[rows] * (most + 1) + votes, times[rows], most * (most + 1)).reshape(most, most + 1)
        n_items = int(table.sum())
        table[:, 0] += items_of_size - table.sum(axis=1)
        size, yes = np.nonzero(table)
        counts = sparse.csr_array(np.column_stack([yes, size - yes]).astype(np.float64))
        patterns = Patterns(counts, table[size, yes].astype(np.int64))
        totals = times_of(patterns)
        reason = why_undefined(totals, ("it always", "another label always"))
        alpha = measure(
            patterns,
            panel.n,
            name,
            "alpha",
            np.eye(2),
            reason=reason,
            draws=draw(patterns, rng) if not reason else None,
        )
        share = float(totals[0] / totals.sum()) if totals.sum() else 0.0
        found.append(LabelAgreement(label, name, alpha, share, n_items))
    return found


def times_of(patterns: Patterns) -> Floats:
    """How often each label was given."""
    return np.asarray(patterns.times @ patterns.counts, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Confusion:
    """Two labels given to the same items.

    `share` is their part in all disagreement; `gain` what nominal alpha would win were they one label, None when it
    would not be defined then.
    """

    first: int
    second: int
    n_items: int
    share: float
    gain: float | None


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
            None if np.isnan(gains[a, b]) else float(gains[a, b]),
        )
        for a, b in zip(first[order], second[order], strict=True)
    ]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two people on the items that both answered: kappa, and the share of equal answers with Wilson's interval."""

    first: int
    second: int
    kappa: Coefficient
    percent: float
    percent_interval: Interval | None


@dataclass(frozen=True, slots=True)
class Pairs:
    """`order` are the people so that who answers alike stands together; `pairs` those who share an item."""

    order: list[int]
    pairs: list[Pair]


def pairs_of_people(panel: Panel, scale: Scale, most: int = 40, weights: Floats | None = None) -> Pairs:
    """Cohen's kappa of every two people: plain, on an ordered scale with quadratic weights, or with `weights`.

    At most `most` people, those with the most answers. The order is that of average linkage (Sokal and Michener 1958)
    over 1 - kappa; a pair without a kappa stands at the mean distance.
    """
    answers, n_labels = panel.answers, len(panel.answers.names)
    if weights is None:
        weights = weights_of("nominal" if scale == "nominal" else "interval", answers.scale)
    amounts = np.bincount(answers.annotator, minlength=answers.n_annotators)
    people = np.sort(np.argsort(-amounts, kind="stable")[: min(most, np.count_nonzero(amounts))])
    rank = np.full(answers.n_annotators, -1)
    rank[people] = np.arange(len(people))
    kept = answers.where(rank[answers.annotator] >= 0)
    order = np.lexsort((rank[kept.annotator], kept.item))
    item, who, label = kept.item[order], rank[kept.annotator][order], kept.label[order]
    codes = []
    for apart in range(1, len(people)):
        same = np.flatnonzero(item[apart:] == item[:-apart])
        if not len(same):
            break
        later = same + apart
        codes.append(((who[same] * len(people) + who[later]) * n_labels + label[same]) * n_labels + label[later])
    cells, times = np.unique(np.concatenate([*codes, np.zeros(0, dtype=np.int64)]), return_counts=True)
    pair = cells // (n_labels * n_labels)
    kappas = np.full((len(people), len(people)), np.nan)
    found = []
    for start, stop in _stretches(pair):
        a, b = divmod(int(pair[start]), len(people))
        table = np.zeros((n_labels, n_labels))
        table.flat[cells[start:stop] % (n_labels * n_labels)] = times[start:stop]
        # Labels that neither gave say nothing and cost time.
        used = np.flatnonzero(table.sum(axis=0) + table.sum(axis=1))
        kappa = _kappa(table[np.ix_(used, used)], weights[np.ix_(used, used)], [answers.names[i] for i in used])
        equal, n = int(np.trace(table)), kappa.n.items
        if kappa.value is not None:
            kappas[a, b] = kappas[b, a] = kappa.value
        found.append(Pair(int(people[a]), int(people[b]), kappa, equal / n, wilson(equal, n)))
    return Pairs([int(people[i]) for i in _alike(kappas)], found)


def _stretches(sorted_values: Ints) -> list[tuple[int, int]]:
    borders = np.flatnonzero(np.diff(sorted_values)) + 1
    edges = [0, *borders.tolist(), len(sorted_values)]
    return [(a, b) for a, b in pairwise(edges) if b > a]


def _kappa(table: Floats, weights: Floats, names: list[str]) -> Coefficient:
    n = int(table.sum())
    basis = Basis(n, 2 * n, 2)
    value, se = cohen(table, weights)
    if np.isnan(value):
        return Coefficient("Cohen's kappa", None, None, None, None, basis, f"both always chose {names[0]}")
    if value >= 1 - 1e-12:
        return Coefficient("Cohen's kappa", 1.0, se, unseen(n, "fleiss", table.sum(axis=1)), None, basis)
    return Coefficient("Cohen's kappa", value, se, with_t(value, se, n, "Fleiss, Cohen and Everitt, t"), None, basis)


def _alike(kappas: Floats) -> list[int]:
    if len(kappas) < 3:
        return list(range(len(kappas)))
    distance = 1 - kappas
    known = distance[~np.isnan(distance)]
    distance[np.isnan(distance)] = known.mean() if len(known) else 1.0
    np.fill_diagonal(distance, 0.0)
    tree = linkage(squareform(distance, checks=False), "average", optimal_ordering=True)
    return [int(leaf) for leaf in leaves_list(tree)]


@dataclass(frozen=True, slots=True)
class PersonAgreement:
    """One person against the rest.

    `agreement` is the mean share of the other answers to the same items that agree. `alpha_change` is how much the
    team's alpha rises (above 0) or falls through this person; None when it is not defined with or without them.
    `top_label` is what they chose most and `top_share` how often.
    """

    annotator: int
    agreement: Coefficient
    alpha_without: float | None
    alpha_change: float | None
    top_label: int
    top_share: float


def by_person(panel: Panel, scale: Scale, weights: Floats | None = None) -> list[PersonAgreement]:
    """Everybody who shares an item with somebody, by number. `weights` (of sets of labels) replace those of `scale`."""
    answers, n_labels = panel.answers, len(panel.answers.names)
    own = None if scale == "ordinal" and weights is None else weights
    if weights is None:
        weights = weights_of(scale, answers.scale)
        own = own if scale == "ordinal" else weights
    step, occurring = panel.steps
    before, label = occurring // n_labels, occurring % n_labels
    n_votes = panel.patterns.n_votes
    block = 4_000_000 // max(1, n_labels)
    near = [
        np.asarray(panel.patterns.counts[before[s : s + block]].multiply(weights[label[s : s + block]]).sum(axis=1))
        for s in range(0, len(occurring), block)
    ]
    agreeing = (np.concatenate([*map(np.ravel, near), np.zeros(0)]) - 1) / np.maximum(n_votes[before] - 1, 1)
    agreement = agreeing[step]
    amounts = np.bincount(answers.annotator, minlength=answers.n_annotators)
    sums = np.bincount(answers.annotator, agreement, answers.n_annotators)
    squares = np.bincount(answers.annotator, agreement**2, answers.n_annotators)
    chosen = np.bincount(answers.annotator * n_labels + answers.label, minlength=answers.n_annotators * n_labels)
    chosen = chosen.reshape(answers.n_annotators, n_labels)
    together = measure(panel.patterns, panel.n, "", "alpha", own, reason=panel.reason).value
    left = without_each(panel, "alpha", own)
    return [
        PersonAgreement(
            annotator=int(person),
            agreement=_with_the_rest(int(amounts[person]), sums[person], squares[person]),
            alpha_without=None if np.isnan(left[person]) else float(left[person]),
            alpha_change=None if together is None or np.isnan(left[person]) else together - float(left[person]),
            top_label=int(chosen[person].argmax()),
            top_share=float(chosen[person].max() / amounts[person]),
        )
        for person in np.flatnonzero(amounts)
    ]


def _with_the_rest(n: int, total: float, squares: float) -> Coefficient:
    mean = total / n
    basis = Basis(n, n, 1)
    title = "Agreement with the rest"
    spread = max(0.0, squares / n - mean * mean)
    if spread < 1e-12:
        # All answers alike in this: a share of 0 or 1 has Wilson's limits, another (always half) none to give.
        interval = wilson(round(total), n) if mean < 1e-9 or mean > 1 - 1e-9 else None
        return Coefficient(title, mean, None, interval, None, basis)
    se = float(np.sqrt(spread / (n - 1)))
    return Coefficient(title, mean, se, with_t(mean, se, n, "mean over items, t", lowest=0.0), None, basis)


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
    for start, stop in _stretches(window_of_item[panel.answers.item][by_window]):
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
