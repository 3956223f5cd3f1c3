"""Background jobs: the row is the queue, Celery is the doorbell.

A job runs at least once: whoever wins the conditional UPDATE runs it, a lost message or a dead worker costs one
sweep, and every task may be delivered twice without harm.
"""

import os
import socket
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import structlog
from celery import current_app
from django.core.cache import cache
from django.db import IntegrityError, connection, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from labeling.core.errors import Conflict, DomainError
from labeling.models import Job, Project
from labeling.selectors import BEATING_SECONDS, WORKER_ALIVE_KEY
from labeling.services.audit import record_audit

log = structlog.get_logger(__name__)

HEARTBEAT_SECONDS = 5
# A running row whose heartbeat is older than this has lost its worker.
STALE_SECONDS = 60
# A queued row is rung again after this long: the first bell may have been lost with the broker.
RING_AGAIN_SECONDS = 20
MAX_ATTEMPTS = 3


def enqueue_job(
    *,
    kind: str,
    task: str,
    project: Project | None = None,
    params: dict[str, Any] | None = None,
    reason: str = "",
    created_by: Any = None,
    lane: str | None = None,
    queue: str = "default",
) -> Job:
    """The queued job. Rings the worker after commit; without a broker the row waits for the sweep.

    With a lane, a job of that lane that is still queued is returned instead of a second one.
    """
    try:
        with transaction.atomic():
            job = Job.objects.create(
                kind=kind,
                task=task,
                project=project,
                params=params or {},
                reason=reason[:200],
                created_by=created_by,
                lane=lane,
                queue=queue,
                rung_at=timezone.now(),
            )
    except IntegrityError:
        waiting = Job.objects.filter(lane=lane, state=Job.State.QUEUED).first()
        if waiting is None:  # it was claimed between the insert and this look
            return enqueue_job(
                kind=kind,
                task=task,
                project=project,
                params=params,
                reason=reason,
                created_by=created_by,
                lane=lane,
                queue=queue,
            )
        return waiting
    transaction.on_commit(lambda: _ring(job))
    return job


def retry_job(*, job: Job, actor: Any) -> Job:
    """The failed job, queued once more. It goes on from what it remembered.

    Raises Conflict when it has not failed, or when its lane already has a job waiting that will do the same work.
    """
    try:
        with transaction.atomic():
            # The attempt is not set back: it fences off a worker of an earlier attempt that comes back from the dead.
            retried = Job.objects.filter(pk=job.pk, state=Job.State.FAILED).update(
                state=Job.State.QUEUED,
                progress=0.0,
                message="",
                error="",
                result=None,
                started_at=None,
                heartbeat_at=None,
                finished_at=None,
                rung_at=timezone.now(),
            )
            if not retried:
                raise Conflict("Only a failed job can be started again; this one has not failed.", code="not_failed")
            record_audit(action="job.retry", actor=actor, project=job.project, target=f"{job.kind} {job.pk}")
    except IntegrityError:
        raise Conflict("A newer job of this kind already waits and will do the same work.", code="lane_taken") from None
    job.refresh_from_db()
    transaction.on_commit(lambda: _ring(job))
    return job


def _ring(job: Job) -> None:
    try:
        current_app.send_task(job.task, args=[str(job.id)], queue=job.queue, retry=False)
    except Exception as error:  # a broker that is down must not fail the request: the sweep rings again
        log.warning("job_bell_failed", job_id=str(job.id), kind=job.kind, error=str(error))


class RunningJob:
    """A claimed job, as the code that runs it sees it."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.id = str(job.id)
        self.params: dict[str, Any] = job.params
        self._result: dict[str, Any] | None = None
        self._last_report = 0.0

    @property
    def project(self) -> Project:
        assert self.job.project is not None
        return self.job.project

    def report(self, progress: float, message: str = "") -> None:
        """Shows progress (a share of 1) and what is being done; at most twice a second reaches the table."""
        now = time.monotonic()
        if now - self._last_report < 0.5 and progress < 1.0:
            return
        self._last_report = now
        self._mine().update(
            progress=min(max(progress, 0.0), 1.0),
            message=message[:300],
            heartbeat_at=timezone.now(),
        )

    def is_ours(self) -> bool:
        """Whether it is this worker's still: somebody may have stopped it, or another worker have taken it over."""
        return self._mine().exists()

    def remember(self, **params: Any) -> None:
        """Keeps how far the work has come, for the worker that takes over after a crash."""
        self.params = self.params | params
        self._mine().update(params=self.params, heartbeat_at=timezone.now())

    def finish(self, result: dict[str, Any]) -> None:
        """Sets the result that is stored when the block ends well."""
        self._result = result

    def _mine(self) -> QuerySet[Job]:
        # The attempt fences off a worker that was believed dead and came back.
        return Job.objects.filter(pk=self.job.pk, state=Job.State.RUNNING, attempt=self.job.attempt)

    def _end(self, state: str, **fields: Any) -> None:
        self._mine().update(
            state=state,
            finished_at=timezone.now(),
            heartbeat_at=timezone.now(),
            **fields,
        )


