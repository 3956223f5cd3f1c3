"""What surrounds each request: its id, and errors turned into answers that say what to do."""

import re
import uuid
from collections.abc import Callable
from typing import Any

import structlog
from django.core.exceptions import BadRequest, RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.db import DataError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect, JsonResponse
from django.http.multipartparser import MultiPartParserError
from django.http.request import UnreadablePostError
from django.middleware.common import CommonMiddleware
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.utils.http import escape_leading_slashes

from labeling.core.errors import DomainError, Invalid, Malformed, TooLarge
from labeling.services.upkeep import database_problem, garbled_text

log = structlog.get_logger(__name__)

GetResponse = Callable[[HttpRequest], HttpResponse]

_WELL_FORMED_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")


class RequestIdMiddleware:
    """Gives each request an id that its log lines, audit entries and answer carry.

    A well-formed X-Request-ID of the caller is kept, so that one id follows a request through several machines.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request_id = request.META.get("HTTP_X_REQUEST_ID", "")
        if not _WELL_FORMED_ID.fullmatch(request_id):
            request_id = uuid.uuid4().hex
            request.META["HTTP_X_REQUEST_ID"] = request_id
        request.request_id = request_id  # type: ignore[attr-defined]
        response = self.get_response(request)
        response["X-Request-ID"] = request_id
        return response


class _SentAgain(HttpResponsePermanentRedirect):
    status_code = 308  # with the same method and body; after 301 clients send a GET


class SlashMiddleware(CommonMiddleware):
    """Leads an address without its last slash to the one with it, and what was sent there too."""

    response_redirect_class = _SentAgain

    def get_full_path_with_slash(self, request: HttpRequest) -> str:
        return escape_leading_slashes(request.get_full_path(force_append_slash=True))


class DomainErrorMiddleware:
    """Turns refusals of the domain and malformed requests into a page, a fragment or JSON with a fitting status."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        error = _as_domain_error(exception)
        if error is None:
            return None
        log.info("request_refused", code=error.code, status=error.status, reason=error.message)
        return answer(request, error)


def _as_domain_error(exception: Exception) -> DomainError | None:
    if isinstance(exception, DomainError):
        return exception
    if isinstance(exception, OperationalError):
        return database_problem(exception)
    if isinstance(exception, DataError):
        return garbled_text(exception)
    if isinstance(exception, RequestDataTooBig | TooManyFieldsSent | TooManyFilesSent):
        return TooLarge(
            "The request is larger than this server takes. Send it in smaller parts, or upload it as a file."
        )
    if isinstance(exception, UnicodeDecodeError):
        return Invalid("The text is not valid UTF-8. Save it as UTF-8 and send it again.", code="not_utf8")
    if isinstance(exception, MultiPartParserError | UnreadablePostError | BadRequest):
        return Malformed("The request was cut off or garbled on its way. Send it again.")
    return None


class CookieMiddleware:
    """Takes out cookies with a NUL, which are none of ours: PostgreSQL looks for no session with one."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        for name in [name for name, value in request.COOKIES.items() if "\0" in value]:
            del request.COOKIES[name]
        return self.get_response(request)


class NulMiddleware:
    """Refuses a NUL in an address, its query or a form. Nobody types one, and PostgreSQL stores no text with one.

    The bodies of the API are checked field by field, where they are read; what none of them knows of, the database
    refuses (garbled_text).
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        fields = [*request.GET.lists()]
        if request.method == "POST" and not request.path.startswith("/api/"):
            fields += request.POST.lists()
        named = next((name for name, values in fields if any("\0" in value for value in (name, *values))), None)
        if named is None and "\0" not in request.path:
            return None
        where = {named.replace("\0", "�"): "holds a NUL character"} if named is not None else {}
        return answer(request, Malformed("A NUL character is no text: take it out and send it again.", fields=where))


def answer(request: HttpRequest, error: DomainError) -> HttpResponse:
    """The error in the form that the caller asked for: JSON for programs, a fragment for htmx, else a whole page."""
    if request.path.startswith("/api/") or _prefers_json(request):
        body = {"error": {"code": error.code, "message": error.message, "fields": error.fields}}
        response: HttpResponse = JsonResponse(body, status=error.status)
    elif request.headers.get("HX-Request"):
        response = render(request, "_error.html", {"error": error}, status=error.status)
    else:
        # Each status with a page of its own has it; 409.html is the general one.
        page = f"{error.status}.html" if error.status in (400, 403, 404) else "409.html"
        response = render(request, page, {"error": error}, status=error.status)
    patch_vary_headers(response, ["Accept", "HX-Request"])
    return response


def _prefers_json(request: HttpRequest) -> bool:
    return request.accepts("application/json") and not request.accepts("text/html")
