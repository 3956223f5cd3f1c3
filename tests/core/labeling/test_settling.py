import random
import sys
from subprocess import run

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labeling.core.agreement.answers import Answers
from labeling.core.consensus import dawid_skene
from labeling.core.judges import Judge, Judges, soft_label, unfitted, weigh
from labeling.core.overlap import OverlapRule
from labeling.core.schema import SchemaRules
from labeling.core.settling import Opinion, SettlingPolicy, plurality, settle

LABELS = ("negative", "neutral", "positive")
CHOICE = SchemaRules("choice", LABELS)
NOBODY_KNOWN = unfitted(LABELS)
TWO_OF_TWO = SettlingPolicy(OverlapRule(start=2, cap=2))
ADAPTIVE = SettlingPolicy(OverlapRule(start=2, target=0.95, cap=4, forced_share=0.0), is_adaptive=True)


def said(*values):
    return [Opinion(None, value) for value in values]


def test_a_tie_is_not_settled_by_what_its_own_answers_taught():
    """Three people who are right for 70 % and differ: nothing tells which of them it is, also with many labels."""
    labels, rng = tuple(f"label {number}" for number in range(50)), random.Random(3)
    given = []
    for _ in range(200):
        truth = rng.randrange(50)
        given.append([truth if rng.random() < 0.7 else rng.randrange(50) for _ in range(3)])
    answers = Answers(np.repeat(np.arange(200), 3), np.tile(np.arange(3), 200), np.ravel(given), labels, np.zeros(0))
    fit = dawid_skene(answers)
    people = {f"user:{number}": fit.judge_of(number, labels) for number in range(3)}
    judges = Judges(labels, fit.shares.tolist(), fit.shared_confusion.tolist(), people)
    rules, policy = SchemaRules("choice", labels), SettlingPolicy(OverlapRule(start=3, cap=3))
    actions = {"tied": [], "clear": []}
    for item in given:
        opinions = [Opinion(f"user:{number}", labels[label]) for number, label in enumerate(item)]
        found = settle(opinions, rules=rules, judges=judges, policy=policy)
        actions["tied" if len(set(item)) == 3 else "clear"].append(found.action)
    assert len(actions["tied"]) > 20 and set(actions["clear"]) == {"settle"}
    assert actions["tied"].count("settle") <= 2


def test_plurality_counts():
    assert plurality(["a", "b", "a"]).value == "a"
    assert plurality(["a", "b"]).value is None
    assert plurality([["a"], ["a", "b"], ["b"]]).value == ["a", "b"]
    with pytest.raises(ValueError):
        plurality([])


def test_a_fixed_overlap_waits_for_its_number_of_people():
    found = settle(said("neutral"), rules=CHOICE, judges=NOBODY_KNOWN, policy=TWO_OF_TWO)
    assert (found.action, found.n_more) == ("ask", 1)


def test_a_single_opinion_is_taken_at_its_word():
    alone = SettlingPolicy(OverlapRule(start=1, cap=1))
    found = settle(said("neutral"), rules=CHOICE, judges=NOBODY_KNOWN, policy=alone)
    assert (found.action, found.value, found.posterior) == ("settle", "neutral", None)


def test_people_who_agree_settle_and_people_who_differ_do_not():
    agreed = settle(said("positive", "positive"), rules=CHOICE, judges=NOBODY_KNOWN, policy=TWO_OF_TWO)
    assert (agreed.action, agreed.value) == ("settle", "positive")
    assert agreed.posterior == pytest.approx(0.8**2 / (0.8**2 + 2 * 0.1**2))
    assert (
        settle(said("positive", "negative"), rules=CHOICE, judges=NOBODY_KNOWN, policy=TWO_OF_TWO).action == "dispute"
    )


def test_a_tie_is_settled_when_those_on_one_side_are_known_to_be_right():
    sharp = Judge([50, 50, 50], {"positive": [0.005, 0.005, 0.99], "negative": [0.99, 0.005, 0.005]})
    guess = Judge([50, 50, 50], {label: [1 / 3, 1 / 3, 1 / 3] for label in LABELS})
    judges = Judges(LABELS, [1 / 3] * 3, NOBODY_KNOWN.shared, {"sharp": sharp, "guess": guess})
    opinions = [Opinion("sharp", "positive"), Opinion("guess", "negative")]
    found = settle(opinions, rules=CHOICE, judges=judges, policy=TWO_OF_TWO)
    assert (found.action, found.value) == ("settle", "positive")


