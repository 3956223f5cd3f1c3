"""Labels go out, streamed; answers that people gave elsewhere come in."""

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling import access
from labeling.api.rows import IntakeOutput, NdjsonParser, job_response, report_response, sent_rows
from labeling.core.answers import MAX_RATER
from labeling.core.errors import Invalid
from labeling.core.exports import CONTENT_TYPES
from labeling.models import Membership
from labeling.services import answers, export, imports

KINDS = ("annotations", "resolved")


class AnswerInput(serializers.Serializer):
    item = serializers.CharField(help_text="Your id of the item, or its number as #123.")
    annotator = serializers.CharField(max_length=MAX_RATER, help_text="Kept apart from the project's members.")
    value = serializers.JSONField()
    time = serializers.CharField(required=False, help_text="ISO 8601 or epoch seconds; without a zone it is UTC.")
    seconds = serializers.FloatField(required=False, min_value=0)


class LabelsView(APIView):
    """Reads labels: one row an annotation or, with kind=resolved, one row a settled item. Takes in existing ones."""

    scope = "manage"
    parser_classes = [JSONParser, NdjsonParser]

    @extend_schema(
        parameters=[
            OpenApiParameter("format", enum=list(CONTENT_TYPES), default="jsonl"),
            OpenApiParameter("kind", enum=list(KINDS), default="annotations"),
        ],
        responses={(200, "application/x-ndjson"): OpenApiTypes.BINARY},
        operation_id="read_labels",
    )
    def get(self, request: Request, slug: str) -> StreamingHttpResponse:
        project = access.project_for(request.user, slug, Membership.Role.REVIEWER, request.auth)
        file_format = request.query_params.get("format", "jsonl")
        kind = request.query_params.get("kind", "annotations")
        if file_format not in CONTENT_TYPES:
            raise Invalid(f"Formats are {', '.join(CONTENT_TYPES)}.", fields={"format": file_format})
        if kind not in KINDS:
            raise Invalid(f"Kinds are {', '.join(KINDS)}.", fields={"kind": kind})
        response = StreamingHttpResponse(
            export.stream_labels(project=project, kind=kind, format=file_format),
            content_type=CONTENT_TYPES[file_format],
        )
        response["Content-Disposition"] = f'attachment; filename="{project.slug}-{kind}.{file_format}"'
        return response

    @extend_schema(request=AnswerInput(many=True), responses={201: IntakeOutput, 202: dict}, operation_id="add_labels")
    def post(self, request: Request, slug: str) -> Response:
        """Adds answers given elsewhere. Bad rows are reported with their number; the good ones are stored."""
        project = access.project_for(request.user, slug, Membership.Role.OWNER, request.auth)
        sent = sent_rows(
            request.data, wanted='answers, such as [{"item": "t1", "annotator": "kim", "value": "positive"}]'
        )
        if sent.are_many:
            return job_response(
                imports.start_rows_import(project=project, contents="labels", lines=sent.lines, user=request.user)
            )
        return report_response(answers.add_answer_rows(project=project, rows=sent.first, user=request.user))
