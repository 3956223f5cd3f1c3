"""The annotator's stream: next, submit, skip, release, renew, undo, comment, history, progress."""

from dataclasses import asdict
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling import access, selectors
from labeling.core.wording import reason_code, reason_words
from labeling.models import Assignment, Membership
from labeling.services import annotate, gold, queue


class NextInput(serializers.Serializer):
    n = serializers.IntegerField(min_value=1, max_value=queue.MAX_LEASED_AT_ONCE, default=1)
    resume = serializers.BooleanField(default=False, help_text="First the items that you still hold.")


class ItemOutput(serializers.Serializer):
    id = serializers.IntegerField()
    external_id = serializers.CharField(allow_null=True)
    data = serializers.JSONField()
    meta = serializers.JSONField()


class ReasonOutput(serializers.Serializer):
    code = serializers.CharField()
    text = serializers.CharField()


class AssignmentOutput(serializers.Serializer):
    id = serializers.IntegerField()
    item = ItemOutput()
    suggestion = serializers.JSONField(allow_null=True)
    reason = ReasonOutput()
    expires_at = serializers.DateTimeField()


class EmptyOutput(serializers.Serializer):
    why = serializers.CharField()
    message = serializers.CharField()
    free_in_seconds = serializers.IntegerField(allow_null=True)


class NextOutput(serializers.Serializer):
    assignments = AssignmentOutput(many=True)
    empty = EmptyOutput(allow_null=True)


class SubmitInput(serializers.Serializer):
    value = serializers.JSONField()
    client_id = serializers.CharField(max_length=annotate.MAX_CLIENT_ID)
    seconds = serializers.FloatField(required=False, allow_null=True, default=None)
    comment = serializers.CharField(required=False, allow_blank=True, max_length=2000, default="")
    flag = serializers.BooleanField(required=False, default=False)


def assignment_body(leased: queue.LeasedItem) -> dict[str, Any]:
    a = leased.assignment
    return {
        "id": a.pk,
        "item": {
            "id": a.item_id,
            "external_id": leased.external_id,
            "data": leased.data,
            "meta": leased.meta,
        },
        "suggestion": a.suggestion if a.suggestion_shown else None,
        "reason": {"code": reason_code(a.reason, a.detail), "text": reason_words(a.reason, a.detail)},
        "expires_at": a.expires_at.isoformat(),
    }


def _with_item(assignment: Assignment) -> queue.LeasedItem:
    item = assignment.item
    return queue.LeasedItem(assignment, item.external_id, item.data, item.meta)


class NextView(APIView):
    """Leases the next items of the queue to the caller."""

    scope = "annotate"

    @extend_schema(request=NextInput, responses={200: NextOutput}, operation_id="next_items")
    def post(self, request: Request, slug: str) -> Response:
        body = NextInput(data=request.data)
        body.is_valid(raise_exception=True)
        member = access.membership_for(request.user, slug, key=request.auth)
        found = queue.lease_items(project=member.project, user=request.user, membership=member, **body.validated_data)
        empty = found.empty
        return Response(
            {
                "assignments": [assignment_body(leased) for leased in found.items],
                "empty": None
                if empty is None
                else {
                    "why": empty.why,
                    "message": empty.message,
                    "free_in_seconds": empty.free_in_seconds,
                },
            }
        )


class SubmitView(APIView):
    """Stores an answer. The same client_id and body again: 200 and the same answer; another body: 409.

    `feedback` is null unless the project tells people the known answer of the item they have just judged; then the
    answer stands and cannot be undone.
    """

    scope = "annotate"

    @extend_schema(request=SubmitInput, responses={201: dict, 200: dict}, operation_id="submit")
    def post(self, request: Request, pk: int) -> Response:
        body = SubmitInput(data=request.data)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        assignment = access.assignment_for(request.user, pk, request.auth)
        done = annotate.submit_annotation(
            assignment=assignment,
            value=given["value"],
            client_id=given["client_id"],
            seconds=given["seconds"],
            comment=given["comment"],
            is_flag=given["flag"],
        )
        a = done.annotation
        return Response(
            {
                "annotation": {
                    "id": a.pk,
                    "value": a.value,
                    "is_late": a.is_late,
                    "created_at": a.created_at.isoformat(),
                },
                "item": {"id": a.item_id, "state": done.item_state},
                "feedback": None if done.feedback is None else asdict(done.feedback),
            },
            status=201 if done.is_new else 200,
        )


class SkipInput(serializers.Serializer):
    reason = serializers.CharField(required=False, allow_blank=True, max_length=200, default="")
    comment = serializers.CharField(required=False, allow_blank=True, max_length=2000, default="")
    flag = serializers.BooleanField(required=False, default=False)


