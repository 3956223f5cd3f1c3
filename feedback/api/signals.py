"""What users do with predictions, in batches."""

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from feedback.api.crossing import BeaconParser, CrossOriginView, SmallJSONParser
from feedback.core.signals import MAX_EVENTS, READINGS
from feedback.services.signals import record_signals


class EventInput(serializers.Serializer):
    token = serializers.CharField()
    name = serializers.ChoiceField(choices=list(READINGS))
    at = serializers.JSONField(required=False, help_text="ISO 8601, or milliseconds since 1970.")
    value = serializers.FloatField(required=False, help_text="edited: how far, 0 to 1; dwell: seconds.")
    client_id = serializers.CharField(required=False, max_length=64)
    subject = serializers.CharField(required=False)
    subject_signature = serializers.CharField(required=False)


class EventsInput(serializers.Serializer):
    key = serializers.CharField()
    events = serializers.ListField(child=EventInput(), max_length=MAX_EVENTS)


class RefusedOutput(serializers.Serializer):
    row = serializers.IntegerField()
    code = serializers.CharField()
    message = serializers.CharField()


class EventsOutput(serializers.Serializer):
    accepted = serializers.IntegerField()
    duplicates = serializers.IntegerField()
    refused = serializers.IntegerField()
    ignored = serializers.IntegerField(help_text="Not kept, because the browser asks not to be watched.")
    errors = RefusedOutput(many=True)


class EventsView(CrossOriginView):
    """What users did: shown, accepted, edited, undone, dismissed, copied, dwell, converted. JSON, or the same as
    text/plain, as beacons send it. Nothing is kept of a browser that says Sec-GPC or DNT."""

    door = "events"
    max_body = 64_000
    parser_classes: Any = [SmallJSONParser, BeaconParser]

    @extend_schema(request=EventsInput, responses={202: EventsOutput}, operation_id="send_events", auth=[])
    def post(self, request: Request) -> Response:
        key = self.key_of(request)
        rows = request.data.get("events")
        if "1" in (request.headers.get("Sec-GPC"), request.headers.get("DNT")):
            n = len(rows) if isinstance(rows, list) else 0
            return Response({"accepted": 0, "duplicates": 0, "refused": 0, "ignored": n, "errors": []}, status=202)
        taken = record_signals(key=key, rows=rows, address=self.address(request))
        return Response(asdict(taken) | {"ignored": 0}, status=202)
