import re

import pytest
from django.db import DataError, OperationalError
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.urls import path

from config.middleware import DomainErrorMiddleware, answer
from labeling.api.errors import exception_handler
from labeling.core.errors import Conflict, Invalid, TooLarge
from tests.factories import make_key


def _refuse(request):
    raise Conflict("Somebody was faster.", fields={"item": "taken"})


def _not_utf8(request):
    b"\xff".decode()


def _no_room(request):
    raise OperationalError("database or disk is full")


def _no_text(request):
    raise DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")


def _broken(request):
    raise RuntimeError("a bug")


def _read(request):
    return HttpResponse(request.body)


def _look(request, token=""):
    return HttpResponse("looked")


urlpatterns = [
    path("items/", _look),
    path("invite/<str:token>/", _look),
    path("api/v1/look/", _look),
    path("refuse/", _refuse),
    path("api/v1/refuse/", _refuse),
    path("api/v1/broken/", _broken),
    path("not-utf8/", _not_utf8),
    path("broken/", _broken),
    path("no-room/", _no_room),
    path("no-text/", _no_text),
    path("read/", _read),
]
handler404 = "config.views.page_not_found"
handler500 = "config.views.server_error"
CSP = "Content-Security-Policy"


@pytest.fixture
def refusing(settings, client) -> Client:
    settings.ROOT_URLCONF = __name__
    client.raise_request_exception = False
    return client


@pytest.fixture
def http(rf: RequestFactory) -> RequestFactory:
    return rf


def test_a_full_disk_is_said(refusing):
    response = refusing.post("/no-room/")
    assert response.status_code == 503
    assert "disk is full. Nothing was stored" in response.content.decode().replace("&#x27;", "'")


def test_a_program_gets_json(refusing):
    response = refusing.post("/api/v1/refuse/")
    assert response.status_code == 409
    assert response.json() == {
        "error": {"code": "conflict", "message": "Somebody was faster.", "fields": {"item": "taken"}}
    }
    assert refusing.get("/refuse/", headers={"Accept": "application/json"}).json()["error"]["code"] == "conflict"


def test_htmx_gets_a_fragment(refusing):
    response = refusing.get("/refuse/", headers={"HX-Request": "true"})
    assert response.status_code == 409
    assert "Somebody was faster." in response.text
    assert "<html" not in response.text


@pytest.mark.parametrize(("error", "status"), [(Conflict("c"), 409), (Invalid("i"), 422), (TooLarge("t"), 413)])
def test_a_person_gets_a_page(http, error, status):
    error.message = "What happened, in words."
    response = answer(http.get("/projects/a/"), error)
    assert response.status_code == status
    assert "What happened, in words." in response.content.decode()
    assert "<html" in response.content.decode()


def test_text_that_is_not_utf8_is_the_senders_mistake(refusing):
    assert refusing.get("/not-utf8/").status_code == 422


def test_a_body_that_is_too_large_is_413(refusing, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    assert refusing.post("/read/", b"x" * 101, content_type="text/plain").status_code == 413
    assert refusing.post("/read/", b"x" * 99, content_type="text/plain").status_code == 200


def test_a_bug_is_500_and_names_the_request(refusing):
    response = refusing.get("/broken/")
    assert response.status_code == 500
    assert response["X-Request-ID"] in response.text
    body = refusing.get("/api/v1/broken/").json()
    assert body["error"]["code"] == "server_error"


@pytest.mark.parametrize("address", ["/items/?find=%00", "/items/?find=a&find=b%00", "/items/?a%00b=1", "/invite/%00/"])
def test_a_nul_in_an_address_is_refused(refusing, address):
    response = refusing.get(address)
    assert response.status_code == 400
    assert "NUL" in response.text and "\0" not in response.text
    assert refusing.get(address.replace("%00", "0")).text == "looked"


def test_a_nul_in_a_form_is_refused_and_what_a_program_sends_is_left_to_its_door(refusing):
    assert refusing.post("/items/", {"reason": "a\0b"}).status_code == 400
    assert refusing.post("/items/", {"reason": "ab"}).text == "looked"
    error = refusing.post("/api/v1/look/?n=%00", "{}", content_type="application/json").json()["error"]
    assert (error["code"], list(error["fields"])) == ("malformed", ["n"])
    assert refusing.post("/api/v1/look/", "a\0b", content_type="text/plain").text == "looked"


def test_what_a_database_cannot_store_is_the_senders_mistake(refusing):
    assert refusing.get("/no-text/").status_code == 400
    assert exception_handler(DataError("unsupported Unicode escape sequence: \\u0000 ..."), {}).status_code == 400
    assert exception_handler(DataError("value too long"), {}) is None, "a bug"


@pytest.mark.django_db
def test_a_cookie_with_a_nul_is_none(client):
    response = client.get("/projects/", headers={"Cookie": 'sessionid="abcdefgh\\000ij"; csrftoken="a\\000b"'})
    assert response.status_code == 302 and response.url.startswith("/login/")


def test_other_exceptions_are_left_alone():
    assert DomainErrorMiddleware(_read).process_exception(RequestFactory().get("/"), RuntimeError()) is None


def test_a_request_keeps_a_well_formed_id_of_its_caller(client):
    assert client.get("/healthz", headers={"X-Request-ID": "trace-12345678"})["X-Request-ID"] == "trace-12345678"
    for bad in ("", "short", "a" * 65, "line\tbreak12345", "<script>alert</script>"):
        given = client.get("/healthz", headers={"X-Request-ID": bad})["X-Request-ID"]
        assert re.fullmatch(r"[0-9a-f]{32}", given)


@pytest.mark.django_db
def test_pages_carry_the_security_headers(client):
    response = client.get("/login/")
    policy = response[CSP]
    for directive in (
        "default-src 'self'",
        "img-src 'self' https: data:",
        "object-src 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "form-action 'self'",
    ):
        assert directive in policy
    assert "unsafe" not in policy
    assert response["X-Frame-Options"] == "DENY"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Cross-Origin-Opener-Policy"] == "same-origin"
    assert response["Referrer-Policy"] == "same-origin"


@pytest.mark.django_db
def test_a_form_without_its_token_is_refused_in_words():
    strict = Client(enforce_csrf_checks=True)
    response = strict.post("/login/", {"username": "ann", "password": "x"})
    assert response.status_code == 403
    assert "load it again" in response.text


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.django_db
def test_what_is_sent_without_the_last_slash_arrives(owner, settings, debug):
    settings.DEBUG = debug
    call = Client(headers={"Authorization": f"Bearer {make_key(owner)}"})
    body = {"slug": "tea", "name": "Tea", "schema": {"kind": "choice", "labels": ["green", "black"]}}
    sent = call.post("/api/v1/projects", body, content_type="application/json")
    assert (sent.status_code, sent["Location"]) == (308, "/api/v1/projects/")
    assert call.post("/api/v1/projects", body, content_type="application/json", follow=True).status_code == 201
    assert call.get("/api/v1/projects?page=2")["Location"] == "/api/v1/projects/?page=2"
