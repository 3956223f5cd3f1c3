"""One form for every error: {"error": {"code", "message", "fields"}}."""

from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import DataError, OperationalError
from django.http import Http404
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.views import set_rollback

from labeling.core.errors import DomainError, Unavailable
from labeling.services.upkeep import database_problem, garbled_text


def error_body(code: str, message: str, fields: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "fields": fields or {}}}


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """The answer to an exception, or None for those that are bugs."""
    if isinstance(error, OperationalError):
        error = database_problem(error)
    if isinstance(error, DataError):
        error = garbled_text(error) or error
    if isinstance(error, DomainError):
        set_rollback()
        headers = {"Retry-After": "2"} if isinstance(error, Unavailable) else None
        return Response(error_body(error.code, error.message, error.fields), status=error.status, headers=headers)
    if isinstance(error, Http404):
        return Response(error_body("not_found", "There is nothing here."), status=404)
    if isinstance(error, PermissionDenied):
        return Response(error_body("forbidden", str(error) or "You may not do this."), status=403)
    if isinstance(error, RequestDataTooBig):
        return Response(
            error_body(
                "too_large",
                "The body is too large. Send fewer rows, or upload a file under Import.",
            ),
            status=413,
        )
    if isinstance(error, RecursionError):
        return Response(error_body("parse_error", "The body is nested too deeply to be read."), status=400)
    if not isinstance(error, exceptions.APIException):
        return None
    set_rollback()
    headers = {}
    if getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = error.auth_header
    if getattr(error, "wait", None):
        headers["Retry-After"] = str(int(error.wait) + 1)
    if isinstance(error, exceptions.ValidationError):
        fields = _flatten(error.detail)
        first = next(iter(fields.items()), ("", "The request is not valid."))
        message = f"{first[0]}: {first[1]}" if first[0] else first[1]
        return Response(
            error_body("invalid", message, fields),
            status=status.HTTP_422_UNPROCESSABLE_ENTITY,
        )
    if isinstance(error, exceptions.ParseError) and "integer string conversion" in str(error.detail):
        # Python's own words go on to advise a setting of the server.
        return Response(error_body("parse_error", "A number has more digits than can be read."), status=400)
    code = error.get_codes() if isinstance(error.get_codes(), str) else "invalid"
    return Response(error_body(code, str(error.detail)), status=error.status_code, headers=headers)


def _flatten(detail: Any, prefix: str = "") -> dict[str, str]:
    if isinstance(detail, dict):
        flat: dict[str, str] = {}
        for name, inner in detail.items():
            part = f"[{name}]" if isinstance(name, int) else f".{name}"
            flat |= _flatten(inner, f"{prefix}{part}".removeprefix("."))
        return flat
    if isinstance(detail, list):
        if detail and isinstance(detail[0], dict | list):
            flat = {}
            for place, inner in enumerate(detail):
                flat |= _flatten(inner, f"{prefix}[{place}]")
            return flat
        return {prefix.removesuffix("non_field_errors").removesuffix("."): " ".join(str(part) for part in detail)}
    return {prefix: str(detail)}
