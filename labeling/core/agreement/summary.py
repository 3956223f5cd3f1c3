"""Everything that is measured of several people's answers, as plain values that can be stored and shown.

Each part draws with dice of its own, so that a number does not change because another part was added.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labeling.core.agreement.answers import Answers, Floats, Ints, stretches
from labeling.core.agreement.changes import Change
from labeling.core.agreement.intervals import N_REPLICATES, Coefficient, Interval, Panel, of_share
from labeling.core.agreement.people import (
    PersonAgreement,
    PersonConfusion,
    by_person,
    confusions_by_person,
    pairs_of_people,
)
from labeling.core.agreement.report import (
    ANONYMOUS,
    by_label,
    confusions,
    few_sets,
    over_time,
    overall,
    overall_of_sets,
)
from labeling.core.agreement.scales import Scale, masi, weights_of
from labeling.core.shares import Z95, wilson

SEED = 20_260_101
# As many people as a table of pairs can show.
MOST_IN_PAIRS = 24
MOST_PEOPLE = 1_000
MOST_WINDOWS = 12
# Of so many people, those with most answers first, it is kept what they take for what.
MOST_CONFUSIONS = 50
# All cells of twelve labels; of more the most frequent of those where the two differ.
MOST_CELLS = 144
MOST_CONFUSED = 20
# A window of fewer items swings too much to say anything.
LEAST_IN_WINDOW = 20
# Of somebody with fewer answers nothing is said that could be held against them.
LEAST_ANSWERS = 20


@dataclass(frozen=True)
class Asked:
    """What people were asked: the labels of the schema in order, on which scale they stand.

    `sets` is given where several labels may be chosen: an answer's label is then a place in it.
    """

    names: tuple[str, ...]
    scale: Scale
    sets: Sequence[frozenset[int]] | None = None


def summarize(answers: Answers, when: Floats, asked: Asked, n_named: int) -> dict[str, Any]:
    """All sections by name. Persons from number `n_named` on are anonymous answers, each a person of its own.

    `when` is each answer's time in epoch seconds.
    """
    panel = Panel.of(answers)
    people_known = not len(panel.answers) or bool(panel.answers.annotator.max() < n_named)
    named = answers.annotator < n_named
    found = {
        "method": {"seed": SEED, "replicates": N_REPLICATES, "level": 0.95, "scale": asked.scale},
        "n": asdict(panel.n) | {"anonymous": int((panel.answers.annotator >= n_named).sum())},
        "overall": [coefficient(one) for one in _overall(panel, asked, people_known)],
        "others_why": "" if people_known else ANONYMOUS,
        "labels": _labels(panel, asked, people_known),
        "confusions": _confusions(panel, asked),
        "windows": [],
        "pairs": {"order": [], "pairs": []},
        "people": [],
    }
    found["headline"] = headline(asked)
    if asked.sets is None:
        weights, coded, kept = None, answers, np.ones(len(answers), dtype=bool)
    else:
        kept, coded, used = few_sets(answers, asked.sets, _dice(4))
        weights = masi(used, len(asked.names))
    found["windows"] = _windows(coded, when[kept], asked.scale, weights)
    several = Panel.of(coded.where(named[kept]))
    if several.n.annotators >= 2:
        pairs = pairs_of_people(several, asked.scale, MOST_IN_PAIRS, weights)
        found["pairs"] = {
            "order": pairs.order,
            "pairs": [
                {
                    "first": pair.first,
                    "second": pair.second,
                    "kappa": coefficient(pair.kappa),
                    "plain": None if pair.plain is None else coefficient(pair.plain),
                    "percent": round(pair.equal.value, 6),
                    "percent_interval": interval(of_share(pair.equal)),
                }
                for pair in pairs.pairs
            ],
        }
        found["people"] = _people(several, asked, weights)
    return found


def headline(asked: Asked) -> str:
    """The title of the coefficient that stands for all: alpha as the question's scale asks for it."""
    return f"Krippendorff's alpha, {'MASI' if asked.sets is not None else asked.scale}"


