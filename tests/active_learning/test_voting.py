"""The model as one more voter in the consensus, from real trainings on real texts."""

from typing import Any

import pytest

from active_learning.models import FeatureShard, ModelVersion
from active_learning.services import voting
from active_learning.services.material import fit, what_was_learned
from active_learning.services.triggers import decide_on_votes, request_votes
from labeling.models import ConsensusFit, Item, Job, ModelVote, ModelVoter, Project
from labeling.services.consensus import fit_consensus
from labeling.services.projects import change_project, change_schema
from tests.active_learning.pools import (
    TOPICS,
    answer,
    audit_items,
    done,
    make_pool,
    pool_items,
    run_features,
    run_ordering,
    run_training,
)
from tests.factories import make_annotation, make_member

pytestmark = pytest.mark.django_db


def other(topic: str) -> str:
    return TOPICS[(TOPICS.index(topic) + 1) % 3]


def topic_of(item: Item) -> str:
    return str(item.meta["topic"])


@pytest.fixture
def people(owner: Any) -> Project:
    """Two people judge each item; the audit split is answered, and nothing of the pool."""
    project = make_pool(owner, 200, overlap=2)
    run_features(project)
    for user in (make_member(project), make_member(project)):
        answer(audit_items(project), user=user)
    project.annotators = [make_member(project), make_member(project)]  # type: ignore[attr-defined]
    return project


def both_answer(project: Any, items: list[Item], value: str | None = None) -> None:
    for user in project.annotators:
        answer(items, value, user=user)


def run_votes(project: Project) -> Job:
    job = Job.objects.get(project=project, kind="vote", state="queued")
    voting.vote(job_id=str(job.pk))
    return done(job)


def voted(project: Project) -> dict[int, Any]:
    return dict(ModelVote.objects.filter(project=project).values_list("item_id", "value"))


def newest(project: Project) -> ModelVersion:
    return ModelVersion.objects.filter(project=project).latest("number")


def test_a_model_that_beats_the_commonest_label_votes_on_what_people_answer(people: Project) -> None:
    both_answer(people, pool_items(people, 60))
    run_training(people)
    version = newest(people)
    assert version.metrics["vote"]["may_vote"] is True
    assert version.metrics["vote"]["n"] == 50
    job = Job.objects.get(project=people, kind="vote")
    assert (job.state, job.reason, job.lane) == ("queued", "model 1 learned from 60 items", f"vote:{people.pk}")
    assert run_votes(people).result["version"] == 1
    votes = voted(people)
    assert {item.pk for item in pool_items(people, 60)} <= set(votes)
    right = [votes[item.pk] == topic_of(item) for item in pool_items(people, 60)]
    assert sum(right) >= 54
    voter = ModelVoter.objects.get(project=people)
    assert (voter.source, voter.why_not, voter.evidence["n"], voter.evidence["n_labels"]) == ("model 1", "", 50, 60)
    fit = Job.objects.get(project=people, kind="consensus", state="queued")
    fit_consensus(job_id=str(fit.pk))
    assert done(fit).result["model_votes"] == 60
    assert ConsensusFit.objects.get(project=people).parameters["model"]["accuracy"] > 0.8


def test_its_vote_on_an_item_does_not_come_from_the_answers_to_it(people: Project) -> None:
    """Items that everybody got wrong, with words of their own by which a model could remember that."""
    items = pool_items(people, 90)
    wrong = items[::10]
    for item in wrong:
        own = " ".join(f"remember{item.pk}x{n}" for n in range(6))
        Item.objects.filter(pk=item.pk).update(data={"text": f"{item.data['text']} {own}"})
    FeatureShard.objects.all().delete()
    run_features(people)
    for item in wrong:
        both_answer(people, [item], other(topic_of(item)))
    both_answer(people, [item for item in items if item not in wrong])
    run_training(people)
    run_votes(people)
    votes = voted(people)
    assert sum(votes[item.pk] == topic_of(item) for item in wrong) >= 7
    # The version itself, which learned from them, repeats what people said.
    learned = what_was_learned(version=newest(people))
    model = fit(recipe=learned.recipe, material=learned.material)
    said = model.predict_proba(learned.material.block).argmax(axis=1)
    remembered = dict(zip(learned.ids, (TOPICS[label] for label in said), strict=True))
    assert sum(remembered[item.pk] == other(topic_of(item)) for item in wrong) >= 7


def test_what_it_did_not_learn_from_gets_its_vote_before_and_after_it_is_answered(people: Project) -> None:
    both_answer(people, pool_items(people, 60))
    run_training(people)
    run_ordering(people)
    tied, waiting = pool_items(people, 2, offset=60)
    for user, value in zip(people.annotators, TOPICS, strict=False):  # type: ignore[attr-defined]
        answer([tied], value, user=user)
    run_votes(people)
    votes = voted(people)
    assert tied.pk in votes
    assert votes[waiting.pk] == topic_of(waiting)
    assert len(votes) == 150  # all of the pool has answers or stands in line


def test_an_audit_item_never_gets_a_vote(people: Project) -> None:
    both_answer(people, pool_items(people, 60))
    run_training(people)
    run_votes(people)
    audited = set(people.items.filter(split="audit").values_list("pk", flat=True))
    assert audited and not audited & set(voted(people))


