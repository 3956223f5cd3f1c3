import os
import socket
from datetime import timedelta

import pytest
from django.utils import timezone

from labeling.core.errors import Invalid
from labeling.models import Job
from labeling.services.jobs import MAX_ATTEMPTS, enqueue_job, running_job, sweep_jobs

pytestmark = pytest.mark.django_db(transaction=True)


def queue_one(**overrides):
    return enqueue_job(**({"kind": "test", "task": "labeling.sweep_jobs"} | overrides))


def test_a_job_is_claimed_once_and_its_result_kept():
    job = queue_one()
    with running_job(str(job.pk)) as running:
        running.report(0.5, "half way")
        with running_job(str(job.pk)) as second:
            assert second is None
        running.finish({"n": 3})
    job.refresh_from_db()
    assert (job.state, job.result, job.progress, job.attempt) == ("succeeded", {"n": 3}, 1.0, 1)
    with running_job(str(job.pk)) as again:
        assert again is None


def test_a_refusal_becomes_the_reason_of_the_failure():
    job = queue_one()
    with running_job(str(job.pk)):
        raise Invalid("The file is empty. Choose another one.")
    job.refresh_from_db()
    assert (job.state, job.error) == ("failed", "The file is empty. Choose another one.")


def test_a_full_disk_is_named_as_such():
    job = queue_one()
    with running_job(str(job.pk)):
        raise OSError(28, "No space left on device")
    job.refresh_from_db()
    assert "disk is full" in job.error


def test_a_lane_has_one_queued_and_one_running_job():
    first = queue_one(lane="train:1")
    assert queue_one(lane="train:1").pk == first.pk
    with running_job(str(first.pk)):
        second = queue_one(lane="train:1")
        assert second.pk != first.pk
        with running_job(str(second.pk)) as blocked:
            assert blocked is None
    with running_job(str(second.pk)) as free:
        assert free is not None


def test_a_job_of_a_dead_process_is_taken_back_at_once():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    job = queue_one()
    now = timezone.now()
    Job.objects.filter(pk=job.pk).update(
        state="running", attempt=1, worker=f"{socket.gethostname()}:{pid}", heartbeat_at=now
    )
    assert sweep_jobs(now=now)["taken_back"] == 1
    with running_job(str(job.pk)) as running:
        assert running.job.attempt == 2


def test_a_silent_worker_elsewhere_is_given_up_after_a_minute():
    job = queue_one()
    now = timezone.now()
    Job.objects.filter(pk=job.pk).update(state="running", attempt=1, worker="elsewhere:1", heartbeat_at=now)
    assert sweep_jobs(now=now + timedelta(seconds=50))["taken_back"] == 0
    assert sweep_jobs(now=now + timedelta(seconds=61))["taken_back"] == 1


def test_a_job_that_kills_its_worker_again_and_again_ends_failed():
    job = queue_one()
    Job.objects.filter(pk=job.pk).update(state="running", attempt=MAX_ATTEMPTS, worker="elsewhere:1")
    sweep_jobs()
    job.refresh_from_db()
    assert job.state == "failed"
    assert "died 3 times" in job.error


def test_a_worker_that_was_believed_dead_cannot_overwrite_its_successor():
    job = queue_one()
    with running_job(str(job.pk)) as lost:
        Job.objects.filter(pk=job.pk).update(attempt=2)
        lost.report(1.0, "still here")
        lost.finish({"by": "lost"})
    job.refresh_from_db()
    assert (job.state, job.result) == ("running", None)


def test_a_forgotten_bell_is_rung_again():
    job = queue_one()
    now = timezone.now()
    assert sweep_jobs(now=now)["rung"] == 0
    assert sweep_jobs(now=now + timedelta(seconds=30))["rung"] == 1
    job.refresh_from_db()
    assert job.rung_at == now + timedelta(seconds=30)


def test_without_a_broker_the_row_waits(settings):
    assert queue_one().state == "queued"
