import numpy as np
import pytest

from active_learning.core.weighted import Judged, live_accuracy


def test_equal_weights_give_the_plain_share():
    found = live_accuracy([Judged(i % 4 != 0, 0.05) for i in range(400)], clip=20)
    assert found.value == found.naive == 0.75
    assert found.effective_n == pytest.approx(400)
    assert (found.low, found.high) == (pytest.approx(0.706, abs=0.003), pytest.approx(0.791, abs=0.003))


def test_too_few_say_nothing_and_all_right_is_no_certainty():
    assert live_accuracy([Judged(True, 0.05)] * 29, clip=20) is None
    assert live_accuracy([Judged(True, 0.0)] * 100, clip=20) is None
    found = live_accuracy([Judged(True, 0.05)] * 100, clip=20)
    assert (found.value, round(found.low, 3), found.high) == (1.0, 0.963, 1.0)


def test_in_a_stream_with_a_biased_queue_the_interval_covers_and_the_naive_number_misleads():
    """People judge everything the model is unsure of and 5 % of the rest, drawn by chance."""
    rng = np.random.default_rng(0)
    epsilon, n, draws = 0.05, 6_000, 1_000
    covered, naive = 0, []
    for _ in range(draws):
        certainty = rng.beta(2, 1, n)
        p_right = 0.5 + 0.5 * certainty**1.5
        right = rng.uniform(size=n) < p_right
        propensity = np.where(certainty < 0.5, 1.0, epsilon)
        is_judged = rng.uniform(size=n) < propensity
        judged = [Judged(bool(r), float(p)) for r, p in zip(right[is_judged], propensity[is_judged], strict=True)]
        found = live_accuracy(judged, clip=1 / epsilon)
        # E[0.5 + 0.5 c^1.5] under Beta(2, 1), whose density is 2c.
        covered += found.low <= 0.5 + 1 / 3.5 <= found.high
        naive.append(found.naive)
    assert 0.93 <= covered / draws <= 0.97
    assert 0.5 + 1 / 3.5 - np.mean(naive) > 0.1
