import numpy as np
import pytest

from active_learning import selectors
from active_learning.core.strategies import FOR_SEVERAL_LABELS, TITLES
from active_learning.models import ScoringRun
from active_learning.services.policy import change_policy
from active_learning.services.scoring import order_queue, score
from active_learning.services.triggers import request_ordering
from labeling.core.errors import Invalid
from labeling.models import Item, QueueEntry, Suggestion
from labeling.services.annotate import submit_annotation
from labeling.services.queue import lease_items
from tests.active_learning.pools import (
    add_texts,
    answer,
    audit_items,
    make_pool,
    pool_items,
    run_features,
    run_ordering,
    run_training,
)
from tests.factories import make_member, make_project, make_user

pytestmark = pytest.mark.django_db


def line_of(project):
    return list(project.queue.select_related("item").order_by("rank", "id"))


def reasons(entries):
    return [entry.reason for entry in entries]


def test_before_the_first_model_typical_items_come_first(owner):
    project = make_pool(owner, 200)
    run_features(project)
    run_ordering(project)
    line = line_of(project)
    assert len(line) == 200
    assert project.scoring_runs.get().composition["cold_start"] >= 45
    assert reasons(line[:20]).count("cold_start") >= 13
    first = [entry for entry in line if entry.reason == "cold_start"]
    assert first[0].detail["group"] >= first[-1].detail["group"]
    assert {entry.item.meta["topic"] for entry in first[:12]} == {"food", "money", "sport"}
    project.refresh_from_db()
    assert project.ordered_by == "cluster start"
    assert not Suggestion.objects.filter(project=project).exists()


def test_a_model_puts_what_it_is_torn_about_in_front(owner):
    project = make_pool(owner, 240)
    run_features(project)
    answer(pool_items(project, 30))
    run_training(project)
    line = line_of(project)
    torn = [entry for entry in line if entry.reason == "acquisition"]
    assert len(torn) > 80
    (first, p_first), (second, p_second) = torn[0].detail["p"]
    assert first != second
    assert p_first >= p_second > 0
    assert torn[0].detail["version"] == 1
    leads = [entry.detail["p"][0][1] - entry.detail["p"][1][1] for entry in torn]
    assert np.mean(leads[:40]) < np.mean(leads[-40:])
    project.refresh_from_db()
    assert project.ordered_by == "model 1"


def test_random_draws_and_audit_items_are_mixed_in_with_their_propensities(owner):
    project = make_pool(owner, 400)
    run_features(project)
    answer(pool_items(project, 30))
    run_training(project)
    line = line_of(project)
    n_open = 270  # of 300 in the pool, 30 are answered
    drawn = [entry for entry in line if entry.reason == "random" and entry.propensity is not None]
    assert len(drawn) == 27
    assert {entry.propensity for entry in drawn} == {27 / n_open}
    assert drawn[0].detail == {"drawn": 27, "of": n_open}
    audits = [entry for entry in line if entry.reason == "audit"]
    assert {entry.item.split for entry in audits} == {"audit"}
    assert {entry.propensity for entry in audits} == {1.0}
    front = reasons(line[:40])
    assert front.count("audit") == 6
    assert front.count("random") == 4
    assert all(entry.item.split == "pool" for entry in line if entry.reason != "audit")


def test_draws_are_uniform_over_the_open_pool(owner):
    project = make_pool(owner, 60, audit_every=0)
    run_features(project)
    change_policy(project=project, actor=owner, exploration_share=0.2)
    rng = np.random.default_rng(0)
    counts = dict.fromkeys((item.pk for item in pool_items(project, 60)), 0)
    for _ in range(60):
        order_queue(project=project, rng=rng)
        drawn = project.queue.filter(reason="random", propensity__isnull=False)
        for pk in drawn.values_list("item_id", flat=True):
            counts[pk] += 1
    # 12 of 60 each time: 12 expected for each item; five standard deviations of room.
    assert max(abs(n - 12) for n in counts.values()) < 5 * (60 * 0.2 * 0.8) ** 0.5


