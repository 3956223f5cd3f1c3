"""In which order reviewers look at things."""

from datetime import UTC, datetime, timedelta

import pytest

from labeling.core.inbox_order import USUAL_SECONDS, chance_of, standing_in_line, usual_seconds

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def placed(reason: str = "unsure", priority: float = 0.6, days: float = 0.0, seconds: float = 20.0) -> float:
    opened_at = NOW - timedelta(days=days)
    return standing_in_line(reason=reason, priority=priority, opened_at=opened_at, now=NOW, seconds=seconds).score


def test_the_score_is_what_a_second_is_expected_to_mend():
    assert placed(priority=0.6, seconds=20) == pytest.approx(0.03)
    assert placed(priority=0.6, seconds=10) == pytest.approx(0.06)
    assert placed(priority=0.6, days=7) == pytest.approx(0.06)
    assert placed(priority=0.8) > placed(priority=0.6)


def test_nothing_is_passed_over_for_ever():
    assert placed(priority=0.1, days=70) > placed(priority=0.99)


@pytest.mark.parametrize(
    ("reason", "priority", "chance"),
    [
        ("dispute", 0.4, 0.4),
        ("unsure", 1.7, 1.0),
        ("doubt", -1.9, 0.1),
        ("doubt", -1.0, 1.0),
        ("label_error", -2.01, 0.99),
        ("label_error", -3.0, 0.0),
    ],
)
def test_the_chance_is_read_from_the_priority_of_its_kind(reason, priority, chance):
    assert chance_of(reason, priority) == pytest.approx(chance)


def test_the_place_of_a_random_check_tells_nothing_of_its_prediction():
    assert placed("explore", 0.01) == placed("explore", 0.99)


def test_few_measurements_are_drawn_to_the_whole():
    assert usual_seconds({}, ["dispute", "unsure"]) == {"dispute": USUAL_SECONDS, "unsure": USUAL_SECONDS}
    found = usual_seconds({"dispute": [60.0] * 1_000, "unsure": [5.0]}, ["dispute", "unsure", "flag"])
    assert found["dispute"] == pytest.approx(60, rel=0.02)
    assert 40 < found["unsure"] < found["flag"] == pytest.approx(60, rel=0.05)
    many = usual_seconds({"unsure": [5.0] * 1_000, "dispute": [60.0] * 1_000}, ["unsure"])
    assert many["unsure"] == pytest.approx(5, rel=0.05)
