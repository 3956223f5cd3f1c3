import json
import uuid
from types import SimpleNamespace

import pytest
from django.db import OperationalError
from rest_framework.test import APIClient

from labeling.models import Annotation, AuditEntry, Comment
from labeling.services import limits
from tests.factories import make_items, make_key, make_member, make_project

pytestmark = pytest.mark.django_db


@pytest.fixture
def call(annotator):
    """Calls as Ann with a key that may annotate."""
    return client_of(make_key(annotator, scopes=["annotate"]))


def client_of(key):
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    return client


def next_items(client, project, **body):
    return client.post(f"/api/v1/projects/{project.slug}/next/", body or {"n": 1})


def test_next_submit_undo_and_submit_again(project, call):
    make_items(project, 2)
    leased = next_items(call, project, n=2).json()
    assert leased["empty"] is None
    first = leased["assignments"][0]
    assert set(first) == {"id", "item", "suggestion", "reason", "expires_at"}
    assert first["reason"]["text"] == "in order of arrival"
    body = {"value": "positive", "client_id": str(uuid.uuid4()), "seconds": 2.0}
    done = call.post(f"/api/v1/assignments/{first['id']}/submit/", body)
    assert done.status_code == 201
    replay = call.post(f"/api/v1/assignments/{first['id']}/submit/", body)
    assert (replay.status_code, replay.json()) == (200, done.json())
    undone = call.post(f"/api/v1/annotations/{done.json()['annotation']['id']}/undo/")
    assert undone.json()["assignment"]["item"] == first["item"]
    again = call.post(f"/api/v1/assignments/{first['id']}/submit/", {"value": "neutral", "client_id": "c2"})
    assert again.status_code == 201


def test_one_client_id_with_another_body_is_a_conflict(project, call):
    make_items(project, 1)
    pk = next_items(call, project).json()["assignments"][0]["id"]
    call.post(f"/api/v1/assignments/{pk}/submit/", {"value": "positive", "client_id": "c1"})
    refused = call.post(f"/api/v1/assignments/{pk}/submit/", {"value": "negative", "client_id": "c1"})
    assert refused.status_code == 409
    assert refused.json()["error"]["code"] == "client_id_reused"


def test_an_empty_queue_answers_why(project, call):
    assert next_items(call, project).json()["empty"]["why"] == "empty"


@pytest.mark.parametrize(
    "body",
    [{}, {"value": "positive"}, {"client_id": "c"}, {"value": "purple", "client_id": "c"}, [], "text", None],
)
def test_a_wrong_body_is_refused_in_the_form_of_every_error(project, call, body):
    make_items(project, 1)
    pk = next_items(call, project).json()["assignments"][0]["id"]
    refused = call.post(f"/api/v1/assignments/{pk}/submit/", json.dumps(body), content_type="application/json")
    assert refused.status_code == 422
    assert set(refused.json()["error"]) == {"code", "message", "fields"}
    assert Annotation.objects.count() == 0


def test_broken_json_is_a_clear_400(project, call):
    refused = call.post(f"/api/v1/projects/{project.slug}/next/", "{", content_type="application/json")
    assert refused.status_code == 400
    assert "JSON" in refused.json()["error"]["message"]


@pytest.mark.parametrize("verb", ["submit", "skip", "release", "renew", "comment", "unskip"])
def test_somebody_elses_assignment_is_not_found(project, call, annotator2, verb):
    make_items(project, 1)
    pk = next_items(client_of(make_key(annotator2)), project).json()["assignments"][0]["id"]
    refused = call.post(f"/api/v1/assignments/{pk}/{verb}/", {"value": "positive", "client_id": "c", "text": "x"})
    assert refused.status_code == 404
    assert refused.json()["error"]["code"] == "not_found"


def test_an_unknown_assignment_and_a_foreign_project_are_not_found(project, call, outsider):
    assert call.post("/api/v1/assignments/999999/submit/", {"value": "positive", "client_id": "c"}).status_code == 404
    assert next_items(client_of(make_key(outsider)), project).status_code == 404


def test_a_former_member_reaches_nothing(project, call, annotator):
    make_items(project, 1)
    pk = next_items(call, project).json()["assignments"][0]["id"]
    annotator.memberships.all().delete()
    assert call.post(f"/api/v1/assignments/{pk}/submit/", {"value": "positive", "client_id": "c"}).status_code == 404


