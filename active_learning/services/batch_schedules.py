"""Files and the pool, predicted every day or week. Asks only; workers do."""

from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from active_learning.models import BatchSchedule
from active_learning.services.batch import check_format, check_source, start_scheduled
from labeling.core.errors import Conflict, DomainError, Invalid, NotFound
from labeling.models import Project
from labeling.services.audit import record_audit

log = structlog.get_logger(__name__)

PERIODS = {BatchSchedule.Every.DAY: timedelta(days=1), BatchSchedule.Every.WEEK: timedelta(days=7)}
MAX_SCHEDULES = 20


def add_schedule(*, project: Project, source: str, name: str, every: str, format: str, user: Any) -> BatchSchedule:
    """The new schedule; its first run is due at once. Raises Invalid for a file that is not there or no table."""
    check_format(format)
    if source == BatchSchedule.Source.POOL:
        name = ""
    else:
        try:
            check_source(project=project, name=name)
        except DomainError as error:
            raise Invalid(error.message, fields={"name": error.message}) from None
    with transaction.atomic():
        # Two clicks are one.
        Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        if project.batch_schedules.filter(source=source, name=name, every=every, format=format).exists():
            raise Conflict("This is scheduled already.", code="exists")
        if project.batch_schedules.count() >= MAX_SCHEDULES:
            raise Conflict(f"A project has at most {MAX_SCHEDULES} schedules. Stop one first.")
        schedule = BatchSchedule.objects.create(
            project=project,
            source=source,
            name=name,
            every=every,
            format=format,
            next_at=timezone.now(),
            created_by=user,
        )
        record_audit(action="predictions.schedule", actor=user, project=project, target=str(schedule))
    return schedule


def stop_schedule(*, project: Project, pk: int, user: Any) -> None:
    """No further runs; what it has written stays. Raises NotFound."""
    with transaction.atomic():
        schedule = BatchSchedule.objects.select_for_update().filter(project=project, pk=pk).first()
        if schedule is None:
            raise NotFound("There is no such schedule in this project.")
        record_audit(action="predictions.unschedule", actor=user, project=project, target=str(schedule))
        schedule.delete()


def run_due(*, now: datetime | None = None) -> int:
    """Starts what is due: how many. What was missed while nothing ran is made up for once."""
    now = now or timezone.now()
    n_started = 0
    for schedule in BatchSchedule.objects.filter(next_at__lte=now).select_related("project", "created_by"):
        period = PERIODS[BatchSchedule.Every(schedule.every)]
        following = schedule.next_at + period * ((now - schedule.next_at) // period + 1)
        try:
            with transaction.atomic():
                # Whoever moves the date starts it: beat may tick twice.
                mine = BatchSchedule.objects.filter(pk=schedule.pk, next_at=schedule.next_at)
                if mine.update(next_at=following):
                    start_scheduled(schedule=schedule)
                    n_started += 1
        except Exception:  # one project's trouble must not stop the others
            log.exception("schedule_failed", project=schedule.project.slug, schedule=schedule.pk)
    return n_started