def _dice(part: int) -> np.random.Generator:
    return np.random.default_rng([SEED, part])


def _overall(panel: Panel, asked: Asked, people_known: bool) -> list[Coefficient]:
    if asked.sets is not None:
        return overall_of_sets(panel, asked.sets, len(asked.names), _dice(1), people_known=people_known)
    found = overall(panel, asked.scale, _dice(1), people_known=people_known)
    if asked.scale == "ordinal":
        # The same with equal steps between the points, and as if they had no order; what has no scale is there already.
        for scale in ("interval", "nominal"):
            titles = {one.title for one in found}
            more = overall(panel, scale, _dice(1), people_known=people_known)
            found += [one for one in more if one.title not in titles]
        found.sort(key=lambda one: _KINDS.index(one.title.split("'")[0].split()[0]))
    return found


# Coefficients of a kind stand together, whatever their weights.
_KINDS = ("Percent", "Krippendorff", "Gwet", "Fleiss", "Cohen", "Conger")


def _labels(panel: Panel, asked: Asked, people_known: bool) -> list[dict[str, Any]]:
    names = asked.names if asked.sets is not None else None
    rows = by_label(panel, _dice(2), asked.sets, names, people_known=people_known)
    return [
        {
            "label": row.name,
            "alpha": coefficient(row.alpha),
            "share": round(row.share, 6),
            "items": row.n_items,
        }
        for row in rows
    ]


def _confusions(panel: Panel, asked: Asked) -> list[dict[str, Any]]:
    if asked.sets is not None:  # of several labels none excludes another
        return []
    return [
        {
            "first": asked.names[row.first],
            "second": asked.names[row.second],
            "items": row.n_items,
            "share": round(row.share, 6),
            "gain": change(row.gain),
        }
        for row in confusions(panel)
    ]


