"""Agreement as it is measured from stored answers: real small crowds, and those that give nothing to measure."""

import random
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from labeling.models import (
    AgreementReport,
    Annotation,
    AnnotatorFit,
    Assignment,
    ConsensusFit,
    Item,
    Job,
    LabelSchema,
    Project,
    Resolution,
)
from labeling.services.agreement import check_agreement, measure_agreement, request_agreement
from labeling.services.annotate import undo_annotation
from labeling.services.projects import change_project, change_schema
from tests.factories import LABELS, make_annotation, make_item, make_items, make_member, make_project

pytestmark = pytest.mark.django_db

SKILLS = {"ann": 0.9, "ben": 0.8, "cleo": 0.7, "dan": 0.6}


def measured(project: Project) -> dict[str, Any]:
    job = request_agreement(project=project, reason="a test")
    measure_agreement(job_id=str(job.pk))
    job.refresh_from_db()
    assert job.state == "succeeded", job.error
    return AgreementReport.objects.get(project=project).result


def crowd(project: Project, n: int, skills: dict[str, float], seed: int = 7, labels: Any = LABELS) -> list[Item]:
    """Each rater knows the answer with the probability of their skill and else guesses."""
    rng = random.Random(seed)
    items = make_items(project, n)
    for item in items:
        truth = rng.choice(labels)
        for rater, skill in skills.items():
            value = truth if rng.random() < skill else rng.choice(labels)
            make_annotation(item, value, rater=rater, seconds=2 + rng.random())
    return items


def headline(result: dict[str, Any]) -> dict[str, Any]:
    return next(one for one in result["overall"] if one["title"] == result["headline"])


def person(result: dict[str, Any], name: str) -> dict[str, Any]:
    number = next(int(number) for number, one in result["names"].items() if one["name"] == name)
    return next(row for row in result["people"] if row["person"] == number)


def drawn(project: Project, user: Any, value: str, suggested: str, is_shown: bool, item: Item | None = None) -> None:
    """An answer to an assignment with a suggestion."""
    item = item or make_item(project)
    now = timezone.now()
    lease = Assignment.objects.create(
        project=project,
        item=item,
        user=user,
        state="submitted",
        leased_at=now,
        expires_at=now,
        reason="random",
        suggestion={"value": suggested, "probabilities": {suggested: 0.9}, "words": []},
        suggestion_shown=is_shown,
    )
    make_annotation(item, value, user=user, assignment=lease, seconds=1.5 if is_shown else 3.0)


def test_a_published_example_comes_out_through_the_tables() -> None:
    """Krippendorff (2011), Computing Krippendorff's Alpha-Reliability, data C: four observers, answers missing."""
    project = make_project(kind="rating", config={"min": 1, "max": 5})
    observers = {"A": "123321412...", "B": "1233224125.3", "C": ".3332342251.", "D": "12332441251."}
    items = make_items(project, 12)
    for name, answers in observers.items():
        for item, answer in zip(items, answers, strict=True):
            if answer != ".":
                make_annotation(item, int(answer), rater=name)
    found = {one["title"]: one for one in measured(project)["overall"]}
    assert found["Krippendorff's alpha, nominal"]["value"] == pytest.approx(0.743, abs=5e-4)
    assert found["Krippendorff's alpha, ordinal"]["value"] == pytest.approx(0.815, abs=5e-4)
    assert found["Krippendorff's alpha, interval"]["value"] == pytest.approx(0.849, abs=5e-4)
    assert found["Krippendorff's alpha, interval"]["n"] == {"items": 11, "labels": 40, "annotators": 4}


