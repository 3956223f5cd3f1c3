import socket

import pytest
from django.urls import reverse

from config import views
from labeling.services.jobs import note_worker_alive
from tests.factories import PASSWORD

pytestmark = pytest.mark.django_db


def test_health_looks_at_nothing(client, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert client.get("/healthz").json() == {"status": "alive"}


def test_ready_names_the_part_that_is_missing(client, broker):
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json() == {
        "status": "not ready",
        "database": "ok",
        "migrations": "ok",
        "broker": "ok",
        "cache": "ok",
        "worker": "no worker is running",
    }


def test_ready_once_a_worker_gave_a_sign_of_life(client, broker):
    note_worker_alive()
    response = client.get("/readyz")
    assert response.status_code == 200, response.json()
    assert response.json()["status"] == "ready"


def test_a_broker_that_is_down_is_said_and_does_not_break_the_page(client, settings, monkeypatch):
    monkeypatch.setattr("config.views.celery_app.conf.broker_url", "redis+socket:///nowhere/valkey.sock")
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["broker"] == "unreachable"
    assert response.json()["database"] == "ok"


def test_a_broker_that_hangs_does_not_hold_the_page(client, db, monkeypatch, tmp_path):
    with socket.socket(socket.AF_UNIX) as silent:  # takes the connection and never says a word
        silent.bind(str(tmp_path / "s"))
        silent.listen()
        conf = views.celery_app.conf
        monkeypatch.setattr(conf, "broker_url", f"redis+socket://{tmp_path}/s")
        assert 0 < conf.broker_transport_options["socket_timeout"] <= 5
        monkeypatch.setitem(conf.broker_transport_options, "socket_timeout", 0.2)
        response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["broker"] == "unreachable"


def test_home_leads_to_the_projects(client, owner):
    assert client.get("/").url == "/login/?next=/"
    client.force_login(owner)
    assert client.get("/").url == reverse("labeling:projects")


def test_logging_in_and_out(client, owner):
    assert client.post("/login/", {"username": "olga", "password": "wrong"}).status_code == 200
    assert client.post("/login/", {"username": "olga", "password": PASSWORD}).url == "/"
    assert client.post(reverse("logout")).url == "/login/"


def test_the_admin_uses_the_one_log_in_page(client, owner, admin_user):
    assert client.get("/admin/login/").url == "/login/?next=/admin/"
    client.force_login(owner)
    assert client.get("/admin/login/").status_code == 403
    client.force_login(admin_user)
    assert client.get("/admin/").status_code == 200


def test_an_unknown_address_is_a_page_or_json(client):
    response = client.get("/nothing/here/")
    assert response.status_code == 404
    assert "nothing at this address" in response.text
    assert client.get("/api/v1/nothing/").json()["error"]["code"] == "not_found"


def test_the_schema_describes_the_api_and_its_keys(client):
    response = client.get("/api/schema/", headers={"Accept": "application/json"})
    schema = response.json()
    assert schema["info"]["title"] == "Touchstone"
    assert any(path.endswith("/next/") for path in schema["paths"])
    assert any(scheme.get("scheme") == "bearer" for scheme in schema["components"]["securitySchemes"].values())


def test_the_api_reference_needs_no_inline_script(client):
    response = client.get("/api/docs/")
    assert response.status_code == 200
    assert "<script>" not in response.text
    assert "<style" not in response.text
    assert "default-src 'self'" in response["Content-Security-Policy"]
    assert client.get("/api/docs/?script=").status_code == 200
