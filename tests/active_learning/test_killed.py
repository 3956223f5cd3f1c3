"""kill -9 at every step of training, promotion, rollback and retirement leaves one live version and a true trail."""

import os
import signal
from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from django.conf import settings as product
from django.db import connections
from django.utils import timezone

from active_learning.models import AliasEvent, ModelVersion, TrainingRun
from active_learning.services import files, loaded, promotion, registry, training
from active_learning.services.triggers import request_training
from labeling.models import AuditEntry, Job
from labeling.services.jobs import sweep_jobs
from tests.active_learning.pools import answer, audit_items, make_pool, pool_items, run_features, run_training
from tests.active_learning.remembered import remembered

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_worker")]

# Where the process dies: in the call of this name, before or after it did its work.
TRAINING = [
    ("active_learning.services.training.write_atomically", "before"),
    ("active_learning.services.training.freeze_dataset", "after"),
    ("active_learning.services.training.learn_from_what_helps", "after"),
    ("active_learning.services.training.calibrate", "after"),
    ("active_learning.services.evidence.collect", "after"),
    ("active_learning.core.manifest.os.rename", "before"),
    ("active_learning.services.registry.store_model", "after"),
    ("active_learning.services.registry.register_version", "after"),
    ("active_learning.services.promotion.judge", "after"),
    ("active_learning.services.promotion.AliasEvent.objects.create", "before"),
    ("active_learning.services.promotion.AliasEvent.objects.create", "after"),
    ("active_learning.services.promotion.judge_version", "after"),
    ("active_learning.services.scoring.replace_queue", "before"),
    ("active_learning.services.scoring.replace_queue", "after"),
    ("labeling.services.jobs.RunningJob.finish", "before"),
]
MOVING = [
    ("active_learning.services.promotion.read_sealed", "after"),
    ("active_learning.services.promotion.AliasEvent.objects.create", "before"),
    ("active_learning.services.promotion.AliasEvent.objects.create", "after"),
    ("active_learning.services.promotion.record_audit", "after"),
]
RETIRING = [
    ("active_learning.services.archive.os.replace", "before"),
    ("active_learning.services.archive.pack", "after"),
    ("active_learning.services.promotion.record_audit", "after"),
    ("active_learning.services.archive.drop_folder", "before"),
    ("active_learning.services.archive.drop_folder", "after"),
]
RESTORING = [
    ("active_learning.core.manifest.os.rename", "before"),
    ("active_learning.services.archive.restore", "after"),
    ("active_learning.services.promotion.AliasEvent.objects.create", "after"),
]


def killed(place: str, when: str, act: Callable[[], Any]) -> bool:
    """Does `act` in a process of its own that is killed at the place. False when it never got there."""
    connections.close_all()  # a connection must not be shared with the child
    child = os.fork()
    if child == 0:
        try:
            owner, name = _found(place)
            real = getattr(owner, name)

            def die(*args: Any, **options: Any) -> None:
                if when == "after":
                    real(*args, **options)
                os.kill(os.getpid(), signal.SIGKILL)

            setattr(owner, name, die)
            act()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def _found(place: str) -> tuple[Any, str]:
    parts = place.split(".")
    for n in range(len(parts) - 1, 0, -1):
        try:
            owner: Any = import_module(".".join(parts[:n]))
        except ImportError:
            continue
        for part in parts[n:-1]:
            owner = getattr(owner, part)
        return owner, parts[-1]
    raise AssertionError(place)


def consistent(project: Any) -> int:
    """The live version's number, after a look at all that must be true however a process ended."""
    [live] = ModelVersion.objects.filter(project=project, state="live")
    events = list(AliasEvent.objects.filter(project_id=project.pk, alias="live").order_by("id"))
    assert events[-1].to_number == live.number
    for before, event in zip(events, events[1:], strict=False):
        assert event.from_number == before.to_number
    numbers = sorted(ModelVersion.objects.filter(project=project).values_list("number", flat=True))
    assert numbers == list(range(1, len(numbers) + 1))
    loaded.forget_models()
    assert registry.live_model(project=project) is not None
    return live.number


@pytest.fixture
def storage() -> Any:
    """The folder that the child uses too."""
    return product.STORAGE_ROOT


@pytest.fixture
def project(owner: Any, storage: Any) -> Any:
    return remembered(storage, owner, one_live)


def one_live(owner: Any) -> Any:
    project = make_pool(owner, 300)
    run_features(project)
    answer(pool_items(project, 20))
    answer(audit_items(project, 40))
    run_training(project)
    return project


