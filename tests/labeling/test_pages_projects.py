"""The list of projects, a new one, and a project's front page."""

import re
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from labeling.models import LabelSchema, Project
from labeling.services import queue
from tests.factories import make_annotation, make_item, make_items, make_member, make_project

NEW = {
    "name": "Film reviews",
    "slug": "",
    "kind": "choice",
    "labels": "neg = Negative\r\npositive\r\n\r\n",
    "lowest": "1",
    "highest": "5",
    "overlap": "2",
    "audit_share": "7.5",
    "guidelines": "# Tone\r\n\r\nJudge it.",
    "description": "After somebody.",
}


def page(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200, response
    return response.content.decode()


def words_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", html))


def test_somebody_without_a_project_is_told_what_to_do(client: Client, project: Project, outsider: Any) -> None:
    client.force_login(outsider)
    html = page(client, "/projects/")
    assert "ask its owner for an invitation link" in html
    assert 'href="/projects/new/"' in html
    assert "Tweet sentiment" not in html


def test_the_list_says_what_waits(client: Client, project: Project, annotator: Any, owner: Any) -> None:
    make_items(project, 2)
    make_item(project, state="resolved")
    make_item(project, state="disputed")
    client.force_login(annotator)
    text = words_of(page(client, "/projects/"))
    assert "1 of 4 items settled" in text
    assert "2 items wait for labels." in text
    client.force_login(owner)
    assert "2 items wait for labels, 1 disputed." in words_of(page(client, "/projects/"))


def test_the_list_takes_as_many_queries_for_five_projects_as_for_one(
    client: Client, project: Project, owner: Any, django_assert_num_queries: Any
) -> None:
    client.force_login(owner)
    for _ in range(4):
        make_items(make_project(owner), 2)
    with django_assert_num_queries(5):  # session, user, memberships, items by state, annotations
        assert client.get("/projects/").status_code == 200


def test_a_project_is_created_with_its_labels_names_and_shares(client: Client, owner: Any) -> None:
    client.force_login(owner)
    response = client.post("/projects/new/", NEW)
    assert response.status_code == 302, response.context["form"].errors
    made = Project.objects.get(slug="film-reviews")
    assert response["Location"] == "/projects/film-reviews/"
    assert (made.overlap, made.audit_share, made.description) == (2, 0.075, "After somebody.")
    schema = LabelSchema.objects.current(made.pk)
    assert schema.config["labels"] == [
        {"value": "neg", "name": "Negative"},
        {"value": "positive", "name": "positive"},
    ]
    assert schema.guidelines == "# Tone\n\nJudge it."
    assert made.memberships.get().role == "owner"


@pytest.mark.parametrize(
    "fields, config",
    [
        ({"kind": "choices", "at_least": "1"}, {"min": 1, "max": 2}),
        ({"kind": "choices", "at_most": "1"}, {"min": 0, "max": 1}),
        (
            {"kind": "rating", "lowest": "-4", "highest": "4", "point_names": "-4 = very negative\n4=very positive"},
            {"min": -4, "max": 4, "labels": {"-4": "very negative", "4": "very positive"}},
        ),
        ({"kind": "pair", "tie": "on"}, {"tie": True}),
        ({"kind": "pair", "labels": "", "lowest": "", "point_names": "nonsense"}, {"tie": False}),
    ],
)
def test_each_kind_has_its_own_fields(client: Client, owner: Any, fields: dict, config: dict) -> None:
    client.force_login(owner)
    response = client.post("/projects/new/", NEW | fields)
    assert response.status_code == 302, response.context["form"].errors
    stored = LabelSchema.objects.get().config
    assert {name: stored[name] for name in config} == config


@pytest.mark.parametrize(
    "fields, field, words",
    [
        ({"labels": "only one"}, "labels", "Name 2 to 500 labels."),
        ({"labels": ""}, "labels", "This field is required."),
        ({"labels": "a\na"}, "labels", "named twice"),
        ({"kind": "rating", "lowest": "5", "highest": "1"}, "highest", "min below max"),
        ({"kind": "rating", "point_names": "bad"}, "point_names", "does not look like"),
        ({"kind": "choices", "at_least": "9"}, "at_least", "how many labels"),
        ({"slug": "tweets"}, "slug", "already a project tweets"),
        ({"slug": "new"}, "slug", "lower-case letters"),
        ({"name": "情感"}, "slug", "lower-case letters"),
        ({"audit_share": "60"}, "audit_share", "less than or equal to 50"),
        ({"overlap": "0"}, "overlap", "greater than or equal to 1"),
        ({"kind": "span"}, "kind", "not one of the available choices"),
        ({"name": ""}, "name", "required"),
    ],
)
def test_a_refusal_stands_beside_its_field_and_nothing_typed_is_lost(
    client: Client, project: Project, owner: Any, fields: dict, field: str, words: str
) -> None:
    client.force_login(owner)
    response = client.post("/projects/new/", NEW | fields)
    assert response.status_code == 422
    assert words in " ".join(response.context["form"].errors[field])
    assert "After somebody." in response.content.decode()
    assert Project.objects.count() == 1


def test_guidelines_are_previewed_without_javascript_and_nothing_is_created(client: Client, owner: Any) -> None:
    client.force_login(owner)
    response = client.post("/projects/new/", NEW | {"preview": "1", "name": ""})
    assert response.status_code == 200
    assert "<h3>Tone</h3>" in response.content.decode()
    assert not Project.objects.exists()


def test_the_preview_fragment_runs_nothing(client: Client, owner: Any) -> None:
    client.force_login(owner)
    response = client.post("/guidelines/preview/", {"guidelines": "**so** <script>alert(1)</script>"})
    html = response.content.decode()
    assert "<strong>so</strong>" in html and "<script>" not in html and "<html" not in html


def test_a_fragment_never_brings_the_log_in_page(client: Client, db: None) -> None:
    assert client.post("/guidelines/preview/", {}).status_code == 401
    assert client.get("/health/dot/").status_code == 401


def step(client: Client, user: Any) -> str:
    cache.clear()  # counts may be a few seconds old
    client.force_login(user)
    return str(client.get("/projects/tweets/").context["next_step"])


def test_the_one_next_thing(client: Client, project: Project, owner: Any, reviewer: Any, annotator: Any) -> None:
    assert (step(client, owner), step(client, reviewer), step(client, annotator)) == ("import", "wait", "wait")
    item = make_item(project)
    assert (step(client, owner), step(client, annotator)) == ("label", "label")
    Project.objects.update(overlap=4)
    assert (step(client, owner), step(client, reviewer)) == ("invite", "label")
    Project.objects.update(overlap=1, person_limit=1)
    make_annotation(item, user=annotator)
    assert (step(client, annotator), step(client, owner)) == ("limit", "label")
    Project.objects.update(person_limit=None)
    project.items.update(state="disputed")
    assert (step(client, owner), step(client, annotator)) == ("disputed", "done")
    project.items.update(state="resolved")
    assert (step(client, owner), step(client, reviewer), step(client, annotator)) == ("model", "model", "done")


def test_the_front_page_tells_figures_queue_and_remarks(
    client: Client, project: Project, owner: Any, annotator: Any, annotator2: Any
) -> None:
    items = make_items(project, 5)
    candidates = [queue.QueueCandidate(item.pk, "acquisition") for item in items[:3]]
    candidates.append(queue.QueueCandidate(items[3].pk, "random"))
    queue.replace_queue(project=project, entries=candidates, batch=1, ordered_by="model 4")
    project.comments.create(item=items[0], user=annotator, text="is this sarcasm?", is_flag=True)
    project.comments.create(item=items[1], user=annotator2, text="hm")
    client.force_login(owner)
    text = words_of(page(client, "/projects/tweets/"))
    assert "4 items in line, put in order by model 4" in text
    assert re.search(r"The model is torn\s*3\s*Random check\s*1", text)
    assert "is this sarcasm?" in text and "hm" in text
    client.force_login(annotator)
    text = words_of(page(client, "/projects/tweets/"))
    assert "is this sarcasm?" in text and "ben" not in text, "others' remarks would sway"
    assert "Last 7 days" not in text, "the team is for owners"


def test_a_description_is_text(client: Client, owner: Any) -> None:
    make_project(owner, slug="credits", description="<b>After</b> https://example.org/paper")
    client.force_login(owner)
    html = page(client, "/projects/credits/")
    assert "&lt;b&gt;After" in html
    assert 'href="https://example.org/paper"' in html


@pytest.mark.parametrize("role, n", [("owner", 21), ("annotator", 18)])
def test_the_front_page_takes_the_same_queries_whatever_there_is(
    client: Client, project: Project, owner: Any, annotator: Any, role: str, n: int, django_assert_max_num_queries: Any
) -> None:
    for item in make_items(project, 12):
        make_annotation(item, user=make_member(project))
        project.comments.create(item=item, user=annotator, text="so")
    client.force_login(owner if role == "owner" else annotator)
    with django_assert_max_num_queries(n):
        assert client.get("/projects/tweets/").status_code == 200
