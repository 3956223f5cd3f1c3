"""The list of projects, a new one, and a project's front page."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.safestring import mark_safe
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from labeling import access, selectors
from labeling.access import logged_in_fragment
from labeling.core.errors import DomainError
from labeling.core.guidelines import render_guidelines
from labeling.core.schema import rules_of
from labeling.core.wording import first_words, value_words
from labeling.forms.errors import add_domain_error
from labeling.forms.projects import ProjectForm, field_of_error
from labeling.models import LabelSchema, Membership
from labeling.services.projects import create_project

N_REMARKS = 8


@login_required
@require_safe
def projects(request: HttpRequest) -> HttpResponse:
    memberships = selectors.memberships_of(user=request.user)
    counts = selectors.item_counts_of(projects=[membership.project for membership in memberships])
    rows = [
        {
            "membership": membership,
            "project": membership.project,
            "counts": counts[membership.project_id],
            "waits": _what_waits(membership.role, counts[membership.project_id]),
        }
        for membership in memberships
    ]
    return render(request, "labeling/projects.html", {"rows": rows})


def _what_waits(role: str, counts: dict[str, int]) -> str:
    if counts["items"] == 0:
        return "Empty: nothing was imported yet."
    parts = []
    if counts["open"]:
        parts.append(f"{counts['open']:,} {_plural(counts['open'], 'item waits', 'items wait')} for labels")
    if counts["disputed"] and role != Membership.Role.ANNOTATOR:
        parts.append(f"{counts['disputed']:,} disputed")
    return ", ".join(parts) + "." if parts else "Everything is settled."


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def new_project(request: HttpRequest) -> HttpResponse:
    form = ProjectForm(request.POST or None)
    preview = None
    if "preview" in request.POST:  # without JavaScript the preview button sends the whole form
        preview = _rendered(request.POST.get("guidelines", ""))
    elif form.is_valid():
        data = form.cleaned_data
        try:
            project = create_project(
                owner=request.user,
                kind=data["kind"],
                config=form.config_of(data["kind"]),
                **{name: data[name] for name in _CREATED_WITH},
            )
        except DomainError as error:
            add_domain_error(form, error, field_of_error(data["kind"]))
        else:
            messages.success(request, f"{project.name} is ready. Next: bring in the items.")
            return redirect(project)
    return render(
        request,
        "labeling/project_new.html",
        {"form": form, "preview": preview},
        status=422 if form.is_bound and form.errors and preview is None else 200,
    )


_CREATED_WITH = ("name", "slug", "description", "guidelines", "overlap", "audit_share")


@logged_in_fragment
@require_POST
def preview_guidelines(request: HttpRequest) -> HttpResponse:
    preview = _rendered(request.POST.get("guidelines", ""))
    return render(request, "labeling/_project_guidelines.html", {"preview": preview})


def _rendered(guidelines: str) -> str:
    # Sanitized by render_guidelines against an allow-list.
    return mark_safe(render_guidelines(guidelines))


@login_required
@require_safe
def project(request: HttpRequest, slug: str) -> HttpResponse:
    membership = access.membership_for(request.user, slug)
    shown = membership.project
    is_annotator = membership.role == Membership.Role.ANNOTATOR
    is_owner = membership.role == Membership.Role.OWNER
    schema = LabelSchema.objects.current(shown.pk)
    progress = selectors.progress(project=shown, user=request.user)
    queue = selectors.queue_composition(project=shown)
    team = selectors.team(project=shown) if is_owner else None
    remarks = selectors.remarks(project=shown, user=request.user if is_annotator else None, n=N_REMARKS)
    context = {
        "project": shown,
        "membership": membership,
        "is_owner": is_owner,
        "schema": schema,
        "values": _possible_values(schema),
        "guidelines": _rendered(schema.guidelines) if schema.guidelines.strip() else "",
        "progress": progress,
        "queue": queue,
        "n_queued": sum(part["n"] for part in queue),
        "next_step": _next_step(membership, progress, None if team is None else len(team)),
        "team": team,
        "remarks": [{"remark": remark, "item_words": first_words(remark.item.data, 80)} for remark in remarks],
    }
    return render(request, "labeling/project.html", context)


def _possible_values(schema: LabelSchema) -> list[Any]:
    if schema.kind == LabelSchema.Kind.RATING:
        low, high = schema.config["min"], schema.config["max"]
        return [word for point in (low, high) for word in value_words("rating", schema.config, point)]
    labels = rules_of(schema.kind, schema.config).labels
    return [word for label in labels for word in value_words(schema.kind, schema.config, label)]


def _next_step(membership: Membership, progress: dict[str, Any], n_members: int | None) -> str:
    """The one thing that the page proposes, as the name of a case in _project_next.html."""
    is_annotator = membership.role == Membership.Role.ANNOTATOR
    limit = membership.project.person_limit
    if progress["items"] == 0:
        return "import" if membership.role == Membership.Role.OWNER else "wait"
    if limit is not None and progress["mine"]["annotations"] >= limit:
        return "limit"
    if progress["open"] and n_members is not None and n_members < membership.project.overlap:
        return "invite"
    if progress["open"]:
        return "label"
    if progress["disputed"] and not is_annotator:
        return "disputed"
    return "done" if is_annotator else "model"


def _plural(n: int, one: str, many: str) -> str:
    return one if n == 1 else many
