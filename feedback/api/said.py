"""What users say of predictions."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from feedback import selectors
from feedback.api.crossing import CrossOriginView
from feedback.core.statements import CHANNELS, MAX_COMMENT, RATINGS, REASONS, VERDICTS, Statement
from feedback.models import FeedbackEvent, WidgetKey
from feedback.services.intake import record_feedback
from feedback.services.standing import standing_of
from labeling.inputs import KnownFieldsOnly


class SpeakerInput(KnownFieldsOnly):
    """Of which prediction, and who."""

    key = serializers.CharField(max_length=100, help_text="A publishable key, pk_...")
    token = serializers.CharField(max_length=1_000, help_text="The token of the prediction.")
    subject = serializers.CharField(
        required=False, allow_blank=True, default="", help_text="The host's id of its user."
    )
    subject_signature = serializers.RegexField(
        r"\A[0-9a-fA-F]{64}\Z",
        required=False,
        allow_blank=True,
        default="",
        help_text="HMAC-SHA256 of the subject with the key's secret, in hexadecimal digits.",
    )


class FeedbackInput(SpeakerInput):
    verdict = serializers.ChoiceField(choices=VERDICTS, required=False, default="")
    correction = serializers.JSONField(required=False, default=None, help_text="What would be right.")
    reasons = serializers.ListField(child=serializers.ChoiceField(choices=list(REASONS)), required=False, max_length=9)
    comment = serializers.CharField(required=False, allow_blank=True, default="", max_length=MAX_COMMENT)
    channel = serializers.ChoiceField(choices=CHANNELS, required=False, default="thumbs")
    rating = serializers.IntegerField(
        required=False, allow_null=True, default=None, min_value=RATINGS[0], max_value=RATINGS[1]
    )
    client_id = serializers.RegexField(
        r"\A[\w.:-]{1,64}\Z", help_text="Made by the sender, another one for each act: sending twice does no harm."
    )


class SaidOutput(serializers.Serializer):
    id = serializers.IntegerField()
    prediction = serializers.UUIDField()
    channel = serializers.ChoiceField(choices=CHANNELS)
    verdict = serializers.ChoiceField(choices=FeedbackEvent.Verdict.choices)
    rating = serializers.IntegerField(allow_null=True)
    correction = serializers.JSONField(allow_null=True)
    reasons = serializers.ListField(child=serializers.CharField())
    comment = serializers.CharField()
    is_verified = serializers.BooleanField()
    revision = serializers.IntegerField()
    created_at = serializers.DateTimeField()


class ChoiceOutput(serializers.Serializer):
    value = serializers.JSONField()
    name = serializers.CharField()


class FeedbackOutput(serializers.Serializer):
    feedback = SaidOutput()
    choices = ChoiceOutput(many=True, help_text="What a correction may say.")
    several = serializers.BooleanField(help_text="A correction is a list of these values.")
    notice = serializers.CharField(help_text="What users are told of the use of their words.")


class FeedbackView(CrossOriginView):
    """What a user says of one prediction: right or wrong, and what would be right. Said again it replaces what the same
    subject said before; `undo` takes it back. The same `client_id` and body again: 200 and the same answer."""

    door = "said"

    @extend_schema(
        request=FeedbackInput,
        responses={201: FeedbackOutput, 200: FeedbackOutput},
        operation_id="send_feedback",
        auth=[],
    )
    def post(self, request: Request) -> Response:
        key = self.key_of(request)
        body = FeedbackInput(data=request.data)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        recorded = record_feedback(
            key=key,
            token=given["token"],
            statement=Statement(
                verdict=given["verdict"],
                channel=given["channel"],
                rating=given["rating"],
                correction=given["correction"],
                reasons=tuple(given.get("reasons", ())),
                comment=given["comment"],
            ),
            client_id=given["client_id"],
            subject=given["subject"],
            signature=given["subject_signature"],
            address=self.address(request),
        )
        return Response(_answer(key, recorded.event), status=201 if recorded.is_new else 200)


class UsedOutput(serializers.Serializer):
    model = serializers.IntegerField(help_text="The number of the version.")
    at = serializers.DateTimeField(help_text="When it became live.")


class StandingOutput(serializers.Serializer):
    verdict = serializers.CharField(help_text="up, down or neutral; empty where nothing stands.")
    used = UsedOutput(
        allow_null=True,
        help_text="The first live version that learned the correction of this user, once people agreed.",
    )


class StandingView(CrossOriginView):
    """What the same user has said of this prediction by thumbs, and whether a live model has learned from it."""

    door = "standing"

    @extend_schema(request=SpeakerInput, responses={200: StandingOutput}, operation_id="read_standing", auth=[])
    def post(self, request: Request) -> Response:
        key = self.key_of(request)
        body = SpeakerInput(data=request.data)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        standing = standing_of(
            key=key,
            token=given["token"],
            subject=given["subject"],
            signature=given["subject_signature"],
            address=self.address(request),
        )
        return Response(StandingOutput(standing).data)


def _answer(key: WidgetKey, event: FeedbackEvent) -> dict[str, Any]:
    choices, several = selectors.correction_choices(project=key.project, said=selectors.said_by(event=event))
    return {
        "feedback": SaidOutput(event).data,
        "choices": choices,
        "several": several,
        "notice": key.notice,
    }
