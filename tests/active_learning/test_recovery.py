"""A training whose worker is killed is done again, and nothing that people said is lost or counted twice."""

import os
import signal
from typing import Any

import pytest
from django.conf import settings as product

from active_learning.models import Dataset, ModelVersion, TrainingRun
from active_learning.services.triggers import check_triggers
from labeling.models import Annotation, Job
from labeling.services.annotate import submit_annotation
from labeling.services.jobs import sweep_jobs
from labeling.services.queue import lease_items
from tests.active_learning.pools import answer, make_pool, pool_items
from tests.factories import make_member
from tests.services.processes import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

# Their features are computed within the training, which therefore takes a while: time to be stopped in.
N_LABELED = 400


@pytest.fixture
def storage() -> Any:
    """The folder that the real worker uses."""
    return product.STORAGE_ROOT


def _pid(job: Job) -> int:
    return int(job.worker.rpartition(":")[2])


def _reload(job: Job) -> Job:
    job.refresh_from_db()
    return job


def _unfinished_files() -> set[Any]:
    return set((product.STORAGE_ROOT / "models").rglob(".tmp-*"))


def _until_done(job: Job, worker: Any) -> None:
    def ended() -> bool:
        sweep_jobs()
        return _reload(job).state in ("succeeded", "failed")

    wait_until(ended, seconds=120, what=f"training again: {worker.words}")
    assert job.state == "succeeded", job.error


def _until_held(job: Job, worker: Any, attempt: int) -> None:
    """Returns when the worker's child is in the middle of the training, and stopped there."""

    def is_under_way() -> bool:
        sweep_jobs()
        return _reload(job).state == "running" and job.attempt == attempt and job.message != ""

    wait_until(is_under_way, seconds=90, what=f"training {attempt}: {worker.words}")
    # Features, fit and measurement are still to come.
    os.kill(_pid(job), signal.SIGSTOP)
    assert _reload(job).state == "running"
    assert not ModelVersion.objects.filter(project=job.project).exists()


def test_kill_9_of_the_child_that_trains_and_then_of_the_whole_worker(owner: Any, start_worker: Any) -> None:
    project = make_pool(owner, N_LABELED + 40, audit_every=0)
    answer(pool_items(project, N_LABELED))
    worker = start_worker()
    assert check_triggers()["train"] == 1
    job = Job.objects.get(project=project, kind="train")
    _until_held(job, worker, 1)
    # Other tests kill trainings too, and this folder is everybody's.
    others = _unfinished_files()

    # The same worker has it done again by another child.
    os.kill(_pid(job), signal.SIGKILL)
    _until_held(job, worker, 2)

    worker.kill()
    assert _reload(job).state == "running"  # nobody could say that it ended

    # People go on meanwhile.
    person = make_member(project)
    leased = lease_items(project=project, user=person, n=1).items[0]
    submit_annotation(assignment=leased.assignment, value="food", client_id="meanwhile")

    wait_until(lambda: sweep_jobs()["taken_back"] == 1, seconds=90, what="the sweep that notices the dead worker")
    assert _reload(job).state == "queued"
    _until_done(job, start_worker())
    assert job.attempt == 3
    version = ModelVersion.objects.get(project=project)
    assert TrainingRun.objects.get(project=project).version == version
    # The last attempt reads the answers anew, the one that came meanwhile among them.
    assert Dataset.objects.get(pk=version.dataset_id).n_items == N_LABELED + 1
    assert Annotation.objects.filter(project=project).count() == N_LABELED + 1
    assert _unfinished_files() <= others
