"""What users said and did, in figures."""

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from feedback import selectors
from feedback.core.groups import GroupRow
from feedback.forms import part_of
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
    raw = ShareOutput(
        allow_null=True, help_text="Wrong, of all thumbs. No error rate. The interval counts users, not clicks."
    )
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
    seen = ShareOutput(allow_null=True, help_text="Shown, of those answered; null where no page tells.")
    acted_on = ShareOutput(allow_null=True, help_text="Of those shown, about which a user said or did something.")


class GroupFeedback(serializers.Serializer):
    name = serializers.CharField(help_text="The segment, empty where none is known; or the first day of the week.")
    n_predictions = serializers.IntegerField()
    up = serializers.IntegerField(allow_null=True)
    down = serializers.IntegerField(allow_null=True)
    spoken = ShareOutput(allow_null=True, help_text="Predictions about which somebody said right or wrong, of all.")
    raw = ShareOutput(
        allow_null=True, help_text="Wrong, of all thumbs. No error rate. The interval counts users, not clicks."
    )
    complained = ShareOutput(allow_null=True, help_text="Predictions with thumbs down, of all.")
    corrected = ShareOutput(allow_null=True, help_text="The error rate behind that share.")
    why = serializers.CharField(help_text="Why there is none; empty when there is.")
    as_marked = serializers.CharField(
        help_text="How users mark mistakes `here`, in the segment, or `everywhere` in the project corrects the rate; "
        "empty for what is of no segment."
    )


class SegmentsFeedback(serializers.Serializer):
    rows = GroupFeedback(many=True)
    n_small = serializers.IntegerField(help_text="Segments that are too small to be told apart.")
    n_in_small = serializers.IntegerField(help_text="Their predictions.")


class GrievanceOutput(serializers.Serializer):
    item = serializers.IntegerField()
    words = serializers.CharField()
    n = serializers.IntegerField()
    n_predictions = serializers.IntegerField()
    answered = serializers.JSONField()
    corrections = serializers.JSONField(help_text="[[value, n], ...], the commonest first.")
    settled = serializers.JSONField(allow_null=True)
    review = serializers.IntegerField(allow_null=True, help_text="The review in which it waits.")


class SendersOutput(serializers.Serializer):
    subjects = serializers.IntegerField()
    verified = serializers.IntegerField()
    claimed = serializers.IntegerField()
    unnamed = serializers.IntegerField()
    loudest = ShareOutput(allow_null=True, help_text="Verdicts by the ten most active subjects, of all.")


class ReportOutput(serializers.Serializer):
    since = serializers.DateTimeField()
    versions = VersionFeedback(many=True)
    weeks = GroupFeedback(many=True)
    segments = SegmentsFeedback()
    top = GrievanceOutput(many=True)
    senders = SendersOutput()
    signals = SignalFeedback(many=True)
    complaints = ComplaintsOutput()
    funnel = FunnelOutput()
    n_quarantined = serializers.IntegerField()


class ReportView(APIView):
    """What users said and did in the last 30 days: raw, corrected, and how far each signal can be believed. `model` and
    `segment` choose of which predictions weeks, segments and top complaints are told."""

    scope = "manage"

    @extend_schema(
        parameters=[
            OpenApiParameter("model", str, description="a version's number, or rules"),
            OpenApiParameter("segment", str),
        ],
        responses={200: ReportOutput},
        operation_id="read_feedback",
    )
    def get(self, request: Request, slug: str) -> Response:
        project = access.project_for(request.user, slug, Membership.Role.REVIEWER, request.auth)
        report = selectors.feedback_report(project=project, part=part_of(request.query_params))
        return Response(
            {
                "since": report.since,
                "versions": [_version(row) for row in report.versions],
                "weeks": [_group(row) | {"name": row.name.date().isoformat()} for row in report.weeks],
                "segments": {
                    "rows": [_group(row) for row in report.segments.rows],
                    "n_small": report.segments.n_small,
                    "n_in_small": report.segments.n_in_small,
                },
                "top": [_grievance(one) for one in report.grievances],
                "senders": asdict(report.senders),
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


def _group(row: GroupRow) -> dict[str, Any]:
    shares = {name: getattr(row, name) for name in ("spoken", "raw", "complained")}
    shares["corrected"] = row.corrected.share
    return {
        "name": row.name,
        "n_predictions": row.counts.n_predictions,
        "up": None if row.is_small else row.counts.up,
        "down": None if row.is_small else row.counts.down,
        **{name: share and asdict(share) for name, share in shares.items()},
        "why": row.corrected.why,
        "as_marked": row.as_marked,
    }


def _grievance(one: selectors.Grievance) -> dict[str, Any]:
    return {
        "item": one.item_id,
        "words": one.words,
        "n": one.n,
        "n_predictions": one.n_predictions,
        "answered": one.said,
        "corrections": one.corrections,
        "settled": one.value,
        "review": one.review_id,
    }


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
