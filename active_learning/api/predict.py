"""Predictions for the owner's product, and the settings under which they are answered."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from active_learning import selectors
from active_learning.api.programs import heard_by, named_subject
from active_learning.core.redaction import KEEPINGS
from active_learning.models import Prediction
from active_learning.services.certificates import recheck
from active_learning.services.prediction import MAX_ROWS, Answered, Predicted, predict
from active_learning.services.serving_policy import SETTINGS, change_serving
from active_learning.services.serving_preview import accuracy_in_production, preview
from active_learning.services.tokens import MAX_SUBJECT
from labeling import access
from labeling.core.errors import Invalid
from labeling.inputs import KnownFieldsOnly
from labeling.models import Membership, Project

BATCH, SUBJECT = "items", "subject"
# All fields of a single input are the project's own, so the user for whom it is asked stands beside them.
SUBJECT_HEADER = "Touchstone-Subject"

_PREDICT_INPUT = {
    "application/json": {
        "oneOf": [
            {
                "type": "object",
                "required": [BATCH],
                "properties": {
                    BATCH: {"type": "array", "items": {"type": "object"}, "minItems": 1, "maxItems": MAX_ROWS},
                    SUBJECT: {
                        "type": "string",
                        "maxLength": MAX_SUBJECT,
                        "description": "Your id of the user who sees the answers: the tokens are then theirs alone.",
                    },
                },
                "additionalProperties": False,
            },
            {
                "type": "object",
                "description": "The fields of one input, such as {question: ...}.",
                "additionalProperties": True,
            },
        ]
    }
}


class ConfidenceOutput(serializers.Serializer):
    probability = serializers.FloatField(help_text="The calibrated probability of the value.")
    margin = serializers.FloatField(help_text="Its lead over the next value; of two labels |2p - 1|.")
    banded = serializers.FloatField(help_text="The one of the two that the bands look at.")
    scale = serializers.ChoiceField(choices=["probability", "margin"])


class PredictionOutput(serializers.Serializer):
    id = serializers.UUIDField()
    value = serializers.JSONField()
    probabilities = serializers.DictField(child=serializers.FloatField())
    confidence = serializers.FloatField(allow_null=True, help_text="The calibrated probability of the value.")
    certainty = ConfidenceOutput(allow_null=True)
    wording = serializers.CharField()
    reasons = serializers.ListField(
        child=serializers.JSONField(),
        help_text="As `explain` gives them: {text, kind, name, value, direction, strength, log_odds, spans}.",
    )
    reasons_on_request = serializers.BooleanField(
        help_text="Nobody looked for reasons: of many inputs at once they cost more than this model's answers. "
        "`explain`, or the input alone, tells them."
    )
    decision = serializers.ChoiceField(choices=Prediction.Decision.choices)
    why = serializers.CharField(help_text="sure, middle, unsure, edge, person or no_model")
    model = serializers.IntegerField(allow_null=True)
    source = serializers.ChoiceField(choices=["model", "rules"])
    token = serializers.CharField(help_text="Lets the user of the answer say whether it was right, for 30 days.")


class InputReport(serializers.Serializer):
    n = serializers.IntegerField()
    missing = serializers.DictField(child=serializers.IntegerField())
    out_of_range = serializers.DictField(child=serializers.IntegerField())
    unseen = serializers.DictField(child=serializers.IntegerField())


class PredictOutput(serializers.Serializer):
    predictions = PredictionOutput(many=True)
    input = InputReport()
    model = serializers.IntegerField(allow_null=True)
    source = serializers.ChoiceField(choices=["model", "rules"])
    notice = serializers.CharField(help_text="Why no model answered; empty when one did.")


class BandsField(serializers.ListField):
    """[review_below, auto_above]."""

    child = serializers.FloatField(min_value=0.0, max_value=1.0)

    def __init__(self, **options: Any) -> None:
        super().__init__(min_length=2, max_length=2, **options)


class EdgeRuleField(serializers.Serializer):
    when = serializers.CharField(max_length=1_000, trim_whitespace=False)
    why = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")


class ServingSettings(KnownFieldsOnly):
    TOLD = frozenset({"certificate", "accuracy"})
    NO_SUCH = "There is no such setting."

    score_field = serializers.CharField(required=False, max_length=60)
    score_label = serializers.CharField(required=False, max_length=200, allow_blank=True)
    auto_above = serializers.FloatField(required=False, min_value=0.0, max_value=1.0)
    review_below = serializers.FloatField(required=False, min_value=0.0, max_value=1.0)
    label_bands = serializers.DictField(required=False, child=BandsField())
    segment_field = serializers.CharField(required=False, max_length=100, allow_blank=True)
    segment_bands = serializers.DictField(required=False, child=BandsField())
    person_labels = serializers.ListField(required=False, child=serializers.CharField())
    edge_rules = EdgeRuleField(required=False, many=True)
    max_wrong = serializers.FloatField(required=False, allow_null=True, min_value=0.001, max_value=0.5)
    exploration_share = serializers.FloatField(required=False, min_value=0.0, max_value=1.0)
    log_fields = serializers.DictField(required=False, child=serializers.ChoiceField(choices=list(KEEPINGS)))
    keeps_input = serializers.BooleanField(required=False)
    keep_days = serializers.IntegerField(required=False, min_value=1, max_value=3_650)


class ServingOutput(ServingSettings):
    certificate = serializers.JSONField(help_text="What was shown of the promise `max_wrong`; empty without one.")
    accuracy = serializers.JSONField(
        allow_null=True, help_text="In production, from random draws judged blind: {value, low, high, n, effective_n}."
    )


class PreviewOutput(serializers.Serializer):
    n = serializers.IntegerField()
    now = serializers.DictField(child=serializers.IntegerField())
    then = serializers.DictField(child=serializers.IntegerField())
    moved = serializers.IntegerField()
    moves = serializers.ListField(child=serializers.JSONField(), help_text="{from, to, n}: the most frequent first")
    edge_rules = serializers.ListField(child=serializers.JSONField(), help_text="{when, taken, unknown, examples}")
    error_now = serializers.JSONField(allow_null=True)
    error_then = serializers.JSONField(allow_null=True, help_text="{value, low, high, n} of what would stand alone")
    errors_of = serializers.ListField(
        child=serializers.JSONField(),
        help_text="{kind, name, now, then}: the same for each label and segment with boundaries of its own",
    )


class PredictView(APIView):
    """What the live model says: of a batch (`items`), or of one input whose fields are the body. Then the answer is one
    prediction, which carries the project's score field too, and the user who sees it is named by a header."""

    scope = "predict"

    @extend_schema(
        parameters=[
            OpenApiParameter(
                SUBJECT_HEADER,
                str,
                OpenApiParameter.HEADER,
                description="Your id of the user who sees the answer, in UTF-8: its token is then theirs alone. What "
                "`subject` is beside `items`.",
            )
        ],
        request=_PREDICT_INPUT,
        responses={200: PredictOutput},
        operation_id="predict",
    )
    def post(self, request: Request, slug: str) -> Response:
        project = heard_by(request, slug)
        body = request.data
        if not isinstance(body, dict):
            raise Invalid("Send an object: {items: [...]}, or the fields of one input.", fields={"": "not an object"})
        if not isinstance(body.get(BATCH), list):
            subject = _subject(request, slug, {})
            answered = predict(project=project, inputs=[body], is_batch=False, subject=subject)
            one = answered.predictions[0]
            return Response(_body(one) | {answered.policy.score_field: one.score, **_about(answered)})
        extra = sorted(set(body) - {BATCH, SUBJECT})
        if extra:
            raise Invalid(f"{extra[0]} does not belong beside items.", fields={extra[0]: "unknown"})
        subject = _subject(request, slug, body)
        answered = predict(project=project, inputs=body[BATCH], subject=subject)
        return Response({"predictions": [_body(one) for one in answered.predictions], **_about(answered)})


