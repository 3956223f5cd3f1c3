import pytest

from active_learning.core.curves import Baseline, CurvePoint, Frame, draw_curve, nice_step

POINTS = [
    CurvePoint(2, 200, 0.8, 0.7, 0.9, 60),
    CurvePoint(1, 100, 0.5, 0.4, 0.6, 60),
]


def test_no_points_no_chart():
    assert draw_curve([], []) is None


def test_points_lie_where_their_numbers_say():
    chart = draw_curve(POINTS, [], Frame(width=300, height=120, left=50, right=50, top=10, bottom=10))
    assert [(d.x, d.y) for d in chart.dots] == [(150.0, 60.0), (250.0, 30.0)]
    assert chart.line == "150.0,60.0 250.0,30.0"
    assert chart.band == "150.0,50.0 250.0,20.0 250.0,40.0 150.0,70.0"
    assert [t.text for t in chart.y_ticks] == ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"]
    assert chart.x_ticks[-1].text == "200"


def test_names_of_close_baselines_do_not_overlap():
    chart = draw_curve(POINTS, [Baseline("Majority", 0.41), Baseline("Random", 0.4), Baseline("Rules", 0.405)])
    texts = [line.text_y for line in chart.baselines]
    assert all(b - a >= 14 for a, b in zip(texts, texts[1:], strict=False))
    assert chart.baselines[0].text == "Majority 41%"


def test_one_point_draws():
    assert len(draw_curve(POINTS[:1], [Baseline("Majority", 0.3)]).dots) == 1


@pytest.mark.parametrize(("most", "step"), [(1, 1), (7, 2), (40, 10), (130, 50), (1_000, 200), (23_700, 5_000)])
def test_ticks_are_round(most, step):
    assert nice_step(most) == step