class SkipView(APIView):
    """Skips an item: it does not come back to the caller. Skipping twice does no harm, to its comment neither."""

    scope = "annotate"

    @extend_schema(request=SkipInput, responses={200: dict}, operation_id="skip")
    def post(self, request: Request, pk: int) -> Response:
        body = SkipInput(data=request.data)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        assignment = access.assignment_for(request.user, pk, request.auth)
        skipped = annotate.skip_item(
            assignment=assignment, reason=given["reason"], comment=given["comment"], is_flag=given["flag"]
        )
        return Response({"assignment": {"id": skipped.pk, "state": skipped.state}})


class UnskipView(APIView):
    """Takes a skip back: the item is leased to the caller again."""

    scope = "annotate"

    @extend_schema(request=None, responses={200: dict}, operation_id="unskip")
    def post(self, request: Request, pk: int) -> Response:
        assignment = access.assignment_for(request.user, pk, request.auth)
        again = annotate.unskip_item(assignment=assignment)
        return Response({"assignment": assignment_body(_with_item(again))})


class ReleaseView(APIView):
    """Gives a lease back unanswered."""

    scope = "annotate"

    @extend_schema(request=None, responses={200: dict}, operation_id="release")
    def post(self, request: Request, pk: int) -> Response:
        released = queue.release_lease(assignment=access.assignment_for(request.user, pk, request.auth))
        return Response({"assignment": {"id": released.pk, "state": released.state}})


class RenewView(APIView):
    """Extends a lease; 409 lease_expired when it has run out."""

    scope = "annotate"

    @extend_schema(request=None, responses={200: dict}, operation_id="renew")
    def post(self, request: Request, pk: int) -> Response:
        renewed = queue.renew_lease(assignment=access.assignment_for(request.user, pk, request.auth))
        return Response({"expires_at": renewed.expires_at.isoformat()})


class CommentInput(serializers.Serializer):
    text = serializers.CharField(required=False, allow_blank=True, max_length=2000, default="")
    is_flag = serializers.BooleanField(required=False, default=False)


class CommentView(APIView):
    """Leaves a comment or a flag on the item of an assignment."""

    scope = "annotate"

    @extend_schema(request=CommentInput, responses={201: dict}, operation_id="comment")
    def post(self, request: Request, pk: int) -> Response:
        body = CommentInput(data=request.data)
        body.is_valid(raise_exception=True)
        assignment = access.assignment_for(request.user, pk, request.auth)
        comment = annotate.comment_on_item(assignment=assignment, **body.validated_data)
        return Response(
            {
                "comment": {
                    "id": comment.pk,
                    "text": comment.text,
                    "is_flag": comment.is_flag,
                }
            },
            status=201,
        )


class UndoView(APIView):
    """Withdraws an answer everywhere and leases its item to the caller again."""

    scope = "annotate"

    @extend_schema(request=None, responses={200: dict}, operation_id="undo")
    def post(self, request: Request, pk: int) -> Response:
        annotation = access.annotation_for(request.user, pk, request.auth)
        assignment = annotate.undo_annotation(annotation=annotation)
        return Response({"assignment": assignment_body(_with_item(assignment)) | {"state": assignment.state}})


class HistoryView(APIView):
    """The caller's last answers and last skips, each newest first."""

    scope = "annotate"

    @extend_schema(responses={200: dict}, operation_id="history")
    def get(self, request: Request, slug: str) -> Response:
        project = access.project_for(request.user, slug, key=request.auth)
        try:
            n = min(max(int(request.query_params.get("n", 10)), 1), 100)
        except ValueError:
            raise serializers.ValidationError({"n": "n is a whole number from 1 to 100."}) from None
        return Response(
            {
                "annotations": selectors.last_answers(project=project, user=request.user, n=n),
                "skips": selectors.last_skips(project=project, user=request.user, n=n),
            }
        )


class ProgressView(APIView):
    """How far the project and the caller have come. Counted from the rows.

    `mine.practice` is null unless the caller has begun with practice and given no other answer since.
    """

    scope = "annotate"

    @extend_schema(responses={200: dict}, operation_id="progress")
    def get(self, request: Request, slug: str) -> Response:
        membership = access.membership_for(request.user, slug, key=request.auth)
        found = selectors.progress(project=membership.project, user=request.user)
        found["mine"]["practice"] = _practice_body(membership, found["mine"]["annotations"])
        return Response(found)


def _practice_body(membership: Membership, n_answers: int) -> dict[str, Any] | None:
    # Most people are long past it, and are not looked up.
    if n_answers > membership.project.onboarding:
        return None
    practice = gold.practice_of(membership=membership, now=timezone.now())
    if practice is None or practice.n_answered != n_answers:
        return None
    return {
        "done": practice.n_done,
        "of": practice.of,
        "share": None if practice.share is None else asdict(practice.share),
        "is_over": practice.is_over,
        "paused": membership.pause_reason if membership.paused_at else "",
    }
