"""What works in the background: the list of jobs, and the dot in the top bar that says whether anything does."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from labeling import access, selectors
from labeling.access import logged_in_fragment
from labeling.core.errors import DomainError, NotFound
from labeling.core.wording import job_words, result_words
from labeling.models import Job, Membership
from labeling.services.jobs import retry_job

JOBS_A_PAGE = 30


@login_required
@never_cache
@require_safe
def jobs(request: HttpRequest, slug: str) -> HttpResponse:
    membership = access.membership_for(request.user, slug, Membership.Role.REVIEWER)
    return render(request, "labeling/jobs.html", _context(request, membership))


@logged_in_fragment
@never_cache
@require_safe
def jobs_list(request: HttpRequest, slug: str) -> HttpResponse:
    """The list alone: the page asks for it again and again while something waits or runs."""
    membership = access.membership_for(request.user, slug, Membership.Role.REVIEWER)
    return render(request, "labeling/_jobs_list.html", _context(request, membership))


def _context(request: HttpRequest, membership: Membership) -> dict[str, Any]:
    before = _moment(request.GET.get("before", ""))
    found = selectors.recent_jobs(project=membership.project, n=JOBS_A_PAGE + 1, before=before)
    shown = found[:JOBS_A_PAGE]
    is_busy = any(job.is_under_way for job in shown)
    return {
        "project": membership.project,
        "membership": membership,
        "rows": [_row(job, membership) for job in shown],
        "is_busy": is_busy and before is None,
        "is_first_page": before is None,
        "older": shown[-1].created_at.isoformat() if len(found) > JOBS_A_PAGE else "",
        "no_worker": not selectors.worker_alive(),
    }


def _moment(text: str) -> datetime | None:
    try:
        moment = parse_datetime(text)
    except ValueError:
        return None
    return moment if moment is not None and timezone.is_aware(moment) else None


def _row(job: Job, membership: Membership) -> dict[str, Any]:
    seconds = job.duration_seconds
    if seconds is None and job.started_at is not None:
        seconds = (timezone.now() - job.started_at).total_seconds()
    return {
        "job": job,
        "name": job_words(job.kind),
        "url": _page_of(job, membership),
        "seconds": seconds,
        "result": result_words(job.result),
        "is_running": job.state == Job.State.RUNNING,
        "is_queued": job.state == Job.State.QUEUED,
        "has_failed": job.state == Job.State.FAILED,
    }


def _page_of(job: Job, membership: Membership) -> str:
    """The page that tells more about a job, for those who may open it, or the empty string."""
    slug = membership.project.slug
    if job.kind == "import" and membership.role == Membership.Role.OWNER:
        return reverse("labeling:import-job", args=[slug, job.pk])
    return reverse("labeling:export", args=[slug]) if job.kind == "export" else ""


@login_required
@require_POST
def retry(request: HttpRequest, slug: str, pk: UUID) -> HttpResponse:
    membership = access.membership_for(request.user, slug, Membership.Role.REVIEWER)
    job = access.job_for(request.user, pk)
    if job.project_id != membership.project_id:
        raise NotFound("There is no such job.")
    try:
        retry_job(job=job, actor=request.user)
    except DomainError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, f"{job_words(job.kind)} waits in line again.")
    return redirect("labeling:jobs", slug)


@logged_in_fragment
@never_cache
@require_safe
def health_dot(request: HttpRequest) -> HttpResponse:
    job = selectors.busiest_job(user=request.user)
    if not selectors.worker_alive():
        colour, words = "bad", "no worker running"
    elif job is None:
        colour, words = "good", "worker idle"
    else:
        colour, words = "info", f"{job_words(job.kind).lower()} {round(100 * job.progress)} %"
    return render(request, "labeling/_health_dot.html", {"colour": colour, "words": words})
