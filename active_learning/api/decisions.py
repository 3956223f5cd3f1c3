"""What became of predictions, for the product that asked for them."""

from dataclasses import asdict
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from active_learning import selectors
from active_learning.api.programs import heard_by
from active_learning.models import Decision, Prediction
from active_learning.services.decisions import collect_decisions
from active_learning.services.webhooks import decision_body
from labeling import access
from labeling.models import Membership

MOST = 1_000


class SettledOutput(serializers.Serializer):
    value = serializers.JSONField(help_text="Null where every opinion is kept.")
    method = serializers.CharField()
    at = serializers.DateTimeField()
    is_as_predicted = serializers.BooleanField()


class PredictionStateOutput(serializers.Serializer):
    id = serializers.UUIDField()
    created_at = serializers.DateTimeField()
    value = serializers.JSONField(help_text="What was answered.")
    probabilities = serializers.DictField(child=serializers.FloatField())
    confidence = serializers.FloatField(allow_null=True)
    decision = serializers.ChoiceField(choices=Prediction.Decision.choices)
    why = serializers.CharField()
    model = serializers.IntegerField(allow_null=True)
    state = serializers.ChoiceField(choices=["stands", "waiting", "settled", "unclear"])
    settled = SettledOutput(allow_null=True)


class DecisionOutput(serializers.Serializer):
    id = serializers.IntegerField()
    prediction = serializers.UUIDField()
    outcome = serializers.ChoiceField(choices=Decision.Outcome.choices)
    value = serializers.JSONField()
    predicted = serializers.JSONField()
    method = serializers.CharField(allow_blank=True)
    at = serializers.DateTimeField()


class DecisionsOutput(serializers.Serializer):
    decisions = DecisionOutput(many=True)
    next = serializers.CharField(help_text="The address of what comes behind these, now or later.")
    has_more = serializers.BooleanField()


class DecisionsInput(serializers.Serializer):
    after = serializers.IntegerField(min_value=0, max_value=2**62, default=0)
    since = serializers.DateTimeField(required=False, default=None)
    n = serializers.IntegerField(min_value=1, max_value=MOST, default=100)


class PredictionView(APIView):
    """A logged prediction, and what people made of it."""

    scope = "predict"

    @extend_schema(responses={200: PredictionStateOutput}, operation_id="read_prediction")
    def get(self, request: Request, slug: str, pk: Any) -> Response:
        row = selectors.prediction_numbered(project=heard_by(request, slug), pk=pk)
        state, resolution = selectors.what_became_of(row)
        return Response(
            {
                "id": str(row.pk),
                "created_at": row.created_at.isoformat(),
                "value": row.value,
                "probabilities": row.probabilities,
                "confidence": row.confidence,
                "decision": row.decision,
                "why": row.reason,
                "model": row.version.number if row.version else None,
                "state": state,
                "settled": None
                if resolution is None
                else {
                    "value": resolution.value,
                    "method": resolution.method,
                    "at": resolution.created_at.isoformat(),
                    "is_as_predicted": resolution.value == row.value,
                },
            }
        )


class DecisionsView(APIView):
    """What people decided about predictions, in the order in which it became known. Each is there once."""

    scope = "predict"

    @extend_schema(
        parameters=[
            OpenApiParameter("since", str, description="a time: those that became known then or later"),
            OpenApiParameter("after", int, default=0, description="the id of the last decision that you have"),
            OpenApiParameter("n", int, default=100, description=f"1 to {MOST:,}"),
        ],
        responses={200: DecisionsOutput},
        operation_id="read_decisions",
    )
    def get(self, request: Request, slug: str) -> Response:
        project = heard_by(request, slug)
        asked = DecisionsInput(data={name: value for name, value in request.query_params.items() if value != ""})
        asked.is_valid(raise_exception=True)
        given = asked.validated_data
        collect_decisions(project=project)
        found = selectors.decisions_after(project=project, after=given["after"], since=given["since"], n=given["n"] + 1)
        shown = found[: given["n"]]
        onward = request.query_params.copy()
        onward["after"] = str(shown[-1].pk if shown else given["after"])
        return Response(
            {
                "decisions": [decision_body(one) for one in shown],
                "next": f"{request.path}?{onward.urlencode()}",
                "has_more": len(found) > len(shown),
            }
        )


class ReviewFiguresView(APIView):
    """How reviewing goes, of the last 28 days. Shares carry their 95 % interval and n; null: not enough is known."""

    scope = "annotate"

    @extend_schema(responses={200: dict}, operation_id="read_review_figures")
    def get(self, request: Request, slug: str) -> Response:
        project = access.project_for(request.user, slug, Membership.Role.REVIEWER, request.auth)
        found = selectors.review_figures(project=project, now=timezone.now())
        return Response(
            {
                "days": found.days,
                "waiting": [{"reason": reason, "n": n} for reason, n in found.waiting],
                "today": {"decided": found.today, "capacity": found.capacity},
                "unclear": found.n_unclear,
                "seconds_to_decision": None if found.times is None else asdict(found.times),
                "agreement": {
                    name: None if share is None else asdict(share)
                    for name, share in (("blind", found.agreement.blind), ("shown", found.agreement.shown))
                },
                "routing": None if found.agreement.routing is None else asdict(found.agreement.routing),
                "needed": None if found.agreement.needed is None else asdict(found.agreement.needed),
                "decided": [
                    {"day": bar.day.isoformat(), "n": bar.n} for bar in (found.chart.bars if found.chart else ())
                ],
            }
        )
