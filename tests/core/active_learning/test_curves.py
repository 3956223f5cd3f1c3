import pytest

from active_learning.core.curves import NAME_HEIGHT, Baseline, CurvePoint, Frame, draw_curve, nice_step, short_number

POINTS = [
    CurvePoint(2, 200, 0.8, 0.7, 0.9, 60),
    CurvePoint(1, 100, 0.5, 0.4, 0.6, 60),
]


def test_no_points_no_chart():
    assert draw_curve([], []) is None


def test_points_lie_where_their_numbers_say():
    chart = draw_curve(POINTS, [], Frame(height=120, top=10, bottom=10))
    assert [(d.x, d.y) for d in chart.dots] == [(50.0, 60.0), (100.0, 30.0)]
    assert chart.line == "500.0,60.0 1000.0,30.0"
    assert chart.band == "500.0,50.0 1000.0,20.0 1000.0,40.0 500.0,70.0"
    assert chart.box == "0 0 1000 120"
    assert [t.text for t in chart.y_ticks] == ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"]
    assert chart.x_ticks[-1].text == "200"


def test_names_of_close_baselines_do_not_overlap():
    chart = draw_curve(POINTS, [Baseline("Majority", 0.41), Baseline("Random", 0.4), Baseline("Rules", 0.405)])
    texts = [line.text_y for line in chart.baselines]
    assert all(b - a >= NAME_HEIGHT for a, b in zip(texts, texts[1:], strict=False))
    assert chart.baselines[0].text == "Majority 41 %"


def test_one_point_draws():
    assert len(draw_curve(POINTS[:1], [Baseline("Majority", 0.3)]).dots) == 1


def test_the_last_version_is_the_newest_also_when_it_has_fewer_labels():
    withdrawn = CurvePoint(3, 150, 0.7, 0.6, 0.8, 60)
    assert draw_curve([*POINTS, withdrawn], []).last == withdrawn


@pytest.mark.parametrize("n_labels", [1, 7, 21, 40, 130, 194, 999, 1_000, 1_700, 23_700, 99_999, 250_000])
def test_ticks_fit_below_a_plot_as_wide_as_on_a_phone(n_labels):
    # 170 pixels; a digit of 12 pixels' height is about 7 wide.
    ticks = draw_curve([CurvePoint(1, n_labels, 0.5, 0.4, 0.6, 60)], []).x_ticks
    assert 2 <= len(ticks) <= 5
    assert max(len(tick.text) for tick in ticks) * 7 + 4 <= 170 / (len(ticks) - 1)


def test_large_numbers_are_short():
    assert [short_number(n) for n in (0, 950, 1_500, 20_000)] == ["0", "950", "1.5k", "20k"]


@pytest.mark.parametrize(("most", "step"), [(1, 1), (7, 2), (40, 10), (130, 50), (1_000, 500), (23_700, 10_000)])
def test_ticks_are_round(most, step):
    assert nice_step(most) == step