def test_a_crowd_is_measured_in_every_part_with_intervals_and_n() -> None:
    project = make_project(overlap=4)
    crowd(project, 120, SKILLS)
    result = measured(project)
    top = headline(result)
    assert result["n"] == {"items": 120, "labels": 480, "annotators": 4, "anonymous": 0}
    assert 0.3 < top["this_team"]["low"] < top["value"] < top["this_team"]["high"] < 0.8
    # Other people may differ more than other items.
    assert top["others_like_them"]["high"] - top["others_like_them"]["low"] > (
        top["this_team"]["high"] - top["this_team"]["low"]
    )
    assert top["n_more"] > 0
    assert [row["label"] for row in result["labels"]] == LABELS
    assert all(row["alpha"]["this_team"] for row in result["labels"])
    assert {(row["first"], row["second"]) for row in result["confusions"]} == {
        ("negative", "neutral"), ("negative", "positive"), ("neutral", "positive")
    }  # fmt: skip
    assert len(result["pairs"]["pairs"]) == 6
    assert len(result["windows"]) == 6
    best, worst = (person(result, name)["with_others"]["agreement"]["value"] for name in ("ann", "dan"))
    assert best > worst
    assert person(result, "ann")["seconds"]["n"] == 120
    assert (result["method"]["seed"], result["method"]["kind"]) == (20_260_101, "choice")
    assert measured(project) == result  # the same answers, the same numbers


def test_what_a_person_does_is_described_and_not_judged() -> None:
    project = make_project(overlap=6)
    crowd(project, 60, SKILLS | {"gus": 0.0})
    for item in Item.objects.filter(project=project):
        make_annotation(item, "neutral", rater="always", seconds=0.3)
    Item.objects.filter(pk__in=Item.objects.values_list("pk")[:30]).update(gold="neutral")
    result = measured(project)
    always, guessing, good = (person(result, name) for name in ("always", "gus", "ann"))
    assert always["with_others"]["is_constant"] and always["is_fast"]
    assert guessing["with_others"]["is_like_guessing"] and not guessing["with_others"]["is_constant"]
    assert not (good["is_fast"] or good["with_others"]["is_constant"] or good["with_others"]["is_like_guessing"])
    worse, better = (row["with_others"]["alpha_change"] for row in (guessing, good))
    assert worse["interval"]["high"] < 0 < better["interval"]["low"] and worse["n"] == 60
    assert always["gold"] == {"value": 1.0, "low": pytest.approx(0.886, abs=1e-3), "high": 1.0, "n": 30}
    assert always["seconds"]["value"] == 0.3


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ([], "Nobody has answered yet."),
        ([("ann", 0), ("ann", 1)], "All answers are one person's."),
        ([("ann", 0), ("ben", 1)], "No item has answers of two people yet."),
    ],
)
def test_nothing_to_measure_is_said(given: list[tuple[str, int]], why: str) -> None:
    project = make_project()
    items = make_items(project, 2)
    for rater, place in given:
        make_annotation(items[place], rater=rater)
    result = measured(project)
    assert result["why"].startswith(why)
    assert headline(result)["value"] is None
    assert headline(result)["reason"] == "no item has two answers"
    assert (result["pairs"]["pairs"], result["windows"]) == ([], [])


def test_all_one_label_is_not_defined_and_never_one() -> None:
    project = make_project(overlap=2)
    for item in make_items(project, 30):
        for rater in ("ann", "ben"):
            make_annotation(item, "positive", rater=rater)
    result = measured(project)
    assert headline(result)["value"] is None
    assert headline(result)["reason"] == "everyone chose positive"
    percent = result["overall"][0]
    assert (percent["title"], percent["value"]) == ("Percent agreement", 1.0)
    assert percent["this_team"]["low"] < 0.9
    assert result["pairs"]["pairs"][0]["kappa"]["value"] is None


def test_answers_of_nobody_in_particular_count_but_tell_nothing_about_people() -> None:
    project = make_project(overlap=3)
    for item in make_items(project, 40):
        for value in ("positive", "positive", "negative"):
            make_annotation(item, value)
    result = measured(project)
    assert result["n"]["anonymous"] == 120
    assert headline(result)["value"] is not None
    assert headline(result)["others_like_them"] is None
    assert "anonymous" in result["others_why"]
    assert (result["people"], result["pairs"]["pairs"]) == ([], [])