@contextmanager
def running_job(job_id: str) -> Iterator[RunningJob | None]:
    """The claimed job, or None when somebody else has it or it has ended.

    A DomainError becomes the job's failure with its own words; any other error too, with its trace in the log.
    """
    job = _claim(job_id)
    if job is None:
        yield None
        return
    running = RunningJob(job)
    stop = threading.Event()
    beat = threading.Thread(target=_heartbeat, args=(job, stop), daemon=True, name=f"heartbeat-{job.kind}")
    beat.start()
    with structlog.contextvars.bound_contextvars(job_id=running.id, job_kind=job.kind):
        try:
            yield running
        except DomainError as error:
            log.info("job_refused", error=error.message)
            running._end(Job.State.FAILED, error=error.message)
        except Exception as error:
            log.exception("job_failed")
            running._end(Job.State.FAILED, error=_reason(error))
        else:
            running._end(Job.State.SUCCEEDED, progress=1.0, result=running._result or {})
        finally:
            stop.set()
            beat.join(timeout=HEARTBEAT_SECONDS)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno == 28:
        return "The disk is full. Free some space and start the job again; what was already stored is kept."
    last = traceback.format_exception_only(error)[-1].strip()
    return f"{last[:1000]} (the worker's log has the details)"


def _claim(job_id: str) -> Job | None:
    now = timezone.now()
    try:
        with transaction.atomic():
            claimed = Job.objects.filter(pk=job_id, state=Job.State.QUEUED).update(
                state=Job.State.RUNNING,
                attempt=F("attempt") + 1,
                worker=_worker_name(),
                started_at=now,
                heartbeat_at=now,
                finished_at=None,
                error="",
            )
    except IntegrityError:
        return None  # another job of its lane is running; the sweep rings this one when that has ended
    if not claimed:
        return None
    return Job.objects.select_related("project", "created_by").get(pk=job_id)


def _worker_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def _heartbeat(job: Job, stop: threading.Event) -> None:
    try:
        while not stop.wait(HEARTBEAT_SECONDS):
            Job.objects.filter(pk=job.pk, state=Job.State.RUNNING, attempt=job.attempt).update(
                heartbeat_at=timezone.now()
            )
    except Exception:  # a missed beat is repaired by the next one or by the sweep
        log.warning("heartbeat_failed", job_id=str(job.pk), exc_info=True)
    finally:
        connection.close()


def note_worker_alive() -> None:
    """Says that a worker lives, for as long as selectors.worker_alive believes it. A worker says it every 10 s."""
    cache.set(WORKER_ALIVE_KEY, timezone.now().isoformat(), BEATING_SECONDS)


def sweep_jobs(*, now: datetime | None = None) -> dict[str, int]:
    """Rings forgotten jobs and takes back those of dead workers: how many of each.

    A worker on this machine whose process is gone is known at once; one elsewhere by its silence.
    """
    now = now or timezone.now()
    taken_back = 0
    running = Job.objects.filter(state=Job.State.RUNNING).only("id", "attempt", "worker", "heartbeat_at", "lane")
    for job in running:
        if not _is_lost(job, now):
            continue
        mine = Job.objects.filter(pk=job.pk, state=Job.State.RUNNING, attempt=job.attempt)
        if job.attempt >= MAX_ATTEMPTS:
            mine.update(
                state=Job.State.FAILED,
                finished_at=now,
                error=f"The worker died {job.attempt} times while doing this. Look at its log, then start it again.",
            )
            continue
        try:
            with transaction.atomic():
                taken_back += mine.update(
                    state=Job.State.QUEUED,
                    rung_at=None,
                    message="The worker died; it will be done again.",
                )
        except IntegrityError:  # its lane already has a fresh job waiting, which will do the same work
            mine.update(
                state=Job.State.FAILED,
                finished_at=now,
                error="The worker died; a newer job takes over.",
            )
    rung = 0
    waiting = Job.objects.filter(state=Job.State.QUEUED).filter(
        Q(rung_at__isnull=True) | Q(rung_at__lt=now - timedelta(seconds=RING_AGAIN_SECONDS))
    )
    for job in waiting[:200]:
        if job.lane and Job.objects.filter(lane=job.lane, state=Job.State.RUNNING).exists():
            continue
        if Job.objects.filter(pk=job.pk, state=Job.State.QUEUED, rung_at=job.rung_at).update(rung_at=now):
            _ring(job)
            rung += 1
    return {"rung": rung, "taken_back": taken_back}


def _is_lost(job: Job, now: datetime) -> bool:
    host, _, pid = job.worker.rpartition(":")
    if host == socket.gethostname() and pid.isdigit():
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass
    return job.heartbeat_at is None or job.heartbeat_at < now - timedelta(seconds=STALE_SECONDS)
