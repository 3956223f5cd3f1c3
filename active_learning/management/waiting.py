"""Commands that stay until their job has ended."""

import time
from collections.abc import Callable

from django.core.management.base import CommandError

from labeling.models import Job, Project
from labeling.selectors import worker_alive

LOOK_EVERY_SECONDS = 0.2


def project_named(slug: str) -> Project:
    """The project, or a CommandError that names those there are."""
    project = Project.objects.filter(slug=slug).first()
    if project is None:
        known = ", ".join(Project.objects.order_by("slug").values_list("slug", flat=True)[:10])
        raise CommandError(f"There is no project {slug}. Projects: {known or 'none yet'}.")
    return project


def see_through(job: Job, run_here: Callable[[], None]) -> Job:
    """The job once it has succeeded; where no worker is running it runs in this process.

    Raises CommandError with its words when it has failed.
    """
    while job.is_under_way:
        if job.state == Job.State.QUEUED and not worker_alive():
            run_here()
        job.refresh_from_db()
        if job.is_under_way:
            time.sleep(LOOK_EVERY_SECONDS)
    if job.state == Job.State.FAILED:
        raise CommandError(job.error)
    return job
