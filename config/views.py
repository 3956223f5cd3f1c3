"""The pages that belong to no app: home, health, the API's reference and what errors look like."""

from typing import Any

import structlog
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.core.cache import cache
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from drf_spectacular.views import SpectacularSwaggerSplitView
from kombu import Connection

from config.celery import app as celery_app
from config.middleware import answer
from labeling.core.errors import DomainError, Forbidden, Malformed, NotFound
from labeling.selectors import worker_alive
from labeling.services.upkeep import n_missing_migrations

log = structlog.get_logger(__name__)


@login_required
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    return redirect("labeling:projects")


@require_safe
def admin_login(request: HttpRequest) -> HttpResponse:
    """The one log-in page, which counts attempts, in place of the admin's own."""
    if request.user.is_authenticated:
        raise Forbidden("The administration is for staff accounts. Log in with one.")
    return redirect_to_login(reverse("admin:index"))


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """200 while this process answers at all; looks at nothing else."""
    return JsonResponse({"status": "alive"})


@require_safe
@never_cache
def readyz(request: HttpRequest) -> HttpResponse:
    """200 when every part is there, else 503; each part by name with "ok" or what is wrong with it."""
    parts = {name: _state_of(check) for name, check in _PARTS.items()}
    is_ready = all(state == "ok" for state in parts.values())
    return JsonResponse({"status": "ready" if is_ready else "not ready"} | parts, status=200 if is_ready else 503)


def _state_of(check: Any) -> str:
    try:
        return check() or "ok"
    except Exception as error:
        # The words of drivers can hold addresses and user names: they go to the log, not to the world.
        log.warning("not_ready", part=check.__name__.removeprefix("_"), error=str(error))
        return "unreachable"


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return ""


def _migrations() -> str:
    missing = n_missing_migrations()
    return f"{missing} not applied: manage.py migrate" if missing else ""


def _broker() -> str:
    options = celery_app.conf.broker_transport_options
    with Connection(celery_app.conf.broker_url, connect_timeout=1, transport_options=options) as broker:
        broker.ensure_connection(max_retries=0, timeout=1, reraise_as_library_errors=False)
    return ""


def _cache() -> str:
    cache.set("readyz", 1, 10)
    return "" if cache.get("readyz") == 1 else "unreachable"


def _worker() -> str:
    return "" if worker_alive() else "no worker is running"


_PARTS = {
    "database": _database,
    "migrations": _migrations,
    "broker": _broker,
    "cache": _cache,
    "worker": _worker,
}


class ApiDocs(SpectacularSwaggerSplitView):
    """Swagger UI from the sidecar package: its script is a URL of its own, as the content security policy asks."""

    template_name = "api_docs.html"


api_docs = ApiDocs.as_view()


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _error(
        request,
        Malformed("The request was cut off, garbled or sent to a name that this server does not know."),
        400,
    )


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _error(request, Forbidden("You may not do this. Ask an owner of the project for a role that may."), 403)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    log.info("csrf_failed", reason=reason)
    return _error(
        request,
        Forbidden("This page has grown old. Go back, load it again and repeat the last step.", code="csrf"),
        403,
    )


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _error(request, NotFound("There is nothing at this address, or it is not yours to see."), 404)


def server_error(request: HttpRequest) -> HttpResponse:
    request_id = getattr(request, "request_id", "")
    if request.path.startswith("/api/"):
        message = "Something broke on the server; it is in the log. Nothing half-done was kept."
        error = {"code": "server_error", "message": message, "fields": {"request_id": request_id}}
        return JsonResponse({"error": error}, status=500)
    # No request context: what broke may be what a context processor needs.
    return HttpResponse(render_to_string("500.html", {"request_id": request_id}), status=500)


def _error(request: HttpRequest, error: DomainError, status: int) -> HttpResponse:
    if status == 400 and not request.path.startswith("/api/"):
        return render(request, "400.html", {"error": error}, status=400)
    return answer(request, error)