def test_answers_that_were_taken_back_or_whose_label_is_gone_do_not_count() -> None:
    project = make_project(overlap=2)
    for item in crowd(project, 30, {"ann": 1.0, "ben": 1.0}):
        make_annotation(item, "neutral", rater="cleo", withdrawn_at=timezone.now())
    before = measured(project)
    assert before["n"]["annotators"] == 2
    change_schema(project=project, actor=project.created_by, config={"labels": ["negative", "positive"]})
    after = measured(project)
    gone = Annotation.objects.filter(value="neutral", withdrawn_at=None).count()
    assert after["filter"]["n_left_out"] == gone > 0
    assert after["n"]["labels"] == 60 - gone
    assert AgreementReport.objects.get().n_annotations == 60


def test_an_undo_is_gone_from_the_next_measurement() -> None:
    project = make_project(overlap=2)
    ann, ben = make_member(project), make_member(project)
    item = make_item(project)
    now = timezone.now()
    for user in (ann, ben):
        lease = Assignment.objects.create(
            project=project, item=item, user=user, state="submitted", leased_at=now, expires_at=now, reason="random"
        )
        last = make_annotation(item, user=user, assignment=lease)
    assert measured(project)["n"]["items"] == 1
    undo_annotation(annotation=last)
    assert measured(project)["n"]["items"] == 0


def test_ratings_have_an_order_and_sets_of_labels_overlap() -> None:
    ratings = make_project(kind="rating", config={"min": -2, "max": 2}, overlap=4)
    crowd(ratings, 40, SKILLS, labels=[-2, -1, 0, 1, 2])
    result = measured(ratings)
    titles = [one["title"] for one in result["overall"]]
    assert result["headline"] == "Krippendorff's alpha, ordinal"
    assert {"Krippendorff's alpha, nominal", "Krippendorff's alpha, interval"} <= set(titles)
    assert len(set(titles)) == len(titles)

    several = make_project(kind="choices", config={"labels": LABELS}, overlap=4)
    sets = [["negative"], ["negative", "neutral"], ["positive"], []]
    crowd(several, 60, SKILLS, labels=sets)
    result = measured(several)
    titles = [one["title"] for one in result["overall"]]
    assert titles == [
        "Percent equal",
        *(f"Krippendorff's alpha, {kind}" for kind in ("equal sets", "Jaccard", "MASI")),
    ]
    assert headline(result)["title"] == "Krippendorff's alpha, MASI"
    assert [row["label"] for row in result["labels"]] == LABELS
    assert result["confusions"] == []
    assert len(result["pairs"]["pairs"]) == 6 and result["people"][0]["with_others"]["agreement"]["value"] > 0.3


def test_a_hundred_and_fifty_labels() -> None:
    labels = [f"label {n}" for n in range(150)]
    project = make_project(config={"labels": labels}, overlap=2)
    crowd(project, 100, {"ann": 0.8, "ben": 0.8}, labels=labels)
    result = measured(project)
    assert len(result["labels"]) == 150
    assert len(result["confusions"]) <= 20
    assert headline(result)["value"] > 0.4


def test_where_clear_items_stop_early_only_the_random_share_is_measured() -> None:
    project = make_project(overlap_policy="adaptive", overlap=2, max_overlap=4, full_overlap_share=0.5)
    crowd(project, 60, SKILLS)
    forced = {item.pk for item in Item.objects.filter(project=project) if project.policy.is_forced(item.content_hash)}
    assert 20 <= len(forced) <= 40
    result = measured(project)
    assert result["n"]["items"] == len(forced)
    assert result["filter"]["items"] == "random full-overlap share"
    assert result["filter"]["n_items_all"] == 60
    change_project(project=project, actor=project.created_by, full_overlap_share=0.1)
    few = sum(project.policy.is_forced(item.content_hash) for item in Item.objects.filter(project=project))
    result = measured(project)
    assert result["too_few"]
    assert f"about {20 - few} more items" in result["why"]
    assert headline(result)["value"] is None


def test_versions_are_marked_where_they_began() -> None:
    project = make_project(overlap=2)
    start = timezone.now()
    for place, item in enumerate(make_items(project, 80)):
        if place == 40:
            change_schema(project=project, actor=project.created_by, guidelines="Say what the writer feels.")
        for rater in ("ann", "ben"):
            value = "positive" if (place + (rater == "ben" and place < 40 and place % 3 > 0)) % 2 else "negative"
            make_annotation(item, value, rater=rater, created_at=start + timedelta(minutes=place))
    result = measured(project)
    assert [window["alpha"]["n"]["items"] for window in result["windows"]] == [20, 20, 20, 20]
    assert [window["has_changed"] for window in result["windows"]] == [False, False, True, False]
    assert [(one["version"], one["what"], one["window"]) for one in result["versions"]] == [(2, "guidelines", 2)]


