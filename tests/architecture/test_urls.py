"""Every address of ours is closed to strangers, unless it is listed here as open on purpose."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

# Address as in the URL configuration -> why anybody may ask for it.
OPEN = {
    "login/": "how people get in",
    "logout/": "does nothing for a stranger",
    "healthz": "says only that the process lives",
    "readyz": "says only which part is missing",
    "api/schema/": "the interface's description; holds no data",
    "api/docs/": "the same for people",
    "admin/login/": "leads to the log-in page",
    "invite/<str:token>/": "the token is the key",
    "invite/<str:token>/account/": "the token is the key",
    "embed/v1/<str:file>": "scripts for the pages of others; they hold no data",
    "api/v1/feedback/": "a publishable key and the token of a prediction in the body",
    "api/v1/feedback/standing/": "the same",
    "api/v1/events/": "the same",
}
EXAMPLES = {"slug": "tweets", "int": "1", "uuid": str(uuid4()), "str": "abc", "path": "abc"}
METHODS = ("get", "post", "put", "patch", "delete")


def addresses(patterns: list, prefix: str = "") -> Iterator[str]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            if route != "admin/":  # Django's own, for staff
                yield from addresses(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern):
            yield route


def example(route: str) -> str:
    parts = []
    for part in route.split("<"):
        kind, mark, rest = part.partition(">")
        parts.append(EXAMPLES[kind.partition(":")[0]] + rest if mark else part)
    return "/" + "".join(parts)


ALL = sorted(set(addresses(get_resolver().url_patterns)))


def test_the_walk_finds_the_addresses():
    assert len(ALL) > 20
    assert set(OPEN) <= set(ALL), "an open address is gone: strike it from the list"


@pytest.mark.django_db
@pytest.mark.parametrize("route", [route for route in ALL if route not in OPEN])
def test_a_stranger_is_turned_away(client, project, route):
    client.raise_request_exception = False
    for method in METHODS:
        response = getattr(client, method)(example(route))
        refused = response.status_code in (401, 403, 405)
        sent_to_log_in = response.status_code == 302 and response.url.startswith("/login/")
        assert refused or sent_to_log_in, f"{method.upper()} /{route} answered {response.status_code}"
