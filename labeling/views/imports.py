"""Importing a file: drop it, say what its columns are, watch it come in."""

import json
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from labeling import access
from labeling.core.errors import DomainError, Invalid, NotFound
from labeling.core.formats import ENCODINGS, size_text
from labeling.downloads import as_download
from labeling.forms.imports import CONTENTS, ColumnsForm, ReadingForm, UploadForm
from labeling.models import Job, Membership, Project
from labeling.selectors import worker_alive
from labeling.services import imports, uploads
from labeling.services.batches import Intake
from labeling.services.uploads import Upload

_CELL_LENGTH = 200
_IMPORTS_LISTED = 10
_JUDGED = ("text", "a", "b", "image", "data", "field")


# The check of the token reads the whole body, so a body over the limit is turned away before it.
@csrf_exempt
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def import_page(request: HttpRequest, slug: str) -> HttpResponse:
    """The page with the drop zone and the latest imports; a posted file leads on to its preview."""
    if request.method == "POST":
        with uploads.receiving(request.META.get("CONTENT_LENGTH")):
            return _receive(request, slug)
    return _page(request, slug)


@login_required
def _page(request: HttpRequest, slug: str, error: DomainError | None = None) -> HttpResponse:
    membership = access.membership_for(request.user, slug, Membership.Role.OWNER)
    context = {
        "project": membership.project,
        "membership": membership,
        "form": UploadForm(),
        "error": error,
        "imports": Job.objects.filter(project=membership.project, kind="import")
        .select_related("created_by")
        .order_by("-created_at")[:_IMPORTS_LISTED],
        "size_limit": size_text(uploads.size_limit()),
    }
    return render(request, "labeling/import.html", context, status=error.status if error else 200)


@csrf_protect
@login_required
def _receive(request: HttpRequest, slug: str) -> HttpResponse:
    project = access.project_for(request.user, slug, Membership.Role.OWNER)
    form = UploadForm(request.POST, request.FILES)
    try:
        if not form.is_valid():
            raise Invalid("Choose a file first.", fields={"file": "missing"})
        file = form.cleaned_data["file"]
        upload = uploads.keep_upload(project=project, user=request.user, name=file.name, file=file, size=file.size)
        # Read now, so that a file that is no table is refused where it was dropped.
        imports.preview_upload(project=project, upload=upload)
    except DomainError as error:
        if not request.accepts("text/html"):
            raise
        return _page(request, slug, error)
    address = reverse("labeling:import-preview", args=[slug, upload.id])
    if not request.accepts("text/html"):
        return JsonResponse({"location": address}, status=201)
    return redirect(address)


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def preview(request: HttpRequest, slug: str, upload_id: str) -> HttpResponse:
    """The first rows, what the file seems to hold and what its columns seem to be; posting starts the import."""
    membership = access.membership_for(request.user, slug, Membership.Role.OWNER)
    project = membership.project
    upload = uploads.upload_of(project=project, upload_id=upload_id)
    asked = _asked(request)
    first = imports.preview_upload(project=project, upload=upload, **asked)
    intake = imports.INTAKES[first.contents](project)
    names = intake.columns(first.roles).names
    error: DomainError | None = None
    if request.method == "POST":
        form = ColumnsForm(first.guesses, names, request.POST)
        if form.is_valid():
            try:
                job = imports.start_import(
                    intake=intake,
                    upload=upload,
                    columns=intake.columns(form.roles()),
                    file_format=first.file_format,
                    user=request.user,
                )
                return redirect("labeling:import-job", slug=slug, job_id=job.pk)
            except Invalid as refused:
                error = refused
    else:
        form = ColumnsForm(first.guesses, names)
    context = {
        "project": project,
        "membership": membership,
        "upload": upload,
        "size": size_text(upload.size),
        "preview": first,
        "rows": [(number, [_cell(row.get(column)) for column in first.columns]) for number, row in first.rows],
        "columns": [(guess, field, _example(first, guess.column)) for guess, field in form.columns()],
        "form": form,
        "error": error,
        "contents": list(CONTENTS.items()),  # A template would take .items for its key.
        "encodings": ENCODINGS,
        "asked": asked,
        "encoding": asked["encoding"] or ("utf-16" if first.file_format.encoding.startswith("utf-16") else "utf-8"),
        "worker_alive": worker_alive(),
    } | _plan(intake, upload, first, None if form.is_bound else first.roles)
    return render(request, "labeling/import_preview.html", context, status=422 if error or form.errors else 200)


