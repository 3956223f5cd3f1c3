"""What a complaint is worth looking at."""

import math

import pytest

from feedback.core.complaints import chance_wrong


def test_the_chance_grows_with_doubt_and_with_independent_complaints():
    one = {"a": ["thumbs_down"]}
    # The odds of 0.2 / 0.8, three times.
    assert chance_wrong(0.8, one, {}) == pytest.approx(3 / 7)
    assert chance_wrong(0.8, {"a": ["thumbs_down", "correction", "flag_down"]}, {}) == chance_wrong(0.8, one, {})
    assert chance_wrong(0.8, {"a": ["thumbs_down"], "b": ["correction"]}, {}) == pytest.approx(9 / 13)
    assert chance_wrong(0.8, {"a": ["thumbs_down"], "b": ["thumbs_up"]}, {}) == pytest.approx(0.2)
    assert chance_wrong(0.95, one, {}) < chance_wrong(0.6, one, {}) == chance_wrong(0.6, one, {"copied": -1.0})
    assert chance_wrong(None, {}, {}) == 0.5


def test_what_is_known_of_a_signal_counts_instead():
    known = {"thumbs_down": math.log(20), "undone": math.log(4), "correction": -1.0}
    assert chance_wrong(0.8, {"a": ["thumbs_down"]}, known) == pytest.approx(5 / 6)
    assert chance_wrong(0.8, {"a": ["undone"]}, known) == pytest.approx(0.5)
    assert chance_wrong(0.8, {"a": ["undone"]}, {}) == pytest.approx(0.2), "what users do has to earn it"
    assert chance_wrong(0.8, {"a": ["correction"]}, known) == pytest.approx(0.2), "worth nothing"