def test_an_adaptive_overlap_asks_on_where_people_differ_and_stops_where_they_do_not():
    def step(*values, forced=False):
        found = settle(said(*values), rules=CHOICE, judges=NOBODY_KNOWN, policy=ADAPTIVE, is_forced=forced)
        return found.action, found.n_more

    assert step("positive") == ("ask", 1)
    assert step("positive", "positive") == ("settle", 0)
    assert step("positive", "negative") == ("ask", 1)
    assert step("positive", "negative", "positive") == ("ask", 1)
    assert step("positive", "negative", "positive", "positive") == ("settle", 0)
    assert step("positive", "negative", "positive", "negative") == ("dispute", 0)
    assert step("positive", "positive", forced=True) == ("ask", 2)


def with_model(right=0.97):
    """Nobody is known but a model that is right this often."""
    wrong = (1 - right) / 2
    said = {label: [right if label == truth else wrong for truth in LABELS] for label in LABELS}
    return Judges(LABELS, [1 / 3] * 3, NOBODY_KNOWN.shared, model=Judge([50, 50, 50], said))


def settled_with(model_vote, *values, policy=ADAPTIVE, judges=None, forced=False):
    given = {"rules": CHOICE, "judges": judges or with_model(), "policy": policy, "is_forced": forced}
    return settle(said(*values), model_vote=model_vote, **given)


def test_a_models_vote_may_spare_a_third_person():
    found = settled_with("positive", "positive", "negative")
    assert (found.action, found.value, found.model_vote) == ("settle", "positive", "positive")
    assert found.posterior > 0.95
    without = settled_with(None, "positive", "negative")
    assert (without.action, without.n_more, without.model_vote) == ("ask", 1, None)


def test_a_model_is_nobody_whose_opinion_is_counted():
    alone = SettlingPolicy(OverlapRule(start=1, cap=1))
    assert settled_with("positive").n_more == 2
    assert settled_with("positive", "positive").n_more == 1
    single = settled_with("negative", "positive", policy=alone)
    assert (single.action, single.value, single.posterior, single.model_vote) == ("settle", "positive", None, None)
    assert settled_with("positive", "positive", "positive", forced=True).n_more == 2
    # One of the two names a label that is gone: that leaves one person and the model.
    assert settled_with("positive", "positive", "gone").model_vote is None


def test_a_model_does_not_settle_an_item_as_what_nobody_said():
    found = settled_with("neutral", "positive", "positive", judges=with_model(0.999))
    assert (found.action, found.value) == ("ask", None)
    assert max(found.distribution, key=found.distribution.__getitem__) == "neutral"
    at_the_cap = settled_with("neutral", "positive", "negative", "positive", "negative", judges=with_model(0.9999))
    assert at_the_cap.action == "dispute"
    assert settled_with("neutral", "positive", "negative", policy=TWO_OF_TWO).action == "dispute"


def test_a_tie_that_a_model_breaks_needs_the_target():
    assert settled_with("positive", "positive", "negative", policy=TWO_OF_TWO).action == "settle"
    unsure = settled_with("positive", "positive", "negative", policy=TWO_OF_TWO, judges=with_model(0.85))
    assert (unsure.action, unsure.value) == ("dispute", "positive")


def test_a_model_of_which_nothing_is_known_has_no_vote():
    for model_vote, judges in (("positive", NOBODY_KNOWN), ("gone", with_model())):
        found = settled_with(model_vote, "positive", "negative", judges=judges)
        assert (found.action, found.model_vote) == ("ask", None)
    without = SettlingPolicy(OverlapRule(start=2, cap=2), has_single_truth=False)
    assert settled_with("positive", "positive", "negative", policy=without).model_vote is None


def test_without_a_single_truth_every_opinion_is_kept():
    policy = SettlingPolicy(OverlapRule(start=3, cap=3), has_single_truth=False)
    found = settle(said("positive", "negative", "positive"), rules=CHOICE, judges=NOBODY_KNOWN, policy=policy)
    assert (found.action, found.value, found.posterior) == ("settle", None, None)
    assert found.distribution == {
        "positive": pytest.approx(2 / 3, abs=1e-4),
        "negative": pytest.approx(1 / 3, abs=1e-4),
    }