def test_the_influence_of_suggestions_comes_from_the_hidden_share() -> None:
    project = make_project(suggestion_policy="random", suggestion_hidden_share=0.3)
    ann, stamp = make_member(project), make_member(project)
    for n in range(100):
        is_shown = n % 10 >= 4
        # Ann takes what she sees more often than what she does not.
        drawn(project, ann, "positive" if n % 10 in (0, 1, 4, 5, 6, 7) else "negative", "positive", is_shown)
        drawn(project, stamp, "positive" if is_shown or n % 2 else "negative", "positive", is_shown)
    audit = make_item(project, split="audit")
    drawn(project, ann, "positive", "positive", False, audit)  # never drawn by chance
    found = measured(project)["influence"]
    assert (found["n_shown"], found["n_hidden"]) == (120, 80)
    assert found["taken"]["hidden"]["value"] == 0.5
    assert found["taken"]["shown"]["value"] == pytest.approx(100 / 120, abs=1e-6)
    change = found["taken"]["difference"]
    assert 0 < change["low"] < change["value"] < change["high"]
    assert [found["seconds"][part]["value"] for part in ("shown", "hidden", "change")] == [1.5, 3.0, -1.5]
    assert found["accuracy"] is None  # nobody else judged these items
    by_name = {row["name"]: row for row in found["people"]}
    assert by_name[stamp.username]["stamps"] and not by_name[ann.username]["stamps"]
    # Whoever changes the share starts to draw anew.
    change_project(project=project, actor=project.created_by, suggestion_hidden_share=0.5)
    assert measured(project)["influence"]["why"].startswith("Not enough data yet: 0 answers")
    change_project(project=project, actor=project.created_by, suggestion_policy="shown")
    assert "always shown" in measured(project)["influence"]["why"]


def test_accuracy_under_suggestions_is_judged_by_those_who_saw_none() -> None:
    project = make_project(suggestion_policy="random", overlap=3)
    user = make_member(project)
    for n in range(60):
        item = make_item(project)
        for rater in ("x", "y"):
            make_annotation(item, "negative", rater=rater)
        drawn(project, user, "positive" if n % 3 == 0 else "negative", "positive", bool(n % 3 != 1), item)
    found = measured(project)["influence"]["accuracy"]
    assert not found["speaks_of_others"]
    assert found["hidden"] == {"value": 1.0, "low": pytest.approx(0.839, abs=1e-3), "high": 1.0, "n": 20}
    assert found["shown"]["value"] == 0.5
    assert found["difference"]["high"] < 0


def test_the_least_sure_of_the_settled_items_come_first() -> None:
    project = make_project(overlap=2)
    now = timezone.now()
    for n, item in enumerate(crowd(project, 30, SKILLS)):
        fields = {"value": "positive", "method": "consensus", "n_annotations": 2, "created_at": now}
        Resolution.objects.create(project=project, item=item, posterior=0.5 + n / 100, **fields)
    doubtful = measured(project)["doubtful"]
    assert doubtful["by"] == "posterior"
    assert len(doubtful["items"]) == 20
    assert [row["posterior"] for row in doubtful["items"][:3]] == [0.5, 0.51, 0.52]
    assert doubtful["items"][0]["words"].startswith("text ")


