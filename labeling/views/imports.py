"""Importing a file: drop it, say what its columns are, watch it come in."""

import json
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
from labeling.forms.imports import MappingForm, UploadForm
from labeling.models import Job, Membership, Project
from labeling.selectors import worker_alive
from labeling.services import intake, uploads
from labeling.services.uploads import Upload
from labeling.views.files import as_download

_CELL_LENGTH = 200
_IMPORTS_LISTED = 10


# The check of the token reads the whole body, so a body over the limit is turned away before it.
@csrf_exempt
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def import_page(request: HttpRequest, slug: str) -> HttpResponse:
    """The page with the drop zone and the latest imports; a posted file leads on to its preview."""
    if request.method == "POST":
        uploads.check_size(int(request.META.get("CONTENT_LENGTH") or 0))
        try:
            return _receive(request, slug)
        except OSError as error:
            raise uploads.disk_problem(error) from error
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
        intake.preview_upload(upload=upload, rules=intake.rules_for(project))
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
    """The first rows and what their columns seem to be; posting starts the import."""
    membership = access.membership_for(request.user, slug, Membership.Role.OWNER)
    project = membership.project
    upload = uploads.upload_of(project=project, upload_id=upload_id)
    encoding = _encoding(request)
    first = intake.preview_upload(upload=upload, rules=intake.rules_for(project), encoding=encoding)
    error: DomainError | None = None
    if request.method == "POST":
        form = MappingForm(first.guesses, request.POST)
        if form.is_valid():
            try:
                job = intake.start_import(
                    project=project,
                    upload=upload,
                    mapping=form.mapping(),
                    file_format=first.file_format,
                    user=request.user,
                )
                return redirect("labeling:import-job", slug=slug, job_id=job.pk)
            except Invalid as refused:
                error = refused
    else:
        form = MappingForm(first.guesses, initial={"encoding": encoding})
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
        "encodings": ENCODINGS,
        "encoding": encoding or ("utf-16" if first.file_format.encoding.startswith("utf-16") else "utf-8"),
        "worker_alive": worker_alive(),
    } | _plan(project, upload, first, first.mapping if not form.is_bound else None)
    return render(request, "labeling/import_preview.html", context, status=422 if error or form.errors else 200)


@login_required
@never_cache
@require_POST
def plan(request: HttpRequest, slug: str, upload_id: str) -> HttpResponse:
    """The sentence that says what would happen with the columns as they are chosen now."""
    project = access.project_for(request.user, slug, Membership.Role.OWNER)
    upload = uploads.upload_of(project=project, upload_id=upload_id)
    first = intake.preview_upload(upload=upload, rules=intake.rules_for(project), encoding=_encoding(request))
    form = MappingForm(first.guesses, request.POST)
    mapping = form.mapping() if form.is_valid() else None
    context = {"project": project, "upload": upload} | _plan(project, upload, first, mapping)
    return render(request, "labeling/_import_plan.html", context)


def _plan(project: Project, upload: Upload, first: intake.Preview, mapping: Any) -> dict[str, Any]:
    if mapping is None:
        return {"plan": None, "plan_problem": ""}
    try:
        planned = intake.plan_import(project=project, upload=upload, mapping=mapping, file_format=first.file_format)
    except Invalid as error:
        return {"plan": None, "plan_problem": error.message}
    used = {
        role: mapping.columns_of(role) for role in ("text", "a", "b", "image", "field", "data", "id", "meta", "gold")
    }
    n_features = len(mapping.columns_of("features"))
    return {
        "plan": planned,
        "plan_problem": "",
        "used": used,
        "judged": [*used["text"], *used["a"], *used["b"], *used["image"], *used["data"], *used["field"]],
        "n_feature_columns": n_features,
        "audit_percent": f"{100 * project.audit_share:g}",
    }


def _encoding(request: HttpRequest) -> str | None:
    asked = request.POST.get("encoding") or request.GET.get("encoding")
    return asked if asked in ENCODINGS else None


def _cell(value: Any) -> str:
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _CELL_LENGTH else text[:_CELL_LENGTH] + "…"


def _example(first: intake.Preview, column: str) -> str:
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
    job = intake.retry_import(job=_import_of(project, job_id), user=request.user)
    return redirect("labeling:import-job", slug=slug, job_id=job.pk)