def _subject(request: Request, slug: str, body: dict[str, Any]) -> str:
    """Whom the answers are for; empty where nobody is named. Raises Invalid where body and header name two."""
    given = [body[SUBJECT]] if SUBJECT in body else []
    if SUBJECT_HEADER in request.headers:
        try:
            # Headers come as Latin-1, whatever was sent.
            given.append(request.headers[SUBJECT_HEADER].encode("latin-1").decode())
        except UnicodeError:
            raise Invalid(f"{SUBJECT_HEADER} is UTF-8.", fields={SUBJECT_HEADER: "not UTF-8"}) from None
    if len(given) == 2 and given[0] != given[1]:
        raise Invalid(
            f"{SUBJECT} and {SUBJECT_HEADER} name two users. Name one.", fields={SUBJECT: "contradicts the header"}
        )
    return named_subject(request, slug, given[0]) if given else ""


class ServingView(APIView):
    """How the project answers its product: bands, log and score field."""

    scope = "manage"

    @extend_schema(responses={200: ServingOutput}, operation_id="read_serving")
    def get(self, request: Request, slug: str) -> Response:
        project = access.project_for(request.user, slug, Membership.Role.REVIEWER, request.auth)
        return Response(_settings(project))

    @extend_schema(request=ServingSettings, responses={200: ServingOutput}, operation_id="change_serving")
    def patch(self, request: Request, slug: str) -> Response:
        project = access.project_for(request.user, slug, Membership.Role.OWNER, request.auth)
        body = ServingSettings(data=request.data)
        body.is_valid(raise_exception=True)
        change_serving(project=project, actor=request.user, **body.validated_data)
        recheck(project=project)
        return Response(_settings(project))


