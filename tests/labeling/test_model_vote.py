"""A model as one more voter: what it may and may not do to what people's answers settle."""

import csv
import io
import random
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from labeling.core.errors import Invalid
from labeling.core.voter import VoterEvidence
from labeling.models import (
    Annotation,
    Assignment,
    ConsensusFit,
    Item,
    Job,
    ModelVote,
    ModelVoter,
    Project,
    QueueEntry,
    Resolution,
    ReviewItem,
)
from labeling.services.agreement import measure_agreement, request_agreement
from labeling.services.annotate import submit_annotation, undo_annotation
from labeling.services.consensus import fit_consensus, request_consensus
from labeling.services.export import stream_labels
from labeling.services.projects import change_project, change_schema
from labeling.services.queue import lease_items
from labeling.services.resolve import settle_items
from labeling.services.votes import store_model_votes, withhold_model_votes
from tests.factories import LABELS, make_annotation, make_item, make_member, make_project

pytestmark = pytest.mark.django_db
EVIDENCE = VoterEvidence(n=40, n_right=36, n_common=15, n_labels=60)


def truth_of(item: Item) -> str:
    return str(item.data["text"].split()[0])


def answered(project: Project, n: int, raters: tuple[str, ...] = ("ann", "ben", "cleo"), seed: int = 1) -> list[Item]:
    """Items whose text begins with what they are, each answered by these raters, who are right four times of five."""
    rng = random.Random(seed)
    items = [make_item(project, text=f"{LABELS[number % 3]} {seed} {number}") for number in range(n)]
    for item in items:
        for rater in raters:
            value = truth_of(item) if rng.random() < 0.8 else rng.choice(LABELS)
            make_annotation(item, value, rater=rater)
    settle_items(project=project, item_ids=[item.pk for item in items])
    return items


def vote(project: Project, items: list[Item]) -> int:
    votes = {item.pk: truth_of(item) for item in items}
    return store_model_votes(project=project, votes=votes, source="model 4", evidence=EVIDENCE)


def fitted(project: Project) -> dict[str, Any]:
    job = request_consensus(project=project, reason="test")
    fit_consensus(job_id=str(job.pk))
    job.refresh_from_db()
    assert job.state == "succeeded", job.error
    return dict(ConsensusFit.objects.get(project=project).parameters)


@pytest.fixture
def adaptive() -> Project:
    return make_project(overlap_policy="adaptive", overlap=2, max_overlap=4, full_overlap_share=0.0)


@pytest.fixture
def voting(adaptive: Project) -> Project:
    """A model that is always right votes on 60 items of three people each, and the fit knows it."""
    vote(adaptive, answered(adaptive, 60))
    assert "model" in fitted(adaptive)
    return adaptive


def fresh(project: Project, text: str = "positive fresh", votes: str = "positive") -> Item:
    """An item that the model voted on before anybody answered, alone in line."""
    QueueEntry.objects.filter(project=project).delete()  # three people who differ are asked for a fourth
    item = make_item(project, text=text)
    QueueEntry.objects.create(project=project, item=item, rank=-1.0, reason="random", needed=2)
    if votes:
        ModelVote.objects.create(project=project, item=item, value=votes, source="model 4")
    return item


def answer(project: Project, value: str, *, saw_suggestion: bool = False) -> Annotation:
    leased = lease_items(project=project, user=make_member(project), n=1).items[0].assignment
    Assignment.objects.filter(pk=leased.pk).update(suggestion_shown=saw_suggestion)
    return submit_annotation(assignment=leased, value=value, client_id=f"{leased.pk}").annotation


def current(item: Item) -> Resolution | None:
    return Resolution.objects.filter(item=item, superseded_at__isnull=True).first()


# What is stored


