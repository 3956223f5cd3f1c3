import pytest

from active_learning.core.decline import decline
from labeling.core.shares import wilson


def lost(then, n_then, now, n_now, limit=5):
    return decline(wilson(then, n_then), wilson(now, n_now), limit=limit)


def test_the_interval_is_newcombes():
    """Newcombe (1998), Statistics in Medicine 17:873, table II, method 10: 56/70 less 48/80 is 0.0524 to 0.3339."""
    found = lost(56, 70, 48, 80)
    assert (found.points, found.low, found.high) == pytest.approx((20.0, 5.24, 33.39), abs=0.005)


@pytest.mark.parametrize(
    ("then", "now", "verdict"),
    [
        ((900, 1_000), (900, 1_000), "steady"),
        ((900, 1_000), (851, 1_000), "steady"),  # 4.9 points
        ((900, 1_000), (850, 1_000), "lost"),  # exactly 5
        ((900, 1_000), (800, 1_000), "lost"),  # exactly 10
        ((900, 1_000), (799, 1_000), "critical"),
        ((18, 20), (17, 20), "unsure"),  # 5 points of 20 items are one item
        ((800, 1_000), (900, 1_000), "steady"),
        ((1_000, 1_000), (0, 1_000), "critical"),
    ],
)
def test_verdicts(then, now, verdict):
    found = lost(*then, *now)
    assert found.verdict == verdict
    assert found.is_lost is (verdict in ("lost", "critical"))
    assert found.low <= found.points <= found.high


def test_few_items_say_nothing():
    assert lost(19, 19, 0, 200) is None
    assert lost(200, 200, 0, 19) is None
    assert lost(200, 200, 0, 0) is None


def test_the_limit_is_the_projects():
    assert lost(900, 1_000, 850, 1_000, limit=6).verdict == "steady"
    assert lost(900, 1_000, 850, 1_000, limit=2).verdict == "lost"