def test_answered_closed_and_leased_items_are_left_out_or_kept(owner):
    project = make_pool(owner, 80, overlap=1)
    person = make_member(project)
    run_features(project)
    run_ordering(project)
    held = lease_items(project=project, user=person, n=3).items
    submit_annotation(assignment=held[0].assignment, value="food", client_id="c")
    leased_ids = [leased.assignment.item_id for leased in held]
    excluded = project.items.filter(queue_entry__isnull=False).exclude(pk__in=leased_ids).first()
    excluded.state = "excluded"
    excluded.save()
    run_ordering(project)
    queued = {entry.item_id for entry in line_of(project)}
    assert held[0].assignment.item_id not in queued
    assert excluded.pk not in queued
    assert {leased.assignment.item_id for leased in held[1:]} <= queued


def test_half_answered_items_stay_in_line(owner):
    project = make_pool(owner, 60, overlap=2)
    people = [make_member(project), make_member(project)]
    run_features(project)
    run_ordering(project)
    leased = lease_items(project=project, user=people[0], n=1).items[0]
    submit_annotation(assignment=leased.assignment, value="food", client_id="c")
    run_ordering(project)
    assert project.queue.get(item_id=leased.assignment.item_id).reason == "second_opinion"


def test_queued_pool_items_get_suggestions_and_audit_items_never(owner):
    project = make_pool(owner, 200)
    run_features(project)
    answer(pool_items(project, 30))
    run_training(project)
    suggested = {s.item_id: s for s in Suggestion.objects.filter(project=project)}
    line = line_of(project)
    assert set(suggested) == {entry.item_id for entry in line if entry.item.split == "pool"}
    right = 0
    for entry in line:
        if entry.item.split == "audit":
            continue
        suggestion = suggested[entry.item_id]
        right += suggestion.value == entry.item.meta["topic"]
        assert suggestion.source == "model 1"
        assert sum(suggestion.probabilities.values()) == pytest.approx(1.0, abs=1e-3)
        assert suggestion.value == max(suggestion.probabilities, key=suggestion.probabilities.get)
        text = entry.item.data["text"]
        for word in suggestion.words:
            assert " " not in text[word["start"] : word["end"]]
    assert right / len(suggested) > 0.9
    best = max(suggestion.words, key=lambda word: word["weight"])
    assert best["weight"] > 0


def test_the_words_behind_a_suggestion_are_those_of_the_topic(owner):
    project = make_pool(owner, 120, audit_every=0)
    run_features(project)
    answer(pool_items(project, 40))
    run_training(project)
    strongest = []
    for suggestion in Suggestion.objects.filter(project=project).select_related("item"):
        word = max(suggestion.words, key=lambda w: w["weight"])
        strongest.append(suggestion.item.data["text"][word["start"] : word["end"]])
    assert sum(word.startswith("filler") for word in strongest) / len(strongest) < 0.1


def test_the_words_are_found_in_the_field_they_stand_in(owner):
    project = make_pool(owner, 80, audit_every=0)
    for item in Item.objects.filter(project=project):
        item.data = {"title": f"A title of {item.pk} more words", "body": item.data["text"]}
        item.save(update_fields=["data"])
    run_features(project)
    answer(pool_items(project, 40))
    run_training(project)
    fields = set()
    for suggestion in Suggestion.objects.filter(project=project).select_related("item"):
        for word in suggestion.words:
            fields.add(word["field"])
            assert suggestion.item.data[word["field"]][word["start"] : word["end"]].strip()
    assert "body" in fields


@pytest.mark.parametrize("name", sorted(set(TITLES) - FOR_SEVERAL_LABELS))
def test_every_strategy_orders_a_queue(owner, name):
    project = make_pool(owner, 120)
    change_policy(project=project, actor=owner, strategy=name, queue_size=40)
    run_features(project)
    run_ordering(project)
    assert project.queue.count() == 40
    answer(pool_items(project, 20))
    run_training(project)
    assert project.queue.count() == 40
    run = selectors.latest_scoring(project=project)
    assert run.strategy == name
    assert run.version.number == 1
    if name == "random":
        assert set(run.composition) == {"random", "audit"}
        assert not project.queue.filter(propensity__isnull=True).exists()