def test_a_rating_is_settled_as_a_number_and_several_labels_one_by_one():
    stars = SchemaRules("rating", ("1", "2", "3"), 1, 3)
    found = settle(said(3, 3), rules=stars, judges=unfitted(stars.labels), policy=TWO_OF_TWO)
    assert found.value == 3
    topics = SchemaRules("choices", ("sport", "music"), 0, 2)
    found = settle(said(["sport"], ["sport"]), rules=topics, judges=unfitted(topics.labels), policy=TWO_OF_TWO)
    assert (found.action, found.value, found.posterior) == ("settle", ["sport"], 1.0)
    found = settle(said(["sport"], ["music"]), rules=topics, judges=unfitted(topics.labels), policy=TWO_OF_TWO)
    assert found.action == "dispute"


def test_a_label_that_the_schema_no_longer_has_is_no_vote():
    found = settle(said("gone", "gone"), rules=CHOICE, judges=NOBODY_KNOWN, policy=TWO_OF_TWO)
    assert found.action == "dispute"
    found = settle(said("gone", "neutral"), rules=CHOICE, judges=NOBODY_KNOWN, policy=ADAPTIVE)
    assert (found.action, found.n_more) == ("ask", 1)


def test_what_is_left_of_answers_with_removed_labels_does_not_settle_an_item():
    """A label that most items have would win without a vote, and one sure person against two whose label is gone."""
    common = Judges(LABELS, [0.9, 0.05, 0.05], NOBODY_KNOWN.shared)
    for opinions in (said("gone", "gone"), said("gone", "gone", "negative"), said("gone", "negative")):
        found = settle(opinions, rules=CHOICE, judges=common, policy=TWO_OF_TWO)
        assert (found.action, found.value) == ("dispute", None)
    most = settle(said("gone", "negative", "negative"), rules=CHOICE, judges=common, policy=TWO_OF_TWO)
    assert (most.action, most.value) == ("settle", "negative")
    topics = SchemaRules("choices", ("sport", "music"), 0, 2)
    opinions = said(["gone", "sport"], ["gone", "sport"], ["sport"])
    found = settle(opinions, rules=topics, judges=unfitted(topics.labels), policy=TWO_OF_TWO)
    assert (found.action, found.value) == ("dispute", None)


@given(st.lists(st.sampled_from(LABELS), min_size=1, max_size=7), st.randoms())
def test_the_order_of_answers_does_not_matter_and_probabilities_add_up(values, rng):
    shuffled = list(values)
    rng.shuffle(shuffled)
    first = NOBODY_KNOWN.posterior([(None, value) for value in values])
    second = NOBODY_KNOWN.posterior([(None, value) for value in shuffled])
    assert sum(first.values()) == pytest.approx(1)
    assert first == pytest.approx(second)


@given(st.permutations(LABELS), st.lists(st.sampled_from(LABELS), min_size=1, max_size=5))
def test_renaming_the_labels_renames_the_posterior(renamed, values):
    names = dict(zip(LABELS, renamed, strict=True))
    first = NOBODY_KNOWN.posterior([(None, value) for value in values])
    second = NOBODY_KNOWN.posterior([(None, names[value]) for value in values])
    assert {names[label]: p for label, p in first.items()} == pytest.approx(second)


def test_a_soft_label_leaves_the_impossible_out():
    assert soft_label({"a": 0.98765432, "b": 0.012, "c": 0.0003}) == {"a": 0.9877, "b": 0.012}


def test_answers_are_weighed_by_bayes():
    # A third of the items is "a"; two people say so of an item, one right 9 of 10 times, one guessing.
    found = weigh([1 / 3, 2 / 3], [[0.9, 0.1], [0.5, 0.5]])
    assert found == pytest.approx([0.9 / 1.1, 0.2 / 1.1])
    assert weigh([0.25, 0.75], []) == pytest.approx([0.25, 0.75])
    assert 1 / 2 < weigh([1 / 3, 2 / 3], [[0.9, 0.1]], temperature=3.0)[0] < found[0]
    assert weigh([0.5, 0.5], [[1.0, 0.0]])[0] == pytest.approx(1.0)


def test_an_answer_is_settled_without_numeric_libraries():
    # They cost a web process 50 MB and a second.
    code = "import sys, labeling.core.settling, labeling.core.overlap; sys.exit('numpy' in sys.modules)"
    assert run([sys.executable, "-c", code]).returncode == 0
