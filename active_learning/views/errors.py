"""Where the model errs, and groups of errors turned into work."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from active_learning import selectors
from active_learning.core.error_words import KIND_TITLES, group_words
from active_learning.models import ModelVersion
from active_learning.services import error_work
from labeling import access
from labeling import selectors as labeling_selectors
from labeling.core.errors import DomainError
from labeling.core.wording import LabelWord, first_words, value_words
from labeling.models import Job, LabelSchema, Membership, Project, ReviewItem
from labeling.services.ask_next import MOST_AT_ONCE
from labeling.services.guidelines import keep_section

SUSPECTS_SHOWN = 5
# Of each kind, those most worth mending; the others fold away.
GROUPS_SHOWN = 3


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def errors(request: HttpRequest, slug: str) -> HttpResponse:
    """Where the model errs; posted, it is looked at anew."""
    membership = access.membership_for(request.user, slug, Membership.Role.REVIEWER)
    project = membership.project
    if request.method == "POST":
        try:
            error_work.request_error_analysis(project=project, user=request.user)
        except DomainError as error:
            messages.error(request, error.message)
        return redirect("active_learning:errors", slug)
    done = selectors.analysed_errors(project=project)
    context = _now(membership) | {"membership": membership, "done": done}
    if done is None or not done.result:
        context["has_version"] = selectors.newest_version(project=project) is not None
    else:
        context |= _shown(membership, done.result)
    return render(request, "active_learning/errors.html", context)


@never_cache
@require_safe
@access.logged_in_fragment
def errors_now(request: HttpRequest, slug: str) -> HttpResponse:
    """How far the analysis and the slices are; whoever watched them end sees what came of it."""
    context = _now(access.membership_for(request.user, slug, Membership.Role.REVIEWER))
    response = render(request, "active_learning/_errors_now.html", context)
    if not context["is_busy"]:
        response["HX-Refresh"] = "true"
    return response


@login_required
@require_POST
def label(request: HttpRequest, slug: str, group: str) -> HttpResponse:
    """Asks for items like a group of errors to be put in front of the queue."""
    project = access.project_for(request.user, slug, Membership.Role.REVIEWER)
    typed = request.POST.get("n", "")
    # What is no number is out of bounds too, and is told so.
    n = int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 9 else 0
    try:
        error_work.request_slice(project=project, key=group, n=n, user=request.user)
    except DomainError as error:
        messages.error(request, error.message)
    return redirect(_at(slug, group))


@login_required
@require_POST
def label_back(request: HttpRequest, slug: str, group: str) -> HttpResponse:
    """Takes the items like a group out of the front of the queue again, as far as they are not answered."""
    project = access.project_for(request.user, slug, Membership.Role.REVIEWER)
    try:
        n = error_work.take_slice_out(project=project, key=group, user=request.user)
    except DomainError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, f"{n} taken out again." if n else "None of them waits any more.")
    return redirect(_at(slug, group))


@login_required
@require_POST
def check(request: HttpRequest, slug: str, group: str) -> HttpResponse:
    """Puts the probable label errors of a group before a reviewer."""
    project = access.project_for(request.user, slug, Membership.Role.REVIEWER)
    try:
        sent = error_work.check_labels(project=project, key=group, user=request.user)
    except DomainError as error:
        messages.error(request, error.message)
        return redirect(_at(slug, group))
    n, n_left = len(sent.opened), len(sent.left)
    if n:
        messages.success(request, f"{n} {'label waits' if n == 1 else 'labels wait'} in the review inbox now.")
    for why in sorted(set(sent.left.values())):
        messages.warning(request, f"{sum(one == why for one in sent.left.values())} left: {why}")
    if not n and not n_left:
        messages.info(request, "No label of this group is probably wrong.")
    return redirect(_at(slug, group))


@login_required
@require_POST
def check_back(request: HttpRequest, slug: str, group: str) -> HttpResponse:
    """Takes the label checks of a group that wait out of the review inbox again."""
    project = access.project_for(request.user, slug, Membership.Role.REVIEWER)
    try:
        n = error_work.take_check_back(project=project, key=group, user=request.user)
    except DomainError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, f"{n} taken out of the review inbox again." if n else "None of them waits any more.")
    return redirect(_at(slug, group))


@login_required
@require_POST
def guideline(request: HttpRequest, slug: str, group: str) -> HttpResponse:
    """Opens the editor of the guidelines with a section about the group."""
    project = access.project_for(request.user, slug, Membership.Role.OWNER)
    try:
        section = error_work.prepare_guideline(project=project, key=group)
    except DomainError as error:
        messages.error(request, error.message)
        return redirect("active_learning:errors", slug)
    keep_section(session=request.session, project=project, text=section)
    return redirect(f"{reverse('labeling:schema', args=[slug])}?prepared#id_guidelines")


def _at(slug: str, group: str) -> str:
    return f"{reverse('active_learning:errors', args=[slug])}#{group}"


def _now(membership: Membership) -> dict[str, Any]:
    project = membership.project
    job = selectors.latest_error_analysis(project=project)
    slices = selectors.latest_slices(project=project)
    under_way = [one for one in slices.values() if one.is_under_way]
    context = labeling_selectors.watched(job)
    return context | {
        "project": project,
        "is_looking": context["is_busy"],
        "slices_under_way": under_way,
        "is_busy": context["is_busy"] or bool(under_way),
    }


def _shown(membership: Membership, result: Mapping[str, Any]) -> dict[str, Any]:
    project = membership.project
    schema, _ = selectors.current_rules(project)
    version = ModelVersion.objects.filter(project=project, number=result["version"]).first()
    live = selectors.live_version(project=project)
    slices = selectors.latest_slices(project=project)
    waiting = _waiting_checks(project, result["suspects"])
    shown = [one["item"] for row in result["groups"] for one in row["examples"]]
    shown += [one["item"] for one in result["suspects"][:SUSPECTS_SHOWN]]
    data = selectors.item_data(ids=shown)
    in_front = {str(ask.detail.get("errors")): ask.n for ask in labeling_selectors.asked_next(project=project)}
    rows: list[dict[str, Any]] = []
    for row in sorted(result["groups"], key=_priority):
        of_group = [one["item"] for one in result["suspects"] if row["key"] in one["groups"]]
        detail = error_work.slice_detail(version=result["version"], row=row)
        rows.append(
            row
            | {
                "words_of_group": group_words(row),
                "sides": _sides(schema, row),
                "bar": _bar(row["audit"]),
                "cost": [f"{100 * row['audit']['cost'][name]:.1f}" for name in ("value", "low", "high")]
                if row["audit"]
                else None,
                "examples": [_example(schema, one, data) for one in row["examples"] if one["item"] in data],
                "n_suspects": len(of_group),
                "n_checked": sum(pk in waiting for pk in of_group),
                "slice": _slice(slices.get(row["key"])),
                "n_in_front": in_front.get(detail["errors"], 0),
            }
        )
    return {
        "result": result,
        "version": version,
        "is_retired": version is not None and version.state == ModelVersion.State.RETIRED,
        "live_now": live.number if live and live.number != result["version"] else None,
        "kinds": [
            {
                "kind": kind,
                "title": title,
                "rows": of_kind[:GROUPS_SHOWN],
                "others": of_kind[GROUPS_SHOWN:],
                "hidden": result["hidden"].get(kind, 0),
            }
            for kind, title in KIND_TITLES.items()
            if (of_kind := [row for row in rows if row["kind"] == kind]) or result["hidden"].get(kind)
        ],
        "first": [row for row in rows if row["audit"]][:3],
        "suspects": [
            one | _example(schema, one, data) for one in result["suspects"][:SUSPECTS_SHOWN] if one["item"] in data
        ],
        "n_waiting": len(waiting),
        "default_slice": error_work.DEFAULT_SLICE,
        "most_at_once": MOST_AT_ONCE,
        "is_owner": membership.role == Membership.Role.OWNER,
        "has_errors": bool(result["groups"]) or result["audit"]["n_errors"] or result["picked"]["n_errors"],
    }


def _priority(row: Mapping[str, Any]) -> tuple[bool, float]:
    """Groups that are surely worse than the rest come first, then what is most worth mending."""
    audit = row["audit"]
    return (
        (True, 0.0) if audit is None else (audit["verdict"] != "worse", -audit.get("priority", audit["cost"]["value"]))
    )


def _waiting_checks(project: Project, suspects: Sequence[Mapping[str, Any]]) -> set[int]:
    reason = ReviewItem.Reason.LABEL_ERROR.value
    open_ones = ReviewItem.objects.filter(
        project=project, state=ReviewItem.State.OPEN, evidence__has_key=reason
    ).values_list("item_id", flat=True)
    return set(open_ones) & {one["item"] for one in suspects}


def _sides(schema: LabelSchema, row: Mapping[str, Any]) -> list[list[LabelWord]]:
    """For one label taken for another: both as people read them."""
    if row["kind"] != "confusion":
        return []
    return [
        value_words(schema.kind, schema.config, [value] if schema.kind == "choices" else value)
        if value != "-"
        else [LabelWord("not there")]
        for value in (row["definition"]["true"], row["definition"]["said"])
    ]


def _bar(audit: Mapping[str, Any] | None) -> dict[str, str] | None:
    """The share of all mistakes with its interval, and the share of all items, in percent of the width."""
    if not audit or not audit["share"]:
        return None
    share = audit["share"]
    return {
        "value": f"{100 * share['value']:.2f}",
        "low": f"{100 * share['low']:.2f}",
        "high": f"{100 * share['high']:.2f}",
        "items": f"{100 * audit['of_items']:.2f}",
    }


def _example(schema: LabelSchema, one: Mapping[str, Any], data: Mapping[int, Any]) -> dict[str, Any]:
    return {
        "item": one["item"],
        "words": first_words(data[one["item"]], 160),
        "given": value_words(schema.kind, schema.config, one["given"]),
        "said": value_words(schema.kind, schema.config, one["said"]),
    }


def _slice(job: Job | None) -> dict[str, Any] | None:
    if job is None:
        return None
    return {
        "is_under_way": job.is_under_way,
        "error": job.error if job.state == Job.State.FAILED else "",
        "is_empty": job.state == Job.State.SUCCEEDED and not (job.result or {}).get("queued"),
    }
