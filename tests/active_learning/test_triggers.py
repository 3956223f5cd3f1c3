from datetime import timedelta

import pytest
from django.core.cache import cache
from django.utils import timezone

from active_learning.models import ModelVersion, TrainingRun
from active_learning.services import files, loaded, triggers, watching
from active_learning.services.policy import change_policy
from active_learning.services.triggers import (
    check_triggers,
    request_accuracy_check,
    request_features,
    request_training,
)
from labeling.core.errors import Invalid
from labeling.models import Item, Job, QueueEntry
from tests.active_learning.pools import (
    add_texts,
    answer,
    audit_items,
    done,
    make_pool,
    pool_items,
    run_features,
    run_ordering,
    run_training,
)
from tests.active_learning.remembered import remembered
from tests.factories import make_project

pytestmark = pytest.mark.django_db
LATER = timedelta(minutes=10)
NOTHING = {"train": 0, "score": 0, "features": 0, "accuracy_check": 0}


@pytest.fixture(autouse=True)
def forget():
    cache.clear()


@pytest.fixture
def ordered(owner, storage):
    return remembered(storage, owner, in_order)


def in_order(owner):
    """A project that has its features and its first order."""
    project = make_pool(owner, 120)
    run_features(project)
    run_ordering(project)
    return project


def check(after=timedelta(0)):
    return check_triggers(now=timezone.now() + after)


def waiting(project):
    return sorted(Job.objects.filter(project=project, state="queued").values_list("kind", flat=True))


def test_an_empty_project_asks_for_nothing(owner):
    make_project(owner)
    assert check() == NOTHING


def test_first_features_then_the_first_order(owner):
    project = make_pool(owner, 40)
    assert check()["features"] == 1
    assert check() == NOTHING  # it waits already
    run_features(project)
    assert check() == NOTHING | {"score": 1}
    run_ordering(project)
    assert check() == NOTHING


def test_enough_new_labels_start_a_training(ordered):
    answer(pool_items(ordered, 19))
    assert check()["train"] == 0
    answer(pool_items(ordered, 1, offset=19))
    assert check()["train"] == 1
    job = Job.objects.get(project=ordered, kind="train")
    assert job.reason == "20 new labels"
    assert job.lane == f"train:{ordered.pk}"
    assert job.training_run.trigger == "labels"
    assert check()["train"] == 0


def test_only_labels_after_the_last_training_count(ordered):
    answer(pool_items(ordered, 20))
    run_training(ordered)
    assert check(LATER)["train"] == 0
    answer(pool_items(ordered, 19, offset=20))
    assert check(LATER)["train"] == 0
    answer(pool_items(ordered, 1, offset=39))
    assert check(LATER)["train"] == 1


def test_audit_answers_start_no_training(ordered):
    answer(list(ordered.items.filter(split="audit")))
    assert ordered.annotations.count() == 30
    assert check()["train"] == 0


def test_a_training_that_came_to_nothing_waits_for_new_labels_too(ordered):
    answer(pool_items(ordered, 20), "food")
    run_training(ordered)
    assert check(LATER)["train"] == 0


def test_trainings_keep_their_distance(ordered):
    change_policy(project=ordered, actor=None, min_seconds_between=60)
    answer(pool_items(ordered, 20))
    run_training(ordered)
    answer(pool_items(ordered, 20, offset=20))
    assert check(timedelta(seconds=30))["train"] == 0
    assert check(timedelta(seconds=61))["train"] == 1


def test_a_failed_training_is_tried_again_after_a_while(ordered):
    answer(pool_items(ordered, 20))
    job = request_training(project=ordered, reason="will fail")
    Job.objects.filter(pk=job.pk).update(state="failed", finished_at=timezone.now())
    assert check(timedelta(minutes=1))["train"] == 0
    assert check(timedelta(minutes=6))["train"] == 1


def test_a_training_that_waits_is_not_asked_for_twice(ordered):
    first = request_training(project=ordered, reason="one")
    second = request_training(project=ordered, reason="two")
    assert first == second
    assert TrainingRun.objects.filter(project=ordered).count() == 1
    Job.objects.filter(pk=first.pk).update(state="running")
    assert request_training(project=ordered, reason="three") != first


def test_a_project_that_does_not_learn_by_itself_is_left_alone(ordered):
    change_policy(project=ordered, actor=None, is_enabled=False)
    answer(pool_items(ordered, 30))
    add_texts(ordered, 5, seed=3)
    assert check() == NOTHING
    assert run_training(ordered).result["version"] == 1


