"""Wilson's interval, against published ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labeling.core.shares import Share, wilson


def share(successes: int, n: int, design_effect: float = 1.0) -> Share:
    found = wilson(successes, n, design_effect)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    # Newcombe (1998), Statistics in Medicine 17, 857-872, table I, method 3 without continuity correction.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_published_intervals(successes: int, n: int, low: float, high: float) -> None:
    found = share(successes, n)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


def test_no_cases_no_number() -> None:
    assert wilson(0, 0) is None


@given(st.integers(0, 60), st.integers(1, 60), st.floats(1, 30))
def test_it_holds_the_share_and_stays_in_bounds(successes: int, extra: int, effect: float) -> None:
    found = share(successes, successes + extra, effect)
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_clustered_cases_say_as_much_as_fewer() -> None:
    clustered, fewer = share(40, 100, 4.0), share(10, 25)
    assert (clustered.low, clustered.high, clustered.n) == (fewer.low, fewer.high, 100)
