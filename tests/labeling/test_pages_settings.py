"""Settings, labels and guidelines with their versions, and one's own keys."""

import re
from typing import Any

import pytest
from django.test import Client

from labeling.models import ApiKey, AuditEntry, LabelSchema, Project
from labeling.services import projects
from tests.factories import make_key, make_project

URL = "/projects/tweets/settings/"
KNOBS = {
    "name": "Tweet sentiment",
    "description": "",
    "overlap_policy": "fixed",
    "overlap": "3",
    "max_overlap": "5",
    "target_posterior": "95",
    "full_overlap_share": "5",
    "has_single_truth": "on",
    "lease_seconds": "120",
    "suggestion_policy": "random",
    "suggestion_hidden_share": "30",
    "person_limit": "",
    "gold_share": "5",
    "gold_bar": "60",
    "onboarding": "0",
    "gold_feedback": "never",
}


def test_the_knobs_are_turned_and_the_change_is_on_record(client: Client, project: Project, owner: Any) -> None:
    client.force_login(owner)
    response = client.post(URL, KNOBS)
    assert response.status_code == 302, response.context["form"].errors
    project.refresh_from_db()
    assert (project.overlap, project.lease_seconds, project.suggestion_hidden_share) == (3, 120, 0.3)
    assert not project.submit_on_choice, "a box that is not ticked is not sent"
    assert AuditEntry.objects.get(action="project.change").detail["overlap"] == [1, 3]


@pytest.mark.parametrize(
    "fields, field",
    [({"overlap": "0"}, "overlap"), ({"lease_seconds": "5"}, "lease_seconds"), ({"name": ""}, "name"),
     ({"suggestion_hidden_share": "101"}, "suggestion_hidden_share"), ({"suggestion_policy": "x"}, "suggestion_policy"),
     ({"person_limit": "-1"}, "person_limit"), ({"target_posterior": "40"}, "target_posterior"),
     ({"overlap_policy": "adaptive", "overlap": "6"}, "max_overlap"),
     ({"overlap_policy": "adaptive", "has_single_truth": ""}, "overlap_policy")],
)  # fmt: skip
def test_a_knob_out_of_range_changes_nothing(
    client: Client, project: Project, owner: Any, fields: dict, field: str
) -> None:
    client.force_login(owner)
    response = client.post(URL, KNOBS | fields)
    assert response.status_code == 422
    assert response.context["form"].errors[field]
    assert response.context["project"].name == "Tweet sentiment", "the page's head is not what was typed"
    project.refresh_from_db()
    assert project.overlap == 1


def test_a_reviewer_looks_and_an_annotator_does_not(
    client: Client, project: Project, reviewer: Any, annotator: Any
) -> None:
    client.force_login(reviewer)
    for url in (URL, URL + "schema/"):
        html = client.get(url).content.decode()
        assert "Only an owner changes these." in html and "disabled" in html
        assert client.post(url, KNOBS).status_code == 403
    client.force_login(annotator)
    assert client.get(URL).status_code == 403


def change(client: Client, **fields: str) -> Any:
    current = LabelSchema.objects.order_by("-version")[0]
    body = {"based_on": str(current.version), "labels": "negative\r\nneutral\r\npositive", "guidelines": ""}
    return client.post(URL + "schema/", body | fields)


def test_a_change_of_guidelines_makes_a_version(client: Client, project: Project, owner: Any) -> None:
    client.force_login(owner)
    assert change(client, guidelines="Judge.\r\nTwice.").status_code == 302
    schema = LabelSchema.objects.current(project.pk)
    assert (schema.version, schema.guidelines) == (2, "Judge.\nTwice.")
    html = client.get(URL + "schema/").content.decode()
    assert "Version 1" in html and "Save as version 3" in html
    assert change(client, guidelines="Judge.\r\nTwice.").status_code == 302
    assert LabelSchema.objects.count() == 2, "saving the same again is no version"


def test_names_and_colours_survive_an_edit(client: Client, owner: Any) -> None:
    labels = [{"value": "a = b", "name": "a = b"}, {"value": "x", "name": "Ex", "color": "#123456"}]
    project = make_project(owner, slug="tweets", config={"labels": labels})
    client.force_login(owner)
    shown = client.get(URL + "schema/").context["form"]["labels"].value()
    assert shown == "a = b\nx = Ex"
    change(client, labels=shown.replace("\n", "\r\n"), guidelines="New.")
    assert LabelSchema.objects.current(project.pk).config["labels"] == labels, "an unchanged field is not read anew"
    change(client, labels="x = Eks\ny", guidelines="New.")
    assert LabelSchema.objects.current(project.pk).config["labels"] == [
        {"value": "x", "name": "Eks", "color": "#123456"},
        {"value": "y", "name": "y"},
    ]


