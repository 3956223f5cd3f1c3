"""Campaigns played again on the labels that are there, and which strategy they speak for."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from active_learning import selectors
from active_learning.core.replay_chart import draw_replay
from active_learning.services.triggers import request_replay
from labeling import access
from labeling import selectors as labeling_selectors
from labeling.models import Membership


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def replay(request: HttpRequest, slug: str) -> HttpResponse:
    """Campaigns played again on the project's labels, and which strategy they speak for."""
    if request.method == "POST":
        membership = access.membership_for(request.user, slug, Membership.Role.REVIEWER)
        reason = f"{request.user.get_username()} asked for it"
        request_replay(project=membership.project, reason=reason, user=request.user)
        return redirect("active_learning:replay", slug)
    membership = access.membership_for(request.user, slug)
    result = selectors.replayed(project=membership.project)
    context = _replay_now(membership) | {
        "membership": membership,
        "may_train": membership.role != Membership.Role.ANNOTATOR,
        "in_use": selectors.policy_of(membership.project).strategy,
        "result": result,
    }
    if result:
        context |= {
            "chart": draw_replay(result),
            "rows": [_replayed_row(row) for row in result["strategies"]],
            "looks_end": result["sizes"][-1],
        }
    return render(request, "active_learning/replay.html", context)


@never_cache
@require_safe
@access.logged_in_fragment
def replay_now(request: HttpRequest, slug: str) -> HttpResponse:
    """How far the replay is; whoever watched it end sees what came of it."""
    context = _replay_now(access.membership_for(request.user, slug))
    response = render(request, "active_learning/_replay_now.html", context)
    if not context["is_busy"]:
        response["HX-Refresh"] = "true"
    return response


def _replay_now(membership: Membership) -> dict[str, Any]:
    job = selectors.latest_replay(project=membership.project)
    return {
        "project": membership.project,
    } | labeling_selectors.watched(job)


def _replayed_row(row: dict[str, Any]) -> dict[str, Any]:
    gains = [row["against_random"], row["against_recommended"]]
    return row | {"gains": [_gain(gain) for gain in gains]}


def _gain(gain: dict[str, Any] | None) -> dict[str, str] | None:
    if gain is None:
        return None
    interval = "one campaign" if gain["low"] is None else f"{100 * gain['low']:+.1f} to {100 * gain['high']:+.1f}"
    return {"value": f"{100 * gain['value']:+.1f}", "interval": interval}
