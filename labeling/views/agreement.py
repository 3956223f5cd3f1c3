"""How far people agree, as it was last measured. The page reads one row and computes nothing."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from labeling import access, selectors
from labeling.core.agreement_charts import draw_heat, draw_time, draw_whisker, lowest_of
from labeling.core.agreement_words import mark_words, meaning, to_csv
from labeling.core.errors import NotFound
from labeling.core.wording import LabelWord, value_words
from labeling.models import AgreementReport, Job, LabelSchema, Membership
from labeling.services.agreement import request_agreement
from labeling.views.fragments import logged_in_fragment

LABELS_SHOWN = 30
PEOPLE_SHOWN = 50
CONTENT_TYPES = {"json": "application/json", "csv": "text/csv; charset=utf-8"}


@login_required
@never_cache
@require_safe
def agreement(request: HttpRequest, slug: str) -> HttpResponse:
    membership = access.membership_for(request.user, slug, Membership.Role.REVIEWER)
    report = selectors.agreement_of(project=membership.project)
    context = _now(membership, report)
    if report is not None:
        schema = LabelSchema.objects.current(membership.project_id)
        context |= _shown(report.result, schema)
    return render(request, "labeling/agreement.html", context)


@logged_in_fragment
@never_cache
@require_safe
def agreement_now(request: HttpRequest, slug: str) -> HttpResponse:
    """When it was measured and whether it is being measured; the page asks for it again and again."""
    membership = access.membership_for(request.user, slug, Membership.Role.REVIEWER)
    context = _now(membership, selectors.agreement_of(project=membership.project))
    is_newer = context["seen"] != request.GET.get("seen", "")
    response = render(request, "labeling/_agreement_now.html", context | {"is_newer": is_newer})
    if is_newer and request.GET.get("busy"):  # whoever watched it being measured wants to see what came of it
        response["HX-Refresh"] = "true"
    return response


@login_required
@require_POST
def measure_agreement(request: HttpRequest, slug: str) -> HttpResponse:
    membership = access.membership_for(request.user, slug, Membership.Role.OWNER)
    who = request.user.get_username()
    request_agreement(project=membership.project, reason=f"{who} asked for it", user=request.user)
    if not selectors.worker_alive():
        messages.warning(request, "It waits in line: no worker is running.")
    return redirect("labeling:agreement", slug)


@login_required
@never_cache
@require_safe
def agreement_file(request: HttpRequest, slug: str, file_format: str) -> HttpResponse:
    membership = access.membership_for(request.user, slug, Membership.Role.REVIEWER)
    report = selectors.agreement_of(project=membership.project)
    if report is None or file_format not in CONTENT_TYPES:
        raise NotFound("Agreement has not been measured here yet.")
    if file_format == "csv":
        text = to_csv(report.result)
    else:
        text = json.dumps({"computed_at": report.computed_at.isoformat()} | report.result, indent=1)
    response = HttpResponse(text, content_type=CONTENT_TYPES[file_format])
    response["Content-Disposition"] = f'attachment; filename="{membership.project.slug}-agreement.{file_format}"'
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _now(membership: Membership, report: AgreementReport | None) -> dict[str, Any]:
    job = selectors.agreement_job(project=membership.project)
    return {
        "project": membership.project,
        "membership": membership,
        "is_owner": membership.role == Membership.Role.OWNER,
        "report": report,
        "seen": report.computed_at.isoformat() if report else "",
        "n_new": selectors.n_answers_since(project=membership.project, report=report),
        "job": job,
        "is_busy": job is not None and job.state in (Job.State.QUEUED, Job.State.RUNNING),
        "has_failed": job is not None and job.state == Job.State.FAILED,
        "no_worker": not selectors.worker_alive(),
    }


def _shown(result: Mapping[str, Any], schema: LabelSchema) -> dict[str, Any]:
    top = next(one for one in result["overall"] if one["title"] == result["headline"])
    team = top["this_team"]
    return {
        "result": result,
        "top": top,
        "top_marks": mark_words(team["low"] if team else None, top["value"]) if top["value"] is not None else "",
        "overall": [one | {"meaning": meaning(one["title"])} for one in result["overall"]],
        "labels": _labels(result["labels"], schema),
        "n_labels_shown": LABELS_SHOWN,
        "confusions": [
            row
            | {
                "words": [_word(schema, row["first"]), _word(schema, row["second"])],
                "after": None
                if row["gain"] is None or _nominal(result) is None
                else (_nominal(result) or 0.0) + row["gain"],
                "disputes": _query(schema, row),
            }
            for row in result["confusions"][:10]
        ],
        "nominal": _nominal(result),
        "heat": draw_heat(result["pairs"], result["names"]),
        "pairs": [_pair(row, result["names"]) for row in result["pairs"]["pairs"]],
        "people": [_person(row, result["names"], schema) for row in result["people"][:PEOPLE_SHOWN]],
        "n_people": len(result["people"]),
        "chart": draw_time(result["windows"], result["versions"]),
        "influence": result["influence"],
        "takers": result["influence"].get("people", [])[:PEOPLE_SHOWN],
        "doubtful": [
            row | {"value": value_words(schema.kind, schema.config, row["value"])}
            for row in result["doubtful"]["items"]
        ],
        "consensus": result["consensus"],
        "kind": schema.kind,
    }


def _nominal(result: Mapping[str, Any]) -> float | None:
    return next((one["value"] for one in result["overall"] if one["title"].endswith("alpha, nominal")), None)


def _word(schema: LabelSchema, label: str) -> LabelWord:
    value: Any = int(label) if schema.kind == "rating" else label
    return value_words(schema.kind, schema.config, value)[0]


def _query(schema: LabelSchema, row: Mapping[str, Any]) -> str:
    """The address part that filters the review inbox for these two labels."""
    first, second = (int(row[side]) if schema.kind == "rating" else row[side] for side in ("first", "second"))
    return urlencode({"one": json.dumps(first), "other": json.dumps(second)})


def _labels(rows: Sequence[Mapping[str, Any]], schema: LabelSchema) -> list[dict[str, Any]]:
    """Each label in the schema's order; of many those that people agree on least come first."""
    lowest = lowest_of([row["alpha"] for row in rows])
    ordered = list(rows)
    if len(rows) > LABELS_SHOWN:
        ordered.sort(key=lambda row: (row["alpha"]["value"] is None, row["alpha"]["value"] or 0.0))
    return [
        {**row, "word": _word(schema, row["label"]), "whisker": draw_whisker(row["alpha"], lowest)} for row in ordered
    ]


def _pair(row: Mapping[str, Any], names: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    first, second = names[str(row["first"])], names[str(row["second"])]
    return {
        **row,
        "who": first["name"],
        "whom": second["name"],
        "disputes": urlencode({"who": first["key"], "whom": second["key"]}),
    }


def _person(row: Mapping[str, Any], names: Mapping[str, Mapping[str, str]], schema: LabelSchema) -> dict[str, Any]:
    against = row["with_others"]
    top = _word(schema, against["top_label"]).text if against and schema.kind != "choices" else None
    if against and schema.kind == "choices":
        top = against["top_label"]
    return {**row, "name": names[str(row["person"])]["name"], "top": top}