def test_votes_replace_each_other_and_ask_for_a_fit(adaptive: Project) -> None:
    items = answered(adaptive, 4)
    assert vote(adaptive, items[:3]) == 3
    job = Job.objects.get(kind="consensus", project=adaptive)
    assert job.reason == "model 4 votes on 3 items"
    votes = {items[2].pk: "neutral", items[3].pk: "neutral"}
    assert store_model_votes(project=adaptive, votes=votes, source="model 5", evidence=EVIDENCE) == 2
    assert dict(ModelVote.objects.values_list("item_id", "value")) == votes
    assert set(ModelVote.objects.values_list("source", flat=True)) == {"model 5"}
    assert ModelVoter.objects.get(project=adaptive).source == "model 5"


def test_an_item_that_measures_the_model_never_gets_its_vote(adaptive: Project) -> None:
    pool, audit = answered(adaptive, 2)
    Item.objects.filter(pk=audit.pk).update(split="audit")
    assert vote(adaptive, [pool, audit]) == 1
    assert [one.item_id for one in ModelVote.objects.all()] == [pool.pk]
    other = answered(make_project(overlap=2), 1)
    assert vote(adaptive, [pool, *other]) == 1  # nor does another project's


def test_where_several_labels_may_be_chosen_there_is_no_vote() -> None:
    project = make_project(kind="choices", config={"labels": ["a", "b"]}, overlap=2)
    with pytest.raises(Invalid, match="several labels"):
        store_model_votes(project=project, votes={}, source="model 1", evidence=EVIDENCE)


# What the fit learns


def test_the_fit_learns_how_the_model_judges_apart_from_the_people(adaptive: Project) -> None:
    items = answered(adaptive, 60, raters=("ann", "ben", "model"))
    without = fitted(adaptive)
    vote(adaptive, items)
    parameters = fitted(adaptive)
    assert "model" not in without
    assert parameters["model"]["n"] == 60
    assert parameters["model"]["accuracy"] > 0.9
    fit = ConsensusFit.objects.get(project=adaptive)
    people = {one.rater: one.parameters["accuracy"] for one in fit.annotators.all()}
    assert set(people) == {"ann", "ben", "model"}  # a rater may be called so, and is another
    assert people["model"] < 0.95


def test_it_mends_what_weak_raters_get_wrong(adaptive: Project) -> None:
    items = answered(adaptive, 90)

    def n_right() -> int:
        settled = (current(item) for item in items)
        return sum(one is not None and one.value == truth_of(item) for one, item in zip(settled, items, strict=True))

    fitted(adaptive)
    before = n_right()
    vote(adaptive, items)
    fitted(adaptive)
    assert n_right() > before
    moved = Resolution.objects.filter(superseded_at__isnull=True, model_vote__isnull=False)
    assert moved.exists()
    assert set(moved.values_list("n_annotations", flat=True)) == {3}


def test_an_item_with_one_answer_keeps_it(adaptive: Project) -> None:
    change_project(project=adaptive, actor=adaptive.created_by, overlap_policy="fixed", overlap=1)
    items = answered(adaptive, 30)
    single = answered(adaptive, 30, raters=("ann",), seed=2)
    store_model_votes(
        project=adaptive,
        votes={item.pk: truth_of(item) for item in items} | {item.pk: "neutral" for item in single},
        source="model 4",
        evidence=EVIDENCE,
    )
    assert fitted(adaptive)["model"]["n"] == 30
    for item in single:
        resolution = current(item)
        assert resolution is not None
        given = Annotation.objects.get(item=item).value
        assert (resolution.value, resolution.posterior, resolution.model_vote) == (given, None, None)


def test_what_the_model_has_told_the_people_is_not_counted_again(adaptive: Project) -> None:
    items = answered(adaptive, 40)
    vote(adaptive, items)
    user, now = make_member(adaptive), timezone.now()
    for item in items[:15]:
        lease = Assignment.objects.create(
            project=adaptive, item=item, user=user, state="submitted", leased_at=now, expires_at=now, reason="random",
            suggestion={"value": "neutral"}, suggestion_shown=True,
        )  # fmt: skip
        make_annotation(item, "neutral", user=user, assignment=lease)
    assert fitted(adaptive)["model"]["n"] == 25
    withdrawn = Annotation.objects.filter(user=user, item__in=items[:5])
    withdrawn.update(withdrawn_at=now)
    assert fitted(adaptive)["model"]["n"] == 30


