"""Figures of reviewing, by known answers."""

from datetime import date

import pytest

from active_learning.core.review_figures import JudgedReview, agreement_of, draw_days, times_of


def test_the_median_and_the_slowest_tenth():
    assert times_of([]) is None
    few = times_of([3.0, 1.0, 2.0])
    assert (few.n, few.median, few.p90) == (3, 2.0, None)
    many = times_of([float(n) for n in range(1, 101)])
    assert (many.n, many.median, many.p90) == (100, 50.0, 90.0)


def judged(n, *, is_blind, was_sent, is_as_predicted):
    return [JudgedReview(is_blind, was_sent, is_as_predicted)] * n


def test_blind_and_shown_are_kept_apart():
    found = agreement_of(
        judged(60, is_blind=True, was_sent=False, is_as_predicted=True)
        + judged(10, is_blind=True, was_sent=False, is_as_predicted=False)
        + judged(20, is_blind=True, was_sent=True, is_as_predicted=False)
        + judged(10, is_blind=True, was_sent=True, is_as_predicted=True)
        + judged(30, is_blind=False, was_sent=True, is_as_predicted=True)
        + judged(10, is_blind=False, was_sent=True, is_as_predicted=False)
    )
    assert (found.blind.value, found.blind.n) == (pytest.approx(0.7), 100)
    assert (found.shown.value, found.shown.n) == (pytest.approx(0.75), 40)
    assert (found.routing.value, found.routing.n) == (pytest.approx(0.8), 100)
    assert (found.needed.value, found.needed.n) == (pytest.approx(0.25), 40)
    assert found.blind.low < 0.7 < found.blind.high
    empty = agreement_of([])
    assert (empty.blind, empty.shown, empty.routing, empty.needed) == (None, None, None, None)


def test_a_day_is_a_bar():
    last = date(2026, 5, 28)
    assert draw_days({}, last=last) is None
    chart = draw_days({last: 1, date(2026, 5, 1): 200, date(2026, 4, 1): 999}, last=last)
    assert (len(chart.bars), chart.most) == (28, 200)
    assert (chart.bars[0].n, chart.bars[-1].n) == (200, 1)
    assert chart.bars[-1].height == 2.0, "a single decision is seen beside 200"
    assert all(bar.x >= 0 and bar.x + bar.width <= 100 and bar.y + bar.height == chart.bottom for bar in chart.bars)
