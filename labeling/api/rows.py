"""Rows in a request: a JSON list, or NDJSON of any length."""

import itertools
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from rest_framework import serializers
from rest_framework.parsers import BaseParser
from rest_framework.response import Response

from labeling.api.jobs import job_body
from labeling.core.errors import Invalid, TooLarge
from labeling.models import Job
from labeling.services.batches import IntakeReport

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


class RowErrorOutput(serializers.Serializer):
    row = serializers.IntegerField()
    field = serializers.CharField()
    message = serializers.CharField()


class IntakeOutput(serializers.Serializer):
    created = serializers.IntegerField()
    duplicates = serializers.IntegerField()
    errors = RowErrorOutput(many=True)


@dataclass(frozen=True, slots=True)
class SentRows:
    """The rows of a request: numbered and decoded up to MAX_ROWS_AT_ONCE, and all of them as lines."""

    first: list[tuple[int, object]]
    lines: Iterable[bytes]

    @property
    def are_many(self) -> bool:
        return len(self.first) > MAX_ROWS_AT_ONCE


def sent_rows(body: object, *, wanted: str) -> SentRows:
    """The rows of a parsed body. Raises Invalid when it is no list or is empty; `wanted` says what to send."""
    if isinstance(body, list):
        head: list[tuple[int, object]] = list(enumerate(body[: MAX_ROWS_AT_ONCE + 1], start=1))
        lines: Iterable[bytes] = (json.dumps(row).encode() for row in body)
    elif isinstance(body, Iterator):
        first = list(itertools.islice(body, MAX_ROWS_AT_ONCE + 1))
        head = [(place, _decoded(line)) for place, line in enumerate(first, start=1)]
        lines = itertools.chain(first, body)
    else:
        raise Invalid(f"Send a JSON list of {wanted}, or NDJSON.")
    if not head:
        raise Invalid("There are no rows in this request.")
    return SentRows(head, lines)


def _decoded(line: bytes) -> object:
    try:
        return json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        return error


def job_response(job: Job) -> Response:
    """The answer to many rows: the job that takes them in."""
    return Response({"job": job_body(job)}, status=202)


def report_response(report: IntakeReport) -> Response:
    """The answer to a few rows: what became of them."""
    errors = [{"row": e.row, "field": e.field, "message": e.message} for e in report.errors]
    return Response({"created": report.created, "duplicates": report.duplicates, "errors": errors}, status=201)
