"""Comparisons of clustered answers, against the plain intervals and against simulated teams."""

import numpy as np
import pytest

from labeling.core.clusters import Grouped, compare_medians, compare_shares
from labeling.core.influence import difference
from labeling.core.shares import wilson


def team(n_people, rng, n_each=60, n_items=300, differs=1.0, moved=0.6, hard=1.0):
    """People who differ in how often they say yes, and in how far showing moves them; items that differ too."""
    item = np.concatenate([rng.choice(n_items, n_each, replace=False) for _ in range(n_people)])
    person = np.repeat(np.arange(n_people), n_each)
    is_shown = rng.random(len(item)) < 0.7
    base, effect, hardness = (
        rng.normal(0, sd, n) for sd, n in ((differs, n_people), (moved, n_people), (hard, n_items))
    )
    odds = 0.4 + base[person] + hardness[item] + is_shown * (0.8 + effect[person])
    seconds = np.exp(1 + 0.4 * base[person] + 0.5 * rng.normal(size=len(item)) - 0.2 * is_shown)
    return rng.random(len(item)) < 1 / (1 + np.exp(-odds)), seconds, Grouped(person, item, is_shown)


def test_answers_that_share_nothing_have_the_plain_intervals():
    rng = np.random.default_rng(0)
    is_so, is_shown = rng.random(200) < 0.6, np.arange(200) % 4 > 0
    one_each = compare_shares(is_so, Grouped(np.zeros(200), np.arange(200), is_shown))
    shown, hidden = (wilson(int(is_so[group].sum()), int(group.sum())) for group in (is_shown, ~is_shown))
    # A sample's own variance is not quite that of the share.
    for found, plain in ((one_each.shown, shown), (one_each.hidden, hidden)):
        assert (found.low, found.high, found.n) == (
            pytest.approx(plain.low, abs=2e-3), pytest.approx(plain.high, abs=2e-3), plain.n,
        )  # fmt: skip
    assert one_each.change.low == pytest.approx(difference(shown, hidden).low, abs=3e-3)


def test_the_same_answer_counted_ten_times_says_no_more():
    rng = np.random.default_rng(1)
    is_so, is_shown = rng.random(100) < 0.6, rng.random(100) < 0.5
    people, items = np.zeros(100), np.arange(100)
    once = compare_shares(is_so, Grouped(people, items, is_shown))
    tenfold = [np.repeat(one, 10) for one in (is_so, people, items, is_shown)]
    ten = compare_shares(tenfold[0], Grouped(*tenfold[1:]))
    assert (ten.shown.low, ten.shown.high) == pytest.approx((once.shown.low, once.shown.high), abs=0.02)
    assert (ten.change.low, ten.change.high) == pytest.approx((once.change.low, once.change.high), abs=0.02)


def test_other_people_are_spoken_of_from_five_on():
    rng = np.random.default_rng(2)
    _, _, few = team(4, rng)
    _, _, enough = team(5, rng)
    assert (few.speaks_of_others, enough.speaks_of_others) == (False, True)


def test_nothing_to_compare_is_nothing():
    grouped = Grouped(np.zeros(9), np.arange(9), np.ones(9, dtype=bool))
    assert compare_shares(np.ones(9, dtype=bool), grouped) is None
    assert compare_medians(np.ones(9), grouped) is None
    assert compare_medians(np.full(9, np.nan), grouped) is None


def test_all_alike_is_not_known_for_sure():
    grouped = Grouped(np.arange(60) % 7, np.arange(60), np.arange(60) % 2 == 0)
    found = compare_shares(np.ones(60, dtype=bool), grouped)
    assert (found.shown.value, found.change.value) == (1.0, 0.0)
    assert found.shown.low < wilson(30, 30).low and found.change.low < 0 < found.change.high


@pytest.mark.parametrize("n_people", [6, 20])
def test_teams_have_the_truth_in_their_interval(n_people):
    rng = np.random.default_rng(3)
    is_so, seconds, grouped = team(3_000, rng, n_items=30_000)
    shown = grouped.is_shown
    share, median = is_so[shown].mean(), np.median(seconds[shown]) - np.median(seconds[~shown])
    moved = share - is_so[~shown].mean()
    held = np.zeros(3)
    for n in range(100):
        is_so, seconds, grouped = team(n_people, rng)
        found = compare_shares(is_so, grouped)
        held[0] += found.shown.low <= share <= found.shown.high
        held[1] += found.change.low <= moved <= found.change.high
        if n < 30:
            change = compare_medians(seconds, grouped).change
            held[2] += change.low <= median <= change.high
    assert held[0] >= 88 and held[1] >= 90 and held[2] >= 27
