"""What a complaint is worth looking at."""

import math

import pytest

from feedback.core.complaints import Known
from feedback.core.complaints import chance_wrong as chance_told


def chance_wrong(*given):
    return chance_told(*given).value


def test_the_interval_is_there_where_all_that_counted_was_measured():
    known = {"thumbs_down": Known(math.log(4), 0.3), "correction": Known(0.0, 0.2)}
    found = chance_told(0.8, {"a": ["thumbs_down", "correction"]}, known)
    assert found.value == pytest.approx(0.5)
    assert (found.low, found.high) == (
        pytest.approx(1 / (1 + math.exp(1.96 * 0.3)), abs=1e-4),
        pytest.approx(1 - found.low),
    )
    assert chance_told(0.8, {"a": ["thumbs_down"], "b": ["flag_down"]}, known).low is None, "assumed"
    assert chance_told(0.8, {"a": ["correction"]}, known).low is None, "nothing that was measured counted"
    crowd = chance_told(0.8, {place: ["thumbs_down"] for place in range(100)}, {"thumbs_down": Known(2.9, 0.1)})
    assert crowd.value == crowd.high == 1.0 and 0.99 < crowd.low <= 1
    praise = chance_told(0.8, {place: ["thumbs_up"] for place in range(900)}, {"thumbs_up": Known(-2.9, 0.1)})
    assert 0 <= praise.low <= praise.value <= praise.high < 0.01
    twice = chance_told(0.8, {"a": ["thumbs_down"], "b": ["thumbs_down"]}, known)
    assert math.log(twice.high / (1 - twice.high)) == pytest.approx(math.log(4) + 1.96 * 0.6, abs=1e-3), "off alike"


def test_the_chance_grows_with_doubt_and_with_independent_complaints():
    one = {"a": ["thumbs_down"]}
    # The odds of 0.2 / 0.8, three times.
    assert chance_wrong(0.8, one, {}) == pytest.approx(3 / 7)
    assert chance_wrong(0.8, {"a": ["thumbs_down", "correction", "flag_down"]}, {}) == chance_wrong(0.8, one, {})
    assert chance_wrong(0.8, {"a": ["thumbs_down"], "b": ["correction"]}, {}) == pytest.approx(9 / 13)
    assert chance_wrong(0.8, {"a": ["thumbs_down"], "b": ["thumbs_up"]}, {}) == pytest.approx(0.2)
    assert (
        chance_wrong(0.95, one, {}) < chance_wrong(0.6, one, {}) == chance_wrong(0.6, one, {"copied": Known(-1.0, 0.1)})
    )
    assert chance_wrong(None, {}, {}) == 0.5


def test_what_is_known_of_a_signal_counts_instead():
    ratios = {"thumbs_down": math.log(20), "undone": math.log(4), "correction": -1.0}
    known = {name: Known(ratio, 0.1) for name, ratio in ratios.items()}
    assert chance_wrong(0.8, {"a": ["thumbs_down"]}, known) == pytest.approx(5 / 6)
    assert chance_wrong(0.8, {"a": ["undone"]}, known) == pytest.approx(0.5)
    assert chance_wrong(0.8, {"a": ["undone"]}, {}) == pytest.approx(0.2), "what users do has to earn it"
    assert chance_wrong(0.8, {"a": ["correction"]}, known) == pytest.approx(0.2), "worth nothing"


@pytest.mark.parametrize(("signal", "value"), [("thumbs_down", 1.0), ("thumbs_up", 0.0)])
def test_hundreds_of_users_are_no_more_than_sure(signal, value):
    known = {"thumbs_down": Known(2.0, 0.5), "thumbs_up": Known(-2.0, 0.5)}
    told = chance_told(0.6, {f"user {place}": [signal] for place in range(900)}, known)
    assert told.value == pytest.approx(value) and 0 <= told.low <= told.value <= told.high <= 1
