"""Who decides: the settings of serving, what they would do to past traffic, what production says about the model."""

import hashlib
import json
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from active_learning import selectors
from active_learning.core.band_scale import draw_scale
from active_learning.core.redaction import fields_among
from active_learning.core.weighted import MIN_JUDGED
from active_learning.forms import ServingForm
from active_learning.models import Prediction, ServingPolicy
from active_learning.selectors import LiveVersion
from active_learning.services.certificates import recheck
from active_learning.services.serving_policy import change_serving, routing_rules
from active_learning.services.serving_preview import accuracy_in_production, preview, tentative
from labeling import access
from labeling.core.errors import Invalid
from labeling.models import Membership, Project

# From the person to the model, as on the scale.
DECISIONS = ("review", "monitor", "auto")
NAMES = {"review": "A person decides", "monitor": "Taken and watched", "auto": "The model alone"}


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def serving(request: HttpRequest, slug: str) -> HttpResponse:
    """The settings as a form. Posting shows what they would have done to the last predictions; an owner's `save` keeps
    them, new rules once that was shown of them."""
    membership = access.membership_for(request.user, slug, Membership.Role.REVIEWER)
    is_saving = request.POST.get("action") == "save"
    if is_saving:
        access.membership_for(request.user, slug, Membership.Role.OWNER)
    project = membership.project
    live, policy = selectors.serving_state(project=project)
    schema, rules = selectors.current_rules(project)
    form = ServingForm(request.POST or None, policy=policy, kind=schema.kind, labels=rules.labels)
    context: dict[str, Any] = {}
    has_traffic = bool(selectors.latest_predictions(project=project, n=1))
    if request.method == "POST" and form.is_valid():
        try:
            tried = _rules_tried(form.changes())
            # Rules are tried on past traffic before they are kept: what was not shown yet is shown first.
            is_new = form.changes()["edge_rules"] not in ([], policy.edge_rules)
            context["tried"] = tried
            context["shown_first"] = is_saving and is_new and has_traffic and request.POST.get("tried") != tried
            if is_saving and not context["shown_first"]:
                change_serving(project=project, actor=request.user, **form.changes())
                recheck(project=project)
                messages.success(request, "Saved. It counts from the next request on.")
                return redirect("active_learning:serving", slug)
            policy = tentative(project=project, **form.changes())
            context["preview"] = _previewed(project, form.changes())
        except Invalid as problem:
            form.add_problem(problem)
    several = schema.kind == "choices" or len(rules.labels) == 2
    context |= {
        "project": project,
        "membership": membership,
        "form": form,
        "is_owner": membership.role == Membership.Role.OWNER,
        "live": live,
        "has_traffic": has_traffic,
        "several": schema.kind == "choices",
        "hidden": sorted(fields_among(policy.log_fields, selectors.learned_fields(project=project))),
        **_bands(policy, live, of_two=several),
        **_production(project, live),
    }
    return render(request, "active_learning/serving.html", context, status=422 if form.errors else 200)


def _rules_tried(changes: dict[str, Any]) -> str:
    """What says, with the next post, that these very rules were looked at."""
    return hashlib.sha256(json.dumps(changes["edge_rules"]).encode()).hexdigest()


def _bands(policy: ServingPolicy, live: LiveVersion | None, *, of_two: bool) -> dict[str, Any]:
    """The boundaries as a picture and on both scales. Of two labels the lead 2p - 1 is looked at."""
    bands = routing_rules(policy, live).bands
    low, high = bands.review_below, bands.auto_above
    scales = [(low, high)] if not of_two else [(low, high), ((1 + low) / 2, (1 + high) / 2)]
    return {
        "scale": draw_scale(bands, bands.auto_above),
        "of_two": of_two,
        "limits": [{"low": 100 * low, "high": 100 * high} for low, high in scales],
        "nothing_alone": high >= 1.0,
    }


def _production(project: Project, live: LiveVersion | None) -> dict[str, Any]:
    """What random draws judged blind say of the live version."""
    _, policy = selectors.serving_state(project=project)
    n = len(selectors.judged_predictions(project=project, version_id=live.version_id)) if live else 0
    found = policy.certificate
    is_of_now = live is not None and found.get("version") == live.number and found.get("alpha") == policy.max_wrong
    return {
        "accuracy": accuracy_in_production(project=project),
        "n_judged": n,
        "n_to_judge": max(MIN_JUDGED - n, 0),
        "promise": policy.max_wrong,
        "certificate": found if policy.max_wrong is not None and is_of_now else None,
    }


def _previewed(project: Project, changes: dict[str, Any]) -> dict[str, Any]:
    found = preview(project=project, **changes)
    n = found["n"]

    def bar(counts: dict[str, int]) -> list[dict[str, Any]]:
        start, parts = 0.0, []
        for name in DECISIONS:
            width = 100 * counts[name] / max(n, 1)
            parts.append({"name": name, "start": start, "width": width})
            start += width
        return parts

    return {
        "n": n,
        "moved": found["moved"],
        "moves": [
            {"old": NAMES[move["from"]].lower(), "new": NAMES[move["to"]].lower(), "n": move["n"]}
            for move in found["moves"]
        ],
        "rules": found["edge_rules"],
        "errors": [
            ("Mistakes in what stands alone", [found["error_now"], found["error_then"]]),
            *((one["name"], [one["now"], one["then"]]) for one in found["errors_of"]),
        ],
        "bars": [("Now", bar(found["now"])), ("Then", bar(found["then"]))] if n else [],
        "rows": [
            {
                "decision": Prediction.Decision(name).value,
                "name": NAMES[name],
                "now": found["now"][name],
                "then": found["then"][name],
                "share_now": found["now"][name] / max(n, 1),
                "share_then": found["then"][name] / max(n, 1),
            }
            for name in DECISIONS
        ],
    }
