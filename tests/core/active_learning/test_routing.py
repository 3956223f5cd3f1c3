import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from active_learning.core.phrasing import phrase
from active_learning.core.routing import Bands, RoutingRules, confidence_of, route


def test_two_labels_are_banded_by_their_margin_and_more_by_probability():
    two, three = confidence_of([0.3, 0.7], is_multilabel=False), confidence_of([0.2, 0.7, 0.1], is_multilabel=False)
    assert (two.probability, two.scale) == (0.7, "margin")
    assert two.banded == pytest.approx(0.4)
    assert (three.banded, three.scale, round(three.margin, 6)) == (0.7, "probability", 0.5)
    several = confidence_of([0.99, 0.02, 0.6], is_multilabel=True)
    assert (several.probability, several.scale) == (0.6, "margin")
    assert several.banded == pytest.approx(0.2)
    with pytest.raises(ValueError):
        confidence_of([math.nan, 0.5], is_multilabel=False)


@given(st.floats(0, 1))
def test_every_certainty_of_two_labels_can_reach_every_band(p):
    """The lowest band is empty when it looks at the likelier one's probability, which is never below a half."""
    banded = confidence_of([p, 1 - p], is_multilabel=False).banded
    assert banded == pytest.approx(abs(2 * p - 1), abs=1e-12)
    decision = Bands().decide(banded)
    assert (decision == "review") == (banded < 0.5)
    assert (decision == "auto") == (banded > 0.9)


def test_boundaries_belong_to_the_middle():
    assert [Bands().decide(x) for x in (0.4999, 0.5, 0.9, 0.9001)] == ["review", "monitor", "monitor", "auto"]


@pytest.mark.parametrize("bounds", [(0.9, 0.5), (-0.1, 0.5), (0.5, 1.1), (math.nan, 0.5)])
def test_bands_that_overlap_are_refused(bounds):
    with pytest.raises(ValueError):
        Bands(*bounds)


SURE = confidence_of([0.96, 0.02, 0.02], is_multilabel=False)


def test_labels_and_segments_have_bands_of_their_own_and_the_stricter_holds():
    rules = RoutingRules(by_label={"spam": Bands(0.3, 0.99)}, by_segment={"de": Bands(0.2, 0.5)}, exploration_share=0.0)
    assert route(SURE, ["ham"], rules, draw=0.5).decision == "auto"
    assert route(SURE, ["spam"], rules, draw=0.5).decision == "monitor"
    low = confidence_of([0.4, 0.3, 0.3], is_multilabel=False)
    assert route(low, ["ham"], rules, draw=0.5).decision == "review"
    assert route(low, ["ham"], rules, draw=0.5, segment="de").decision == "monitor"
    assert route(low, ["spam"], rules, draw=0.5, segment="de").decision == "monitor"
    assert route(SURE, ["spam"], rules, draw=0.5, segment="de").decision == "monitor"


def test_people_decide_what_is_theirs_whatever_the_confidence():
    rules = RoutingRules(person_labels=frozenset({"close account"}), exploration_share=0.1)
    found = route(SURE, ["close account"], rules, draw=0.05)
    assert (found.decision, found.reason, found.is_explored, found.propensity) == ("review", "person", True, 0.1)
    edge = route(SURE, ["other"], rules, draw=0.5, edge="large amount")
    assert (edge.decision, edge.reason, edge.detail, edge.is_explored) == ("review", "edge", "large amount", False)
    assert route(None, ["other"], rules, draw=0.5).reason == "no_model"


@given(st.floats(0, 1, exclude_max=True), st.floats(0, 1), st.floats(0, 1))
def test_the_draw_is_all_that_decides_about_exploration(draw, share, p):
    rules = RoutingRules(exploration_share=share)
    found = route(confidence_of([p, 1 - p], is_multilabel=False), ["a"], rules, draw=draw)
    assert found.is_explored == (draw < share)
    assert found.propensity == share
    assert found.needs_person == (found.is_explored or found.decision == "review")


def test_words_neither_hide_doubt_nor_promise_too_much():
    assert phrase("spam", {"spam": 0.96, "ham": 0.03, "eggs": 0.01}) == "96 % sure: spam. It can still be wrong."
    assert phrase("spam", {"spam": 0.6, "ham": 0.3, "eggs": 0.1}).endswith("It could also be ham (30 %).")
    assert "guess" in phrase(3, {"1": 0.3, "2": 0.3, "3": 0.4})
    assert phrase(["a", "b"], {"a": 0.99, "b": 0.97, "c": 0.02}).startswith("97 % sure: a and b.")
    assert "none of the labels" in phrase([], {"a": 0.01})
    assert "fixed rule" in phrase("spam", {})
