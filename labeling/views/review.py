"""The review inbox: one item that people differ on at a time, the waiting ones beside it."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from labeling import access, selectors
from labeling.core.errors import Conflict, DomainError, Invalid
from labeling.core.guidelines import render_guidelines
from labeling.core.schema import rules_of
from labeling.core.sides import sides_of
from labeling.core.wording import (
    LabelWord,
    answers_of,
    first_words,
    item_parts,
    marked_passages,
    value_words,
)
from labeling.forms.review import ReviewFilterForm, decided_value
from labeling.models import Annotation, LabelSchema, Membership, ReviewItem
from labeling.selectors import ReviewFacts
from labeling.services import review as services

LISTED = 50
# A form of more rows than this is no second look any more.
MAJORITIES_AT_ONCE = 200
MOST_BUTTONS = 20
# What was answered to the product, and is confirmed or corrected.
OF_PREDICTIONS = (ReviewItem.Reason.UNSURE, ReviewItem.Reason.EDGE, ReviewItem.Reason.COMPLAINT)
# Letters that are no command of the page.
SIDE_KEYS = "abcdef"
FRESH = timedelta(hours=1)


@login_required
@never_cache
@require_safe
def review(request: HttpRequest, slug: str) -> HttpResponse:
    membership = access.membership_for(request.user, slug, Membership.Role.REVIEWER)
    return _page(request, membership)


@login_required
@require_POST
def decide(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    membership = access.membership_for(request.user, slug, Membership.Role.REVIEWER)
    found = access.review_for(request.user, pk)
    schema = LabelSchema.objects.current(found.project_id)
    try:
        services.decide(
            review=found,
            value=decided_value(schema, request.POST),
            note=request.POST.get("note", ""),
            as_gold="as_gold" in request.POST,
            seconds=_seconds(request),
            user=request.user,
        )
    except (Conflict, Invalid) as error:
        return _page(request, membership, error, keep=found if isinstance(error, Invalid) else None)
    return _onward(request, slug)


@login_required
@require_POST
def requeue(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    membership = access.membership_for(request.user, slug, Membership.Role.REVIEWER)
    found = access.review_for(request.user, pk)
    try:
        services.requeue(review=found, note=request.POST.get("note", ""), user=request.user)
    except (Conflict, Invalid) as error:
        return _page(request, membership, error, keep=found)
    return _onward(request, slug)


@login_required
@require_POST
def cannot_tell(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    membership = access.membership_for(request.user, slug, Membership.Role.REVIEWER)
    found = access.review_for(request.user, pk)
    try:
        services.cannot_tell(
            review=found, note=request.POST.get("note", ""), seconds=_seconds(request), user=request.user
        )
    except (Conflict, Invalid) as error:
        return _page(request, membership, error, keep=found)
    return _onward(request, slug)


def _seconds(request: HttpRequest) -> float | None:
    """How long the page was before the reviewer's eyes: it says when it was made."""
    try:
        return time.time() - float(request.POST.get("shown_at", ""))
    except ValueError:
        return None