def test_new_items_want_features_and_then_a_place_in_line(ordered):
    add_texts(ordered, 10, seed=3)
    assert check()["features"] == 1
    run_features(ordered)
    assert check()["score"] == 0  # the last order is only seconds old
    assert check(timedelta(seconds=31))["score"] == 1


def test_items_that_came_in_late_are_noticed_by_counting(ordered):
    assert check()["features"] == 0  # counts the items, and does not count them again for a while
    gone = ordered.items.order_by("pk").first()
    copy = Item.objects.get(pk=gone.pk)
    gone.delete()
    ordered.feature_shards.all().delete()
    run_features(ordered)
    copy.save(force_insert=True)
    assert check()["features"] == 0
    cache.delete(f"active_learning:counted:{ordered.pk}")
    assert check()["features"] == 1


def test_a_queue_that_runs_low_is_filled_again(ordered):
    change_policy(project=ordered, actor=None, queue_size=40)
    run_ordering(ordered)
    assert check(LATER)["score"] == 0
    used = list(QueueEntry.objects.filter(project=ordered).values_list("pk", flat=True)[:35])
    QueueEntry.objects.filter(pk__in=used).delete()
    assert check(LATER)["score"] == 1
    Job.objects.filter(kind="score", state="queued").delete()
    run_ordering(ordered)
    assert ordered.queue.count() == 40


def test_changed_features_ask_for_a_new_model(ordered):
    answer(pool_items(ordered, 20))
    run_training(ordered)
    policy = ordered.learning_policy
    policy.featurizer = policy.featurizer | {"fingerprint": "f" * 64}
    policy.save()
    check(LATER)
    assert "train" in waiting(ordered)
    assert (
        Job.objects.get(project=ordered, kind="train", state="queued").reason
        == "the features of the items have changed"
    )


def test_one_broken_project_does_not_stop_the_others(ordered, monkeypatch):
    broken = make_pool(ordered.created_by, 8)
    plain = triggers._check_project

    def check_project(project, now):
        if project.pk == broken.pk:
            raise RuntimeError("broken")
        return plain(project, now)

    monkeypatch.setattr(triggers, "_check_project", check_project)
    answer(pool_items(ordered, 20))
    assert check()["train"] == 1


def test_looking_costs_few_queries_whatever_the_size(ordered, django_assert_max_num_queries):
    answer(pool_items(ordered, 30))
    with django_assert_max_num_queries(26):
        check()


def test_features_have_a_lane_of_their_own(owner):
    project = make_pool(owner, 10)
    assert request_features(project=project, reason="a") == request_features(project=project, reason="b")


# The schedule


def test_the_schedule_asks_when_nothing_happened(ordered):
    answer(pool_items(ordered, 20))
    run_training(ordered)
    assert check(timedelta(days=400))["train"] == 0  # off by default
    change_policy(project=ordered, actor=None, retrain_days=30)
    assert check(timedelta(days=29, hours=23))["train"] == 0
    assert check(timedelta(days=30))["train"] == 1
    run = TrainingRun.objects.filter(project=ordered).first()
    assert (run.trigger, run.reason) == ("schedule", "30 days since the last training")


def test_any_training_starts_the_schedule_anew(ordered):
    change_policy(project=ordered, actor=None, retrain_days=1)
    answer(pool_items(ordered, 20))
    job = run_training(ordered)
    Job.objects.filter(pk=job.pk).update(finished_at=timezone.now() - timedelta(hours=20))
    assert check(timedelta(hours=5))["train"] == 1
    Job.objects.filter(project=ordered, kind="train", state="queued").delete()
    run_training(ordered)
    assert check(timedelta(hours=5))["train"] == 0


def test_without_answers_the_schedule_waits(ordered):
    change_policy(project=ordered, actor=None, retrain_days=1)
    run_training(ordered)
    assert check(timedelta(days=3))["train"] == 0


# Events and drift


def test_a_business_event_is_kept_as_the_reason(ordered, owner):
    job = request_training(project=ordered, reason=" prices changed ", trigger="event", actor=owner)
    run = TrainingRun.objects.get(job=job)
    assert (run.trigger, run.reason, job.created_by) == ("event", "prices changed", owner)
    with pytest.raises(Invalid, match="Say what has happened"):
        request_training(project=ordered, reason="  ", trigger="event")


