"""Files of inputs: sent in, answered by a job, fetched as a file."""

from typing import Any
from uuid import UUID

from django.http import FileResponse
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from active_learning.api.programs import heard_by
from active_learning.services.batch import batch_of, opened_result, result_name, start_batch
from labeling.core.exports import CONTENT_TYPES, FORMATS
from labeling.downloads import as_download
from labeling.models import Job, Project
from labeling.services import uploads


class BatchInput(serializers.Serializer):
    file = serializers.FileField(allow_empty_file=True, help_text="CSV, TSV, JSON, JSON Lines or Parquet.")
    format = serializers.ChoiceField(choices=list(FORMATS), default="jsonl", help_text="Of the answers.")


class BatchOutput(serializers.Serializer):
    job = serializers.JSONField(help_text="{id, state, progress, message, error, result}")
    url = serializers.CharField(help_text="Where to ask how far it is.")
    result_url = serializers.CharField(help_text="Where the answers are once the job has succeeded.")


class BatchesView(APIView):
    """Predicts a file. The answers come as a file: one row for each, in order, with a reason where there is none."""

    scope = "predict"
    parser_classes = [MultiPartParser]

    @extend_schema(
        request={"multipart/form-data": BatchInput}, responses={202: BatchOutput}, operation_id="predict_batch"
    )
    def post(self, request: Request, slug: str) -> Response:
        project = heard_by(request, slug)
        uploads.check_size(int(request.META.get("CONTENT_LENGTH") or 0))
        body = BatchInput(data=request.data)
        body.is_valid(raise_exception=True)
        file = body.validated_data["file"]
        upload = uploads.keep_upload(project=project, user=request.user, name=file.name, file=file, size=file.size)
        job = start_batch(project=project, upload=upload, format=body.validated_data["format"], user=request.user)
        return Response(_body(project, job), status=202)


class BatchView(APIView):
    """How far a batch is, what came of it, and which rows were not answered."""

    scope = "predict"

    @extend_schema(responses={200: BatchOutput}, operation_id="read_batch")
    def get(self, request: Request, slug: str, pk: UUID) -> Response:
        project = heard_by(request, slug)
        return Response(_body(project, batch_of(project=project, pk=pk)))


class BatchResultView(APIView):
    """The answers of a finished batch, as a file."""

    scope = "predict"

    @extend_schema(
        responses={(200, content_type): OpenApiTypes.BINARY for content_type in CONTENT_TYPES.values()},
        operation_id="read_batch_result",
    )
    def get(self, request: Request, slug: str, pk: UUID) -> FileResponse:
        job = batch_of(project=heard_by(request, slug), pk=pk)
        return as_download(opened_result(job=job), result_name(job), CONTENT_TYPES[job.params["format"]])


def _body(project: Project, job: Job) -> dict[str, Any]:
    place = [project.slug, job.pk]
    return {
        "job": {
            "id": str(job.pk),
            "state": job.state,
            "progress": job.progress,
            "message": job.message,
            "error": job.error or None,
            "result": job.result,
        },
        "url": reverse("active_learning:api-batch", args=place),
        "result_url": reverse("active_learning:api-batch-result", args=place),
    }
