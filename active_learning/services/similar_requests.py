"""Asking for items like a given one. No numeric libraries: pages use this."""

from typing import Any

from labeling.models import Item, Job, Project
from labeling.services.jobs import enqueue_job


def request_similar(*, project: Project, item: Item, user: Any) -> Job:
    """The job that looks for items like this one; one that waits already does the same work."""
    return enqueue_job(
        kind="similar",
        task="active_learning.run_similar",
        project=project,
        params={"item": item.pk},
        reason=f"more like item #{item.pk}",
        created_by=user,
        lane=f"similar:{project.pk}:{item.pk}",
    )
