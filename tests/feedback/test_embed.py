"""What other people's pages load: the widget's script, its size and its address; and the form without JavaScript."""

import gzip
import re

import pytest
from django.test import Client

from feedback.core.embed import SCRIPTS, integrity, without_comments
from feedback.models import CurrentVerdict, FeedbackEvent
from tests.feedback.conftest import PAGE, token_of

# What was published stays as it was: pages name it by this hash. A change of a script is a new file and a new line.
PUBLISHED = {
    "widget-1.0.0.js": "sha384-raxk1G65WdraoZRqLKn8wHmiqumpEydDvBhuEjIJRAji7TYpmahNwRAui4Cv14Nc",
    "widget-1.1.0.js": "sha384-ii0vpAnREKnMA5Zkre4RSjiPwPRcOwVq2j9BU7slC/ZJJ5TpFdD87NkmfYJIpTYc",
    "widget-1.2.0.js": "sha384-wlKL7bfJrR0AuPZFLo+UOX5jhU1i1THnMCWVwVf/A1YYs5pcGhSzJ1iUz7SyaH9/",
    "signals-1.0.0.js": "sha384-qEKVOkGPLKadhfbW/v93o/LR53lWIERPmamGXQ1czvVyCHLSGmhJzEVfiboF3P3j",
    "signals-1.1.0.js": "sha384-Cysiapm8DaPjL6P755wv03+WZBy0EFWapV1+TaYeJ0Mg727OY7+9cEqk6v1eMCbo",
}


@pytest.mark.parametrize("file", PUBLISHED)
def test_what_was_published_never_changes(client, file):
    response = client.get(f"/embed/v1/{file}")
    assert integrity(response.content) == PUBLISHED[file]
    assert response["Cache-Control"] == "public, max-age=31536000, immutable"
    assert response["Access-Control-Allow-Origin"] == "*"
    assert response["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert not client.get(f"/embed/v1/{file}", headers={"If-None-Match": response["ETag"]}).content


def test_the_widget_is_small(client):
    """3 kB packed, with its strings; 5 kB with what is optional."""
    sizes = {}
    for name in SCRIPTS:
        response = client.get(f"/embed/v1/{name}.js", headers={"Accept-Encoding": "gzip"})
        assert response["Content-Encoding"] == "gzip" and "Accept-Encoding" in response["Vary"]
        assert "max-age=300" in response["Cache-Control"]
        sizes[name] = len(response.content)
        assert gzip.decompress(response.content) == client.get(f"/embed/v1/{name}.js").content
    assert sizes["widget"] <= 3_000
    assert sum(sizes.values()) <= 5_000


def test_the_scripts_need_nothing_that_a_strict_policy_refuses(client):
    for name in SCRIPTS:
        text = client.get(f"/embed/v1/{name}.js").content.decode()
        assert not re.search(r"\beval\(|new Function|innerHTML|outerHTML|insertAdjacent|document\.write", text)
        assert not re.search(r"document\.cookie|localStorage|sessionStorage", text)
        assert not re.search(r"\.style\b|<style", text)
        assert not re.search("[\U0001f000-\U0001ffff]", text), "no font has to have it"
    assert client.get("/embed/v1/other.js").status_code == 404
    assert client.get("/embed/v1/widget-9.9.9.js").status_code == 404


def test_only_comments_and_indentation_are_left_out():
    assert without_comments("// why\n\n  let a = 1; // kept\n  `x`;\n") == b"let a = 1; // kept\n`x`;\n"


@pytest.mark.django_db
def test_a_form_works_without_javascript(prediction, key):
    def post(origin=PAGE, **said):
        body = {"key": key.key, "token": token_of(prediction)} | said
        return Client(enforce_csrf_checks=True).post("/feedback/form/", body, headers={"Origin": origin})

    first = post(verdict="down")
    assert first.status_code == 201 and "Thanks, recorded" in first.content.decode()
    next_id = re.search(r'name="client_id" value="(\w+)"', first.content.decode())[1]
    own = "http://testserver"
    more = post(own, verdict="down", client_id=next_id, correction="0", reasons="wrong", comment="<script>x</script>")
    page = more.content.decode()
    assert more.status_code == 201 and "&lt;script&gt;x&lt;/script&gt;" in page and "<script>" not in page
    verdict = CurrentVerdict.objects.get()
    assert (verdict.event.correction, verdict.event.reasons) == ("negative", ["wrong"])
    again = post(own, verdict="down", client_id=next_id, correction="0", reasons="wrong", comment="<script>x</script>")
    assert again.status_code == 200 and FeedbackEvent.objects.count() == 2
    assert "Taken back" in post(own, verdict="undo").content.decode()
    assert CurrentVerdict.objects.get().verdict == "undo"


@pytest.mark.django_db
def test_a_form_that_cannot_be_taken_says_why(prediction, key):
    client = Client(headers={"Origin": PAGE})
    good = {"key": key.key, "token": token_of(prediction), "verdict": "down"}
    for change, status in (
        ({"key": "pk_x"}, 401),
        ({"token": "x"}, 422),
        ({"verdict": "maybe"}, 422),
        ({"verdict": ""}, 422),
        ({"correction": "happy"}, 422),
        ({"subject": "x" * 10_000}, 422),
        ({"comment": "x" * 1_001}, 422),
        ({"comment": "x" * 64_000}, 413),
    ):
        response = client.post("/feedback/form/", good | change)
        assert response.status_code == status, change
        assert "Not recorded" in response.content.decode()
    assert client.post("/feedback/form/", good, headers={"Origin": "https://evil.example"}).status_code == 403
    assert client.post("/feedback/form/", good | {"comment": "a\0b"}).status_code in (400, 422)
    assert client.get("/feedback/form/").status_code == 405
    assert not FeedbackEvent.objects.exists()