@pytest.mark.parametrize("name", sorted(FOR_SEVERAL_LABELS))
def test_strategies_for_several_labels(owner, name):
    project = make_project(owner, kind="choices", config={"labels": ["food", "money", "sport"]})
    for item in add_texts(project, 40, audit_every=0):
        answer([item], [item.meta["topic"]])
    add_texts(project, 40, audit_every=0, seed=4)
    change_policy(project=project, actor=owner, strategy=name, queue_size=20)
    run_features(project)
    run_training(project)
    assert project.queue.filter(reason="acquisition").count() == 18


def test_ordering_may_use_a_version_that_is_not_live_and_says_which(owner):
    project = make_pool(owner, 200)
    run_features(project)
    answer(pool_items(project, 45))
    answer(audit_items(project, 5))
    run_training(project)
    assert selectors.live_version(project=project) is None
    run = selectors.latest_scoring(project=project)
    assert (run.version.number, run.version.state) == (1, "candidate")


def test_several_shards_are_searched_as_one(owner, monkeypatch):
    from active_learning.services import features

    project = make_pool(owner, 300, audit_every=0)
    answer(pool_items(project, 60))
    change_policy(project=project, actor=owner, strategy="margin", exploration_share=0, queue_size=50)
    run_features(project)
    run_training(project)
    whole = [entry.item_id for entry in line_of(project)]
    project.feature_shards.all().delete()
    monkeypatch.setattr(features, "SHARD_SIZE", 32)
    run_features(project)
    assert project.feature_shards.count() == 10
    run_ordering(project)
    assert [entry.item_id for entry in line_of(project)] == whole


def test_nothing_to_order_is_no_failure(owner):
    project = make_project(make_user())
    assert run_ordering(project).result == {"queued": 0}
    finished = make_pool(owner, 8, audit_every=0)
    run_features(finished)
    answer(pool_items(finished, 8))
    assert run_ordering(finished).result == {"queued": 0, "scored": 8}


def first_come(estimator, X, n_instances=1, **_):
    """An operator's own strategy, in modAL's form."""
    return np.arange(n_instances)


def test_an_operators_own_strategy_orders_the_queue(owner, settings):
    settings.QUERY_STRATEGIES = [f"{__name__}.first_come"]
    project = make_pool(owner, 80)
    change_policy(project=project, actor=owner, strategy=f"{__name__}.first_come", queue_size=40)
    run_features(project)
    answer(pool_items(project, 20))
    run_training(project)
    picked = [entry.item_id for entry in line_of(project) if entry.reason == "acquisition"]
    assert picked == sorted(picked) and len(picked) > 20


def test_only_the_operator_names_paths(owner, settings):
    project = make_pool(owner, 80)
    with pytest.raises(Invalid, match="is not a strategy"):
        change_policy(project=project, actor=owner, strategy="os.system")
    settings.QUERY_STRATEGIES = ["house.queries.gone"]
    change_policy(project=project, actor=owner, strategy="house.queries.gone")
    run_features(project)
    job = request_ordering(project=project, reason="test")
    score(job_id=str(job.pk))
    job.refresh_from_db()
    assert job.state == "failed" and "could not be imported by the worker" in job.error
    # Taken out of the settings later: people go on, and the next order says what to do.
    settings.QUERY_STRATEGIES = []
    with pytest.raises(Invalid, match="An owner chooses another one"):
        order_queue(project=project)


def test_a_committee_orders_the_queue_by_what_its_members_disagree_about(owner):
    project = make_pool(owner, 160)
    run_features(project)
    answer(pool_items(project, 4))
    change_policy(project=project, actor=owner, strategy="modal:vote_entropy")
    run_training(project)
    assert ScoringRun.objects.get(project=project).strategy == "modal:vote_entropy"
    details = QueueEntry.objects.filter(project=project, reason="acquisition").order_by("rank")
    leads = [first[1] - second[1] for first, second in details.values_list("detail__p", flat=True)]
    assert leads[0] < leads[-1]
    assert {round(5 * lead, 3) for lead in leads} <= {0.0, 1.0, 2.0, 3.0, 5.0}
