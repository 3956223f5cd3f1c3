"""Exporting labels: start one, watch it, fetch the file."""

from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from labeling import access
from labeling.core.errors import NotFound
from labeling.core.exports import CONTENT_TYPES, FORMATS, KINDS
from labeling.core.formats import size_text
from labeling.downloads import as_download
from labeling.forms.exports import ExportForm
from labeling.models import Job, Membership, Project
from labeling.selectors import worker_alive
from labeling.services import export

_EXPORTS_LISTED = 20


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def export_page(request: HttpRequest, slug: str) -> HttpResponse:
    """The form and the latest exports; posting starts one."""
    membership = access.membership_for(request.user, slug, Membership.Role.REVIEWER)
    project = membership.project
    form = ExportForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        export.start_export(project=project, user=request.user, **form.cleaned_data)
        return redirect("labeling:export", slug=slug)
    context = {"project": project, "membership": membership, "form": form} | _listed(project)
    return render(request, "labeling/export.html", context, status=422 if form.errors else 200)


@login_required
@never_cache
@require_safe
def export_list(request: HttpRequest, slug: str) -> HttpResponse:
    """The latest exports; the list asks for itself again while one is under way."""
    project = access.project_for(request.user, slug, Membership.Role.REVIEWER)
    return render(request, "labeling/_export_list.html", {"project": project} | _listed(project))


def _listed(project: Project) -> dict[str, Any]:
    jobs = list(
        Job.objects.filter(project=project, kind="export")
        .select_related("created_by")
        .order_by("-created_at")[:_EXPORTS_LISTED]
    )
    return {
        "exports": [
            {
                "job": job,
                "kind": KINDS[job.params["kind"]],
                "format": FORMATS[job.params["format"]],
                "percent": round(100 * job.progress),
                "size": size_text(job.result["bytes"]) if job.result else "",
            }
            for job in jobs
        ],
        "is_waiting": any(job.is_under_way for job in jobs),
        "worker_alive": worker_alive(),
        "kept_days": export.KEPT_DAYS,
    }


@login_required
@require_safe
def export_download(request: HttpRequest, slug: str, job_id: UUID) -> FileResponse:
    project = access.project_for(request.user, slug, Membership.Role.REVIEWER)
    job = _export_of(project, job_id)
    file_format = job.params["format"]
    name = f"{project.slug}-{job.params['kind']}-{job.created_at:%Y%m%d-%H%M}.{file_format}"
    return as_download(export.opened_export(job=job), name, CONTENT_TYPES[file_format])


@login_required
@require_safe
def export_manifest(request: HttpRequest, slug: str, job_id: UUID) -> JsonResponse:
    """What the file is: rows, bytes, SHA-256, columns, and whether anything in it was changed to be safe."""
    project = access.project_for(request.user, slug, Membership.Role.REVIEWER)
    return JsonResponse(_export_of(project, job_id).result, json_dumps_params={"indent": 2})


def _export_of(project: Project, job_id: UUID) -> Job:
    job = Job.objects.filter(project=project, kind="export", pk=job_id, state=Job.State.SUCCEEDED).first()
    if job is None:
        raise NotFound("There is no such finished export in this project.")
    return job
