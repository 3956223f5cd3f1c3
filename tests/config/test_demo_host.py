"""The demo's own product: its keys, when it is started, and what it refuses. tests/e2e shows it at work."""

import http.client
import http.server
import json
import stat
import threading
import urllib.parse
from pathlib import Path
from typing import Any

import pytest

from config import demo_host
from config.management.commands import serve
from feedback.models import WidgetKey
from labeling.models import ApiKey, Project
from labeling.services.demo import SLUG
from tests.factories import make_project
from tests.services.ports import free_port
from tests.services.product import Product


@pytest.fixture
def demo_project(owner: Any) -> Project:
    return make_project(owner, slug=SLUG, name="Tweet sentiment")


@pytest.mark.django_db
def test_the_product_is_started_where_the_demo_is(demo_project: Project, owner: Any, tmp_path: Path, settings: Any):
    assert not demo_host.has_keys(tmp_path)
    assert demo_host.give_keys(project=demo_project, owner=owner, home=tmp_path)
    assert not demo_host.give_keys(project=demo_project, owner=owner, home=tmp_path), "a second demo changes nothing"
    file = demo_host.keys_file(tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    held = json.loads(file.read_text())
    plan = serve._plan(tmp_path, "127.0.0.1", 8000, None)
    serve._add_demo_host(plan, tmp_path, "http://127.0.0.1:8000", 8001)
    parts = {part["name"]: part for part in plan["parts"]}
    assert parts["web"]["env"]["DEMO_HOST_PORT"] == "8001" and "after" not in parts["demo"]
    assert "http://localhost:8001/" in plan["welcome"][1]
    assert not any(secret in json.dumps(plan) for secret in (held["api_key"], held["widget_secret"])), "ps shows it"
    assert demo_host.is_reachable()
    settings.HTTPS = True
    assert not demo_host.is_reachable()
    # The file is lost: nobody who finds it can use it.
    file.unlink()
    assert demo_host.give_keys(project=demo_project, owner=owner, home=tmp_path)
    assert ApiKey.objects.filter(revoked_at__isnull=True).count() == 1
    assert WidgetKey.objects.filter(revoked_at__isnull=True).count() == 1
    demo_project.delete()
    assert not demo_host.has_keys(tmp_path), "no demo, no product"


@pytest.mark.django_db
def test_the_feedback_page_leads_to_it(demo_project: Project, project: Project, owner: Any, client: Any, settings: Any):
    client.force_login(owner)
    settings.DEMO_HOST_PORT = 8001

    def page(slug: str, host: str = "localhost") -> str:
        return client.get(f"/projects/{slug}/feedback/", headers={"Host": f"{host}:8000"}).content.decode()

    settings.ALLOWED_HOSTS = ["*"]
    assert "http://localhost:8001/" in page(SLUG) and "http://127.0.0.1:8001/" in page(SLUG, "127.0.0.1")
    assert "8001" not in page(SLUG, "touchstone.example") and "8001" not in page(project.slug)
    settings.DEMO_HOST_PORT = 0
    assert "Inkwell" not in page(SLUG)


@pytest.fixture(scope="module")
def product(tmp_path_factory: Any) -> Any:
    """Inkwell, whose Touchstone is away."""
    keys = dict.fromkeys(("project", "project_name", "api_key", "widget_key", "widget_secret"), "x")
    product = Product(tmp_path_factory.mktemp("product"), f"http://127.0.0.1:{free_port()}", keys)
    yield product
    product.stop()


def ask(product: Any, path: str = "/", method: str = "GET", body: str = "", **headers: str) -> tuple[int, str, Any]:
    line = http.client.HTTPConnection("127.0.0.1", product.port, timeout=10)
    line.request(method, path, body=body or None, headers={"Host": f"localhost:{product.port}"} | headers)
    answer = line.getresponse()
    text = answer.read().decode()
    line.close()
    return answer.status, text, answer.headers


def test_what_it_cannot_do_it_says_and_keeps_the_line(product):
    status, page, headers = ask(product)
    assert status == 200 and "How will it sound?" in page
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert "HttpOnly" in headers["Set-Cookie"]
    status, page, _ = ask(product, method="POST", body=urllib.parse.urlencode({"text": "<b>I & you</b>"}))
    assert status == 502 and "Touchstone does not answer" in page
    assert "&lt;b&gt;I &amp; you&lt;/b&gt;</textarea>" in page
    for body, status in (("", 422), ("text=+", 422), (f"text={'a' * 281}", 422), (f"text={'a' * 9_000}", 413)):
        assert ask(product, method="POST", body=body)[0] == status
    assert ask(product, "/?line=unknown")[0] == 404 and ask(product, "/../server.py")[0] == 404
    assert ask(product, "/", "POST", "text=a", Origin="http://evil.example")[0] == 403
    # A page of another name that leads here would speak with this server's key.
    assert ask(product, Host="evil.example")[0] == 400


class Reticent(http.server.BaseHTTPRequestHandler):
    """A Touchstone that answers, and does not say why: the line is one that people still judge blind."""

    def do_POST(self) -> None:
        said = {
            "id": "0" * 36,
            "value": "positive",
            "probabilities": {"positive": 0.8},
            "certainty": {"banded": 0.8},
            "wording": "80 % sure: positive.",
            "reasons": [
                {
                    "kind": "word",
                    "text": "The word “the” speaks.",
                    "direction": "for",
                    "strength": "somewhat",
                    "spans": [],
                }
            ],
            "model": 3,
            "token": "t",
        }
        is_asked_why = self.path.endswith("/explain/")
        body = json.dumps({"error": {"message": "blind"}} if is_asked_why else {"predictions": [said]}).encode()
        self.send_response(409 if is_asked_why else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


def test_an_answer_without_reasons_is_an_answer(tmp_path: Path) -> None:
    touchstone = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Reticent)
    threading.Thread(target=touchstone.serve_forever, daemon=True).start()
    keys = dict.fromkeys(("project", "project_name", "api_key", "widget_key", "widget_secret"), "x")
    product = Product(tmp_path, f"http://127.0.0.1:{touchstone.server_port}", keys)
    try:
        status, _, headers = ask(product, method="POST", body="text=the+cat")
        visitor = headers["Set-Cookie"].partition(";")[0]
        status, page, _ = ask(product, headers["Location"], Cookie=visitor)
    finally:
        product.stop()
        touchstone.shutdown()
        touchstone.server_close()
    assert status == 200 and "<blockquote>the cat</blockquote>" in page, "nothing is marked that nobody measured"
    assert "The word “the” speaks." in page and "80 % sure" in page
