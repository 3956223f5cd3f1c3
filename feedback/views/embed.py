"""What other people's pages load and post to."""

import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe
from rest_framework.throttling import BaseThrottle

from feedback import selectors
from feedback.core.embed import file_of
from feedback.core.errors import TooMany, UnknownKey
from feedback.core.statements import REASONS
from feedback.forms import posted_statement
from feedback.services.claims import count_request
from feedback.services.intake import record_feedback
from feedback.services.keys import key_for
from feedback.services.scripts import script
from labeling.core.errors import DomainError, NotFound, TooLarge

A_YEAR = 31_536_000
FIVE_MINUTES = 300
MAX_FORM = 64_000


@require_safe
def embedded(request: HttpRequest, file: str) -> HttpResponse:
    """A script for other people's pages: `widget.js` is the newest, `widget-1.0.0.js` one version for good."""
    found = file_of(file)
    if found is None:
        raise NotFound("There is no such script. The widget is at /embed/v1/widget.js.")
    name, is_for_good = found
    its = script(name)
    etag = f'"{its.integrity}"'
    if etag in request.headers.get("If-None-Match", ""):
        response = HttpResponse(status=304)
    elif "gzip" in request.headers.get("Accept-Encoding", ""):
        response = HttpResponse(its.packed, content_type="text/javascript; charset=utf-8")
        response["Content-Encoding"] = "gzip"
    else:
        response = HttpResponse(its.body, content_type="text/javascript; charset=utf-8")
    response["Cache-Control"] = (
        f"public, max-age={A_YEAR}, immutable" if is_for_good else f"public, max-age={FIVE_MINUTES}"
    )
    response["ETag"] = etag
    # A browser checks a script of another origin against its hash only when it may read it.
    response["Access-Control-Allow-Origin"] = "*"
    response["Cross-Origin-Resource-Policy"] = "cross-origin"
    patch_vary_headers(response, ["Accept-Encoding"])
    return response


@csrf_exempt  # no cookie gives it any authority: the key and the token in the body do
@never_cache
@require_POST
def said(request: HttpRequest) -> HttpResponse:
    """Feedback without JavaScript: a form of another page, answered with a page on which more can be said."""
    context: dict[str, Any] = {"token": request.POST.get("token", ""), "key": request.POST.get("key", "")}
    address = BaseThrottle().get_ident(request)
    try:
        # By what the server has read: the body itself is gone once a form of several parts was.
        if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_FORM:
            raise TooLarge(f"This form is larger than {MAX_FORM // 1_000} kB.")
        origin = request.headers.get("Origin", "")
        is_own = origin == f"{request.scheme}://{request.get_host()}"
        key = key_for(text=context["key"], origin="" if is_own else origin)
        count_request(door="said", key=key, address=address)
        choices, several = selectors.correction_choices(project=key.project)
        statement, client_id = posted_statement(request.POST, choices, several)
        recorded = record_feedback(
            key=key,
            token=context["token"],
            statement=statement,
            client_id=client_id or uuid.uuid4().hex,
            subject=request.POST.get("subject", ""),
            signature=request.POST.get("subject_signature", ""),
            address=address,
        )
    except DomainError as error:
        response = render(request, "feedback/said.html", context | {"error": error}, status=error.status)
        if isinstance(error, TooMany):
            response["Retry-After"] = str(int(error.wait) + 1)
        if isinstance(error, UnknownKey):
            response["WWW-Authenticate"] = UnknownKey.challenge
        return response
    words = {str(choice["value"]): choice["name"] for choice in choices}
    context |= {
        "event": recorded.event,
        "said": words.get(str(selectors.said_by(event=recorded.event)), ""),
        "choices": choices,
        "several": several,
        "reasons": REASONS.items(),
        "notice": key.notice,
        "next_id": uuid.uuid4().hex,
        "subject": request.POST.get("subject", ""),
        "subject_signature": request.POST.get("subject_signature", ""),
    }
    return render(request, "feedback/said.html", context, status=201 if recorded.is_new else 200)