@login_required
@require_POST
def undo(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    membership = access.membership_for(request.user, slug, Membership.Role.REVIEWER)
    found = access.review_for(request.user, pk)
    try:
        taken = services.undo_together(review=found, user=request.user)
    except Conflict as error:
        return _page(request, membership, error)
    if taken.left:
        # What was left has to be read: this answer is the page itself, and no way to it.
        return _page(request, membership, keep=found, taken=taken)
    return _onward(request, slug, at=pk)


@login_required
@never_cache
def majority(request: HttpRequest, slug: str) -> HttpResponse:
    """A second look at what taking the majority would decide; posted, it does so."""
    membership = access.membership_for(request.user, slug, Membership.Role.REVIEWER)
    form = _filter_form(request, membership)
    if request.method == "POST":
        # What was looked at is what is done: each row carries its value, which must still have its majority.
        chosen = [_confirmed(request, row) for row in request.POST.getlist("row")[:MAJORITIES_AT_ONCE]]
        taken = services.take_majorities(chosen=chosen, user=request.user)
        left = f" {taken.n_left} had changed meanwhile and were left." if taken.n_left else ""
        messages.success(request, f"{taken.n_decided} decided by their majority.{left}")
        return _onward(request, slug)
    schema = LabelSchema.objects.current(membership.project_id)
    found = selectors.reviews_with_majority(project=membership.project, wanted=form.wanted, n=MAJORITIES_AT_ONCE)
    rows = [
        {
            "review": one,
            "words": first_words(one.item.data, 90),
            "value": value_words(schema.kind, schema.config, value),
            "n_same": n_same,
            "n": n,
            "row": f"{one.pk}:{json.dumps(value)}",
        }
        for one, value, n_same, n in found
    ]
    context = {
        "project": membership.project,
        "membership": membership,
        "rows": rows,
        "n_listed": min(selectors.n_open_reviews(project=membership.project, wanted=form.wanted), MAJORITIES_AT_ONCE),
        "query": urlencode(form.chosen),
    }
    return render(request, "labeling/review_majority.html", context)


def _confirmed(request: HttpRequest, row: str) -> tuple[ReviewItem, Any]:
    number, _, value = row.partition(":")
    try:
        return access.review_for(request.user, int(number)), json.loads(value)
    except (ValueError, OverflowError):
        raise Invalid("This list was garbled on its way. Nothing was changed; open it again.") from None


def _onward(request: HttpRequest, slug: str, at: int | None = None) -> HttpResponseRedirect:
    """Back to the inbox as it was filtered, at the review that comes next."""
    query = {name: value for name, value in request.GET.items() if value and name != "at"}
    following = at or request.POST.get("next", "")
    query |= {"at": str(following)} if following else {}
    return HttpResponseRedirect(f"{reverse('labeling:review', args=[slug])}?{urlencode(query)}")


def _filter_form(request: HttpRequest, membership: Membership) -> ReviewFilterForm:
    schema = LabelSchema.objects.current(membership.project_id)
    labels = [(answer.value, answer.text) for answer in answers_of(schema.kind, schema.config)]
    people = selectors.people_in_review(project=membership.project)
    return ReviewFilterForm(request.GET, labels=labels, people=people)


def _page(
    request: HttpRequest,
    membership: Membership,
    error: DomainError | None = None,
    keep: ReviewItem | None = None,
    taken: services.TakenBack | None = None,
) -> HttpResponse:
    """The inbox. After a refusal it says why, has the note that was typed, and stays at `keep` if that is open.

    After taking several decisions back it says which were left (`taken`).
    """
    project = membership.project
    schema = LabelSchema.objects.current(project.pk)
    form = _filter_form(request, membership)
    listed = selectors.open_reviews(project=project, wanted=form.wanted, n=LISTED)
    asked_for = keep.pk if keep else request.GET.get("at")
    place = _place(listed, asked_for)
    pace = selectors.review_pace(project=project)
    # Today's are done: what is left is shown to whoever asks for it.
    is_done_for_today = pace.left_today == 0 and bool(listed) and str(listed[place].pk) != str(asked_for)
    current = listed[place] if listed and not is_done_for_today else None
    # Those for tomorrow are known where the list is the whole inbox in its order.
    n_today = len(listed) if pace.left_today is None or form.chosen else pace.left_today
    seconds = selectors.review_seconds(project=project)
    query = urlencode(form.chosen)
    context: dict[str, Any] = {
        "project": project,
        "membership": membership,
        "form": form,
        "is_filtered": bool(form.chosen),
        "query": query,
        "pace": pace,
        "is_done_for_today": is_done_for_today,
        "shown_at": f"{time.time():.2f}",
        "n_fitting": selectors.n_open_reviews(project=project, wanted=form.wanted) if form.chosen else None,
        "rows": [
            {
                "review": one,
                "words": first_words(one.item.data, 70),
                "is_current": one is current,
                "is_first_for_tomorrow": number == n_today,
            }
            for number, one in enumerate(listed)
        ],
        "ended": _ended(membership, request.user, schema),
        "error": error,
        "n_taken_back": taken.n_undone if taken else 0,
        "left": [{"words": first_words(one.item.data, 50), "why": why} for one, why in taken.left] if taken else [],
        "note": request.POST.get("note", ""),
        "guidelines": render_guidelines(schema.guidelines),
        "kind": schema.kind,
    }
    if current is not None:
        facts = selectors.review_facts(reviews=[current])[current.pk]
        context |= _shown(current, facts, schema)
        context["standing"] = selectors.standing_of(review=current, seconds=seconds)
        context |= {
            "previous": listed[place - 1].pk if place > 0 else None,
            "next": listed[place + 1].pk if place + 1 < len(listed) else None,
        }
    response = render(request, "labeling/review.html", context, status=error.status if error else 200)
    if error or taken:
        # The address of an act is no page to come back to.
        response["HX-Push-Url"] = "false"
    return response


def _place(listed: list[ReviewItem], at: Any) -> int:
    places = {str(one.pk): place for place, one in enumerate(listed)}
    return places.get(str(at), 0)


@dataclass(frozen=True, slots=True)
class SideShown:
    """One value with those who gave it; `key` takes it."""

    letter: str
    key: str
    value: list[LabelWord]
    json: str
    is_allowed: bool
    answers: list[dict[str, Any]]


def _shown(current: ReviewItem, facts: ReviewFacts, schema: LabelSchema) -> dict[str, Any]:
    item = current.item
    text = item.data.get("text") if isinstance(item.data, dict) else None
    suggestion = facts.suggestion
    words = suggestion.words if suggestion else []
    answers = answers_of(schema.kind, schema.config)
    sides = _sides(facts.answers, schema)
    letters = {one["answer"].user_id: one["blind"] for side in sides for one in side.answers}
    is_typed = schema.kind == "rating" and len(answers) > MOST_BUTTONS
    is_picked = schema.kind == "choice" and len(answers) > MOST_BUTTONS
    standing = facts.resolution.value if facts.resolution else None
    evidence = selectors.evidence_shown(current)
    reasons = [reason for reason in ReviewItem.Reason if reason in evidence]
    doubt = evidence.get(ReviewItem.Reason.DOUBT)
    suspect = evidence.get(ReviewItem.Reason.LABEL_ERROR)
    complaint = evidence.get(ReviewItem.Reason.COMPLAINT)
    return {
        "current": current,
        "evidence": evidence,
        "item": item,
        "reasons": reasons,
        "parts": item_parts(item.data),
        "passages": marked_passages(text, words) if isinstance(text, str) and words else [],
        "meta": [(name, part.text) for name in item.meta for part in item_parts({name: item.meta[name]})],
        "sides": sides,
        # Somebody who skipped it stands on no side.
        "remarks": [{"remark": remark, "letter": letters.get(remark.user_id, "")} for remark in facts.remarks],
        "suggestion": suggestion,
        "suggested": value_words(schema.kind, schema.config, suggestion.value) if suggestion else [],
        "suggested_json": json.dumps(suggestion.value) if suggestion else "",
        "suggested_is_allowed": suggestion is not None and _is_allowed(schema, suggestion.value),
        "chances": _chances(suggestion.probabilities if suggestion else {}, schema),
        "posterior": _chances(_distribution(current, facts), schema),
        "model_voted": _words(schema, _model_vote(current, facts)),
        "stands": facts.resolution,
        "stands_as": _words(schema, facts.resolution.value if facts.resolution else None),
        "stands_json": json.dumps(facts.resolution.value) if facts.resolution else "",
        "stands_is_allowed": facts.resolution is not None and _is_allowed(schema, facts.resolution.value),
        "doubt": doubt,
        "complaint": complaint,
        "complained_for": _corrections(complaint, schema) if complaint else [],
        "doubt_value": _words(schema, doubt["value"]) if doubt else [],
        "suspect": suspect,
        "suspect_value": _words(schema, suspect["value"]) if suspect else [],
        "suspect_model_value": _words(schema, suspect["model_value"]) if suspect else [],
        "choices": [
            {"answer": answer, "json": json.dumps(answer.value), "is_standing": answer.value == standing}
            for answer in answers
            if not is_typed
        ],
        "is_typed": is_typed,
        "is_picked": is_picked,
        "is_composed": is_typed or is_picked or schema.kind == "choices",
        "lowest": answers[0].value,
        "highest": answers[-1].value,
        "is_prediction": any(reason in evidence for reason in OF_PREDICTIONS),
        "can_be_gold": item.gold is None,
    }


def _corrections(complaint: Mapping[str, Any], schema: LabelSchema) -> list[dict[str, Any]]:
    """What users say would be right, the most frequent first."""
    return [
        {
            "value": value_words(schema.kind, schema.config, one["value"]),
            "n": one["n"],
            "json": json.dumps(one["value"]),
            "is_allowed": _is_allowed(schema, one["value"]),
        }
        for one in complaint["corrections"]
    ]


def _sides(given: list[Annotation], schema: LabelSchema) -> list[SideShown]:
    shown = []
    for place, side in enumerate(sides_of([answer.value for answer in given])):
        people = [given[at] for at in side.places]
        shown.append(
            SideShown(
                letter=side.letter,
                key=SIDE_KEYS[place] if place < len(SIDE_KEYS) else "",
                value=value_words(schema.kind, schema.config, side.value),
                json=json.dumps(side.value),
                is_allowed=_is_allowed(schema, side.value),
                answers=[_answer(answer, f"{side.letter}{number}", schema) for number, answer in enumerate(people, 1)],
            )
        )
    return shown


def _answer(answer: Annotation, blind: str, schema: LabelSchema) -> dict[str, Any]:
    if answer.source == Annotation.Source.IMPORT:
        seen = "imported"
    elif answer.assignment is not None and answer.assignment.suggestion_shown:
        seen = "saw the suggestion"
    else:
        seen = "saw no suggestion"
    return {
        "answer": answer,
        "blind": blind,
        "name": answer.user.get_username() if answer.user else answer.rater or "anonymous",
        "seen": seen,
        "older_version": answer.schema.version if answer.schema.version != schema.version else None,
    }


def _is_allowed(schema: LabelSchema, value: Any) -> bool:
    try:
        rules_of(schema.kind, schema.config).check(value)
    except Invalid:
        return False
    return True


def _distribution(current: ReviewItem, facts: ReviewFacts) -> dict[str, float]:
    """The soft labels: those of the dispute, else those of what stands."""
    found = selectors.evidence_shown(current).get(ReviewItem.Reason.DISPUTE, {}).get("distribution")
    return found or (facts.resolution.distribution if facts.resolution else {})


def _model_vote(current: ReviewItem, facts: ReviewFacts) -> Any:
    """What the model said of it as a voter in those soft labels; None where it had no vote."""
    dispute = selectors.evidence_shown(current).get(ReviewItem.Reason.DISPUTE, {})
    if dispute.get("distribution"):
        return dispute.get("model_vote")
    return facts.resolution.model_vote if facts.resolution else None


def _words(schema: LabelSchema, value: Any) -> list[LabelWord]:
    return [] if value is None else value_words(schema.kind, schema.config, value)


def _chances(distribution: dict[str, float], schema: LabelSchema) -> list[dict[str, Any]]:
    ordered = sorted(distribution.items(), key=lambda pair: -pair[1])[:8]
    # Keys are texts in JSON: a rating's point is named by its number.
    return [{"value": value_words(schema.kind, schema.config, label), "p": p} for label, p in ordered]


def _ended(membership: Membership, user: Any, schema: LabelSchema) -> list[dict[str, Any]]:
    """What the reviewer did last. What was done in one act is one line, and is taken back in one."""
    rows: list[dict[str, Any]] = []
    for one in selectors.ended_reviews_of(project=membership.project, user=user):
        if rows and rows[-1]["review"].closed_at == one.closed_at:
            rows[-1]["n"] += 1
            continue
        rows.append(
            {
                "review": one,
                "words": first_words(one.item.data, 50),
                "value": _words(schema, one.resolution.value if one.resolution else None),
                "n": 1,
                # A key that takes back what was done yesterday would surprise.
                "is_fresh": not rows and one.closed_at is not None and one.closed_at > timezone.now() - FRESH,
            }
        )
    return rows[:5]