def _windows(answers: Answers, when: Floats, scale: Scale, weights: Floats | None) -> list[dict[str, Any]]:
    n_items = int((answers.without_repeats().n_of_item >= 2).sum()) if len(answers) else 0
    if n_items < 2 * LEAST_IN_WINDOW:
        return []
    size = max(LEAST_IN_WINDOW, -(-n_items // MOST_WINDOWS))
    return [
        {
            "first": float(window.first),
            "last": float(window.last),
            "alpha": coefficient(window.alpha),
            "has_changed": bool(window.has_changed),
        }
        for window in over_time(answers, when, size, scale, weights)
    ]


def _people(panel: Panel, asked: Asked, weights: Floats | None) -> list[dict[str, Any]]:
    own = weights if weights is not None else weights_of(asked.scale, panel.answers.scale)
    rows = by_person(panel, asked.scale, weights)
    chance = _by_chance(panel, own)
    rows = sorted(rows, key=lambda row: -row.agreement.n.items)[:MOST_PEOPLE]
    shown = [row.annotator for row in rows[:MOST_CONFUSIONS]]
    confused = {} if asked.sets is not None else {one.annotator: one for one in confusions_by_person(panel, shown)}
    return [
        _person(row, float(chance[row.annotator]), panel) | {"confusion": _confusion(confused.get(row.annotator))}
        for row in rows
    ]


def _confusion(one: PersonConfusion | None) -> dict[str, Any] | None:
    """Cells as (what most others said, what they said, items), and the rows' sums; of many cells the worst."""
    if one is None:
        return None
    rows: dict[int, int] = {}
    for others, _, n in one.cells.tolist():
        rows[others] = rows.get(others, 0) + n
    cells = sorted(one.cells.tolist(), key=lambda cell: -cell[2])
    if len(cells) > MOST_CELLS:
        cells = [cell for cell in cells if cell[0] != cell[1]][:MOST_CONFUSED]
    return {
        "cells": cells,
        "of": [[others, n] for others, n in sorted(rows.items())],
        "n": sum(rows.values()),
        "n_ties": one.n_ties,
    }


def _by_chance(panel: Panel, weights: Floats) -> Floats:
    """For each person the agreement that their labels would have with the others' if items played no part."""
    answers, n_labels = panel.answers, len(panel.answers.names)
    flat = np.bincount(answers.annotator * n_labels + answers.label, minlength=answers.n_annotators * n_labels)
    own = flat.reshape(answers.n_annotators, n_labels).astype(np.float64)
    rest = panel.totals - own
    own /= np.maximum(own.sum(axis=1, keepdims=True), 1)
    rest /= np.maximum(rest.sum(axis=1, keepdims=True), 1)
    return np.asarray((own @ weights * rest).sum(axis=1))


def _person(row: PersonAgreement, chance: float, panel: Panel) -> dict[str, Any]:
    n = row.agreement.n.items
    label = panel.answers.names[row.top_label]
    top = round(row.top_share * n)
    others = panel.totals[row.top_label] - top
    n_others = panel.totals.sum() - n
    usual = float(others / n_others) if n_others else 0.0
    limits = wilson(top, n)
    team = row.agreement.this_team
    lowest = row.agreement.value if team is None else team.low
    return {
        "person": row.annotator,
        "agreement": coefficient(row.agreement),
        "by_chance": round(chance, 6),
        "alpha_without": _rounded(row.alpha_without),
        "alpha_change": change(row.alpha_change),
        "top_label": label,
        "top_share": round(row.top_share, 6),
        "top_share_of_others": round(usual, 6),
        # What an owner should look at; each has innocent explanations too.
        "is_constant": bool(n >= LEAST_ANSWERS and row.top_share >= 0.95 and limits and limits.low > usual),
        "is_like_guessing": bool(n >= LEAST_ANSWERS and lowest is not None and lowest <= chance),
    }


def coefficient(one: Coefficient) -> dict[str, Any]:
    """A coefficient as plain values; `n_more` items answered twice narrow it to about plus or minus 0.05."""
    return {
        "title": one.title,
        "value": _rounded(one.value),
        "se": _rounded(one.se),
        "this_team": interval(one.this_team),
        "others_like_them": interval(one.others_like_them),
        "n": asdict(one.n),
        "reason": one.reason,
        "n_more": one.n_more_items(),
    }


def change(one: Change) -> dict[str, Any]:
    """A difference of two alphas as plain values."""
    return {"value": _rounded(one.value), "interval": interval(one.interval), "n": one.n_items}


def interval(one: Interval | None) -> dict[str, Any] | None:
    return None if one is None else {"low": _rounded(one.low), "high": _rounded(one.high), "method": one.method}


def _rounded(number: float | None) -> float | None:
    return None if number is None or not np.isfinite(number) else round(float(number), 6)


@dataclass(frozen=True, slots=True)
class Median:
    """A median with 95 % limits that hold whatever the distribution is; None where n is too small for them."""

    value: float
    low: float | None
    high: float | None
    n: int


def median(values: Floats) -> Median | None:
    """Of the numbers that are there. Limits: ranks n/2 -+ 0.98 sqrt(n), Conover (1999), section 3.2."""
    known = np.sort(values[~np.isnan(values)])
    n = len(known)
    if n == 0:
        return None
    value = float(np.median(known))
    low, high = n / 2 - Z95 * np.sqrt(n) / 2, n / 2 + Z95 * np.sqrt(n) / 2
    first, last = int(np.ceil(low)) - 1, int(np.ceil(high)) - 1
    if first < 0 or last >= n or n < 10:
        return Median(round(value, 3), None, None, n)
    return Median(round(value, 3), round(float(known[first]), 3), round(float(known[last]), 3), n)


def medians_by(group: Ints, values: Floats, n_groups: int) -> list[Median | None]:
    """The median of each group."""
    found: list[Median | None] = [None] * n_groups
    order = np.argsort(group, kind="stable")
    for start, stop in stretches(group[order]) if len(group) else []:
        found[int(group[order[start]])] = median(values[order[start:stop]])
    return found


def shares_by(group: Ints, is_so: NDArray[np.bool_], n_groups: int) -> tuple[Ints, Ints]:
    """How many cases of each group there are, and of how many it is so."""
    return np.bincount(group, minlength=n_groups), np.bincount(group[is_so], minlength=n_groups)
