"""Items come in: a JSON list, or NDJSON of any length."""

import itertools
import json
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.parsers import BaseParser, JSONParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling import access
from labeling.api.jobs import job_body
from labeling.core.errors import Invalid, TooLarge
from labeling.models import Membership
from labeling.services import intake

# Up to here the answer waits for the rows to be stored; a longer body becomes a job.
MAX_ROWS_AT_ONCE = 1000
MAX_LINE_BYTES = 16 * 1024 * 1024


class NdjsonParser(BaseParser):
    """Hands the lines on as they come, so that a long body never stands in memory."""

    media_type = "application/x-ndjson"

    def parse(self, stream: BinaryIO, media_type: Any = None, parser_context: Any = None) -> Iterator[bytes]:
        return _lines(stream)


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    while line := stream.readline(MAX_LINE_BYTES + 1):
        if len(line) > MAX_LINE_BYTES:
            raise TooLarge(f"A line is longer than {MAX_LINE_BYTES // 2**20} MB.")
        if line.strip():
            yield line


class ItemInput(serializers.Serializer):
    id = serializers.CharField(required=False, help_text="Your own id; sending it again is harmless.")
    data = serializers.JSONField()
    meta = serializers.JSONField(required=False)
    features = serializers.ListField(child=serializers.FloatField(), required=False)
    gold = serializers.JSONField(required=False)


class RowErrorOutput(serializers.Serializer):
    row = serializers.IntegerField()
    field = serializers.CharField()
    message = serializers.CharField()


class IntakeOutput(serializers.Serializer):
    created = serializers.IntegerField()
    duplicates = serializers.IntegerField()
    errors = RowErrorOutput(many=True)


class ItemsView(APIView):
    """Adds items. Bad rows are reported with their number; the good ones are stored."""

    scope = "manage"
    parser_classes = [JSONParser, NdjsonParser]

    @extend_schema(request=ItemInput(many=True), responses={201: IntakeOutput, 202: dict}, operation_id="add_items")
    def post(self, request: Request, slug: str) -> Response:
        project = access.project_for(request.user, slug, Membership.Role.OWNER, request.auth)
        body = request.data
        if isinstance(body, list):
            head: list[tuple[int, object]] = list(enumerate(body[: MAX_ROWS_AT_ONCE + 1], start=1))
            lines: Iterable[bytes] = (json.dumps(row).encode() for row in body)
        elif isinstance(body, Iterator):
            first = list(itertools.islice(body, MAX_ROWS_AT_ONCE + 1))
            head = [(place, _decoded(line)) for place, line in enumerate(first, start=1)]
            lines = itertools.chain(first, body)
        else:
            raise Invalid('Send a JSON list of items, such as [{"data": {"text": "..."}}], or NDJSON.')
        if not head:
            raise Invalid("There are no rows in this request.")
        if len(head) > MAX_ROWS_AT_ONCE:
            job = intake.start_rows_import(project=project, lines=lines, user=request.user)
            return Response({"job": job_body(job)}, status=202)
        report = intake.add_rows(project=project, rows=head)
        errors = [{"row": e.row, "field": e.field, "message": e.message} for e in report.errors]
        return Response({"created": report.created, "duplicates": report.duplicates, "errors": errors}, status=201)


def _decoded(line: bytes) -> object:
    try:
        return json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        return error
