"""Labels go out, streamed."""

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from labeling import access
from labeling.core.errors import Invalid
from labeling.models import Membership
from labeling.services import export

CONTENT_TYPES = {
    "jsonl": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}
KINDS = ("annotations", "resolved")


class LabelsView(APIView):
    """One row an annotation or, with kind=resolved, one row a settled item."""

    scope = "manage"

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
