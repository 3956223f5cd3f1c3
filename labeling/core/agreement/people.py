"""Who agrees with whom: every pair of people, and each person against the rest."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from labeling.core.agreement.answers import Floats, Ints, stretches
from labeling.core.agreement.changes import Change, changes_by_person, plurality_of_others
from labeling.core.agreement.coefficients import cohen
from labeling.core.agreement.intervals import (
    Basis,
    Coefficient,
    Panel,
    measure,
    of_share,
    unseen,
    with_t,
    without_each,
)
from labeling.core.agreement.scales import Scale, weights_of
from labeling.core.shares import Share, wilson

# Beyond so many people, those with most answers first, the change of alpha comes without an interval.
MOST_INTERVALS = 100


@dataclass(frozen=True, slots=True)
class Pair:
    """Two people on the items that both answered: kappa, and the share of equal answers.

    `plain` is the kappa without weights, where `kappa` has some.
    """

    first: int
    second: int
    kappa: Coefficient
    plain: Coefficient | None
    equal: Share


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
    is_weighted = weights is not None or scale != "nominal"
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
    for start, stop in stretches(pair):
        a, b = divmod(int(pair[start]), len(people))
        table = np.zeros((n_labels, n_labels))
        table.flat[cells[start:stop] % (n_labels * n_labels)] = times[start:stop]
        # Labels that neither gave say nothing and cost time.
        used = np.flatnonzero(table.sum(axis=0) + table.sum(axis=1))
        small, names = table[np.ix_(used, used)], [answers.names[i] for i in used]
        kappa = _kappa(small, weights[np.ix_(used, used)], names)
        plain = _kappa(small, np.eye(len(used)), names) if is_weighted else None
        if kappa.value is not None:
            kappas[a, b] = kappas[b, a] = kappa.value
        equal = wilson(int(np.trace(small)), kappa.n.items)
        assert equal is not None  # they share an item
        found.append(Pair(int(people[a]), int(people[b]), kappa, plain, equal))
    return Pairs([int(people[i]) for i in _alike(kappas)], found)


def _kappa(table: Floats, weights: Floats, names: list[str]) -> Coefficient:
    n = int(table.sum())
    basis = Basis(n, 2 * n, 2)
    value, se = cohen(table, weights)
    if np.isnan(value):
        return Coefficient("Cohen's kappa", None, None, None, None, basis, f"both always chose {names[0]}")
    if value >= 1 - 1e-12:
        return Coefficient("Cohen's kappa", 1.0, se, unseen(n, "fleiss", table.sum(axis=1)), None, basis)
    if se is not None and se < 1e-9:  # all items disagree alike, or one of the two always says the same
        return Coefficient("Cohen's kappa", value, se, None, None, basis)
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
    team's alpha rises (above 0) or falls through this person; it has an interval for the MOST_INTERVALS people with
    most answers. `top_label` is what they chose most and `top_share` how often.
    """

    annotator: int
    agreement: Coefficient
    alpha_without: float | None
    alpha_change: Change
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
    busiest = [int(person) for person in np.argsort(-amounts, kind="stable")[:MOST_INTERVALS] if amounts[person]]
    changes = dict(zip(busiest, changes_by_person(panel, own, busiest), strict=True))

    def change_by(person: int) -> Change:
        if person in changes:
            return changes[person]
        value = None if together is None or np.isnan(left[person]) else together - float(left[person])
        return Change(value, None, panel.n.items)

    return [
        PersonAgreement(
            annotator=int(person),
            agreement=_with_the_rest(int(amounts[person]), sums[person], squares[person]),
            alpha_without=None if np.isnan(left[person]) else float(left[person]),
            alpha_change=change_by(int(person)),
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
        interval = of_share(wilson(round(total), n)) if mean < 1e-9 or mean > 1 - 1e-9 else None
        return Coefficient(title, mean, None, interval, None, basis)
    se = float(np.sqrt(spread / (n - 1)))
    return Coefficient(title, mean, se, with_t(mean, se, n, "mean over items, t", lowest=0.0), None, basis)


@dataclass(frozen=True, slots=True)
class PersonConfusion:
    """What a person says where most of the others say something else, or the same.

    A row of `cells` is (what most of the others said, what the person said, on how many items). `n_ties`: items on
    which no answer of the others was the most frequent; they are in no cell.
    """

    annotator: int
    cells: Ints
    n_ties: int


def confusions_by_person(panel: Panel, people: Sequence[int]) -> list[PersonConfusion]:
    """Each of these people against the others' most frequent answer to the same items, their own left out."""
    answers, n_labels = panel.answers, len(panel.answers.names)
    step, occurring = panel.steps
    place = np.full(answers.n_annotators, -1)
    place[list(people)] = np.arange(len(people))
    theirs = place[answers.annotator] >= 0
    used, step_of = np.unique(step[theirs], return_inverse=True)
    others, own = plurality_of_others(panel, used)[step_of], (occurring[used] % n_labels)[step_of]
    who = place[answers.annotator[theirs]]
    found = []
    for row, person in enumerate(people):
        of_them = who == row
        clear = of_them & (others >= 0)
        codes, times = np.unique(others[clear] * n_labels + own[clear], return_counts=True)
        cells = np.column_stack([codes // n_labels, codes % n_labels, times]).astype(np.int64)
        found.append(PersonConfusion(int(person), cells, int((of_them & (others < 0)).sum())))
    return found