def test_a_model_that_is_worth_asking_ranks_them() -> None:
    project = make_project(overlap=2)
    now = timezone.now()
    user = make_member(project)
    rng = random.Random(3)
    items = make_items(project, 80)
    for n, item in enumerate(items):
        truth = rng.choice(LABELS)
        if n < 50:
            Item.objects.filter(pk=item.pk).update(split="audit")
        for rater in ("ann", "ben"):
            make_annotation(item, truth, rater=rater)
        said = next(label for label in LABELS if label != truth) if n == 79 else truth
        chances = {label: 0.9 if label == said else 0.05 for label in LABELS}
        Assignment.objects.create(
            project=project, item=item, user=user, state="submitted", leased_at=now, expires_at=now, reason="random",
            suggestion={"value": said, "probabilities": chances},
        )  # fmt: skip
        fields = {"method": "consensus", "n_annotations": 2, "created_at": now}
        Resolution.objects.create(project=project, item=item, value=truth, posterior=0.97, **fields)
    doubtful = measured(project)["doubtful"]
    assert doubtful["by"] == "CROWDLAB"
    assert doubtful["items"][0]["item"] == items[79].pk
    assert doubtful["items"][0]["quality"] < doubtful["items"][1]["quality"]


def test_the_weight_in_the_consensus_is_told() -> None:
    project = make_project(overlap=2)
    crowd(project, 20, {"ann": 0.9, "ben": 0.9})
    fit = ConsensusFit.objects.create(
        project=project, parameters={}, n_annotations=40, last_annotation=1, fitted_at=timezone.now()
    )
    AnnotatorFit.objects.create(fit=fit, rater="ann", parameters={"accuracy": 0.91, "seen": [7.2, 6.8, 6.0]})
    result = measured(project)
    assert person(result, "ann")["weight"] == {"value": 0.91, "n": 20}
    assert person(result, "ben")["weight"] is None


def test_measuring_is_asked_for_when_enough_is_new() -> None:
    project = make_project(overlap=2)
    crowd(project, 9, {"ann": 1.0, "ben": 1.0})
    assert check_agreement() == 0  # 18 answers
    crowd(project, 1, {"ann": 1.0, "ben": 1.0}, seed=2)
    assert (check_agreement(), check_agreement()) == (1, 1)
    job = Job.objects.get(kind="agreement")  # asked twice, one job
    measure_agreement(job_id=str(job.pk))
    measure_agreement(job_id=str(job.pk))  # a task may come twice
    assert check_agreement() == 0
    crowd(project, 10, {"ann": 1.0, "ben": 1.0}, seed=3)
    assert check_agreement() == 1


def test_answers_that_are_only_taken_back_are_noticed_too() -> None:
    project = make_project(overlap=2)
    items = crowd(project, 30, {"ann": 1.0, "ben": 1.0})
    excluded = Annotation.objects.filter(item=items[0])
    Item.objects.filter(pk=items[0].pk).update(state="excluded")
    measured(project)
    assert AgreementReport.objects.get().n_annotations == 60 and excluded.count() == 2
    assert check_agreement() == 0
    given = list(Annotation.objects.filter(rater="ben").values_list("pk", flat=True))
    Annotation.objects.filter(pk__in=given[:19]).update(withdrawn_at=timezone.now())
    assert check_agreement() == 0
    Annotation.objects.filter(pk__in=given).update(withdrawn_at=timezone.now())
    assert check_agreement() == 1
    job = Job.objects.get(kind="agreement", state="queued")
    assert job.reason == "0 new answers, 30 taken back"
    measure_agreement(job_id=str(job.pk))
    # Nobody shares an item any more, and the page does not go on showing what was.
    assert AgreementReport.objects.get().result["why"].startswith("All answers are one person's")
    assert check_agreement() == 0


def test_one_person_alone_is_not_measured_again_and_again() -> None:
    project = make_project()
    crowd(project, 60, {"ann": 1.0})
    assert check_agreement() == 0
    assert LabelSchema.objects.filter(project=project).count() == 1


# The same by hand


HAND = {
    "ann": "nnnnuuuuppppn.",
    "ben": "nnnuuuupppppn.",
    "cleo": "nnu.uupppun.pn",
}


