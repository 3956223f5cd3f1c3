"""Reliability, corrected rates, posteriors, weights and the guard: known answers, and what must always hold."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.core.evidence import QUORUM, Said, Vote, p_wrong, weak_label
from feedback.core.guard import Answered, Speaker, burst, strangers_flock, trust
from feedback.core.rates import Voices, corrected_rate, design_effect
from feedback.core.reliability import MIN_PAIRS, Pairs, reliability_of
from labeling.core.shares import wilson


def test_reliability_alone_is_laplace():
    found = reliability_of(Pairs(n_wrong=50, on_wrong=20, n_right=200, on_right=10))
    assert found.sensitivity.value == pytest.approx(21 / 52)
    assert found.false_alarm.value == pytest.approx(11 / 202)
    assert found.log_ratio == pytest.approx(math.log((21 / 52) / (11 / 202)))
    assert found.is_known and found.weight(against=True) == found.log_ratio


def test_a_project_without_pairs_is_like_the_others_and_counts_for_nothing():
    others = Pairs(n_wrong=998, on_wrong=399, n_right=998, on_right=49)
    found = reliability_of(Pairs(), others)
    assert found.sensitivity.value == pytest.approx(0.4)
    assert found.false_alarm.value == pytest.approx(0.05)
    assert not found.is_known and found.weight(against=True) == 0


def test_below_thirty_pairs_a_signal_is_for_looking_at_only():
    assert not reliability_of(Pairs(MIN_PAIRS - 1, 10, 500, 10)).is_known
    assert not reliability_of(Pairs(500, 10, MIN_PAIRS - 1, 10)).is_known
    assert reliability_of(Pairs(MIN_PAIRS, 10, MIN_PAIRS, 10)).is_known


@st.composite
def pairs(draw, least=0):
    n_wrong, n_right = draw(st.integers(least, 500)), draw(st.integers(least, 500))
    return Pairs(n_wrong, draw(st.integers(0, n_wrong)), n_right, draw(st.integers(0, n_right)))


@given(pairs(), pairs())
def test_a_shrunk_rate_lies_between_its_own_and_the_others(own, others):
    found = reliability_of(own, others)
    for share, given_on, n, elsewhere, n_elsewhere in (
        (found.sensitivity, own.on_wrong, own.n_wrong, others.on_wrong, others.n_wrong),
        (found.false_alarm, own.on_right, own.n_right, others.on_right, others.n_right),
    ):
        whole = (elsewhere + 1) / (n_elsewhere + 2)
        ends = sorted([whole, given_on / n if n else whole])
        assert ends[0] - 1e-9 <= share.value <= ends[1] + 1e-9
        assert 0 <= share.low <= share.value <= share.high <= 1
        assert 0 < share.value < 1


def test_impossible_pairs_are_refused():
    with pytest.raises(ValueError):
        Pairs(n_wrong=1, on_wrong=2)


def test_a_corrected_rate_by_hand():
    """(0.106 - 0.02) / (0.40 - 0.02) = 0.2263: rare complaints stand for many mistakes."""
    found = corrected_rate(1_060, 10_000, Pairs(n_wrong=500, on_wrong=200, n_right=1_000, on_right=20)).share
    assert found is not None
    assert found.value == pytest.approx(0.2263, abs=1e-4)
    assert found.low < 0.2263 < found.high
    assert found.n == 10_000


def test_a_perfect_signal_needs_hardly_any_correction():
    found = corrected_rate(200, 1_000, Pairs(1_000, 1_000, 1_000, 0)).share
    assert found is not None and found.value == pytest.approx(0.2)
    assert found.low == pytest.approx(0.176, abs=0.01) and found.high == pytest.approx(0.226, abs=0.01)


@pytest.mark.parametrize(
    ("counts", "why"),
    [
        (Pairs(29, 20, 500, 5), "fewer than 30"),
        (Pairs(500, 50, 500, 50), "does not tell"),
        (Pairs(500, 50, 500, 90), "does not tell"),
    ],
)
def test_what_cannot_be_told_says_why(counts, why):
    found = corrected_rate(100, 1_000, counts)
    assert found.share is None and why in found.why
    assert corrected_rate(0, 0, Pairs(500, 200, 500, 10)).share is None


@given(pairs(least=MIN_PAIRS), st.integers(1, 5_000), st.data())
def test_a_corrected_rate_is_a_share_within_its_interval(counts, n, data):
    found = corrected_rate(data.draw(st.integers(0, n)), n, counts).share
    if found is not None:
        assert 0 <= found.low <= found.value <= found.high <= 1


def test_the_interval_holds_the_truth_as_often_as_it_says():
    """In short; `python -m benchmarks.feedback` does it at length."""
    rng, held, n_runs, raw_off = random.Random(4), 0, 400, 0
    truth, hit, alarm = 0.2, 0.4, 0.03

    def draw(n, p):
        return sum(rng.random() < p for _ in range(n))

    for _ in range(n_runs):
        seen = draw(800, truth * hit + (1 - truth) * alarm)
        found = corrected_rate(seen, 800, Pairs(120, draw(120, hit), 300, draw(300, alarm))).share
        held += found.low <= truth <= found.high
        raw_off += abs(seen / 800 - truth) > truth / 4
    assert 0.92 <= held / n_runs <= 0.98
    assert raw_off / n_runs > 0.9


def test_verdicts_of_one_user_are_not_independent():
    assert design_effect(Voices()) == 1.0
    assert design_effect(Voices.of([(0, 1), (1, 1)] * 30)) == 1.0
    assert design_effect(Voices.of([(9, 9)])) == 9.0, "one voice"
    assert design_effect(Voices.of([(50, 50)] + [(0, 1)] * 50)) == pytest.approx(25.5)
    rng, held, naive, n_runs = random.Random(5), 0, 0, 300
    for _ in range(n_runs):
        clusters = []
        for _ in range(120):
            own, n = rng.betavariate(0.6, 1.4), 1 + int(rng.expovariate(0.2))
            clusters.append((sum(rng.random() < own for _ in range(n)), n))
        voices = Voices.of(clusters)
        found = wilson(voices.hits, voices.n, design_effect(voices))
        plain = wilson(voices.hits, voices.n)
        held += found.low <= 0.3 <= found.high
        naive += plain.low <= 0.3 <= plain.high
    assert 0.92 <= held / n_runs <= 0.98 and naive / n_runs < 0.8


def test_the_posterior_by_hand():
    assert p_wrong(0.8, []) == pytest.approx(0.2)
    # odds 0.25 times a ratio of 8 is 2
    assert p_wrong(0.8, [Vote("a", math.log(8))]) == pytest.approx(2 / 3)
    assert p_wrong(0.8, [Vote("a", math.log(8)), Vote("b", -math.log(8))]) == pytest.approx(0.2)


@given(st.floats(0, 1), st.lists(st.tuples(st.integers(0, 3), st.floats(-9, 9))))
def test_a_subject_is_heard_once_and_only_so_loud(confidence, said):
    votes = [Vote(subject, ratio) for subject, ratio in said]
    found = p_wrong(confidence, votes)
    assert 0 < found < 1
    assert found == pytest.approx(p_wrong(confidence, votes + votes))
    alone = [Vote("only", ratio) for _, ratio in said]
    odds = math.log(p_wrong(confidence, alone) / (1 - p_wrong(confidence, alone)))
    base = p_wrong(confidence, [])
    assert abs(odds - math.log(base / (1 - base))) <= 3 + 1e-6


def said(subject, *signals, correction=None):
    return Said(subject, f"net {subject}", signals or ("thumbs_down",), correction)


def label_of(*about, answered="positive", confidence=0.6, trust=1.0, right=0.9, other=None, weights=None):
    known = {"thumbs_down": 2.0, "thumbs_up": -1.0, "correction": 2.0} if weights is None else weights
    return weak_label(
        answered, confidence, about, weights=known, trust=lambda _: trust, corrections_right=right, other=other
    )


def test_thumbs_down_alone_is_no_label_among_many():
    assert label_of(*(said(who) for who in "abcdef")) is None


def test_a_correction_needs_a_quorum_of_subjects_and_a_signal_that_has_earned_belief():
    two = [said(who, "thumbs_down", "correction", correction="negative") for who in "ab"]
    third = said("c", "thumbs_down", "correction", correction="negative")
    assert QUORUM == 3 and label_of(*two) is None
    assert label_of(*two, *two) is None, "the same subjects again"
    found = label_of(*two, third)
    assert (found.value, found.other) == ("negative", None)
    assert found.backers == (("a", "net a"), ("b", "net b"), ("c", "net c"))
    assert found.certainty == pytest.approx(0.9 * p_wrong(0.6, [Vote(who, 2.0) for who in "abc"]))
    split = [said(who, "thumbs_down", "correction", correction="neutral") for who in "def"]
    assert label_of(*two, third, *split) is None, "two values have a quorum"
    assert label_of(*two, third, weights={"thumbs_down": 2.0}) is None, "nobody knows what corrections are worth"
    several = [said(who, "thumbs_down", "correction", correction=["a", "b"]) for who in "abc"]
    assert label_of(*several, answered=["a"]).value == ["a", "b"]


def test_of_two_labels_the_other_one_is_right_and_softly():
    found = label_of(*(said(who) for who in "abc"), answered="yes", other="no")
    assert (found.value, found.other) == ("no", "yes")
    assert 0.5 < found.certainty < 1
    assert label_of(*(said(who) for who in "ab"), answered="yes", other="no") is None, "no quorum"


def test_thumbs_up_back_what_was_answered_and_silence_is_nothing():
    found = label_of(said("a", "thumbs_up"), confidence=0.7)
    assert (found.value, [who for who, _ in found.backers]) == ("positive", ["a"])
    assert found.certainty > 0.7
    assert label_of(confidence=0.99) is None
    assert label_of(said("a", "thumbs_up"), weights={}) is None


def test_a_subject_nobody_knows_yet_says_less():
    new, old = (label_of(said("a", "thumbs_up"), trust=trust) for trust in (0.25, 0.9))
    assert 0.6 < new.certainty < old.certainty


def test_a_signal_weighs_only_what_it_means():
    """Thumbs down that come of right answers are not read as praise: who turned the sign may turn it again."""
    inverted = reliability_of(Pairs(n_wrong=200, on_wrong=10, n_right=200, on_right=120))
    assert inverted.is_known and inverted.tells
    assert inverted.weight(against=True) == 0 and inverted.weight(against=False) < 0
    useless = reliability_of(Pairs(n_wrong=100, on_wrong=31, n_right=100, on_right=29))
    assert useless.weight(against=True) == 0


def test_a_burst_is_told_from_a_busy_day():
    usual = [20, 25, 18, 22, 30, 21, 24, 19]
    assert burst(usual, 45) is None
    found = burst(usual, 100)
    assert found is not None and found.z > 6 and found.usual == 21.5
    assert burst([0] * 20, 29) is None, "a quiet history makes no click an attack"
    assert burst([0] * 20, 30) is not None
    assert burst([1, 2], 30) is not None and burst([1, 2], 5) is None
    varied = [5, 90, 10, 70, 30, 55, 80, 20]
    assert burst(varied, 120) is None
    assert burst([], 90, Answered(0, 400)) is None, "a first day: of so many answers"
    assert burst([], 90, Answered(0, 90)) is not None, "of as many as were complained of"
    assert burst(usual, 100, Answered(800, 400)) is None, "five times as many visitors"
    assert burst(usual, 100, Answered(80_000, 400)) is not None


@given(st.lists(st.integers(0, 200), max_size=20), st.integers(0, 500), st.integers(0, 5_000), st.integers(0, 5_000))
def test_what_was_answered_makes_no_burst(before, count, answered_before, answered_now):
    if burst(before, count, Answered(answered_before, answered_now)) is not None:
        assert burst(before, count) is not None


def test_a_flock_of_strangers_is_told_from_a_crowd():
    def spoke(names, is_verified=False):
        return [Speaker(name, is_verified) for name in names]

    regulars = spoke([place % 20 for place in range(80)])
    crowd, made_up = spoke(range(20)), spoke(range(100, 140))
    assert strangers_flock(made_up, regulars) and not strangers_flock(crowd, regulars)
    assert not strangers_flock(made_up, regulars[:40]), "too little is known"
    assert not strangers_flock(spoke(range(100, 140), is_verified=True), regulars), "the host vouches for them"
    assert not strangers_flock(made_up, spoke(range(200, 300))), "where all are strangers, always"


def test_trust_is_earned():
    assert trust(0, 0) == 0.25
    assert trust(20, 20) > 0.85
    assert trust(2, 20) < trust(0, 0)
