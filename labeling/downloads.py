"""Files on their way out."""

from typing import BinaryIO

from django.http import FileResponse


def as_download(file: BinaryIO, name: str, content_type: str) -> FileResponse:
    """A file that browsers save and never show: what people upload must not run as a page of ours."""
    response = FileResponse(file, as_attachment=True, filename=name, content_type=content_type)
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response["Cache-Control"] = "private, no-store"
    return response
