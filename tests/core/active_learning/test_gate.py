"""The gate by known answers: what rejects, what leaves it to a person, what lets through."""

import pytest

from active_learning.core.gate import Evidence, Figure, Saved, State, judge

BETTER = {"difference": 0.4, "low": 0.3, "high": 0.5, "n": 60, "p_value": 0.0001, "is_better": True}
NOT_BETTER = BETTER | {"difference": 0.01, "low": -0.1, "high": 0.12, "p_value": 0.41, "is_better": False}
SAME = Figure(0.0, -0.02, 0.02, 60)


def evidence(**changes):
    fields = {
        "n_audited": 60,
        "baselines": {"majority": BETTER, "random": BETTER},
        "live": 3,
        "accuracy": SAME,
        "calibration": SAME,
        "latency": Figure(1.0, 0.9, 1.1, 20),
    }
    return Evidence(**(fields | changes))


def states(verdict):
    return {check.name: check.state for check in verdict.checks}


def test_a_candidate_that_is_no_worse_in_anything_passes():
    verdict = judge(evidence())
    assert verdict.state == State.PASSED
    assert verdict.reason == "beats every baseline on 60 audit items, no worse than model 3"
    assert set(states(verdict).values()) == {State.PASSED}


def test_the_first_version_has_only_the_baselines_to_beat():
    verdict = judge(evidence(live=None, accuracy=None, calibration=None, latency=None))
    assert verdict.state == State.PASSED
    assert set(states(verdict)) == {"baseline:majority", "baseline:random"}


def test_too_few_audited_items_decide_nothing_however_good_it_looks():
    verdict = judge(evidence(n_audited=19))
    assert verdict.state == State.UNDECIDED
    assert verdict.reason == "insufficient data: 19 of 20 audit items answered"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"baselines": {"majority": NOT_BETTER, "random": BETTER}},
            "not better than the baseline: majority (p = 0.41)",
        ),
        ({"accuracy": Figure(-0.1, -0.15, -0.01, 60)}, "worse than model 3: −10.0 points"),
        ({"calibration": Figure(0.08, 0.03, 0.12, 60)}, "worse calibrated than model 3"),
        ({"latency": Figure(2.5, 2.1, 3.0, 20)}, "slower than model 3: 2.50 times"),
        ({"segments": {"language: de": Figure(-0.2, -0.3, -0.05, 40)}}, "worse for language: de: −20.0 points"),
    ],
)
def test_whatever_is_shown_to_be_worse_rejects(changes, reason):
    verdict = judge(evidence(**changes))
    assert verdict.state == State.FAILED
    assert reason in verdict.reason


@pytest.mark.parametrize(
    "changes",
    [
        {"accuracy": Figure(-0.03, -0.08, 0.02, 60)},
        {"calibration": Figure(0.03, -0.01, 0.07, 60)},
        {"latency": Figure(1.6, 1.2, 2.0, 20)},
        {"accuracy": None},
        {"calibration": None},
        {"latency": None},
    ],
)
def test_what_is_not_shown_either_way_is_left_to_a_person(changes):
    assert judge(evidence(**changes)).state == State.UNDECIDED


OWN = {"ece": 0.07, "low": 0.02, "high": 0.13, "by_chance": 0.06, "n": 60}


def test_where_the_difference_in_calibration_is_open_the_candidate_is_held_against_a_perfect_one():
    open_ = Figure(0.03, -0.01, 0.07, 60)
    assert judge(evidence(calibration=open_, own_calibration=OWN)).state == State.PASSED
    off = OWN | {"low": 0.061}
    verdict = judge(evidence(calibration=open_, own_calibration=off))
    assert verdict.state == State.UNDECIDED
    assert "not shown to be as well calibrated as model 3: calibration error +0.030" in verdict.reason
    # What is shown stays shown.
    assert judge(evidence(calibration=Figure(0.08, 0.03, 0.12, 60), own_calibration=OWN)).state == State.FAILED


def test_too_few_items_for_a_reliability_curve_are_told_and_hold_nothing_up():
    verdict = judge(evidence(n_audited=39, calibration=None))
    assert verdict.state == State.PASSED
    [check] = [check for check in verdict.checks if check.name == "calibration"]
    assert (check.state, check.words) == (State.UNDECIDED, "insufficient data: 39 of 40 audit items")


