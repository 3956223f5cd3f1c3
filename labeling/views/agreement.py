"""How far people agree, as it was last measured. The page reads one row and computes nothing."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from labeling import access, selectors
from labeling.access import logged_in_fragment
from labeling.core.agreement_charts import FEW_SHARED, draw_confusion, draw_heat, draw_time, draw_whisker, lowest_of
from labeling.core.agreement_words import confused, mark_words, meaning, to_csv
from labeling.core.errors import Invalid, NotFound
from labeling.core.wording import LabelWord, value_words
from labeling.models import AgreementReport, LabelSchema, Membership, ReviewItem
from labeling.services import doubts as services
from labeling.services.agreement import request_agreement
from labeling.services.doubts import is_as_measured

LABELS_SHOWN = 30
PEOPLE_SHOWN = 50
# A grid of more labels can no longer be read.
LABELS_IN_GRID = 12
MISTAKES_SHOWN = 10
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
        context |= _shown(report.result, schema) | _doubtful(membership, report, schema)
    return render(request, "labeling/agreement.html", context)


@logged_in_fragment
@never_cache
@require_safe
def agreement_pairs(request: HttpRequest, slug: str) -> HttpResponse:
    """Every pair of people with its interval: hundreds of rows, for whoever opens them."""
    membership = access.membership_for(request.user, slug, Membership.Role.REVIEWER)
    report = selectors.agreement_of(project=membership.project)
    if report is None:
        raise NotFound("Agreement has not been measured here yet.")
    rows = report.result["pairs"]["pairs"]
    context = {
        "project": membership.project,
        "pairs": [_pair(row, report.result["names"]) for row in rows],
        "is_weighted": any(row["plain"] for row in rows),
    }
    return render(request, "labeling/_agreement_pairs.html", context)


@logged_in_fragment
@never_cache
@require_safe
def agreement_person(request: HttpRequest, slug: str) -> HttpResponse:
    """What one person takes for what: `who` as the report names them ("user:7", "rater:x")."""
    membership = access.membership_for(request.user, slug, Membership.Role.REVIEWER)
    report = selectors.agreement_of(project=membership.project)
    who = request.GET.get("who", "")
    row = next((row for row in _people_of(report) if report and _named(report, row)["key"] == who), None)
    confusion = row["with_others"]["confusion"] if row and row["with_others"] else None
    if report is None or row is None or confusion is None:
        raise NotFound("Of this person nothing was measured that could be shown here.")
    schema = LabelSchema.objects.current(membership.project_id)
    labels = report.result["method"]["labels"]
    words = [_word(schema, label) for label in labels]
    texts = [word.text for word in words]
    context = {
        "name": _named(report, row)["name"],
        "confusion": confusion,
        "words": words,
        "grid": draw_confusion(confusion, texts) if len(labels) <= LABELS_IN_GRID else [],
        "mistakes": [
            {"others": words[cell.others], "said": words[cell.said], "found": asdict(cell.share), "n": cell.n_items}
            for cell in confused(confusion)
            if cell.others != cell.said
        ][:MISTAKES_SHOWN],
    }
    return render(request, "labeling/_agreement_person.html", context)


@logged_in_fragment
@require_POST
def send_doubts(request: HttpRequest, slug: str) -> HttpResponse:
    """Puts the chosen doubtful items before a reviewer; answers with the list as it is then."""
    membership = access.membership_for(request.user, slug, Membership.Role.REVIEWER)
    chosen = [int(number) for number in request.POST.getlist("item") if number.isascii() and number.isdigit()]
    if not chosen:
        raise Invalid("Choose an item first. Nothing was changed.", fields={"item": "missing"})
    sent = services.send_doubts(project=membership.project, user=request.user, item_ids=chosen)
    report = selectors.agreement_of(project=membership.project)
    assert report is not None  # it was sent from there
    schema = LabelSchema.objects.current(membership.project_id)
    context = _now(membership, report) | {"result": report.result} | _doubtful(membership, report, schema)
    return render(request, "labeling/_agreement_doubtful.html", context | {"sent": sent})


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
    } | selectors.watched(job)


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
                "after": None if row["gain"]["value"] is None else (_nominal(result) or 0.0) + row["gain"]["value"],
                "disputes": _query(schema, row),
            }
            for row in result["confusions"][:10]
        ],
        "nominal": _nominal(result),
        # Where nobody shares enough with anybody a map would be all grey.
        "heat": draw_heat(result["pairs"], result["names"])
        if any(row["kappa"]["n"]["items"] >= FEW_SHARED for row in result["pairs"]["pairs"])
        else [],
        "n_in_pairs": len(result["pairs"]["order"]),
        "n_pairs": len(result["pairs"]["pairs"]),
        **_people(result, schema),
        "chart": draw_time(result["windows"], result["versions"]),
        "influence": result["influence"],
        "takers": result["influence"].get("people", [])[:PEOPLE_SHOWN],
        "consensus": result["consensus"],
        "kind": schema.kind,
    }


def _doubtful(membership: Membership, report: AgreementReport, schema: LabelSchema) -> dict[str, Any]:
    """The settled items to check first, each with what became of it since. Two queries."""
    listed = report.result["doubtful"]["items"]
    ids = [row["item"] for row in listed]
    reviews = selectors.doubt_reviews(project=membership.project, item_ids=ids)
    stands = selectors.standing(item_ids=ids)
    rows = []
    for row in listed:
        review, now = reviews.get(row["item"]), stands.get(row["item"])
        decided = review.resolution if review and review.state == ReviewItem.State.DECIDED else None
        is_open = review is not None and review.state == ReviewItem.State.OPEN
        rows.append(
            row
            | {
                "value": value_words(schema.kind, schema.config, row["value"]),
                "waits_as": review.pk if review and is_open else None,
                "can_be_sent": not is_open and is_as_measured(now, row),
                "decided": value_words(schema.kind, schema.config, decided.value) if decided else [],
                "is_confirmed": decided is not None and decided.value == row["value"],
                "is_asked_again": now is None and review is not None and review.state == ReviewItem.State.REQUEUED,
            }
        )
    return {
        "doubtful": rows,
        "unsent": [row["item"] for row in rows if row["can_be_sent"]],
        "first_waiting": next((row["waits_as"] for row in rows if row["waits_as"]), None),
        "n_waiting": sum(row["waits_as"] is not None for row in rows),
    }


def _people_of(report: AgreementReport | None) -> list[Mapping[str, Any]]:
    return report.result["people"] if report else []


def _named(report: AgreementReport, row: Mapping[str, Any]) -> Mapping[str, str]:
    named: Mapping[str, str] = report.result["names"][str(row["person"])]
    return named


def _is_marked(row: Mapping[str, Any]) -> bool:
    against = row["with_others"]
    return row["is_fast"] or (against is not None and (against["is_constant"] or against["is_like_guessing"]))


def _people(result: Mapping[str, Any], schema: LabelSchema) -> dict[str, Any]:
    """Those with most answers, and behind them whoever else is marked."""
    most, rest = result["people"][:PEOPLE_SHOWN], result["people"][PEOPLE_SHOWN:]
    marked = [row for row in rest if _is_marked(row)]
    return {
        "people": [_person(row, result["names"], schema) for row in [*most, *marked[:PEOPLE_SHOWN]]],
        "n_people": len(result["people"]),
        "n_most": len(most),
        "n_marked": len(marked),
        "n_marked_shown": len(marked[:PEOPLE_SHOWN]),
        "confused_people": [
            result["names"][str(row["person"])]
            for row in most
            if row["with_others"] and row["with_others"]["confusion"] and row["with_others"]["confusion"]["n"]
        ],
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
    """Each label in the schema's order; of many those come first that are often given without agreement."""
    lowest = lowest_of([row["alpha"] for row in rows])
    ordered = list(rows)
    if len(rows) > LABELS_SHOWN:
        ordered.sort(
            key=lambda row: -row["items"] * (1 - row["alpha"]["value"]) if row["alpha"]["value"] is not None else 0
        )
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
