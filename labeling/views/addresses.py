"""Where a request comes from."""

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str:
    """The caller's address, as the proxy in front saw it where there is one: what callers claim is not believed."""
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")
    if settings.REST_FRAMEWORK["NUM_PROXIES"] == 0 or not forwarded:
        return str(request.META.get("REMOTE_ADDR", ""))
    return str(forwarded.rpartition(",")[2]).strip()
