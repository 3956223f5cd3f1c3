"""The monitors of the loop: known answers, and alerts that keep quiet where chance explains it."""

import pytest

from active_learning.core.loop import evenness, influence, influence_words, loop_of


def loop(shown=(), sources=None, wanted=0.05, wanted_in_queue=0.1, learned=None):
    return loop_of(
        shown=shown, labels=("a", "b", "c"), wanted=wanted, sources=sources or {}, random_source="random",
        wanted_in_queue=wanted_in_queue, learned=learned or {},
    )  # fmt: skip


def answers(n, n_drawn, value="a", segment=""):
    return [(value, segment, place < n_drawn) for place in range(n)]


def test_evenness_is_that_of_the_entropy():
    assert evenness({"a": 5, "b": 5, "c": 5}) == pytest.approx(1)
    assert evenness({"a": 5, "b": 0}) == 0
    assert evenness({"a": 9, "b": 1}) == pytest.approx(0.469, abs=1e-3)
    assert evenness({}) is None


def test_what_is_shown_is_counted_by_label_and_segment():
    found = loop([*answers(60, 3, "a", "de"), *answers(40, 2, ["a", "b"], "fr"), *answers(20, 1)])
    assert [(name, share.value) for name, share in found.labels] == [("a", 1.0), ("b", pytest.approx(1 / 3))]
    assert [(name, share.value) for name, share in found.segments] == [("de", 0.5), ("fr", pytest.approx(1 / 3))]
    assert found.never == ["c"] and "“c” was never answered in 120 answers" in found.alerts[0]
    assert loop(answers(99, 5)).never == [], "too few to say so"


def test_less_than_half_of_the_exploration_is_an_alert_where_chance_does_not_explain_it():
    every = [*answers(500, 0, "b"), *answers(500, 0, "c")]
    assert not loop([*answers(1_000, 60), *every]).alerts
    starved = loop([*answers(1_000, 10), *every])
    assert "Chance drew 0.5 % of the answers" in starved.alerts[0]
    assert not loop(answers(40, 0)).alerts, "none of forty is no news at 5 %"
    assert "nothing of the answers" in loop(wanted=0).alerts[0]
    queue = loop(sources={"acquisition": 1_900, "random": 60, "audit": 40})
    assert "of the queue" in queue.alerts[0] and queue.explorations[1].share.value == 0.03
    assert not loop(sources={"acquisition": 1_800, "random": 200}).alerts
    assert not loop().alerts


def test_what_a_version_learned_of_a_models_own_words():
    found = influence([1.0, 1.0, 0.5], [0.0, 1.0, 0.5], [0.3, 0.2])
    assert found == {"in_view": pytest.approx(1.25 / 3, abs=1e-4), "weak": pytest.approx(0.5 / 3, abs=1e-4),
                     "influenced": pytest.approx(1.75 / 3, abs=1e-4), "n": 3}  # fmt: skip
    assert "58.3 % of its weight" in influence_words(found) and influence_words({}) == ""
    assert "in view" in loop(learned=found).alerts[0]
    assert not loop(learned=influence([1.0], [0.2], [])).alerts
