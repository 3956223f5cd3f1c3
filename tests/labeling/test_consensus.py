"""Several people's answers, through the services that a person's click reaches."""

import random
from typing import Any

import pytest

from labeling.models import Annotation, AnnotatorFit, ConsensusFit, Item, Job, QueueEntry, Resolution, ReviewItem
from labeling.services.annotate import submit_annotation, undo_annotation
from labeling.services.consensus import check_consensus, fit_consensus, overlap_savings, request_consensus
from labeling.services.projects import change_project, change_schema
from labeling.services.queue import lease_items
from tests.factories import LABELS, make_annotation, make_item, make_items, make_member, make_project

pytestmark = pytest.mark.django_db


def answer(project: Any, user: Any, value: str) -> Annotation:
    leased = lease_items(project=project, user=user, n=1).items[0].assignment
    return submit_annotation(assignment=leased, value=value, client_id=f"{leased.pk}").annotation


def run(job: Job) -> dict[str, Any]:
    fit_consensus(job_id=str(job.pk))
    job.refresh_from_db()
    assert job.state == "succeeded", job.error
    assert job.result is not None
    return job.result


@pytest.fixture
def adaptive() -> Any:
    return make_project(overlap_policy="adaptive", overlap=2, max_overlap=4, full_overlap_share=0.0)


def test_an_adaptive_project_asks_on_only_where_people_differ(adaptive: Any) -> None:
    ann, ben, cleo = (make_member(adaptive) for _ in range(3))
    clear, torn = make_items(adaptive, 2)
    for value in ("positive", "positive"):
        answer(adaptive, ann, value)
    answer(adaptive, ben, "positive")
    answer(adaptive, ben, "negative")
    for item in (clear, torn):
        item.refresh_from_db()
    assert (clear.state, torn.state) == ("resolved", "open")
    assert QueueEntry.objects.get(item=torn).needed == 1
    answer(adaptive, cleo, "positive")
    torn.refresh_from_db()
    assert torn.state == "open"  # two against one is not sure enough
    answer(adaptive, make_member(adaptive), "positive")
    torn.refresh_from_db()
    assert torn.state == "resolved"
    resolution = Resolution.objects.get(item=torn, superseded_at__isnull=True)
    assert resolution.value == "positive"
    assert resolution.posterior is not None and resolution.posterior > 0.95
    assert sorted(resolution.distribution) == ["negative", "neutral", "positive"]


def test_who_cannot_be_brought_together_goes_to_a_reviewer_and_an_undo_takes_that_back(adaptive: Any) -> None:
    item = make_item(adaptive)
    for value in ("positive", "negative", "neutral"):
        answer(adaptive, make_member(adaptive), value)
    last = answer(adaptive, make_member(adaptive), "negative")
    item.refresh_from_db()
    review = ReviewItem.objects.get(item=item)
    assert (item.state, review.state, review.reason) == ("disputed", "open", "dispute")
    assert review.evidence["dispute"]["n"] == 4
    undo_annotation(annotation=last)
    item.refresh_from_db()
    review.refresh_from_db()
    assert (item.state, review.state) == ("open", "closed")


def test_a_random_share_is_always_asked_to_the_cap(adaptive: Any) -> None:
    change_project(project=adaptive, actor=adaptive.created_by, full_overlap_share=1.0)
    item = make_item(adaptive)
    for _ in range(2):
        answer(adaptive, make_member(adaptive), "positive")
    item.refresh_from_db()
    assert item.state == "open"
    assert QueueEntry.objects.get(item=item).needed == 2


def test_every_opinion_is_kept_where_there_is_no_single_truth() -> None:
    project = make_project(overlap=2, has_single_truth=False)
    item = make_item(project)
    for value in ("positive", "negative"):
        answer(project, make_member(project), value)
    item.refresh_from_db()
    resolution = Resolution.objects.get(item=item)
    assert item.state == "resolved"
    assert (resolution.method, resolution.value) == ("opinions", None)
    assert resolution.distribution == {"positive": 0.5, "negative": 0.5}
    assert not ReviewItem.objects.exists()


def crowd(project: Any, n_items: int = 60) -> list[Item]:
    """Four people who know and one who guesses; the truth is in the text."""
    rng = random.Random(7)
    known = [make_member(project) for _ in range(4)]
    guesser = make_member(project)
    items = []
    for number in range(n_items):
        truth = LABELS[number % 3]
        item = make_item(project, text=f"{truth} {number}")
        for user in known:
            make_annotation(item, truth if rng.random() < 0.95 else rng.choice(LABELS), user=user)
        make_annotation(item, rng.choice(LABELS), user=guesser)
        items.append(item)
    return items


def test_the_fit_knows_who_guesses_and_settles_what_is_open() -> None:
    project = make_project(overlap=5)
    items = crowd(project)
    result = run(request_consensus(project=project, reason="test"))
    assert result["people"] == 5
    fit = ConsensusFit.objects.get(project=project)
    accuracy = sorted(one.parameters["accuracy"] for one in AnnotatorFit.objects.filter(fit=fit))
    assert accuracy[0] < 0.6 < 0.85 < accuracy[1]
    settled = dict(Resolution.objects.filter(superseded_at__isnull=True).values_list("item_id", "value"))
    right = [settled.get(item.pk) == item.data["text"].split()[0] for item in items]
    assert sum(right) >= 59
    # A second run finds the same and supersedes nothing.
    n_resolutions = Resolution.objects.count()
    run(request_consensus(project=project, reason="again"))
    assert Resolution.objects.count() == n_resolutions