def test_a_weak_model_does_not_rule_over_people_without_a_name() -> None:
    project = make_project(overlap=3)
    rng = random.Random(5)
    items = [make_item(project, text=f"{LABELS[number % 3]} {number}") for number in range(300)]
    for item in items:
        for _ in range(3):
            make_annotation(item, truth_of(item) if rng.random() < 0.7 else rng.choice(LABELS))
    guesses = {item.pk: truth_of(item) if rng.random() < 0.45 else rng.choice(LABELS) for item in items}
    evidence = VoterEvidence(n=60, n_right=38, n_common=20, n_labels=300)
    store_model_votes(project=project, votes=guesses, source="model 1", evidence=evidence)
    parameters = fitted(project)
    assert 0.5 < parameters["model"]["accuracy"] < 0.76
    settled = dict(Resolution.objects.filter(superseded_at__isnull=True).values_list("item_id", "value"))
    right = [settled[item.pk] == truth_of(item) for item in items if item.pk in settled]
    assert len(right) > 250
    assert sum(right) / len(right) > 0.85


def test_too_few_votes_teach_nothing_about_the_model(adaptive: Project) -> None:
    items = answered(adaptive, 40)
    vote(adaptive, items[:19])
    assert "model" not in fitted(adaptive)
    vote(adaptive, items[:20])
    assert fitted(adaptive)["model"]["n"] == 20


# What happens while people answer


def test_two_who_differ_need_no_third_where_the_model_knows(voting: Project) -> None:
    item = fresh(voting)
    answer(voting, "positive")
    item.refresh_from_db()
    assert item.state == "open"  # one person and the model are one person
    last = answer(voting, "negative")
    item.refresh_from_db()
    resolution = current(item)
    assert item.state == "resolved"
    assert resolution is not None
    assert (resolution.value, resolution.n_annotations, resolution.model_vote) == ("positive", 2, "positive")
    assert resolution.posterior is not None and resolution.posterior >= 0.95
    undo_annotation(annotation=last)
    item.refresh_from_db()
    assert (item.state, current(item)) == ("open", None)


@pytest.mark.parametrize("how", ["shown", "audit", "none"])
def test_without_a_vote_a_third_is_asked(voting: Project, how: str) -> None:
    item = fresh(voting, votes="" if how == "none" else "positive")
    if how == "audit":
        Item.objects.filter(pk=item.pk).update(split="audit")
    answer(voting, "positive", saw_suggestion=how == "shown")
    answer(voting, "negative")
    item.refresh_from_db()
    assert item.state == "open"
    assert QueueEntry.objects.get(item=item).needed == 1


def test_what_nobody_said_goes_to_a_reviewer_who_is_told_of_the_vote(voting: Project) -> None:
    item = fresh(voting, text="neutral fresh", votes="neutral")
    for value in ("positive", "negative", "positive", "negative"):
        answer(voting, value)
    item.refresh_from_db()
    assert item.state == "disputed"
    review = ReviewItem.objects.get(item=item)
    assert review.evidence["dispute"]["model_vote"] == "neutral"
    assert review.evidence["dispute"]["n"] == 4
    client = Client()
    client.force_login(make_member(voting, "reviewer"))
    page = client.get(f"/review/{voting.slug}/?at={review.pk}").content.decode()
    assert "and of the model's vote: it says" in page
    body = client.get(f"/api/v1/projects/{voting.slug}/review/").json()
    assert [one["evidence"]["dispute"].get("model_vote") for one in body["items"] if one["id"] == review.pk] == [
        "neutral"
    ]


# When it has none any more


def test_votes_that_are_taken_away_take_their_effect_with_them(voting: Project) -> None:
    item = fresh(voting)
    for value in ("positive", "negative"):
        answer(voting, value)
    assert current(item) is not None
    why = "it is not clearly better than naming the commonest label"
    assert withhold_model_votes(project=voting, source="model 5", why=why, evidence=EVIDENCE) == 61
    assert Job.objects.filter(project=voting, kind="consensus", state="queued").count() == 1
    assert "model" not in fitted(voting)
    item.refresh_from_db()
    assert (item.state, current(item)) == ("open", None)
    assert withhold_model_votes(project=voting, source="model 6", why=why) == 0
    assert not Job.objects.filter(project=voting, kind="consensus", state="queued").exists()