def test_without_a_key_nothing_opens(project):
    refused = APIClient().post(f"/api/v1/projects/{project.slug}/next/", {"n": 1})
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_wrong_or_revoked_key_is_refused(project, annotator):
    key = make_key(annotator)
    annotator.api_keys.update(revoked_at="2026-01-01T00:00Z")
    assert next_items(client_of(key), project).status_code == 401
    assert next_items(client_of("sk_wrong"), project).status_code == 401


def test_a_key_does_only_what_its_scopes_say(project, call):
    refused = call.post("/api/v1/projects/", {"slug": "x", "schema": {"kind": "choice", "labels": ["a", "b"]}})
    assert refused.status_code == 403
    assert "scope manage" in refused.json()["error"]["message"]


def test_a_key_of_one_project_does_not_open_another(owner, project):
    other = make_project(owner)
    client = client_of(make_key(owner, project))
    assert next_items(client, project).status_code == 200
    assert next_items(client, other).status_code == 404


def test_skip_release_renew_comment_and_history(project, call):
    make_items(project, 3)
    first, second, third = (a["id"] for a in next_items(call, project, n=3).json()["assignments"])
    assert call.post(f"/api/v1/assignments/{first}/skip/", {"reason": "not English"}).json()["assignment"]["state"] == (
        "skipped"
    )
    assert call.post(f"/api/v1/assignments/{second}/renew/").status_code == 200
    assert call.post(f"/api/v1/assignments/{second}/comment/", {"is_flag": True}).status_code == 201
    assert call.post(f"/api/v1/assignments/{second}/comment/", {"text": ""}).status_code == 422
    call.post(f"/api/v1/assignments/{second}/submit/", {"value": "neutral", "client_id": "c"})
    assert call.post(f"/api/v1/assignments/{third}/release/").json()["assignment"]["state"] == "released"
    history = call.get(f"/api/v1/projects/{project.slug}/history/").json()
    assert [(entry["assignment"], entry["value"]) for entry in history["annotations"]] == [(second, "neutral")]
    assert [(entry["assignment"], entry["reason"]) for entry in history["skips"]] == [(first, "not English")]
    call.post(f"/api/v1/assignments/{first}/unskip/")
    assert call.get(f"/api/v1/projects/{project.slug}/history/").json()["skips"] == []


def test_a_skip_that_is_sent_twice_leaves_its_remark_once(project, call):
    make_items(project, 1)
    pk = next_items(call, project).json()["assignments"][0]["id"]
    body = {"reason": "broken", "comment": "half a sentence", "flag": True}
    for _ in range(2):
        assert call.post(f"/api/v1/assignments/{pk}/skip/", body).status_code == 200
    comment = Comment.objects.get()
    assert (comment.text, comment.is_flag) == ("half a sentence", True)


def test_progress_counts_the_rows(project, call):
    make_items(project, 3)
    pk = next_items(call, project).json()["assignments"][0]["id"]
    call.post(f"/api/v1/assignments/{pk}/submit/", {"value": "neutral", "client_id": "c", "seconds": 3})
    progress = call.get(f"/api/v1/projects/{project.slug}/progress/").json()
    assert (progress["items"], progress["resolved"], progress["annotations"]) == (3, 1, 1)
    assert progress["mine"] == {"annotations": 1, "today": 1, "median_seconds": 3.0, "limit": None, "practice": None}


def test_a_session_needs_the_csrf_token(project, annotator):
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(annotator)
    refused = client.post(f"/api/v1/projects/{project.slug}/next/", {"n": 1})
    assert refused.status_code == 403


@pytest.mark.parametrize(
    "schema",
    [
        {"kind": "choice", "labels": ["a", "b"]},
        {"kind": "choices", "labels": [{"value": "a", "name": "A"}, "b"], "max": 1},
        {"kind": "rating", "min": 1, "max": 5},
        {"kind": "pair", "tie": True},
    ],
)
def test_a_project_of_each_kind_is_created_by_api(owner, schema):
    client = client_of(make_key(owner))
    made = client.post("/api/v1/projects/", {"slug": "new-one", "schema": schema, "guidelines": "# How"})
    assert made.status_code == 201
    body = client.get("/api/v1/projects/new-one/").json()
    assert body["schema"]["kind"] == schema["kind"]
    assert body["role"] == "owner"
    assert AuditEntry.objects.filter(action="project.create", target="new-one").exists()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"slug": "Not a slug"}, "slug"),
        ({"schema": {"kind": "song", "labels": ["a", "b"]}}, "schema.kind"),
        ({"schema": {"kind": "choice", "labels": ["a"]}}, "schema.labels"),
        ({"schema": {"kind": "choice", "labels": ["a", "a"]}}, "schema.labels"),
        ({"schema": {"kind": "choice", "labels": "a,b"}}, "schema.labels"),
        ({"schema": {"kind": "rating", "min": 5, "max": 1}}, "schema.max"),
        ({"schema": {"kind": "rating"}}, "schema.min"),
        ({"overlap": 0}, "overlap"),
        ({"suggestion_policy": "sometimes"}, "suggestion_policy"),
    ],
)
def test_a_wrong_project_names_the_field(owner, change, field):
    body = {"slug": "new-one", "schema": {"kind": "choice", "labels": ["a", "b"]}} | change
    refused = client_of(make_key(owner)).post("/api/v1/projects/", body)
    assert refused.status_code == 422
    assert field in refused.json()["error"]["fields"]


