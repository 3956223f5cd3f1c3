"""The review inbox for programs: what waits, and what a reviewer does with it."""

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling import access, selectors
from labeling.core.errors import Invalid
from labeling.core.inbox_order import Standing
from labeling.core.sides import sides_of
from labeling.models import Annotation, Item, LabelSchema, Membership, Resolution, ReviewItem
from labeling.selectors import ReviewFacts, ReviewFilter
from labeling.services import review as services

MOST_LISTED = 100


class DecisionInput(serializers.Serializer):
    value = serializers.JSONField()
    note = serializers.CharField(required=False, allow_blank=True, max_length=services.MAX_NOTE, default="")
    as_gold = serializers.BooleanField(
        required=False, default=False, help_text="Also keep it as the item's known answer, if it has none."
    )
    seconds = serializers.FloatField(
        required=False, min_value=0.0, default=None, allow_null=True, help_text="How long it was looked at."
    )


class CannotTellInput(serializers.Serializer):
    note = serializers.CharField(required=False, allow_blank=True, max_length=services.MAX_NOTE, default="")
    seconds = serializers.FloatField(required=False, min_value=0.0, default=None, allow_null=True)


class NoteInput(serializers.Serializer):
    note = serializers.CharField(required=False, allow_blank=True, max_length=services.MAX_NOTE, default="")


class ListInput(serializers.Serializer):
    n = serializers.IntegerField(min_value=1, max_value=MOST_LISTED, default=50)
    after = serializers.IntegerField(min_value=1, max_value=2**62, required=False)
    reason = serializers.ChoiceField(choices=ReviewItem.Reason.choices, required=False, default="")
    label = serializers.ListField(child=serializers.CharField(max_length=200), required=False, default=list)
    person = serializers.ListField(child=serializers.CharField(max_length=200), required=False, default=list)
    segment = serializers.CharField(max_length=200, required=False, default="")
    names = serializers.BooleanField(default=False)


class ReviewsView(APIView):
    """Open reviews, the most pressing first. Annotators are letters, as on the page, unless `names` is true."""

    scope = "annotate"

    @extend_schema(
        parameters=[
            OpenApiParameter("n", int, default=50, description=f"1 to {MOST_LISTED}"),
            OpenApiParameter("after", int, description="the id of the last review that you have"),
            OpenApiParameter("reason", str, enum=ReviewItem.Reason.values),
            OpenApiParameter("label", str, many=True, description="somebody gave this label; may be repeated"),
            OpenApiParameter("person", str, many=True, description='"user:7" or "rater:name"; may be repeated'),
            OpenApiParameter("segment", str, description="key=value of the item's meta"),
            OpenApiParameter("names", bool, default=False),
        ],
        responses={200: dict},
        operation_id="read_reviews",
    )
    def get(self, request: Request, slug: str) -> Response:
        project = access.project_for(request.user, slug, Membership.Role.REVIEWER, request.auth)
        query = request.query_params
        asked = ListInput(
            data={name: query[name] for name in ("n", "after", "reason", "segment", "names") if query.get(name)}
            | {"label": query.getlist("label"), "person": query.getlist("person")}
        )
        asked.is_valid(raise_exception=True)
        given = asked.validated_data
        wanted = _filter(given, LabelSchema.objects.current(project.pk).kind)
        after = ReviewItem.objects.filter(project=project, pk=given["after"]).first() if "after" in given else None
        found = selectors.open_reviews(project=project, wanted=wanted, after=after, n=given["n"] + 1)
        shown = found[: given["n"]]
        facts = selectors.review_facts(reviews=shown)
        seconds, pace = selectors.review_seconds(project=project), selectors.review_pace(project=project)
        onward = query.copy()
        if len(found) > len(shown):
            onward["after"] = str(shown[-1].pk)
        return Response(
            {
                "items": [
                    _review_body(one, facts[one.pk], given["names"])
                    | {"standing": _standing_body(selectors.standing_of(review=one, seconds=seconds))}
                    for one in shown
                ],
                "today": {
                    "decided": pace.today,
                    "capacity": pace.capacity,
                    "left": pace.left_today,
                    "for_tomorrow": pace.n_for_tomorrow,
                },
                "total": selectors.n_open_reviews(project=project, wanted=wanted),
                "next": f"{request.path}?{onward.urlencode()}" if len(found) > len(shown) else None,
            }
        )


def _filter(given: dict[str, Any], kind: str) -> ReviewFilter:
    key, mark, value = given["segment"].partition("=")
    if given["segment"] and not (mark and key):
        raise Invalid("A segment is given as key=value.", fields={"segment": given["segment"]})
    return ReviewFilter(
        reason=given["reason"],
        labels=tuple(_label(text, kind) for text in given["label"]),
        people=tuple(given["person"]),
        segment=(key, value) if mark else None,
    )


