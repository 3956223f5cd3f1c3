"""Where the shapes of the agreement page go, and what its words say."""

from typing import Any

import pytest

from labeling.core.agreement_charts import draw_confusion, draw_heat, draw_time, draw_whisker, lowest_of
from labeling.core.agreement_words import mark_words, meaning


def alpha(value: float | None, low: float | None = None, high: float | None = None, n: int = 30) -> dict[str, Any]:
    limits = None if low is None else {"low": low, "high": high, "method": ""}
    return {"value": value, "this_team": limits, "n": {"items": n}, "reason": "" if value is not None else "x"}


def test_a_whisker_stands_between_chance_and_one() -> None:
    dot = draw_whisker(alpha(0.5, 0.25, 0.75), 0.0)
    assert dot is not None and (dot.x, dot.x_low, dot.x_high, dot.zero) == (50.0, 25.0, 75.0, 0.0)
    below = [alpha(-0.1, -0.3, 0.2), alpha(None)]
    assert lowest_of(below) == -0.4
    dot = draw_whisker(below[0], -0.4)
    assert dot is not None and dot.x_low is not None and 0 < dot.x_low < dot.x < dot.zero
    assert draw_whisker(below[1], -0.4) is None
    assert lowest_of([]) == 0.0


def test_the_chart_over_time_draws_what_is_defined() -> None:
    windows = [
        {"alpha": alpha(0.4, 0.3, 0.5), "has_changed": False},
        {"alpha": alpha(None), "has_changed": False},
        {"alpha": alpha(0.8, 0.7, 0.9), "has_changed": True},
    ]
    marks = [{"version": 2, "what": "labels", "window": 2}, {"version": 3, "what": "guidelines", "window": None}]
    chart = draw_time(windows, marks)
    assert chart is not None
    assert [dot.y is None for dot in chart.dots] == [False, True, False]
    assert chart.dots[2].y is not None and chart.dots[0].y is not None and chart.dots[2].y < chart.dots[0].y
    assert len(chart.line.split()) == 2 and len(chart.band.split()) == 4
    assert [mark.text for mark in chart.marks] == ["v2 labels"]
    assert draw_time(windows[:1], []) is None


def test_the_heat_map_is_symmetric_and_greys_what_rests_on_little() -> None:
    names = {str(n): {"name": name} for n, name in enumerate("abc")}
    pairs = {
        "order": [2, 0, 1],
        "pairs": [
            {"first": 0, "second": 1, "kappa": alpha(0.7, 0.6, 0.8, 40), "percent": 0.9},
            {"first": 0, "second": 2, "kappa": alpha(-0.2, n=4), "percent": 0.5},
        ],
    }
    rows = draw_heat(pairs, names)
    kinds = [[cell.kind for cell in row.cells] for row in rows]
    assert kinds == [["self", "few", "none"], ["few", "self", "4"], ["none", "4", "self"]]
    assert rows[1].cells[2].words == "a and b: kappa 0.70, 0.60 to 0.80; 40 shared items, 90 % equal"


def test_a_persons_confusion_is_a_row_for_each_label_that_others_gave() -> None:
    confusion = {"cells": [[0, 0, 30], [0, 2, 10], [1, 1, 3]], "of": [[0, 40], [1, 3]], "n": 43, "n_ties": 2}
    rows = draw_confusion(confusion, ["a", "b", "c"])
    assert [(row.name, row.n, [cell.text for cell in row.cells]) for row in rows] == [
        ("a", 40, ["30", "0", "10"]),
        ("b", 3, ["0", "3", "0"]),
    ]
    assert [cell.kind for row in rows for cell in row.cells] == ["4", "0", "1", "few", "few", "few"]
    assert rows[0].cells[2].words == "c where most others said a: 10 of 40, 14 to 40 %"


@pytest.mark.parametrize(
    ("low", "value", "start"),
    [
        (0.81, 0.9, "above .8"),
        (0.7, 0.9, "above .667"),
        (0.5, 0.7, "perhaps"),
        (0.4, 0.5, "below"),
        (None, 0.9, "above .8"),
    ],
)
def test_marks_are_judged_by_the_lower_end(low: float | None, value: float, start: str) -> None:
    assert mark_words(low, value).startswith(start)


def test_every_coefficient_has_its_line() -> None:
    for title in ("Percent equal", "Krippendorff's alpha, MASI", "Gwet's AC2, ordinal weights", "Conger's kappa"):
        assert meaning(title)
