"""The frame of the label screen: who may see it and what it hands to the script."""

import json
import re
from typing import Any

import pytest
from django.test import Client

from labeling.models import Project
from labeling.services import projects
from tests.factories import make_project

URL = "/label/tweets/"


def page_data(html: str) -> dict[str, Any]:
    found = re.search(r'<script id="page-data" type="application/json">(.*?)</script>', html, re.DOTALL)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_an_annotator_sees_the_screen(client: Client, project: Project, annotator: Any) -> None:
    client.force_login(annotator)
    response = client.get(URL)
    assert response.status_code == 200
    data = page_data(response.content.decode())
    assert data["kind"] == "choice"
    assert [label["value"] for label in data["config"]["labels"]] == ["negative", "neutral", "positive"]
    assert (data["slug"], data["user"], data["submit_on_choice"]) == ("tweets", annotator.pk, True)
    assert "no-store" in response["Cache-Control"]


def test_an_outsider_does_not_learn_that_it_exists(client: Client, project: Project, outsider: Any) -> None:
    client.force_login(outsider)
    assert client.get(URL).status_code == 404


def test_a_stranger_is_sent_to_the_log_in_and_back(client: Client, project: Project) -> None:
    response = client.get(URL)
    assert response.status_code == 302
    assert response["Location"].endswith("/login/?next=/label/tweets/")


def test_the_page_has_nothing_inline(client: Client, project: Project, annotator: Any) -> None:
    client.force_login(annotator)
    html = client.get(URL).content.decode()
    assert not re.search(r"<script(?![^>]*(?:\bsrc=|application/json))", html)
    assert not re.search(r"<[^>]+\s(?:style|on\w+)=", html)


def test_guidelines_are_on_the_page_and_cannot_run(client: Client, owner: Any) -> None:
    make_project(owner, slug="guided", guidelines="Judge the **tone**. <script>alert(1)</script>")
    client.force_login(owner)
    html = client.get("/label/guided/").content.decode()
    assert "<strong>tone</strong>" in html
    assert "<script>alert" not in html


@pytest.mark.parametrize(("policy", "is_said"), [("shown", False), ("random", True), ("hidden", True)])
def test_hidden_suggestions_are_announced(client: Client, owner: Any, policy: str, is_said: bool) -> None:
    make_project(owner, slug="policy", suggestion_policy=policy)
    client.force_login(owner)
    assert ("hidden for some items on purpose" in client.get("/label/policy/").content.decode()) is is_said


def test_a_label_that_looks_like_html_stays_data(client: Client, owner: Any) -> None:
    projects.create_project(
        owner=owner, name="Odd", slug="odd", kind="choice", config={"labels": ["</script><b>", "b"]}
    )
    client.force_login(owner)
    html = client.get("/label/odd/").content.decode()
    assert page_data(html)["config"]["labels"][0]["value"] == "</script><b>"