def _label(text: str, kind: str) -> Any:
    if kind != "rating":
        return text
    try:
        return int(text)
    except ValueError:
        raise Invalid("The label of a rating is a whole number.", fields={"label": text}) from None


def _review_body(review: ReviewItem, facts: ReviewFacts, names: bool) -> dict[str, Any]:
    item, suggestion, evidence = review.item, facts.suggestion, selectors.evidence_shown(review)
    return {
        "id": review.pk,
        "reason": review.reason if review.reason in evidence else next(iter(evidence), review.reason),
        "reasons": [reason for reason in ReviewItem.Reason.values if reason in evidence],
        "priority": review.priority,
        "opened_at": review.opened_at.isoformat(),
        "item": {
            "id": item.pk,
            "external_id": item.external_id,
            "data": item.data,
            "meta": item.meta,
            "state": item.state,
        },
        "evidence": evidence,
        "answers": _answer_bodies(facts.answers, names),
        "comments": [
            {"text": one.text, "is_flag": one.is_flag, "created_at": one.created_at.isoformat()}
            | ({"annotator": one.user.get_username()} if names else {})
            for one in facts.remarks
        ],
        "resolution": _resolution_body(facts.resolution),
        "suggestion": None
        if suggestion is None
        else {
            "value": suggestion.value,
            "probabilities": suggestion.probabilities,
            "words": suggestion.words,
            "source": suggestion.source,
        },
    }


def _standing_body(standing: Standing) -> dict[str, float]:
    return {name: round(value, 4) for name, value in asdict(standing).items()} | {"score": round(standing.score, 6)}


def _answer_bodies(given: list[Annotation], names: bool) -> list[dict[str, Any]]:
    bodies = []
    for side in sides_of([answer.value for answer in given]):
        for number, place in enumerate(side.places, start=1):
            answer = given[place]
            name = answer.user.get_username() if answer.user else answer.rater or None
            bodies.append(
                {
                    "annotator": name if names else f"{side.letter}{number}",
                    "value": answer.value,
                    "seconds": answer.seconds,
                    "created_at": answer.created_at.isoformat(),
                    "source": answer.source,
                    "suggestion_shown": answer.assignment is not None and answer.assignment.suggestion_shown,
                    "schema_version": answer.schema.version,
                }
            )
    return bodies


def _resolution_body(resolution: Resolution | None) -> dict[str, Any] | None:
    if resolution is None:
        return None
    return {
        "id": resolution.pk,
        "value": resolution.value,
        "method": resolution.method,
        "posterior": resolution.posterior,
        "distribution": resolution.distribution,
        "n_annotations": resolution.n_annotations,
        "model_vote": resolution.model_vote,
        "note": resolution.note,
    }


def _outcome(review: ReviewItem) -> Response:
    item = Item.objects.only("id", "state", "gold").get(pk=review.item_id)
    current = Resolution.objects.filter(item_id=item.pk, superseded_at__isnull=True).first()
    return Response(
        {
            "review": {"id": review.pk, "state": review.state, "note": review.note},
            "item": {"id": item.pk, "state": item.state, "gold": item.gold},
            "resolution": _resolution_body(current),
        }
    )


class ResolveView(APIView):
    """Decides a review. The same decision again: the same answer; one that somebody else has ended: 409."""

    scope = "annotate"

    @extend_schema(request=DecisionInput, responses={200: dict}, operation_id="resolve_review")
    def post(self, request: Request, pk: int) -> Response:
        body = DecisionInput(data=request.data)
        body.is_valid(raise_exception=True)
        review = access.review_for(request.user, pk, request.auth)
        return _outcome(services.decide(review=review, user=request.user, **body.validated_data))


class RequeueView(APIView):
    """Asks one more person about the item of a review."""

    scope = "annotate"

    @extend_schema(request=NoteInput, responses={200: dict}, operation_id="requeue_review")
    def post(self, request: Request, pk: int) -> Response:
        body = NoteInput(data=request.data)
        body.is_valid(raise_exception=True)
        review = access.review_for(request.user, pk, request.auth)
        return _outcome(services.requeue(review=review, user=request.user, **body.validated_data))


class CannotTellView(APIView):
    """Ends a review without a value: nobody can tell. The item is excluded."""

    scope = "annotate"

    @extend_schema(request=CannotTellInput, responses={200: dict}, operation_id="cannot_tell_review")
    def post(self, request: Request, pk: int) -> Response:
        body = CannotTellInput(data=request.data)
        body.is_valid(raise_exception=True)
        review = access.review_for(request.user, pk, request.auth)
        return _outcome(services.cannot_tell(review=review, user=request.user, **body.validated_data))


class UndoReviewView(APIView):
    """Takes a decision or a requeue back; the item's answers are counted again."""

    scope = "annotate"

    @extend_schema(request=None, responses={200: dict}, operation_id="undo_review")
    def post(self, request: Request, pk: int) -> Response:
        review = access.review_for(request.user, pk, request.auth)
        return _outcome(services.undo(review=review, user=request.user))
