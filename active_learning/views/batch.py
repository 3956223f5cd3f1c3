"""Files of inputs: drop one, watch it being answered, fetch the answers; and what is answered again and again."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from active_learning import selectors
from active_learning.forms import BatchForm, ScheduleForm
from active_learning.models import BatchSchedule
from active_learning.services.batch import (
    KEPT_DAYS,
    KIND,
    SOURCES,
    batch_of,
    opened_result,
    result_name,
    start_batch,
    stop_batch,
)
from active_learning.services.batch_schedules import add_schedule, stop_schedule
from labeling import access
from labeling.core.errors import Conflict, DomainError, Invalid
from labeling.core.exports import CONTENT_TYPES, FORMATS
from labeling.core.formats import size_text
from labeling.downloads import as_download
from labeling.models import Job, Membership, Project
from labeling.selectors import worker_alive
from labeling.services import uploads
from labeling.services.jobs import retry_job

RUNS_LISTED = 20
DECISIONS = ("auto", "monitor", "review")


# The check of the token reads the whole body, so a body over the limit is turned away before it.
@csrf_exempt
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def files(request: HttpRequest, slug: str) -> HttpResponse:
    """The drop zone, the latest runs and the schedules; a posted file is answered by a job."""
    if request.method == "POST":
        with uploads.receiving(request.META.get("CONTENT_LENGTH")):
            return _receive(request, slug)
    return _page(request, slug)


@csrf_protect
@login_required
def _receive(request: HttpRequest, slug: str) -> HttpResponse:
    project = access.project_for(request.user, slug, Membership.Role.REVIEWER)
    form = BatchForm(request.POST, request.FILES)
    try:
        if not form.is_valid():
            raise Invalid("Choose a file and what the answers are to be written as.", fields={"file": "missing"})
        file = form.cleaned_data["file"]
        upload = uploads.keep_upload(project=project, user=request.user, name=file.name, file=file, size=file.size)
        start_batch(project=project, upload=upload, format=form.cleaned_data["format"], user=request.user)
    except DomainError as error:
        if not request.accepts("text/html"):
            raise
        return _page(request, slug, error=error)
    address = reverse("active_learning:batches", args=[slug])
    if not request.accepts("text/html"):
        return JsonResponse({"location": address}, status=201)
    return redirect(address)


@login_required
def _page(
    request: HttpRequest, slug: str, *, error: DomainError | None = None, form: ScheduleForm | None = None
) -> HttpResponse:
    membership = access.membership_for(request.user, slug, Membership.Role.REVIEWER)
    project = membership.project
    live, _ = selectors.serving_state(project=project)
    context = {
        "membership": membership,
        "is_owner": membership.role == Membership.Role.OWNER,
        "live": live,
        "form": BatchForm(),
        "schedule_form": form or ScheduleForm(),
        "schedules": BatchSchedule.objects.filter(project=project).select_related("created_by"),
        "folder": f"{SOURCES}/{project.pk}",
        "error": error,
        "size_limit": size_text(uploads.size_limit()),
    } | _runs(project)
    status = error.status if error else 422 if form is not None else 200
    return render(request, "active_learning/batches.html", context, status=status)


@login_required
@never_cache
@require_safe
def files_now(request: HttpRequest, slug: str) -> HttpResponse:
    """The latest runs; the list asks for itself again while one is under way."""
    project = access.project_for(request.user, slug, Membership.Role.REVIEWER)
    return render(request, "active_learning/_batch_runs.html", _runs(project))


def _runs(project: Project) -> dict[str, Any]:
    jobs = list(
        Job.objects.filter(project=project, kind=KIND)
        .select_related("created_by")
        .order_by("-created_at")[:RUNS_LISTED]
    )
    return {
        "project": project,
        "runs": [
            {
                "job": job,
                "name": job.params.get("name") or "the pool",
                "is_scheduled": "schedule" in job.params,
                "format": FORMATS[job.params["format"]],
                "percent": round(100 * job.progress),
                "size": size_text(job.result["bytes"]) if job.result else "",
                "decisions": [(name, (job.result or {}).get("decisions", {}).get(name, 0)) for name in DECISIONS],
                "n_more_errors": (job.result or {}).get("n_errors", 0) - len((job.result or {}).get("errors", [])),
            }
            for job in jobs
        ],
        "is_waiting": any(job.is_under_way for job in jobs),
        "worker_alive": worker_alive(),
        "kept_days": KEPT_DAYS,
    }


@login_required
@require_safe
def result(request: HttpRequest, slug: str, pk: UUID) -> FileResponse:
    """The answers of a finished run."""
    project = access.project_for(request.user, slug, Membership.Role.REVIEWER)
    job = batch_of(project=project, pk=pk)
    return as_download(opened_result(job=job), result_name(job), CONTENT_TYPES[job.params["format"]])


@login_required
@require_POST
def again(request: HttpRequest, slug: str, pk: UUID) -> HttpResponse:
    """Goes on with a failed run."""
    project = access.project_for(request.user, slug, Membership.Role.REVIEWER)
    retry_job(job=batch_of(project=project, pk=pk), actor=request.user)
    return redirect("active_learning:batches", slug)


@login_required
@require_POST
def halt(request: HttpRequest, slug: str, pk: UUID) -> HttpResponse:
    """Ends a run that waits or is under way."""
    project = access.project_for(request.user, slug, Membership.Role.REVIEWER)
    try:
        stop_batch(job=batch_of(project=project, pk=pk), actor=request.user)
    except Conflict as problem:
        messages.warning(request, problem.message)
    return redirect("active_learning:batches", slug)


@login_required
@require_POST
def schedule(request: HttpRequest, slug: str) -> HttpResponse:
    project = access.project_for(request.user, slug, Membership.Role.OWNER)
    form = ScheduleForm(request.POST)
    if form.is_valid():
        try:
            add_schedule(project=project, user=request.user, **form.cleaned_data)
        except DomainError as problem:
            form.add_problem(problem)
        else:
            messages.success(request, "Scheduled. The first run starts within a minute.")
            return redirect("active_learning:batches", slug)
    return _page(request, slug, form=form)


@login_required
@require_POST
def stop(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    project = access.project_for(request.user, slug, Membership.Role.OWNER)
    stop_schedule(project=project, pk=pk, user=request.user)
    messages.success(request, "Stopped. What it has written stays.")
    return redirect("active_learning:batches", slug)