def taken_over(job: Job) -> Job:
    """What the sweep and the next worker make of a job whose worker is dead."""
    job.refresh_from_db()
    assert job.state == "running", "nobody could say that it ended"
    Job.objects.filter(pk=job.pk).update(heartbeat_at=timezone.now() - timedelta(hours=1))
    assert sweep_jobs()["taken_back"] == 1
    training.train(job_id=str(job.pk))
    job.refresh_from_db()
    return job


def test_a_training_that_is_killed_anywhere_is_done_again(project: Any) -> None:
    for number, (place, when) in enumerate(TRAINING):
        answer(pool_items(project, 5, offset=20 + 5 * number))
        before = consistent(project)
        job = request_training(project=project, reason=place)
        assert killed(place, when, lambda job=job: training.train(job_id=str(job.pk))), f"{place} was never called"
        after = consistent(project)
        assert after >= before, place
        done = taken_over(job)
        assert (done.state, done.attempt) == ("succeeded", 2), f"{when} {place}: {done.error}"
        consistent(project)
        run = TrainingRun.objects.get(job=job)
        assert run.version is not None, place
        assert done.result["version"] == run.version.number
        assert run.outcome.startswith(f"model {run.version.number}: {run.version.state}"), place
    assert TrainingRun.objects.filter(project=project).count() == 1 + len(TRAINING)


@pytest.fixture
def two(owner: Any, storage: Any) -> Any:
    return remembered(storage, owner, two_and_one_that_waits)


def two_and_one_that_waits(owner: Any) -> Any:
    """Model 2 is live, model 1 was before it, model 3 waits for approval."""
    project = one_live(owner)
    project.learning_policy.promotion = "approval"
    project.learning_policy.save()
    for number in (2, 3):
        answer(pool_items(project, 20, offset=20 * number))
        run_training(project)
        if number == 2:
            promotion.promote(project=project, number=2, actor=owner, reason="better")
    ModelVersion.objects.filter(project=project, number=3).update(state="candidate")
    assert consistent(project) == 2
    return project


def test_a_move_in_one_process_counts_at_the_next_request_in_another(two: Any, owner: Any) -> None:
    version, model = registry.live_model(project=two)  # type: ignore[misc]
    assert version.number == 2
    connections.close_all()
    child = os.fork()
    if child == 0:
        try:
            promotion.roll_back(project=two, actor=owner, reason="from elsewhere")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    version, other = registry.live_model(project=two)  # type: ignore[misc]
    assert version.number == 1
    assert other is not model


@pytest.mark.parametrize("act", ["promote", "roll_back"])
def test_a_move_that_is_killed_anywhere_is_done_or_not_done(two: Any, owner: Any, act: str) -> None:
    def move() -> Any:
        if act == "promote":
            return promotion.promote(project=two, number=3, actor=owner, reason="killed")
        return promotion.roll_back(project=two, actor=owner, reason="killed")

    goal = 3 if act == "promote" else 1
    for place, when in MOVING:
        assert killed(place, when, move), f"{place} was never called"
        assert consistent(two) == 2, f"{when} {place}"
        assert not AuditEntry.objects.filter(detail__reason="killed").exists()
    assert move().number == goal
    assert consistent(two) == goal


def test_a_retirement_that_is_killed_anywhere_loses_no_file(two: Any, owner: Any) -> None:
    version = ModelVersion.objects.get(project=two, number=1)
    folder, packed = files.absolute(version.path), files.archive_path(version.sha256)

    def retire() -> None:
        promotion.retire(project=two, number=1, actor=owner, reason="old")

    for place, when in RETIRING:
        assert killed(place, when, retire), f"{place} was never called"
        assert consistent(two) == 2
        version.refresh_from_db()
        assert folder.exists() or (version.archived_at is not None and packed.exists()), f"{when} {place}"
        if version.archived_at is not None:  # it was committed: back to where the next round begins
            promotion.roll_back(project=two, actor=owner, reason="needed", to=1)
            promotion.roll_back(project=two, actor=owner, reason="no longer", to=2)
            version.refresh_from_db()
            assert (version.archived_at, folder.exists()) == (None, True)
    retire()
    assert not folder.exists()

    def back() -> None:
        promotion.roll_back(project=two, actor=owner, reason="needed", to=1)

    for place, when in RESTORING:
        assert killed(place, when, back), f"{place} was never called"
        assert consistent(two) == 2
        assert packed.exists()
    back()
    assert consistent(two) == 1
