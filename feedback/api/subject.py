"""What is kept of one user of the product: read, and deleted."""

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from active_learning.services.tokens import MAX_SUBJECT
from feedback.core.signals import READINGS
from feedback.core.statements import CHANNELS
from feedback.models import FeedbackEvent
from feedback.services.privacy import forget, kept_of
from labeling import access
from labeling.models import Membership, Project

_SUBJECT = OpenApiParameter("subject", str, required=True, description="the user's id, as your pages name it")


class SubjectInput(serializers.Serializer):
    subject = serializers.CharField(max_length=MAX_SUBJECT, trim_whitespace=False)


class KeptSaid(serializers.Serializer):
    prediction = serializers.UUIDField()
    channel = serializers.ChoiceField(choices=CHANNELS)
    verdict = serializers.ChoiceField(choices=FeedbackEvent.Verdict.choices)
    rating = serializers.IntegerField(allow_null=True)
    correction = serializers.JSONField(allow_null=True)
    reasons = serializers.ListField(child=serializers.CharField())
    comment = serializers.CharField(allow_blank=True)
    created_at = serializers.DateTimeField()


class KeptDone(serializers.Serializer):
    prediction = serializers.UUIDField()
    name = serializers.ChoiceField(choices=list(READINGS))
    value = serializers.FloatField(allow_null=True)
    at = serializers.DateTimeField()


class KeptOutput(serializers.Serializer):
    feedback = KeptSaid(many=True)
    events = KeptDone(many=True)


class ForgottenOutput(serializers.Serializer):
    verdicts = serializers.IntegerField()
    feedback = serializers.IntegerField()
    events = serializers.IntegerField()
    models = serializers.ListField(
        child=serializers.IntegerField(), help_text="Versions that had learned from it, and are marked now."
    )
    is_final = serializers.BooleanField(
        help_text="Whether all are marked by now; else those of trainings that had begun follow by themselves."
    )
    at = serializers.DateTimeField()


class SubjectView(APIView):
    """All that is kept of one user of the product, to hand out; and that it be forgotten, with its effect."""

    scope = "manage"

    @extend_schema(parameters=[_SUBJECT], responses={200: KeptOutput}, operation_id="read_subject")
    def get(self, request: Request, slug: str) -> Response:
        project, subject = self._asked(request, slug)
        return Response(KeptOutput(kept_of(project=project, subject=subject)).data)

    @extend_schema(parameters=[_SUBJECT], responses={200: ForgottenOutput}, operation_id="forget_subject")
    def delete(self, request: Request, slug: str) -> Response:
        project, subject = self._asked(request, slug)
        return Response(asdict(forget(project=project, subject=subject, actor=request.user)))

    def _asked(self, request: Request, slug: str) -> tuple[Project, str]:
        project = access.project_for(request.user, slug, Membership.Role.OWNER, request.auth)
        asked = SubjectInput(data={name: request.query_params[name] for name in request.query_params})
        asked.is_valid(raise_exception=True)
        given: dict[str, Any] = asked.validated_data
        return project, given["subject"]