def test_no_single_truth_has_no_room_for_it_and_it_comes_back_with_one(voting: Project) -> None:
    change_project(project=voting, actor=voting.created_by, overlap_policy="fixed", has_single_truth=False)
    assert "model" not in fitted(voting)
    assert not Resolution.objects.filter(superseded_at__isnull=True, model_vote__isnull=False).exists()
    change_project(project=voting, actor=voting.created_by, has_single_truth=True)
    assert fitted(voting)["model"]["n"] == 60


def test_a_label_that_is_gone_is_no_vote(voting: Project) -> None:
    item = fresh(voting)
    change_schema(project=voting, actor=voting.created_by, config={"labels": ["negative", "neutral"]})
    for value in ("neutral", "negative"):
        answer(voting, value)
    item.refresh_from_db()
    assert item.state == "open"
    assert fitted(voting)["model"]["n"] < 60


def test_an_excluded_item_is_left_alone(voting: Project) -> None:
    item = ModelVote.objects.earliest("item_id").item
    Item.objects.filter(pk=item.pk).update(state="excluded")
    assert fitted(voting)["model"]["n"] == 59
    item.refresh_from_db()
    assert item.state == "excluded"


def test_an_adjudicated_value_stands_against_it(voting: Project) -> None:
    item = fresh(voting)
    Resolution.objects.create(
        project=voting, item=item, value="negative", method="adjudicated", n_annotations=0, created_at=timezone.now()
    )
    for value in ("positive", "positive"):
        make_annotation(item, value, user=make_member(voting))
    settle_items(project=voting, item_ids=[item.pk])
    resolution = current(item)
    assert resolution is not None
    assert (resolution.value, resolution.method, resolution.model_vote) == ("negative", "adjudicated", None)


# Where it shows


def agreement_page(project: Project) -> str:
    job = request_agreement(project=project, reason="test")
    measure_agreement(job_id=str(job.pk))
    client = Client()
    client.force_login(project.created_by)
    return client.get(f"/projects/{project.slug}/agreement/").content.decode()


def test_the_agreement_page_says_on_what_evidence_it_votes(voting: Project) -> None:
    page = agreement_page(voting)
    assert "The model votes on 60 items beside the people" in page
    assert "Model 4 is right on 36 of 40 audit items (77 % to 96 %), their commonest label on 15 (24 % to 53 %)" in page


def test_the_agreement_page_says_why_it_does_not(voting: Project) -> None:
    withhold_model_votes(project=voting, source="model 5", why="one person judges each item")
    page = agreement_page(voting)
    assert "The model has no vote: one person judges each item." in page
    assert "commonest label" not in page


def test_no_model_is_no_subject(adaptive: Project) -> None:
    answered(adaptive, 3)
    assert "The model" not in agreement_page(adaptive).split('id="doubtful-title"')[0].split('id="consensus-title"')[1]


def test_agreement_is_people_alone(voting: Project) -> None:
    job = request_agreement(project=voting, reason="test")
    measure_agreement(job_id=str(job.pk))
    result = voting.agreement_report.result
    assert len(result["people"]) == 3
    assert result["consensus"]["answers_per_item"] <= 3


def test_the_export_tells_of_the_vote(voting: Project) -> None:
    item = fresh(voting)
    for value in ("positive", "negative"):
        answer(voting, value)
    text = b"".join(stream_labels(project=voting, kind="resolved", format="csv")).decode()
    rows = {int(row["item_id"]): row for row in csv.DictReader(io.StringIO(text))}
    assert (rows[item.pk]["model_vote"], rows[item.pk]["n_annotations"]) == ("positive", "2")
    client = Client()
    client.force_login(voting.created_by)
    page = client.get(f"/projects/{voting.slug}/items/{item.pk}/").content.decode()
    assert "consensus of 2 answers and the model's vote for positive" in " ".join(page.split())