def test_whatever_notices_drift_asks_by_the_same_door(ordered):
    job = request_training(project=ordered, reason="PSI of length is 0.31", trigger=TrainingRun.Trigger.DRIFT)
    assert TrainingRun.objects.get(job=job).get_trigger_display() == "Drift"


def test_what_asks_while_a_training_waits_adds_its_reason(ordered):
    job = request_training(project=ordered, reason="20 new labels", trigger="labels")
    for _ in range(2):
        assert request_training(project=ordered, reason="prices changed", trigger="event") == job
    job.refresh_from_db()
    assert job.reason == job.training_run.reason == "20 new labels; prices changed"
    assert job.training_run.trigger == "labels"


# Lost accuracy


def in_order_with_a_live_model(owner):
    """The same with a live model that was measured on 30 audit items."""
    project = in_order(owner)
    answer(pool_items(project, 40))
    answer(audit_items(project))
    run_training(project)
    return project


@pytest.fixture
def live(owner, storage):
    version = remembered(storage, owner, in_order_with_a_live_model).model_versions.get()
    assert version.state == "live"
    return version


def audit_anew(project, n, n_wrong, seed=9):
    """`n` further audit items are answered, `n_wrong` of them not as the texts say."""
    items = add_texts(project, n, audit_every=1, seed=seed)
    answer(items[n_wrong:])
    for item in items[:n_wrong]:
        answer([item], "food" if item.meta["topic"] != "food" else "money")


def run_check(project):
    cache.clear()
    assert check(LATER)["accuracy_check"] == 1
    job = Job.objects.get(project=project, kind="accuracy_check", state="queued")
    watching.check_accuracy(job_id=str(job.pk))
    return done(job)


def test_a_model_that_lost_accuracy_is_trained_again(live):
    project = live.project
    audit_anew(project, 19, 10)
    cache.clear()
    assert check(LATER)["accuracy_check"] == 0  # 19 items say nothing yet
    audit_anew(project, 21, 10, seed=10)
    found = run_check(project).result
    assert (found["version"], found["n_new"]) == (1, 40)
    assert found["decline"]["verdict"] == "critical"
    assert found["decline"]["now"]["n"] == 40
    run = TrainingRun.objects.filter(project=project).first()
    assert run.trigger == "performance"
    assert run.reason == found["outcome"]
    assert "points lost: critical" in run.reason


def test_the_same_audit_answers_are_looked_at_once(live):
    project = live.project
    audit_anew(project, 20, 0)
    assert run_check(project).result["decline"]["verdict"] == "steady"
    assert not Job.objects.filter(project=project, kind="train", state="queued").exists()
    cache.clear()
    assert check(LATER)["accuracy_check"] == 0
    audit_anew(project, 20, 15, seed=10)
    assert run_check(project).result["decline"]["now"]["n"] == 40


def test_a_loss_that_may_be_chance_is_said_and_asks_for_nothing(live):
    audit_anew(live.project, 20, 2)
    found = run_check(live.project).result
    assert found["decline"]["verdict"] == "unsure"
    assert "which may be chance" in found["outcome"]
    assert not Job.objects.filter(project=live.project, kind="train", state="queued").exists()


def test_accuracy_is_not_looked_at_where_it_is_switched_off_or_nothing_is_live(live):
    project = live.project
    audit_anew(project, 30, 25)
    change_policy(project=project, actor=None, retrain_drop=0)
    cache.clear()
    assert check(LATER)["accuracy_check"] == 0
    change_policy(project=project, actor=None, retrain_drop=5)
    ModelVersion.objects.filter(pk=live.pk).update(state="retired")
    cache.clear()
    assert check(LATER)["accuracy_check"] == 0
    job = request_accuracy_check(project=project, reason="asked for")
    watching.check_accuracy(job_id=str(job.pk))
    assert done(job).result == {"outcome": "No model is live."}


def test_a_check_of_an_altered_model_fails_with_words_and_waits(live):
    audit_anew(live.project, 30, 25)
    (files.absolute(live.path) / "arrays.npz").write_bytes(b"nothing")
    loaded.forget_models()
    assert check(LATER)["accuracy_check"] == 1
    job = Job.objects.get(kind="accuracy_check")
    watching.check_accuracy(job_id=str(job.pk))
    job.refresh_from_db()
    assert job.state == "failed"
    assert job.error
    cache.clear()
    assert check(timedelta(minutes=1))["accuracy_check"] == 0
