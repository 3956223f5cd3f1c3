"""What screens and programs read of the labeling tables."""

import statistics
from datetime import timedelta
from typing import Any

from django.core.cache import cache
from django.db.models import Count
from django.utils import timezone

from labeling.models import (
    Annotation,
    Assignment,
    Comment,
    Item,
    Job,
    Membership,
    Project,
    QueueEntry,
)

# Counts of a large project are read at most this often; they come from the rows, so they cannot drift.
PROGRESS_SECONDS = 5
MEDIAN_OVER = 50
# Written by the sweep, which only a living worker runs.
WORKER_ALIVE_KEY = "labeling:worker-alive"


def worker_alive() -> bool:
    """Whether a worker has swept within the last 45 seconds. False also when the cache is down."""
    return cache.get(WORKER_ALIVE_KEY) is not None


def item_counts(*, project: Project) -> dict[str, int]:
    """Items in all and by state, and live annotations; at most PROGRESS_SECONDS old."""
    key = f"labeling:counts:{project.pk}"
    counts = cache.get(key)
    if counts is None:
        states = dict(
            Item.objects.filter(project=project).values_list("state").order_by("state").annotate(n=Count("id"))
        )
        counts = {state: states.get(state, 0) for state in Item.State.values}
        counts["items"] = sum(states.values())
        counts["annotations"] = Annotation.objects.live().filter(project=project).count()
        cache.set(key, counts, PROGRESS_SECONDS)
    return counts


def progress(*, project: Project, user: Any) -> dict[str, Any]:
    """Counts of the project, the caller's own part, and whether anything works in the background."""
    mine = Annotation.objects.live().filter(project=project, user=user)
    midnight = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    seconds = list(
        mine.filter(seconds__isnull=False).order_by("-created_at").values_list("seconds", flat=True)[:MEDIAN_OVER]
    )
    return item_counts(project=project) | {
        "mine": {
            "annotations": mine.count(),
            "today": mine.filter(created_at__gte=midnight).count(),
            "median_seconds": round(statistics.median(seconds), 1) if seconds else None,
            "limit": project.person_limit,
        },
        "model": None
        if project.ordered_at is None
        else {
            "version": project.ordered_by,
            "learned_at": project.ordered_at.isoformat(),
        },
        "training": Job.objects.filter(project=project, kind="train", state=Job.State.RUNNING).exists(),
        "worker_alive": worker_alive(),
    }


def history_of(*, project: Project, user: Any, n: int = 10) -> list[dict[str, Any]]:
    """The person's last `n` answers and skips, newest first, withdrawn ones left out."""
    answers = (
        Annotation.objects.live()
        .filter(project=project, user=user, assignment__isnull=False)
        .select_related("item")
        .order_by("-created_at", "-id")[:n]
    )
    return [
        {
            "id": a.pk,
            "assignment": a.assignment_id,
            "value": a.value,
            "created_at": a.created_at.isoformat(),
            "item": {"id": a.item_id, "data": a.item.data},
        }
        for a in answers
    ]


def queue_composition(*, project: Project) -> list[dict[str, Any]]:
    """How many queue entries there are for each reason, most first."""
    rows = QueueEntry.objects.filter(project=project).values_list("reason").annotate(n=Count("id")).order_by("-n")
    return [{"reason": reason, "label": QueueEntry.Reason(reason).label, "n": n} for reason, n in rows]


def recent_jobs(*, project: Project, n: int = 20) -> list[Job]:
    """The project's latest jobs, newest first."""
    return list(Job.objects.filter(project=project).select_related("created_by").order_by("-created_at")[:n])


def team(*, project: Project) -> list[dict[str, Any]]:
    """The members with their live answers, in all and of the last seven days."""
    week_ago = timezone.now() - timedelta(days=7)
    given = dict(
        Annotation.objects.live()
        .filter(project=project, user__isnull=False)
        .values_list("user")
        .order_by("user")
        .annotate(n=Count("id"))
    )
    lately = dict(
        Annotation.objects.live()
        .filter(project=project, user__isnull=False, created_at__gte=week_ago)
        .values_list("user")
        .order_by("user")
        .annotate(n=Count("id"))
    )
    held = dict(
        Assignment.objects.filter(
            project=project,
            state=Assignment.State.LEASED,
            expires_at__gt=timezone.now(),
        )
        .values_list("user")
        .order_by("user")
        .annotate(n=Count("id"))
    )
    members = Membership.objects.filter(project=project).select_related("user").order_by("role", "user__username")
    return [
        {
            "membership": member,
            "annotations": given.get(member.user_id, 0),
            "this_week": lately.get(member.user_id, 0),
            "holding": held.get(member.user_id, 0),
        }
        for member in members
    ]


def remarks(*, project: Project, n: int = 50) -> list[Comment]:
    """The latest comments and flags of the project."""
    return list(Comment.objects.filter(project=project).select_related("user", "item").order_by("-created_at")[:n])
