"""Differences of shares, against published intervals."""

import pytest

from labeling.core.influence import difference, stamps
from labeling.core.shares import Share, wilson


def share(successes: int, n: int) -> Share:
    found = wilson(successes, n)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [
        # Newcombe (1998), Statistics in Medicine 17, 873-890, table II, method 10, cases (a) to (h).
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((0, 10), (0, 10), -0.2775, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_published_intervals(first: tuple[int, int], second: tuple[int, int], low: float, high: float) -> None:
    found = difference(share(*first), share(*second))
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


def test_who_looks_is_no_stamp() -> None:
    assert stamps(share(60, 60), share(30, 60))
    assert not stamps(share(50, 60), share(30, 60))  # refuses some
    assert not stamps(share(60, 60), share(59, 60))  # suggestions that are nearly always right
    assert not stamps(share(12, 12), share(30, 60))  # too few to say
