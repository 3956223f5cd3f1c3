"""POST items/: rows as programs send them, good and bad."""

import json
from typing import Any

import pytest
from django.test import Client

from labeling.models import Item, Job, Project
from labeling.services import imports
from tests.factories import make_key, make_project

pytestmark = pytest.mark.django_db
DEEP = "[" * 100_000 + "]" * 100_000


@pytest.fixture
def post(client: Client, project: Project, owner: Any) -> Any:
    headers = {"Authorization": f"Bearer {make_key(owner)}"}

    def send(body: Any, content_type: str = "application/json") -> Any:
        data = body if isinstance(body, (str, bytes)) else json.dumps(body)
        return client.post(f"/api/v1/projects/{project.slug}/items/", data, content_type, headers=headers)

    return send


def text(n: int) -> dict[str, Any]:
    return {"id": n, "data": {"text": f"text {n}"}}


def test_good_rows_land_beside_bad_ones(post: Any) -> None:
    answer = post([text(1), {"data": {}}, text(2) | {"features": [1]}, "oops", text(3) | {"gold": "angry"}, text(1)])
    assert answer.status_code == 201
    body = answer.json()
    assert (body["created"], body["duplicates"]) == (1, 1)
    assert [(error["row"], error["field"]) for error in body["errors"]] == [
        (2, "data"),
        (3, "features"),
        (4, ""),
        (5, "gold"),
    ]


def test_a_text_of_ten_megabytes_is_one_bad_row(post: Any) -> None:
    body = post([{"data": {"text": "x" * 10_000_000}}, text(1)]).json()
    assert body["created"] == 1 and body["errors"][0]["message"] == "text is 10.0 MB; the limit is 1 MB."


def test_lines_are_judged_one_by_one(post: Any) -> None:
    lines = [
        json.dumps(text(1)),
        '{"data": {"text": "cut',
        f'{{"data": {{"a": {DEEP}}}}}',
        '{"data": {"n": NaN}}',
        "[]",
    ]
    odd = b'\n{"data": {"text": "caf\xe9"}}\n\xff\xfe\n'
    body = post("\n".join(lines).encode() + odd, "application/x-ndjson").json()
    assert body["created"] == 1 and [error["row"] for error in body["errors"]] == [2, 3, 4, 5, 6, 7]
    assert [error["message"] for error in body["errors"][-2:]] == ["It is not UTF-8."] * 2
    assert "nested" in body["errors"][1]["message"] and "NaN" in body["errors"][2]["message"]


@pytest.mark.parametrize(
    "body", ['[{"data": {"text": "cut', f'[{{"data": {DEEP}}}]', '[{"data": {"n": NaN}}]', b"\xff\xfe"]
)
def test_a_body_that_is_not_json_is_a_bad_request(post: Any, body: Any) -> None:
    answer = post(body)
    assert answer.status_code == 400 and answer.json()["error"]["message"]


def test_many_rows_become_a_job(post: Any, project: Project) -> None:
    answer = post("\n".join(json.dumps(text(n)) for n in range(1500)), "application/x-ndjson")
    assert answer.status_code == 202
    job = Job.objects.get(pk=answer.json()["job"]["id"])
    imports.import_file(job_id=str(job.pk))
    assert Item.objects.filter(project=project).count() == 1500


def test_vectors_keep_the_length_of_the_first(client: Client, owner: Any) -> None:
    project = make_project(owner)
    headers = {"Authorization": f"Bearer {make_key(owner)}"}
    rows = [{"data": {"name": f"n{i}"}, "features": vector} for i, vector in enumerate([[1, 2], [3], [0.5, 4]])]
    answer = client.post(
        f"/api/v1/projects/{project.slug}/items/", json.dumps(rows), "application/json", headers=headers
    )
    assert answer.json()["created"] == 2 and "has 1 numbers" in answer.json()["errors"][0]["message"]