def test_ratings_are_voted_on_as_numbers(owner: Any) -> None:
    project = make_pool(owner, 160, overlap=2, kind="rating", config={"min": 1, "max": 3})
    for item in project.items.all():
        item.meta["topic"] = 1 + TOPICS.index(item.meta["topic"])
        item.save()
    run_features(project)
    answer(audit_items(project))
    answer(pool_items(project, 60))
    run_training(project)
    run_votes(project)
    assert set(voted(project).values()) == {1, 2, 3}


# When it may not


def test_a_model_that_is_no_better_than_the_commonest_label_has_no_vote(owner: Any) -> None:
    project = make_pool(owner, 200, overlap=2)
    run_features(project)
    for number, item in enumerate(audit_items(project)):  # the audit's truth has nothing to do with the texts
        answer([item], TOPICS[(number * 7 // 3) % 3])
    answer(pool_items(project, 40))
    run_training(project)
    assert newest(project).metrics["vote"]["may_vote"] is False
    assert not Job.objects.filter(project=project, kind="vote").exists()
    voter = ModelVoter.objects.get(project=project)
    assert voter.why_not == "it is not clearly better than naming the commonest label"


@pytest.mark.parametrize(
    ("asked", "n_audits", "why"),
    [
        ({}, None, "one person judges each item"),
        ({"overlap": 2, "has_single_truth": False}, None, "every opinion is kept"),
        ({"overlap": 2}, 12, "12 of 20 audit items were answered when it learned"),
    ],
)
def test_who_has_no_vote_is_told_why(owner: Any, asked: dict[str, Any], n_audits: int | None, why: str) -> None:
    project = make_pool(owner, 160, **asked)
    run_features(project)
    answer(audit_items(project, n_audits))
    answer(pool_items(project, 40))
    run_training(project)
    assert not Job.objects.filter(project=project, kind="vote").exists()
    assert ModelVoter.objects.get(project=project).why_not == why


def test_several_labels_are_not_voted_on(owner: Any) -> None:
    project = make_pool(owner, 120, overlap=2, kind="choices")
    for item in project.items.all():
        item.meta["topic"] = [item.meta["topic"]]
        item.save()
    run_features(project)
    answer(audit_items(project))
    answer(pool_items(project, 40))
    run_training(project)
    assert "vote" not in newest(project).metrics
    assert "people alone" in ModelVoter.objects.get(project=project).why_not


def test_answers_of_several_people_from_elsewhere_are_enough(owner: Any) -> None:
    project = make_pool(owner, 160)
    run_features(project)
    answer(audit_items(project))
    answer(pool_items(project, 40))
    for item in pool_items(project, 5):
        make_annotation(item, topic_of(item), rater="somebody else")
    run_training(project)
    assert Job.objects.filter(project=project, kind="vote", state="queued").exists()


# When its vote comes and goes


def test_it_votes_anew_when_it_has_learned_from_a_tenth_more(people: Project) -> None:
    both_answer(people, pool_items(people, 60))
    run_training(people)
    run_votes(people)
    both_answer(people, pool_items(people, 5, offset=60))
    run_training(people)
    assert newest(people).number == 2
    assert not Job.objects.filter(project=people, kind="vote", state="queued").exists()
    both_answer(people, pool_items(people, 1, offset=65))
    run_training(people)
    assert run_votes(people).result["version"] == 3
    assert set(ModelVote.objects.values_list("source", flat=True)) == {"model 3"}


def test_a_later_version_that_is_not_clearly_better_loses_the_vote(people: Project) -> None:
    both_answer(people, pool_items(people, 60))
    run_training(people)
    run_votes(people)
    Job.objects.filter(project=people, kind="consensus").delete()
    # Everything that came since is labeled at random: whoever learns from it knows nothing.
    for number, item in enumerate(pool_items(people, 60)):
        people.annotations.filter(item=item).update(value=TOPICS[(number * 7 // 3) % 3])
        item.resolutions.all().delete()
    run_training(people)
    assert newest(people).metrics["vote"]["may_vote"] is False
    assert voted(people) == {}
    voter = ModelVoter.objects.get(project=people)
    assert (voter.source, voter.why_not[:25]) == ("model 2", "it is not clearly better ")
    assert Job.objects.get(project=people, kind="consensus").reason == "model 2 has no vote any more"


def test_a_job_that_waited_looks_again_whether_it_may(people: Project) -> None:
    both_answer(people, pool_items(people, 60))
    run_training(people)
    change_project(project=people, actor=people.created_by, has_single_truth=False)
    assert run_votes(people).result == {"votes": 0, "why": "every opinion is kept"}
    assert voted(people) == {}
    change_project(project=people, actor=people.created_by, has_single_truth=True)
    change_schema(project=people, actor=people.created_by, config={"labels": [*TOPICS, "weather"]})
    request_votes(project=people, reason="test")
    assert "labels have changed" in run_votes(people).result["why"]


def test_twice_is_harmless(people: Project) -> None:
    both_answer(people, pool_items(people, 60))
    run_training(people)
    job = run_votes(people)
    before = list(ModelVote.objects.values_list("pk", "item_id", "value"))
    voting.vote(job_id=str(job.pk))
    request_votes(project=people, reason="again")
    run_votes(people)
    assert list(ModelVote.objects.values_list("pk", "item_id", "value")) == before
    assert decide_on_votes(project=people, version=newest(people)) is None