class ServingPreviewView(APIView):
    """What changed settings would do to the last 2,000 predictions. Nothing is changed."""

    scope = "manage"

    @extend_schema(request=ServingSettings, responses={200: PreviewOutput}, operation_id="preview_serving")
    def post(self, request: Request, slug: str) -> Response:
        project = access.project_for(request.user, slug, Membership.Role.REVIEWER, request.auth)
        body = ServingSettings(data=request.data)
        body.is_valid(raise_exception=True)
        return Response(preview(project=project, **body.validated_data))


def _settings(project: Project) -> dict[str, Any]:
    _, policy = selectors.serving_state(project=project)
    found = accuracy_in_production(project=project)
    return {name: getattr(policy, name) for name in SETTINGS} | {
        "certificate": policy.certificate if policy.max_wrong is not None else {},
        # Without the naive share: it is biased, and a number that is shown is believed.
        "accuracy": None
        if found is None
        else {name: value for name, value in asdict(found).items() if name != "naive"},
    }


def _body(one: Predicted) -> dict[str, Any]:
    confidence = one.said.confidence
    return {
        "id": str(one.row.id),
        "value": one.said.value,
        "probabilities": one.said.probabilities,
        "confidence": one.row.confidence,
        "certainty": None
        if confidence is None
        else {
            "probability": one.row.confidence,
            "margin": round(confidence.margin, 4),
            "banded": one.row.certainty,
            "scale": confidence.scale,
        },
        "wording": one.wording,
        "reasons": list(one.said.reasons or ()),
        "reasons_on_request": one.said.reasons is None,
        "decision": one.row.decision,
        "why": one.row.reason,
        "model": one.model,
        "source": one.source,
        "token": one.token,
    }


def _about(answered: Answered) -> dict[str, Any]:
    first = answered.predictions[0]
    return {
        "input": {"n": len(answered.predictions)} | _counts([one.row.unusual for one in answered.predictions]),
        "model": first.model,
        "source": first.source,
        "notice": answered.why,
    }


def _counts(unusual: Sequence[dict[str, list[str]]]) -> dict[str, dict[str, int]]:
    """How many inputs miss each field, have it out of range, or have an unseen category of it."""
    found: dict[str, dict[str, int]] = {"missing": {}, "out_of_range": {}, "unseen": {}}
    for one in unusual:
        for name, fields in one.items():
            for field in fields:
                found[name][field] = found[name].get(field, 0) + 1
    return found