def test_a_person_who_is_known_to_guess_does_not_hold_up_those_who_know() -> None:
    project = make_project(overlap=2)
    crowd(project)
    run(request_consensus(project=project, reason="test"))
    accuracy = {one.user_id: one.parameters["accuracy"] for one in AnnotatorFit.objects.all()}
    guesser, expert = min(accuracy, key=accuracy.__getitem__), max(accuracy, key=accuracy.__getitem__)
    item = make_item(project)
    make_annotation(item, "negative", user_id=guesser)
    make_annotation(item, "positive", user_id=expert)
    run(request_consensus(project=project, reason="two more"))
    resolution = Resolution.objects.filter(item=item).first()
    assert resolution is None or resolution.value == "positive"
    posterior = ReviewItem.objects.get(item=item).evidence["dispute"]["distribution"] if resolution is None else None
    assert posterior is None or max(posterior, key=posterior.__getitem__) == "positive"


def test_too_few_double_answers_are_said_and_teach_nothing() -> None:
    project = make_project(overlap=2)
    make_annotation(make_item(project), user=make_member(project))
    result = run(request_consensus(project=project, reason="test"))
    assert result["why"] == "0 items have two answers; 20 are needed"
    assert not AnnotatorFit.objects.exists()


def test_a_fit_is_asked_for_when_enough_is_new() -> None:
    project, alone = make_project(overlap=5), make_project()
    crowd(project, n_items=9)
    assert check_consensus() == 0
    crowd(project, n_items=2)
    user = make_member(alone)
    for item in make_items(alone, 60):
        make_annotation(item, user=user)
    assert check_consensus() == 1
    run(Job.objects.get(kind="consensus", project=project))
    assert check_consensus() == 0


def test_answers_of_several_from_elsewhere_teach_it_too_where_one_person_is_asked() -> None:
    project = make_project(overlap=1)
    for item in make_items(project, 20):
        for rater in ("x", "y", "z"):
            make_annotation(item, rater=rater)
    assert check_consensus() == 1
    assert run(Job.objects.get(kind="consensus"))["people"] == 3


def test_it_is_learned_again_when_a_label_leaves_the_schema() -> None:
    project = make_project(overlap=5)
    crowd(project, n_items=30)
    run(request_consensus(project=project, reason="test"))
    assert check_consensus() == 0
    change_schema(project=project, actor=project.created_by, config={"labels": ["positive", "negative"]})
    assert check_consensus() == 1
    job = Job.objects.get(kind="consensus", state="queued")
    assert job.reason == "the labels have changed"
    run(job)
    assert ConsensusFit.objects.get().parameters["labels"] == ["positive", "negative"]
    assert check_consensus() == 0


def test_adjudicated_values_stand() -> None:
    project = make_project(overlap=5)
    items = crowd(project, n_items=30)
    adjudicated = Resolution.objects.create(
        project=project,
        item=items[0],
        value="neutral",
        method="adjudicated",
        n_annotations=5,
        created_at=items[0].created_at,
    )
    Item.objects.filter(pk=items[0].pk).update(state="resolved")
    run(request_consensus(project=project, reason="test"))
    adjudicated.refresh_from_db()
    assert adjudicated.superseded_at is None


def test_fewer_people_settle_what_has_enough_answers_by_now() -> None:
    project = make_project(overlap=3)
    item = make_item(project)
    for _ in range(2):
        answer(project, make_member(project), "positive")
    change_project(project=project, actor=project.created_by, overlap=2)
    run(Job.objects.get(kind="consensus"))
    item.refresh_from_db()
    assert item.state == "resolved"


def test_giving_up_the_single_truth_replaces_values_by_opinions_and_back() -> None:
    project = make_project(overlap=2)
    item = make_item(project)
    for _ in range(2):
        answer(project, make_member(project), "positive")
    change_project(project=project, actor=project.created_by, has_single_truth=False)
    run(Job.objects.get(kind="consensus"))
    assert Resolution.objects.get(item=item, superseded_at__isnull=True).value is None
    change_project(project=project, actor=project.created_by, has_single_truth=True)
    run(Job.objects.get(kind="consensus", state="queued"))
    assert Resolution.objects.get(item=item, superseded_at__isnull=True).value == "positive"


def test_several_labels_are_settled_without_a_fit() -> None:
    project = make_project(kind="choices", config={"labels": ["a", "b"]}, overlap=2)
    item = make_item(project)
    for _ in range(2):
        make_annotation(item, ["a"], user=make_member(project))
    assert run(request_consensus(project=project, reason="test"))["settled_again"] == {"resolved": 1}


def test_what_stopping_early_saves(adaptive: Any) -> None:
    assert overlap_savings(project=adaptive) is None
    ann, ben = make_member(adaptive), make_member(adaptive)
    make_items(adaptive, 3)
    for user in (ann, ben):
        for _ in range(3):
            answer(adaptive, user, "positive")
    savings = overlap_savings(project=adaptive)
    assert savings == {"items": 3, "answers": 6, "answers_per_item": 2.0, "cap": 4, "saved": 6}
    assert overlap_savings(project=make_project()) is None
