"""Items come in: a JSON list, or NDJSON of any length."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling import access
from labeling.api.rows import IntakeOutput, NdjsonParser, job_response, report_response, sent_rows
from labeling.models import Membership
from labeling.services import imports, intake


class ItemInput(serializers.Serializer):
    id = serializers.CharField(required=False, help_text="Your own id; sending it again is harmless.")
    data = serializers.JSONField()
    meta = serializers.JSONField(required=False)
    features = serializers.ListField(child=serializers.FloatField(), required=False)
    gold = serializers.JSONField(required=False)


class ItemsView(APIView):
    """Adds items. Bad rows are reported with their number; the good ones are stored."""

    scope = "manage"
    parser_classes = [JSONParser, NdjsonParser]

    @extend_schema(request=ItemInput(many=True), responses={201: IntakeOutput, 202: dict}, operation_id="add_items")
    def post(self, request: Request, slug: str) -> Response:
        project = access.project_for(request.user, slug, Membership.Role.OWNER, request.auth)
        sent = sent_rows(request.data, wanted='items, such as [{"data": {"text": "..."}}]')
        if sent.are_many:
            return job_response(
                imports.start_rows_import(project=project, contents="items", lines=sent.lines, user=request.user)
            )
        return report_response(intake.add_rows(project=project, rows=sent.first))
