"""The front of the queue for programs: items that somebody has found, asked about next."""

from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling import access, selectors
from labeling.core.search import MAX_QUERY
from labeling.models import Membership
from labeling.services.ask_next import LEFT_OUT, MOST_AT_ONCE, ask_next, take_out


@extend_schema_field({"oneOf": [{"type": "integer", "minimum": 1}, {"type": "string", "minLength": 1}]})
class ItemName(serializers.Field):
    """The number of an item, or the owner's own id as text."""

    def to_internal_value(self, data: Any) -> int | str:
        if isinstance(data, int) and not isinstance(data, bool) and 0 < data < 2**63:
            return data
        if isinstance(data, str) and data and "\0" not in data:  # PostgreSQL knows no text with a NUL
            return data
        raise serializers.ValidationError("An item is named by its number, or by your own id as text.")

    def to_representation(self, value: int | str) -> int | str:
        return value


class AskInput(serializers.Serializer):
    items = serializers.ListField(
        child=ItemName(), allow_empty=False, max_length=MOST_AT_ONCE, help_text="Numbers of items, or your own ids."
    )
    reason = serializers.CharField(max_length=MAX_QUERY, help_text="What you looked for. Annotators are not told.")


class TakeOutInput(serializers.Serializer):
    reason = serializers.CharField(max_length=MAX_QUERY, help_text="As it was given.")


class LeftOutOutput(serializers.Serializer):
    item = serializers.JSONField(help_text="As you named it.")
    why = serializers.ChoiceField(choices=list(LEFT_OUT))
    message = serializers.CharField()


class AskOutput(serializers.Serializer):
    queued = serializers.IntegerField()
    left_out = LeftOutOutput(many=True)


class TakenOutOutput(serializers.Serializer):
    taken_out = serializers.IntegerField()


class QueueView(APIView):
    """Items that people are asked about next, before the model's order; and taking them out again."""

    scope = "manage"

    @extend_schema(request=AskInput, responses={200: AskOutput}, operation_id="ask_next")
    def post(self, request: Request, slug: str) -> Response:
        project = access.project_for(request.user, slug, Membership.Role.REVIEWER, request.auth)
        body = AskInput(data=request.data)
        body.is_valid(raise_exception=True)
        names = body.validated_data["items"]
        known = selectors.items_named(project=project, names=[name for name in names if isinstance(name, str)])
        ids = {name: name if isinstance(name, int) else known.get(name) for name in names}
        left_out = {name: "unknown" for name, pk in ids.items() if pk is None}
        found = [pk for pk in ids.values() if pk is not None]
        queued: list[int] = []
        if found:
            detail = {"query": body.validated_data["reason"]}
            asked = ask_next(project=project, item_ids=found, detail=detail, actor=request.user)
            queued = asked.queued
            left_out |= {name: asked.left_out[pk] for name, pk in ids.items() if pk in asked.left_out}
        told = [{"item": name, "why": why, "message": LEFT_OUT[why]} for name, why in left_out.items()]
        return Response({"queued": len(queued), "left_out": told})

    @extend_schema(
        parameters=[TakeOutInput],
        responses={200: TakenOutOutput},
        operation_id="take_out",
    )
    def delete(self, request: Request, slug: str) -> Response:
        project = access.project_for(request.user, slug, Membership.Role.REVIEWER, request.auth)
        asked = TakeOutInput(data=request.query_params)
        asked.is_valid(raise_exception=True)
        reason = asked.validated_data["reason"]
        return Response({"taken_out": take_out(project=project, detail={"query": reason}, actor=request.user)})