def test_slightly_less_is_no_worse_when_it_is_surely_within_the_margin():
    assert judge(evidence(accuracy=Figure(-0.005, -0.015, 0.005, 4_000))).state == State.PASSED


def test_a_small_segment_is_told_and_holds_nothing_up():
    verdict = judge(evidence(segments={"language: fr": Figure(-1.0, -1.0, -1.0, 3)}))
    assert verdict.state == State.PASSED
    assert states(verdict)["segment:language: fr"] == State.UNDECIDED
    assert verdict.checks[-1].figure is None
    assert verdict.checks[-1].words == "insufficient data on language: fr: fewer than 10 audit items"
    some = judge(evidence(segments={"language: fr": Figure(-1.0, -1.0, -1.0, 14)}))
    assert "14 of 20" in some.checks[-1].words


def test_every_reason_is_told_when_several_fail():
    verdict = judge(evidence(baselines={"random": NOT_BETTER}, accuracy=Figure(-0.2, -0.3, -0.1, 60)))
    assert verdict.reason.startswith("not better than the baseline: random (p = 0.41); worse than model 3")


MORE_F1 = Figure(0.29, 0.19, 0.38, 123)


def test_where_one_label_is_common_macro_f1_counts_as_much_as_how_often_it_is_right():
    worthless = {"majority": NOT_BETTER, "random": BETTER}
    verdict = judge(evidence(baselines=worthless, f1_gains={"majority": MORE_F1}))
    assert verdict.state == State.PASSED
    assert verdict.checks[0].words == "majority (macro-F1 +0.290, 95 % interval +0.190 to +0.380)"
    open_ = Figure(0.1, -0.01, 0.2, 60)
    assert judge(evidence(baselines=worthless, f1_gains={"majority": open_})).state == State.FAILED


def test_better_in_macro_f1_and_surely_less_often_right_is_for_a_person_to_weigh():
    fewer = NOT_BETTER | {"difference": -0.1, "low": -0.15, "high": -0.05, "p_value": 1.0}
    verdict = judge(evidence(baselines={"majority": fewer, "random": BETTER}, f1_gains={"majority": MORE_F1}))
    assert verdict.state == State.UNDECIDED
    assert "say what mistakes cost" in verdict.reason


def test_what_mistakes_cost_decides_where_the_owner_says_it():
    dear, cheap = Figure(-0.3, -0.5, -0.1, 60), Figure(0.37, 0.15, 0.6, 60)
    verdict = judge(evidence(baselines={"majority": NOT_BETTER}, saved={"majority": cheap}))
    assert verdict.state == State.PASSED
    assert verdict.checks[0].words == "majority (saves 0.37 an item, 95 % interval 0.15 to 0.60)"
    assert judge(evidence(saved={"majority": dear})).state == State.FAILED
    # Beside the live version too: more often right, and yet costlier.
    verdict = judge(evidence(accuracy=Figure(0.1, 0.05, 0.15, 60), saved_of_live=Saved(dear, 2.0)))
    assert verdict.state == State.FAILED
    assert "costlier than model 3: saves −0.30 an item" in verdict.reason
    assert judge(evidence(accuracy=None, saved_of_live=Saved(cheap, 2.0))).state == State.PASSED
    nearly, open_ = Figure(-0.01, -0.03, 0.01, 4_000), Figure(-0.01, -0.3, 0.28, 60)
    assert judge(evidence(saved_of_live=Saved(nearly, 2.0))).state == State.PASSED
    assert judge(evidence(saved_of_live=Saved(open_, 2.0))).state == State.UNDECIDED


def test_rare_labels_that_were_surely_lost_are_a_loss():
    lost = Figure(-0.2, -0.3, -0.1, 60)
    assert "worse than model 3 over all labels alike" in judge(evidence(macro_f1=lost)).reason
    assert judge(evidence(macro_f1=lost)).state == State.FAILED
    assert judge(evidence(macro_f1=lost, accuracy=Figure(0.1, 0.05, 0.15, 60))).state == State.UNDECIDED
    assert judge(evidence(macro_f1=Figure(-0.05, -0.1, 0.01, 60))).state == State.PASSED
