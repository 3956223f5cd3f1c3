"""Mistakes in groups: counted by hand, tested against the rest, and silent where they are few."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import fisher_exact

from active_learning.core.costs import cost_table
from active_learning.core.diagnosis import diagnose
from active_learning.core.error_groups import (
    CLUSTER,
    CONFUSION,
    LENGTH,
    SEGMENT,
    Cases,
    clearness,
    find_groups,
    listed,
    measure,
)
from active_learning.core.error_words import group_words, guideline_section
from active_learning.core.telling import telling_words
from labeling.core.guidelines import render_guidelines
from labeling.core.shares import wilson

LABELS = ("no", "yes", "maybe")


def cases_of(truth, said, is_audit=None, costs=()):
    truth, said = np.array(truth), np.array(said)
    is_audit = np.ones(len(truth), dtype=bool) if is_audit is None else np.array(is_audit)
    return Cases(LABELS, is_audit, truth, said, cost_table(costs, LABELS))


def grouped(cases, metas=None, lengths=None, clusters=None):
    groups = find_groups(cases, metas=metas or [{}] * len(cases), lengths=lengths, clusters=clusters)
    return groups, measure(groups, cases, 0)


@pytest.fixture
def two_channels():
    """60 audit items: of 20 mails 12 go wrong, of 40 calls 4; all of them a "no" taken for a "yes"."""
    said = [1] * 12 + [0] * 8 + [1] * 4 + [0] * 36
    return cases_of([0] * 60, said), [{"channel": "mail"}] * 20 + [{"channel": "call"}] * 40


def test_a_segment_is_counted_and_tested(two_channels):
    cases, metas = two_channels
    groups, measured = grouped(cases, metas)
    mail = next(
        m for g, m in zip(groups, measured, strict=True) if g.kind == SEGMENT and g.definition["group"] == "mail"
    )
    assert (mail.n, mail.n_errors, mail.of_items) == (20, 12, 20 / 60)
    assert mail.share == wilson(12, 16) and mail.rate == wilson(12, 20) and mail.rest_rate == wilson(4, 40)
    assert mail.lift.value == pytest.approx(0.6 / 0.1)
    assert mail.p_value == pytest.approx(fisher_exact([[12, 8], [4, 36]]).pvalue)
    # Both channels are tested and have one p value: Benjamini and Hochberg leave it.
    assert mail.q_value == pytest.approx(mail.p_value) and mail.verdict == "worse"
    assert mail.cost.value == pytest.approx(12 / 60)
    assert json.loads(json.dumps(mail.to_json(), allow_nan=False))["verdict"] == "worse"


def test_what_people_are_torn_about_is_less_worth_mending(two_channels):
    """Mails are 12 mistakes of 20, all torn but three; calls 4 of 40, all clear."""
    cases, metas = two_channels
    shares = np.array([0.6] * 9 + [1.0] * 51)
    cases = replace(cases, clear=clearness(shares))
    groups, measured = grouped(cases, metas)
    of = {g.definition.get("group"): m for g, m in zip(groups, measured, strict=True) if g.kind == SEGMENT}
    assert of["mail"].fixable.value == pytest.approx((9 * 0.2 + 3) / 12) and of["mail"].fixable.n == 12
    assert of["mail"].fixable.low < of["mail"].fixable.value < of["mail"].fixable.high
    assert of["call"].fixable.value == 1.0
    assert of["mail"].priority == pytest.approx(12 / 60 * 0.4)
    assert clearness(np.array([0.3, 0.5, 0.75])).tolist() == [0.0, 0.0, 0.5]
    # Each judged once: nobody knows.
    assert grouped(two_channels[0], metas)[1][0].fixable is None


def test_labeled_items_of_the_pool_never_enter_a_rate(two_channels):
    cases, metas = two_channels
    more = cases_of([0] * 160, [*cases.said, *[1] * 100], [True] * 60 + [False] * 100)
    groups, measured = grouped(more, [*metas, *[{"channel": "call"}] * 100])
    for group, one in zip(groups, measured, strict=True):
        if group.kind == SEGMENT:
            assert one.n == {"mail": 20, "call": 40}[group.definition["group"]]


def test_a_group_of_three_items_is_not_shown_and_few_audit_items_say_nothing(two_channels):
    cases, metas = two_channels
    metas = [{"channel": "fax"}] * 3 + metas[3:]
    groups, measured = grouped(cases, metas)
    shown, hidden = listed(groups, measured)
    assert {groups[place].definition.get("group") for place in shown if groups[place].kind == SEGMENT} == {
        "mail",
        "call",
    }
    assert hidden == {SEGMENT: 1}
    small = cases_of([0] * 19, [1] * 19)
    assert grouped(small)[1] == [None]


def test_a_confusion_is_compared_with_what_the_other_labels_are_taken_for():
    # "no" is taken for "yes" 10 times of 20, "maybe" once of 20; "yes" itself is right.
    cases = cases_of([0] * 20 + [2] * 20 + [1] * 20, [1] * 10 + [0] * 10 + [1] + [2] * 19 + [1] * 20)
    groups, measured = grouped(cases)
    place = next(i for i, g in enumerate(groups) if g.definition == {"true": "no", "said": "yes"})
    assert groups[place].kind == CONFUSION
    assert (measured[place].rate.n, measured[place].rest_rate.n, measured[place].verdict) == (20, 20, "worse")
    assert group_words({"kind": CONFUSION, "definition": groups[place].definition}) == "“no” taken for “yes”"


def test_costs_come_into_the_priority():
    cases = cases_of(
        [0] * 30 + [2] * 30,
        [1] * 10 + [0] * 20 + [1] * 2 + [2] * 28,
        costs=[{"true": "maybe", "said": "yes", "cost": 20.0}],
    )
    groups, measured = grouped(cases)
    shown, _ = listed(groups, measured)
    assert [groups[place].definition["true"] for place in shown] == ["maybe", "no"]
    assert measured[shown[0]].cost.value == pytest.approx(2 * 20 / 60)


def test_several_labels_an_item_are_missed_or_too_many():
    truth = np.array([[True, False, False]] * 30)
    said = truth.copy()
    said[:6, 0] = False
    said[:4, 1] = True
    groups, measured = grouped(cases_of(truth, said))
    found = {(g.definition["true"], g.definition["said"]): m for g, m in zip(groups, measured, strict=True)}
    assert (found["no", "-"].n_errors, found["-", "yes"].n_errors) == (6, 4)
    assert {m.verdict for m in found.values()} == {"few"}


def test_lengths_and_clusters_cover_every_case_once():
    rng = np.random.default_rng(0)
    said = rng.integers(0, 2, 80)
    groups, _ = grouped(cases_of([0] * 80, said), lengths=rng.integers(1, 300, 80), clusters=np.arange(80) % 4)
    for kind in (LENGTH, CLUSTER):
        assert sum(group.member.astype(int) for group in groups if group.kind == kind).tolist() == [1] * 80


def test_a_key_names_a_group_of_one_version_only(two_channels):
    (group, *_), _ = grouped(two_channels[0])
    assert group.key(1) == group.key(1) != group.key(2)


def test_150_labels_give_no_endless_list():
    labels = tuple(f"label {n}" for n in range(150))
    rng = np.random.default_rng(0)
    cases = Cases(
        labels, np.ones(600, dtype=bool), rng.integers(0, 150, 600), rng.integers(0, 150, 600), np.ones((151, 151))
    )
    groups, measured = grouped(cases)
    shown, hidden = listed(groups, measured)
    assert len(shown) == 12 and hidden[CONFUSION] == len(groups) - 12


def test_telling_words_are_those_that_only_the_group_has():
    inside = [{"the", "refund", f"w{n}"} for n in range(20)]
    others = [{"the", "order", f"v{n}"} for n in range(60)]
    assert [word.word for word in telling_words(inside, others)] == ["refund"]
    assert telling_words([], others) == [] and telling_words(inside[:2], others) == []


def test_a_diagnosis_of_each_kind():
    def told(learned, audit, **more):
        facts = {"worse": [], "n_suspects": 0, "n_labels": 500} | more
        return {
            c.code: c.holds for c in diagnose(learned=learned, audit=audit, n_audited=audit.n if audit else 5, **facts)
        }

    assert told(wilson(150, 500), wilson(70, 200)) == {
        "bias": True,
        "variance": False,
        "coverage": False,
        "noise": False,
    }
    assert told(wilson(2, 500), wilson(70, 200))["variance"] is True
    assert told(wilson(2, 500), wilson(70, 200))["bias"] is False
    assert told(wilson(2, 500), wilson(2, 200)) == {"bias": False, "variance": False, "coverage": False, "noise": False}
    assert told(wilson(2, 500), wilson(5, 10)) == {"bias": None, "variance": None, "coverage": None, "noise": False}
    assert told(wilson(2, 500), wilson(70, 200), worse=["channel: mail"], n_suspects=90) == {
        "bias": False,
        "variance": True,
        "coverage": True,
        "noise": True,
    }


def test_texts_in_a_guideline_stay_texts():
    row = {"kind": CONFUSION, "definition": {"true": "no", "said": "yes"}, "words": []}
    text = "# <b>bold</b> [a link](http://x.example) *stars*\n> quote `code` | 1. one"
    html = render_guidelines(guideline_section(row, [(text, "yes_or_no"), ("1. first", "no"), ("- minus", "no")]))
    assert "no or yes?" in html and html.count("<blockquote>") == 3
    for tag in ("<b>", "<a ", "<em>", "<code>", "<ol", "<ul"):
        assert tag not in html
    assert "yes_or_no" in html and "*stars*" in html