def test_a_taken_slug_is_a_conflict(project, owner):
    body = {"slug": project.slug, "schema": {"kind": "choice", "labels": ["a", "b"]}}
    assert client_of(make_key(owner)).post("/api/v1/projects/", body).status_code == 409


def test_changing_labels_or_guidelines_makes_a_new_version(project, owner):
    client = client_of(make_key(owner))
    path = f"/api/v1/projects/{project.slug}/"
    assert client.patch(path, {"guidelines": "Be kind."}).json()["schema"]["version"] == 2
    assert client.patch(path, {"guidelines": "Be kind."}).json()["schema"]["version"] == 2
    assert client.patch(path, {"schema": {"kind": "choice", "labels": ["a", "b"]}}).json()["schema"]["version"] == 3


def test_only_the_owner_changes_a_project(project, reviewer):
    client = client_of(make_key(reviewer))
    assert client.patch(f"/api/v1/projects/{project.slug}/", {"overlap": 2}).status_code == 403


def test_a_setting_that_does_not_exist_is_refused_and_what_was_read_may_be_sent_back(client, owner, project):
    key = make_key(owner, scopes=["manage"])
    headers = {"authorization": f"Bearer {key}"}
    path = f"/api/v1/projects/{project.slug}/"
    refused = client.patch(path, {"single_truth": False}, content_type="application/json", headers=headers)
    assert refused.status_code == 422
    assert refused.json()["error"]["fields"] == {"single_truth": "There is no such setting."}
    read = client.get(path, headers=headers).json()
    sent = client.patch(path, read, content_type="application/json", headers=headers)
    assert sent.status_code == 200, sent.json()
    body = {"slug": "other", "schema": {"kind": "choice", "labels": ["a", "b"]}, "over_lap": 2}
    made = client.post("/api/v1/projects/", body, content_type="application/json", headers=headers)
    assert made.status_code == 422 and "over_lap" in made.json()["error"]["fields"]


def test_too_many_requests_are_told_to_wait(project, call, settings, monkeypatch):
    settings.THROTTLE_PER_MINUTE = {"annotate": 2}
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    monkeypatch.setattr(limits, "time", SimpleNamespace(time=lambda: 1_000_000.0))  # no minute ends in between
    answers = [next_items(call, project).status_code for _ in range(4)]
    assert answers == [200, 200, 429, 429]
    assert int(next_items(call, project).headers["Retry-After"]) <= 61


def test_members_list_only_their_projects(project, owner, outsider):
    make_member(project, user=None)
    listed = client_of(make_key(owner)).get("/api/v1/projects/").json()["projects"]
    assert [(p["slug"], p["role"]) for p in listed] == [("tweets", "owner")]
    assert client_of(make_key(outsider)).get("/api/v1/projects/").json()["projects"] == []


def test_a_full_disk_is_said_and_worth_another_try(project, call, monkeypatch):
    make_items(project, 1)
    pk = next_items(call, project).json()["assignments"][0]["id"]

    def no_room(*args):
        raise OperationalError("database or disk is full")

    monkeypatch.setattr("labeling.services.annotate._store_remark", no_room)
    refused = call.post(f"/api/v1/assignments/{pk}/submit/", {"value": "neutral", "client_id": "c"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "disk_full")
    assert refused.headers["Retry-After"] == "2"
    monkeypatch.undo()
    stored = call.post(f"/api/v1/assignments/{pk}/submit/", {"value": "neutral", "client_id": "c"})
    assert stored.status_code == 201, "nothing of the first try was kept"