@pytest.mark.parametrize(
    "kind, config, sent",
    [
        ("choices", {"labels": ["a", "b"], "min": 1, "max": 2}, {"labels": "a\nb\nc", "at_least": "1", "at_most": ""}),
        ("rating", {"min": 1, "max": 3, "labels": {"1": "bad"}},
         {"lowest": "1", "highest": "5", "point_names": "1 = bad\n5 = good"}),
        ("pair", {"tie": False}, {"tie": "on"}),
    ],
)  # fmt: skip
def test_each_kind_is_edited_by_its_own_fields(client: Client, owner: Any, kind: str, config: dict, sent: dict) -> None:
    project = make_project(owner, slug="tweets", kind=kind, config=config)
    client.force_login(owner)
    before = client.get(URL + "schema/").context["form"]
    assert set(before.fields) == {*sent, "guidelines"}
    unchanged = {name: before[name].value() or "" for name in before.fields if before[name].value()}
    client.post(URL + "schema/", {"based_on": "1"} | unchanged)
    assert LabelSchema.objects.current(project.pk).version == 1, "what the page shows is what is stored"
    response = client.post(URL + "schema/", {"based_on": "1", "guidelines": ""} | sent)
    assert response.status_code == 302, response.context["form"].errors
    stored = LabelSchema.objects.current(project.pk).config
    if kind == "choices":
        assert (stored["min"], stored["max"], len(stored["labels"])) == (1, 3, 3)
    elif kind == "rating":
        assert stored == {"min": 1, "max": 5, "labels": {"1": "bad", "5": "good"}}
    else:
        assert stored == {"tie": True}


def test_two_owners_do_not_overwrite_each_other(client: Client, project: Project, owner: Any) -> None:
    client.force_login(owner)
    projects.change_schema(project=project, actor=owner, guidelines="Of the other one.")
    response = change(client, based_on="1", guidelines="Mine.")
    assert response.status_code == 422
    html = response.content.decode()
    assert "was saved while you were editing" in html and "Mine." in html
    assert LabelSchema.objects.current(project.pk).guidelines == "Of the other one."


def test_bad_labels_are_refused_beside_the_field(client: Client, project: Project, owner: Any) -> None:
    client.force_login(owner)
    response = change(client, labels="one")
    assert response.status_code == 422
    assert response.context["form"].errors["labels"] == ["Name 2 to 500 labels."]


def test_labels_cannot_be_emptied(client: Client, project: Project, owner: Any) -> None:
    client.force_login(owner)
    page = client.get(URL + "schema/").content.decode()
    assert re.search(r"<textarea[^>]*name=\"labels\"[^>]*required", page)
    refused = client.post(URL + "schema/", {"labels": "", "guidelines": "", "based_on": "1"})
    assert refused.status_code == 422 and refused.context["form"].errors["labels"] == ["This field is required."]


def test_an_old_version_can_be_read(client: Client, project: Project, owner: Any, reviewer: Any) -> None:
    projects.change_schema(project=project, actor=owner, guidelines="**New.**")
    client.force_login(reviewer)
    assert "<strong>New.</strong>" in client.get(URL + "schema/2/").content.decode()
    assert "None." in client.get(URL + "schema/1/").content.decode()
    assert client.get(URL + "schema/9/").status_code == 404


def test_a_key_is_shown_once_and_opens_what_it_may(client: Client, project: Project, annotator: Any) -> None:
    client.force_login(annotator)
    response = client.post(URL + "keys/", {"name": "my script", "scope": "annotate"})
    found = re.search(r'value="(sk_[^"]+)"', response.content.decode())
    assert found
    assert "no-store" in response["Cache-Control"]
    assert found[1] not in client.get(URL + "keys/").content.decode()
    headers = {"Authorization": f"Bearer {found[1]}"}
    assert Client().get("/api/v1/projects/tweets/progress/", headers=headers).status_code == 200
    key = ApiKey.objects.get()
    assert (key.user, key.project, key.scopes) == (annotator, project, ["annotate"])
    client.post(f"{URL}keys/{key.pk}/revoke/")
    assert Client().get("/api/v1/projects/tweets/progress/", headers=headers).status_code == 401
    assert key.prefix not in client.get(URL + "keys/").content.decode().replace(f"The key {key.prefix}", "")


@pytest.mark.parametrize("body", [{"name": "", "scope": "annotate"}, {"name": "x", "scope": "widget"}, {"name": "x"}])
def test_a_key_without_name_or_scope_is_not_made(client: Client, project: Project, owner: Any, body: dict) -> None:
    client.force_login(owner)
    assert client.post(URL + "keys/", body).status_code == 422
    assert not ApiKey.objects.exists()


def test_keys_of_others_and_of_other_projects_stay_out_of_reach(
    client: Client, project: Project, owner: Any, annotator: Any
) -> None:
    make_key(annotator, project)
    make_key(owner, make_project(owner))
    make_key(owner)
    client.force_login(owner)
    keys = client.get(URL + "keys/").context["keys"]
    assert [key.project for key in keys] == [None]
    for key in ApiKey.objects.exclude(project=None):
        assert client.post(f"{URL}keys/{key.pk}/revoke/").status_code == 404
    assert not ApiKey.objects.exclude(revoked_at=None).exists()