@login_required
@never_cache
@require_POST
def plan(request: HttpRequest, slug: str, upload_id: str) -> HttpResponse:
    """The sentence that says what would happen with the columns as they are chosen now."""
    project = access.project_for(request.user, slug, Membership.Role.OWNER)
    upload = uploads.upload_of(project=project, upload_id=upload_id)
    first = imports.preview_upload(project=project, upload=upload, **_asked(request))
    intake = imports.INTAKES[first.contents](project)
    form = ColumnsForm(first.guesses, intake.columns(first.roles).names, request.POST)
    roles = form.roles() if form.is_valid() else None
    context = {"project": project, "upload": upload} | _plan(intake, upload, first, roles)
    return render(request, "labeling/_import_plan.html", context)


def _asked(request: HttpRequest) -> dict[str, str | None]:
    """How the person wants the file to be read, by the address or the form: `contents` and `encoding`."""
    return ReadingForm(request.POST if request.method == "POST" else request.GET).chosen()


def _plan(
    intake: Intake[Any], upload: Upload, first: imports.Preview, roles: Iterable[Sequence[str]] | None
) -> dict[str, Any]:
    if roles is None:
        return {"plan": None, "plan_problem": ""}
    columns = intake.columns(roles)
    try:
        planned = imports.plan_import(intake=intake, upload=upload, columns=columns, file_format=first.file_format)
    except Invalid as error:
        return {"plan": None, "plan_problem": error.message}
    used = {role: columns.columns_of(role) for role in columns.names}
    return {
        "plan": planned,
        "plan_problem": "",
        "used": used,
        "holds": intake.contents,
        "judged": [name for role in _JUDGED for name in used.get(role, [])],
        "audit_percent": f"{100 * intake.project.audit_share:g}",
    }


def _cell(value: Any) -> str:
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _CELL_LENGTH else text[:_CELL_LENGTH] + "…"


def _example(first: imports.Preview, column: str) -> str:
    values = (row.get(column) for _, row in first.rows)
    return _cell(next((value for value in values if value not in (None, "")), None))


@login_required
@never_cache
@require_safe
def import_job(request: HttpRequest, slug: str, job_id: UUID) -> HttpResponse:
    """One import: how far it is, and what came of it."""
    membership = access.membership_for(request.user, slug, Membership.Role.OWNER)
    context = {"project": membership.project, "membership": membership}
    return render(request, "labeling/import_job.html", context | _progress(membership.project, job_id))


@login_required
@never_cache
@require_safe
def progress(request: HttpRequest, slug: str, job_id: UUID) -> HttpResponse:
    """The part of that page which changes; it asks for itself again until the import has ended."""
    project = access.project_for(request.user, slug, Membership.Role.OWNER)
    return render(request, "labeling/_import_progress.html", {"project": project} | _progress(project, job_id))


def _progress(project: Project, job_id: UUID) -> dict[str, Any]:
    job = _import_of(project, job_id)
    result = job.result or {}
    return {
        "job": job,
        "holds": imports.contents_of(job.params),
        "is_over": job.state in (Job.State.SUCCEEDED, Job.State.FAILED),
        "percent": round(100 * job.progress),
        "worker_alive": worker_alive(),
        "rows_per_second": round(result["rows"] / max(result["seconds"], 0.01)) if "rows" in result else None,
        "n_not_shown": result.get("n_errors", 0) - len(result.get("errors", [])),
    }


def _import_of(project: Project, job_id: UUID) -> Job:
    job = Job.objects.select_related("created_by").filter(project=project, kind="import", pk=job_id).first()
    if job is None:
        raise NotFound("There is no such import in this project.")
    return job


@login_required
@require_safe
def import_errors(request: HttpRequest, slug: str, job_id: UUID) -> FileResponse:
    """The rows that were left out, as CSV."""
    project = access.project_for(request.user, slug, Membership.Role.OWNER)
    job = _import_of(project, job_id)
    upload = uploads.upload_of(project=project, upload_id=job.params["upload"])
    return as_download(uploads.opened_errors(upload), f"{project.slug}-import-errors.csv", "text/csv; charset=utf-8")


@login_required
@require_POST
def import_again(request: HttpRequest, slug: str, job_id: UUID) -> HttpResponse:
    """Starts a failed import once more."""
    project = access.project_for(request.user, slug, Membership.Role.OWNER)
    job = imports.retry_import(job=_import_of(project, job_id), user=request.user)
    return redirect("labeling:import-job", slug=slug, job_id=job.pk)
