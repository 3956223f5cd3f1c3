"""What users said and did, in figures."""

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from feedback import selectors
from labeling import access
from labeling.models import Membership


class ShareOutput(serializers.Serializer):
    value = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()
    n = serializers.IntegerField()


class VersionFeedback(serializers.Serializer):
    model = serializers.IntegerField(allow_null=True, help_text="null: the rules.")
    n_predictions = serializers.IntegerField()
    up = serializers.IntegerField()
    down = serializers.IntegerField()
    raw = ShareOutput(allow_null=True, help_text="Wrong, of all thumbs. No error rate.")
    complained = ShareOutput(allow_null=True, help_text="Predictions with thumbs down, of all.")
    corrected = ShareOutput(allow_null=True, help_text="The error rate behind that share.")
    why = serializers.CharField(help_text="Why there is none; empty when there is.")


class SignalFeedback(serializers.Serializer):
    name = serializers.CharField()
    n = serializers.IntegerField()
    sensitivity = ShareOutput()
    false_alarm = ShareOutput()
    n_wrong = serializers.IntegerField()
    n_right = serializers.IntegerField()
    is_known = serializers.BooleanField(help_text="False: for looking at only.")
    weight = serializers.FloatField()


class ComplaintsOutput(serializers.Serializer):
    n = serializers.IntegerField()
    n_waiting = serializers.IntegerField()
    right = ShareOutput(allow_null=True)


class FunnelOutput(serializers.Serializer):
    answered = serializers.IntegerField()
    shown = serializers.IntegerField()
    acted = serializers.IntegerField()


class ReportOutput(serializers.Serializer):
    since = serializers.DateTimeField()
    versions = VersionFeedback(many=True)
    signals = SignalFeedback(many=True)
    complaints = ComplaintsOutput()
    funnel = FunnelOutput()
    n_quarantined = serializers.IntegerField()


class ReportView(APIView):
    """What users said and did in the last 30 days: raw, corrected, and how far each signal can be believed."""

    scope = "manage"

    @extend_schema(responses={200: ReportOutput}, operation_id="read_feedback")
    def get(self, request: Request, slug: str) -> Response:
        project = access.project_for(request.user, slug, Membership.Role.REVIEWER, request.auth)
        report = selectors.feedback_report(project=project)
        return Response(
            {
                "since": report.since,
                "versions": [_version(row) for row in report.versions],
                "signals": [_signal(row) for row in report.signals],
                "complaints": asdict(report.complaints),
                "funnel": asdict(report.funnel),
                "n_quarantined": report.n_quarantined,
            }
        )


def _version(row: Any) -> dict[str, Any]:
    found = {name: getattr(row, name) for name in ("model", "n_predictions", "up", "down")}
    shares = {"raw": row.raw, "complained": row.complained, "corrected": row.corrected.share}
    return found | {name: share and asdict(share) for name, share in shares.items()} | {"why": row.corrected.why}


def _signal(row: Any) -> dict[str, Any]:
    found = row.reliability
    return {
        "name": row.name,
        "n": row.n,
        "sensitivity": asdict(found.sensitivity),
        "false_alarm": asdict(found.false_alarm),
        "n_wrong": found.n_wrong,
        "n_right": found.n_right,
        "is_known": found.is_known,
        "weight": row.weight,
    }
