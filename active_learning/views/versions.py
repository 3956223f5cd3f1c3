"""A version: what it is, what speaks for it, what became of it. And two of them side by side."""

from collections.abc import Callable, Mapping
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from active_learning import selectors
from active_learning.core.audit import MIN_AUDITED
from active_learning.core.card import CardFacts, card_markdown
from active_learning.core.checklist import BY_PERSON, Line, fill
from active_learning.core.choice import choice_words, tried_rows
from active_learning.core.gate import State
from active_learning.core.loop import influence_words
from active_learning.core.manifest import ArtifactRefused, read_sealed
from active_learning.core.versus import Common, Versus, compare_reports, compare_words
from active_learning.core.weak_words import weak_words
from active_learning.models import LearningPolicy, ModelVersion
from active_learning.services import files, promotion
from labeling import access
from labeling.core.errors import DomainError, Invalid
from labeling.core.wording import first_words
from labeling.models import Membership

Role = Membership.Role
LABELS_SHOWN = 20
CHANGED_SHOWN = 100
# Learners whose answers are sums.
SUMS = ("linear", "pairwise", "naive_bayes")
OTHERS_SHOWN = 50


@login_required
@never_cache
@require_safe
def version(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    membership = access.membership_for(request.user, slug)
    return render(request, "active_learning/version.html", _page(membership, number, request.user))


@login_required
@never_cache
@require_safe
def card(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """The model card as a file."""
    membership = access.membership_for(request.user, slug)
    found = promotion.version_for(project=membership.project, number=number)
    sha256_of, _ = _files_of(found)
    markdown = card_markdown(_facts(found, sha256_of, _checklist(found)))
    response = HttpResponse(markdown, content_type="text/markdown; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{slug}-model-{number}.md"'
    return response


@login_required
@require_POST
def promote(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    ticked = [name for name in BY_PERSON if name in request.POST.getlist("ticked")]
    note = request.POST.get("note", "")
    return _act(
        request,
        slug,
        number,
        promotion.promote,
        f"Model {number} is live.",
        {"number": number, "ticked": ticked, "note": note},
    )


@login_required
@require_POST
def reject(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    said = f"Model {number} is rejected. Its reason stays with it."
    return _act(request, slug, number, promotion.reject, said, {"number": number})


@login_required
@require_POST
def retire(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    return _act(
        request,
        slug,
        number,
        promotion.retire,
        f"Model {number} is retired, its files are archived.",
        {"number": number},
    )


@login_required
@require_POST
def set_shadow(request: HttpRequest, slug: str) -> HttpResponse:
    """`to` names the version, empty for none; `shown` the one on whose page it was asked for."""
    to, shown = _posted_number(request, "to"), _posted_number(request, "shown")
    said = f"Model {to} is the shadow." if to else "No version is the shadow now."
    return _act(request, slug, to or shown or 0, promotion.set_shadow, said, {"to": to})


def _posted_number(request: HttpRequest, name: str) -> int | None:
    try:
        return int(request.POST[name]) if request.POST.get(name) else None
    except ValueError:
        raise Invalid("A version has a number.", fields={name: "not a number"}) from None


@login_required
@require_POST
def roll_back(request: HttpRequest, slug: str) -> HttpResponse:
    to = _posted_number(request, "to")
    membership = access.membership_for(request.user, slug, Role.OWNER)
    live = selectors.live_version(project=membership.project)
    shown = live.number if live else (to or 0)
    return _act(request, slug, shown, promotion.roll_back, "", {"to": to})


def _act(
    request: HttpRequest,
    slug: str,
    number: int,
    act: Callable[..., ModelVersion | None],
    said: str,
    arguments: Mapping[str, Any],
) -> HttpResponse:
    """Does what an owner asked for, or shows the version again with what was typed and why not."""
    membership = access.membership_for(request.user, slug, Role.OWNER)
    try:
        done = act(project=membership.project, actor=request.user, reason=request.POST.get("reason", ""), **arguments)
    except DomainError as error:
        if error.status == 404 or not number:
            raise
        page = _page(membership, number, request.user) | {"refused": error.message, "typed": request.POST}
        return render(request, "active_learning/version.html", page, status=error.status)
    shown = done.number if done else number
    messages.success(request, said or f"Model {shown} is live again.")
    back: HttpResponseRedirect
    back = redirect("active_learning:version", slug, shown) if shown else redirect("active_learning:learning", slug)
    return back


def _page(membership: Membership, number: int, user: Any) -> dict[str, Any]:
    project = membership.project
    found = promotion.version_for(project=project, number=number)
    live = selectors.live_version(project=project)
    before = selectors.live_before(project=project, live=live)
    newest = selectors.newest_version(project=project)
    sha256_of, refused = _files_of(found)
    counts = sorted(found.dataset.class_counts.items(), key=lambda row: (-row[1], row[0]))
    is_owner = membership.role == Role.OWNER
    is_candidate = found.state == ModelVersion.State.CANDIDATE
    is_live = live is not None and live.pk == found.pk
    asked_by = selectors.asked_for_by(version=found)
    others = selectors.versions_of(project=project, n=OTHERS_SHOWN)
    audit = found.metrics.get("audit") or {}
    search = found.metrics.get("search")
    return {
        "project": project,
        "membership": membership,
        "version": found,
        "live": live,
        "is_live": is_live,
        "accuracy": audit.get("accuracy"),
        "macro_f1": audit.get("macro_f1"),
        "macro_f1_interval": audit.get("macro_f1_interval"),
        "is_enough": found.metrics.get("n_audited", 0) >= MIN_AUDITED,
        "min_audited": MIN_AUDITED,
        "checks": [_check(check) for check in found.gate.get("checks", [])],
        "checklist": _checklist(found),
        "lineage": selectors.lineage_of(version=found),
        "counts": counts[:LABELS_SHOWN],
        "n_more_labels": max(0, len(counts) - LABELS_SHOWN),
        "events": selectors.alias_events(version=found),
        "acts": selectors.acts_on(version=found),
        "weak": weak_words(found.metrics.get("weak") or {}),
        "influence": influence_words(found.metrics.get("loop") or {}),
        "choice": choice_words(search) if search else "",
        "tried": tried_rows(search) if search else [],
        "parameters": sorted(found.parameters.items()),
        "environment": sorted(found.environment.items()),
        "files": sorted(sha256_of.items()),
        "files_refused": refused,
        "others": [one for one in others if one.pk != found.pk],
        "beside": _beside(found, live, before),
        "asked_by": asked_by,
        "waits_for_another": is_candidate and asked_by == user and selectors.other_owners(project=project, user=user),
        "is_automatic": selectors.policy_of(project).promotion == LearningPolicy.Promotion.AUTOMATIC,
        "may_approve": is_owner and is_candidate,
        "back_to": before if is_owner and is_live else None,
        "may_return": is_owner and not is_live and selectors.was_live(project=project, number=number),
        "may_shadow": is_owner and not is_live and found.state != ModelVersion.State.REJECTED,
        "newer_candidate": selectors.candidate_version(project=project, live=live) if is_candidate else None,
        "may_retire": is_owner
        and not is_live
        and found.archived_at is None
        and newest is not None
        and newest.pk != found.pk,
    }


def _beside(found: ModelVersion, live: ModelVersion | None, before: int | None) -> int | None:
    """The version that one would first compare this one with."""
    if live is not None and live.pk != found.pk:
        return live.number
    return before or (found.parent.number if found.parent else None)


def _check(check: Mapping[str, Any]) -> dict[str, Any]:
    """A check as a row: its words only where the figure does not say the same."""
    by_accuracy = check["name"].startswith("baseline") and check["unit"] == "points"
    is_told = check["figure"] is not None and not by_accuracy and check["state"] == State.PASSED
    return dict(check) | {"note": "" if is_told else check["words"]}


def _checklist(found: ModelVersion) -> list[Line]:
    live = selectors.live_version(project=found.project)
    is_live = live is not None and live.pk == found.pk
    fallback = selectors.live_before(project=found.project, live=live) if is_live else (live.number if live else None)
    recency = selectors.recency_of(version=found)
    recent = None
    if recency is not None:
        since = f"{recency.n_since:,}" + ("" if recency.is_recent else " or more")
        recent = (recency.is_recent, f"newest answer {recency.newest_at:%Y-%m-%d}; {since} came since")
    # What the last approver vouched for. Versions that became live by themselves have no ticks.
    approvals = [event for event in selectors.alias_events(version=found) if event.to_number == found.number]
    ticked: list[str] = next((event.evidence["ticked"] for event in approvals if event.evidence.get("ticked")), [])
    return fill(
        gate=found.gate,
        calibration=_calibration(found),
        explains="each answer is a sum of its words and columns"
        if found.parameters.get("kind") in SUMS
        else "on request: what changes when a word or a column is taken away",
        segments=found.metrics.get("segments") or {},
        recent=recent,
        rollback_to=fallback,
        ticked=ticked,
    )


def _calibration(found: ModelVersion) -> dict[str, Any] | None:
    """The calibration error as the version answers, with interval, n and what chance alone gives."""
    return (found.metrics.get("calibration") or {}).get("after")


def _files_of(found: ModelVersion) -> tuple[dict[str, str], str]:
    """The digest of each file, checked just now, or why they are refused."""
    if found.archived_at is not None:
        return {}, ""
    try:
        keys = files.signing_keys()
        return read_sealed(files.absolute(found.path), sha256=found.sha256, keys=keys).sha256_of, ""
    except ArtifactRefused as error:
        return {}, str(error)


def _facts(found: ModelVersion, sha256_of: Mapping[str, str], checklist: list[Line]) -> CardFacts:
    dataset = found.dataset
    return CardFacts(
        project=found.project.name,
        description=found.project.description,
        number=found.number,
        state=found.state,
        state_reason=found.state_reason,
        created_at=f"{found.created_at:%Y-%m-%d %H:%M} UTC",
        sha256=found.sha256,
        dataset=f"data set {dataset.number} (sha256 {dataset.sha256})",
        n_items=dataset.n_items,
        class_counts=dataset.class_counts,
        schema_version=dataset.schema_version,
        parent=found.parent.number if found.parent else None,
        code_version=found.code_version,
        environment=found.environment,
        parameters=found.parameters,
        metrics=found.metrics,
        checklist=checklist,
        files=sha256_of,
        erasures=[(f"{one.at:%Y-%m-%d}", one.n_items) for one in found.erasures.all()],
    )


# Two side by side


@login_required
@never_cache
@require_safe
def compare(request: HttpRequest, slug: str) -> HttpResponse:
    membership = access.membership_for(request.user, slug)
    project = membership.project
    first, second = (promotion.version_for(project=project, number=_number_of(request, name)) for name in ("a", "b"))
    reports = [files.read_report(one.report_path) for one in (first, second)]
    found = compare_reports(*reports)
    sees_items = membership.role != Role.ANNOTATOR
    return render(
        request,
        "active_learning/compare.html",
        {
            "project": project,
            "first": first,
            "second": second,
            "found": found,
            "accuracy_points": 100 * found.accuracy.value if found.accuracy else None,
            "min_audited": MIN_AUDITED,
            "rows": _side_by_side(first, second),
            "n_changed": len(found.changed),
            "sees_items": sees_items,
            "changed": _changed_rows(found) if sees_items else [],
            "drivers": compare_words(*reports),
            "others": selectors.versions_of(project=project, n=OTHERS_SHOWN),
        },
    )


def _number_of(request: HttpRequest, name: str) -> int:
    try:
        return int(request.GET[name])
    except (KeyError, ValueError):
        raise Invalid(
            "Name two versions by their numbers: ?a=1&b=2.", fields={name: "the number of a version"}
        ) from None


def _side_by_side(first: ModelVersion, second: ModelVersion) -> list[dict[str, Any]]:
    """The figures that each version was stored with, each on the audit items of its day."""
    rows = []
    for one in (first, second):
        audit = one.metrics.get("audit") or {}
        enough = one.metrics.get("n_audited", 0) >= MIN_AUDITED
        rows.append(
            {
                "version": one,
                "accuracy": audit.get("accuracy") if enough else None,
                "macro_f1": audit.get("macro_f1") if enough else None,
                "macro_f1_interval": audit.get("macro_f1_interval"),
                "n_audited": one.metrics.get("n_audited", 0),
                "calibration": _calibration(one),
                "measured": one.gate.get("measured", {}),
            }
        )
    return rows


def _changed_rows(found: Versus) -> list[dict[str, Any]]:
    cases = found.changed[:CHANGED_SHOWN]
    data = selectors.item_data(ids=[case.item_id for case in cases])
    return [
        {
            "case": case,
            "words": first_words(data[case.item_id]) if case.item_id in data else "deleted since",
            "is_there": case.item_id in data,
            "truth": ", ".join(case.truth) or "none",
            "first": ", ".join(case.first) or "none",
            "second": ", ".join(case.second) or "none",
            "verdict": _verdict(case),
        }
        for case in cases
    ]


def _verdict(case: Common) -> str:
    return {"first": "lost", "second": "gained", "neither": "wrong in both"}[case.verdict]