def pairs_of(given: list[dict[str, str]]) -> tuple[float, float, float]:
    """Percent, Krippendorff's alpha and Gwet's AC1 from their definitions: sums over pairs of answers."""
    items = [list(one.values()) for one in given if len(one) > 1]
    flat = [label for one in items for label in one]
    shares, labels = [], sorted(set(flat))
    for one in items:
        equal = [a == b for i, a in enumerate(one) for j, b in enumerate(one) if i != j]
        shares.append(sum(equal) / len(equal))
    observed = sum(
        sum(a != b for i, a in enumerate(one) for j, b in enumerate(one) if i != j) / (len(one) - 1) for one in items
    ) / len(flat)
    expected = sum(a != b for a in flat for b in flat) / (len(flat) * (len(flat) - 1))
    percent = sum(shares) / len(shares)
    mean = [sum(one.count(label) / len(one) for one in items) / len(items) for label in labels]
    by_chance = sum(share * (1 - share) for share in mean) / (len(labels) - 1)
    return percent, 1 - observed / expected, (percent - by_chance) / (1 - by_chance)


def test_every_number_of_a_small_project_by_hand() -> None:
    project = make_project(overlap=3)
    name = {"n": "negative", "u": "neutral", "p": "positive"}
    given: list[dict[str, str]] = []
    for place, item in enumerate(make_items(project, 14)):
        given.append({rater: row[place] for rater, row in HAND.items() if row[place] != "."})
        for rater, label in given[-1].items():
            make_annotation(item, name[label], rater=rater)
    result = measured(project)
    percent, alpha, ac1 = pairs_of(given)
    found = {one["title"]: one for one in result["overall"]}
    assert result["n"]["items"] == sum(len(one) > 1 for one in given) == 13
    assert found["Percent agreement"]["value"] == pytest.approx(percent, abs=1e-6)
    assert found["Krippendorff's alpha, nominal"]["value"] == pytest.approx(alpha, abs=1e-6)
    assert found["Gwet's AC1"]["value"] == pytest.approx(ac1, abs=1e-6)
    for row in result["labels"]:
        yes = [{who: "y" if name[label] == row["label"] else "n" for who, label in one.items()} for one in given]
        assert row["alpha"]["value"] == pytest.approx(pairs_of(yes)[1], abs=1e-6)
        assert row["items"] == sum(len(one) > 1 and "y" in one.values() for one in yes)
    for row in result["confusions"]:
        merged = [
            {who: "x" if name[label] in (row["first"], row["second"]) else label for who, label in one.items()}
            for one in given
        ]
        assert row["gain"]["value"] == pytest.approx(pairs_of(merged)[1] - alpha, abs=1e-6)
        assert row["gain"]["interval"]["low"] < row["gain"]["value"] < row["gain"]["interval"]["high"]
    for rater in HAND:
        row = person(result, rater)
        against = row["with_others"]
        rest = [{who: label for who, label in one.items() if who != rater} for one in given]
        assert against["alpha_change"]["value"] == pytest.approx(alpha - pairs_of(rest)[1], abs=1e-6)
        likes, cells = [], {}
        for one, others in zip(given, rest, strict=True):
            if rater in one and others:
                said = list(others.values())
                likes.append(said.count(one[rater]) / len(said))
                top = {label for label in said if said.count(label) == max(map(said.count, said))}
                if len(top) == 1:
                    key = (LABELS.index(name[top.pop()]), LABELS.index(name[one[rater]]))
                    cells[key] = cells.get(key, 0) + 1
        assert against["agreement"]["value"] == pytest.approx(sum(likes) / len(likes), abs=1e-6)
        assert {(others, said): n for others, said, n in against["confusion"]["cells"]} == cells
        assert (
            against["confusion"]["n"] + against["confusion"]["n_ties"]
            == len(likes)
            == against["agreement"]["n"]["items"]
        )
    for row in result["pairs"]["pairs"]:
        first, second = (result["names"][str(row[side])]["name"] for side in ("first", "second"))
        both = [(one[first], one[second]) for one in given if first in one and second in one]
        equal = sum(a == b for a, b in both) / len(both)
        chance = sum([a for a, _ in both].count(x) * [b for _, b in both].count(x) for x in "nup") / len(both) ** 2
        assert row["kappa"]["value"] == pytest.approx((equal - chance) / (1 - chance), abs=1e-6)
        assert (row["kappa"]["n"]["items"], row["percent"]) == (len(both), pytest.approx(equal, abs=1e-6))
