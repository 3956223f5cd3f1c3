"""Old labels that are judged again under newer guidelines: queueing them, and what came of it."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from labeling import access, selectors
from labeling.core.errors import DomainError, NotFound
from labeling.core.second_look import LEAST, Change, pairs_csv
from labeling.core.wording import LabelWord, value_words
from labeling.forms.errors import add_domain_error
from labeling.forms.second_look import SecondLookForm
from labeling.models import AgreementReport, LabelSchema, Membership, SecondLook
from labeling.selectors import LookResult
from labeling.services.second_look import close_second_look, queue_second_look

LOOKS_SHOWN = 10
_NAMED = 5
CONTENT_TYPES = {"json": "application/json", "csv": "text/csv; charset=utf-8"}
_WHO = {"all": "Everybody", "author": "The same person", "others": "Somebody else"}


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def second_look(request: HttpRequest, slug: str) -> HttpResponse:
    """Reviewers may look, owners may queue."""
    needed = Membership.Role.OWNER if request.method == "POST" else Membership.Role.REVIEWER
    membership = access.membership_for(request.user, slug, needed)
    project = membership.project
    schemas = {schema.version: schema for schema in selectors.schema_versions(project=project)}
    labelled = selectors.labels_by_version(project=project)
    older = {version: n for version, n in labelled.items() if version < max(schemas)}
    form = SecondLookForm(request.POST if request.method == "POST" else None, versions=older)
    if form.is_valid():
        try:
            look = queue_second_look(project=project, actor=request.user, **form.cleaned_data)
        except DomainError as error:
            add_domain_error(form, error)
        else:
            n = look.items.count()
            messages.success(request, f"Queued: {n:,} item{' is' if n == 1 else 's are'} looked at again.")
            return redirect("labeling:second-look", slug)
    report = selectors.agreement_of(project=project)
    looks = [_look(look, schemas, report) for look in selectors.second_looks(project=project, n=LOOKS_SHOWN)]
    context = {
        "project": project,
        "membership": membership,
        "is_owner": membership.role == Membership.Role.OWNER,
        "current": schemas[max(schemas)],
        "older": older,
        "form": form,
        "is_open": project.open_second_look_id is not None,
        "looks": looks,
        "least": LEAST,
    }
    return render(request, "labeling/second_look.html", context, status=422 if form.is_bound else 200)


def _look(look: SecondLook, schemas: Mapping[int, LabelSchema], report: AgreementReport | None) -> dict[str, Any]:
    progress = selectors.look_progress(look=look)
    return {
        "look": look,
        "progress": progress,
        "versions": _listed([str(version) for version in progress.versions]),
        "waiting_for": _listed([f"{n:,} for {who or 'anybody'}" for who, n in progress.waiting_for[:_NAMED]]),
        "results": [_result(one, schemas) for one in selectors.look_results(look=look, report=report)],
    }


def _listed(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _result(found: LookResult, schemas: Mapping[int, LabelSchema]) -> dict[str, Any]:
    one = found.comparison
    old, new = schemas[one.old_version], schemas[one.new_version]
    gone, come = set(old.rules.labels) - set(new.rules.labels), set(new.rules.labels) - set(old.rules.labels)
    shares = {"all": one.equal, "author": one.by_author, "others": one.by_others}
    return {
        "found": found,
        "groups": [
            {"words": words, "share": shares[who], "alpha": found.alphas.get(who)} for who, words in _WHO.items()
        ],
        "alpha_title": next((alpha["title"] for alpha in found.alphas.values()), "Krippendorff's alpha"),
        "equal_within": None if found.differing is None else found.differing.rest,
        "changes": [_change(change, old, new) for change in one.changes],
        "removed": [word for label in old.rules.labels if label in gone for word in _as_in(new, old, label)],
        "added": [
            word for label in new.rules.labels if label in come for word in value_words(new.kind, new.config, label)
        ],
    }


def _as_in(new: LabelSchema, old: LabelSchema, value: Any) -> list[LabelWord]:
    """A value by its old names, in the colours of the new version; labels that are gone are grey."""
    words = value_words(old.kind, old.config, value)
    labels = value if isinstance(value, list) else [value]
    if old.kind not in ("choice", "choices") or not labels:
        return words
    colours = {label: value_words(new.kind, new.config, label)[0].colour for label in new.rules.labels}
    return [replace(word, colour=colours.get(label)) for word, label in zip(words, labels, strict=True)]


def _change(change: Change, old: LabelSchema, new: LabelSchema) -> dict[str, Any]:
    return {
        "old": _as_in(new, old, change.old),
        "new": value_words(new.kind, new.config, change.new),
        "n": change.n,
        "share": change.share,
    }


@login_required
@require_POST
def close(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    membership = access.membership_for(request.user, slug, Membership.Role.OWNER)
    close_second_look(look=access.second_look_for(membership, pk), actor=request.user)
    messages.success(request, "Closed. What was answered is kept.")
    return redirect("labeling:second-look", slug)


@login_required
@never_cache
@require_safe
def pairs_file(request: HttpRequest, slug: str, pk: int, file_format: str) -> HttpResponse:
    """Every old label with the answer beside it."""
    membership = access.membership_for(request.user, slug, Membership.Role.REVIEWER)
    look = access.second_look_for(membership, pk)
    if file_format not in CONTENT_TYPES:
        raise NotFound("The pairs come as csv or json.")
    rows = selectors.look_rows(look=look)
    text = json.dumps(rows, indent=1) if file_format == "json" else pairs_csv(rows)
    response = HttpResponse(text, content_type=CONTENT_TYPES[file_format])
    response["Content-Disposition"] = f'attachment; filename="{slug}-second-look-{look.pk}.{file_format}"'
    response["X-Content-Type-Options"] = "nosniff"
    return response
