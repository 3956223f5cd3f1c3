"""The import pages, from the drop zone to the result."""

import io
import json
import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from labeling.models import Item, Job, Project
from labeling.services import imports
from tests.factories import make_project

pytestmark = pytest.mark.django_db
TABLE = b"tweet_id,tweet,lang\n1,so good today,en\n2,very bad day,en\n3,,en\n"


@pytest.fixture
def web(client: Client, owner: Any, project: Project) -> Client:
    client.force_login(owner)
    return client


def send(client: Client, project: Project, content: bytes = TABLE, name: str = "tweets.csv", **headers: Any) -> Any:
    file = SimpleUploadedFile(name, content)
    return client.post(reverse("labeling:import", args=[project.slug]), {"file": file}, **headers)


def words(response: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


def form_of(response: Any) -> dict[str, str]:
    """The roles chosen in the preview's form."""
    form = response.context["form"]
    return {name: form[name].value() for name in form.fields if name.startswith("column-")}


def test_a_file_goes_from_the_drop_zone_to_its_items(web: Client, project: Project) -> None:
    assert "Drop a file here" in words(web.get(reverse("labeling:import", args=[project.slug])))
    preview = web.get(send(web, project).url)
    said = words(preview)
    assert "so good today" in said and "Its name says so" in said
    assert "3 rows: people judge tweet ; tweet_id is your id; lang is a segment" in said.replace(" ;", " ;")
    assert "2 would be created, 1 would be left out" in said and "row 3: The text is empty" in said
    assert not Item.objects.exists()
    started = web.post(preview.request["PATH_INFO"], form_of(preview))
    job = Job.objects.get(kind="import")
    assert started.url == reverse("labeling:import-job", args=[project.slug, job.pk])
    waiting = web.get(started.url)
    assert "Waiting for a worker" in words(waiting) and 'hx-trigger="every 1s"' in waiting.content.decode()
    imports.import_file(job_id=str(job.pk))
    done = web.get(reverse("labeling:import-progress", args=[project.slug, job.pk]))
    assert "2 items created" in words(done) and "row" in words(done) and "hx-trigger" not in done.content.decode()
    assert Item.objects.get(external_id="1").meta == {"lang": "en"}
    errors = web.get(reverse("labeling:import-errors", args=[project.slug, job.pk]))
    assert b"3,4,tweet,The text is empty" in b"".join(errors.streaming_content)
    assert errors["Content-Disposition"].startswith("attachment")
    assert "2" in words(web.get(reverse("labeling:import", args=[project.slug])))


def test_rows_that_cannot_be_read_are_counted_before_anything_is_stored(web: Client, project: Project) -> None:
    preview = web.get(send(web, project, b"id,text\n1,hello there\n2,too,many\n3\n").url)
    assert "2 of the first rows cannot be read" in words(preview)


def test_the_sentence_follows_the_choice_of_columns(web: Client, project: Project) -> None:
    preview = web.get(send(web, project).url)
    plan = preview.request["PATH_INFO"] + "plan/"
    chosen = form_of(preview) | {"column-1": "field", "column-2": "skip"}
    assert "people judge tweet ;" in words(web.post(plan, chosen))
    nothing = web.post(plan, chosen | {"column-1": "skip", "column-2": "skip"})
    assert "Say which column holds what people will judge" in words(nothing)


def test_a_choice_that_makes_no_items_is_refused_beside_the_form(web: Client, project: Project) -> None:
    preview = web.get(send(web, project).url)
    refused = web.post(preview.request["PATH_INFO"], form_of(preview) | {"column-0": "text", "column-1": "text"})
    assert refused.status_code == 422 and "Only one column" in words(refused)
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        (b"", "a.csv", "The file is empty"),
        (b"\x00\x01" * 100, "a.csv", "binary"),
        (b"a,a\n1,2\n", "a.csv", "more than once: “a”"),
        (b"text\n", "a.csv", "a header and no rows"),
        (b"[]", "a.json", "No rows"),
        (b"PAR1 cut", "a.parquet", "no readable footer"),
    ],
)
def test_a_file_that_is_no_table_is_refused_where_it_was_dropped(
    web: Client, project: Project, content: bytes, name: str, said: str
) -> None:
    answer = send(web, project, content, name)
    assert answer.status_code == 422 and said in words(answer) and "Nothing was imported" in words(answer)
    as_json = send(web, project, content, name, headers={"Accept": "application/json"})
    assert as_json.status_code == 422 and said in as_json.json()["error"]["message"]


def test_the_script_gets_the_address_of_the_preview(web: Client, project: Project) -> None:
    answer = send(web, project, headers={"Accept": "application/json"})
    assert answer.status_code == 201 and web.get(answer.json()["location"]).status_code == 200


def test_no_file_is_said(web: Client, project: Project) -> None:
    answer = web.post(reverse("labeling:import", args=[project.slug]), {})
    assert answer.status_code == 422 and "Choose a file" in words(answer)


def test_a_body_over_the_limit_is_turned_away(web: Client, project: Project, settings: Any) -> None:
    settings.IMPORT_MAX_BYTES = 50
    assert send(web, project).status_code == 413


def test_the_encoding_can_be_chosen(web: Client, project: Project) -> None:
    address = send(web, project, "text\nIt’s fine\nplain\n".encode("cp1252")).url
    said = words(web.get(address))
    assert "0x92" in said and "Windows-1252" in said
    again = web.get(address, {"encoding": "cp1252"})
    assert "It’s fine" in words(again)
    web.post(address, form_of(again) | {"encoding": "cp1252"})
    imports.import_file(job_id=str(Job.objects.get().pk))
    assert sorted(item.data["text"] for item in Item.objects.all()) == ["It’s fine", "plain"]


def test_what_people_upload_is_shown_as_text(web: Client, project: Project) -> None:
    hostile = b'<script>alert(1)</script>,text\n"<img src=x onerror=alert(1)>",hello\n'
    answer = web.get(send(web, project, hostile, "<b>x</b>.csv").url).content
    assert b"<script>alert" not in answer and b"<img src=x" not in answer and b"<b>x</b>" not in answer


def test_a_wide_table_shows_its_first_columns(web: Client, project: Project) -> None:
    names = [f"f{i}" for i in range(300)]
    content = ",".join(["text", *names]) + "\n" + ",".join(["hello there", *["0.5"] * 300]) + "\n"
    preview = web.get(send(web, project, content.encode()).url)
    assert "And 261 more columns" in words(preview)
    web.post(preview.request["PATH_INFO"], form_of(preview))
    imports.import_file(job_id=str(Job.objects.get().pk))
    assert len(bytes(Item.objects.get().features or b"")) == 4 * 300


def test_json_rows_show_their_nested_fields(web: Client, project: Project) -> None:
    rows = [{"text": "hello there", "about": {"year": 2026}}]
    assert '{"year": 2026}' in words(web.get(send(web, project, json.dumps(rows).encode(), "a.json").url)).replace(
        "&quot;", '"'
    )


def test_no_worker_is_said(web: Client, project: Project) -> None:
    assert "No worker is running" in words(web.get(send(web, project).url))


def test_a_failed_import_can_be_started_again(web: Client, project: Project) -> None:
    preview = web.get(send(web, project).url)
    web.post(preview.request["PATH_INFO"], form_of(preview))
    job = Job.objects.get()
    Job.objects.filter(pk=job.pk).update(state="failed", error="The disk is full.")
    said = words(web.get(reverse("labeling:import-job", args=[project.slug, job.pk])))
    assert "The import failed. The disk is full." in said
    again = web.post(reverse("labeling:import-again", args=[project.slug, job.pk]))
    fresh = Job.objects.exclude(pk=job.pk).get()
    assert str(fresh.pk) in again.url
    assert web.post(reverse("labeling:import-again", args=[project.slug, fresh.pk])).status_code == 409


def addresses(client: Client, project: Project) -> list[tuple[str, str]]:
    preview = send(client, project).url
    client.post(preview, form_of(client.get(preview)))
    job = Job.objects.get(project=project)
    return [
        ("get", reverse("labeling:import", args=[project.slug])),
        ("get", preview),
        ("post", preview + "plan/"),
        ("get", reverse("labeling:import-job", args=[project.slug, job.pk])),
        ("get", reverse("labeling:import-progress", args=[project.slug, job.pk])),
        ("get", reverse("labeling:import-errors", args=[project.slug, job.pk])),
        ("post", reverse("labeling:import-again", args=[project.slug, job.pk])),
    ]


def test_only_owners_import(web: Client, project: Project, reviewer: Any, annotator: Any, outsider: Any) -> None:
    listed = addresses(web, project)
    for user, status in ((reviewer, 403), (annotator, 403), (outsider, 404)):
        visitor = Client()
        visitor.force_login(user)
        for method, address in listed:
            assert getattr(visitor, method)(address).status_code == status, address
        assert send(visitor, project).status_code == status
    for method, address in listed:
        assert "/login/" in getattr(Client(), method)(address).url
    assert "/login/" in send(Client(), project).url


def test_an_import_is_reached_through_its_project_alone(web: Client, project: Project, owner: Any) -> None:
    other = make_project(owner)
    for method, address in addresses(web, project)[1:]:
        assert getattr(web, method)(address.replace(f"/{project.slug}/", f"/{other.slug}/")).status_code == 404, address


def test_the_token_is_checked_although_the_body_is_read_late(owner: Any, project: Project) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(owner)
    assert send(strict, project).status_code == 403
    page = strict.get(reverse("labeling:import", args=[project.slug]))
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.content.decode())
    assert token
    body = {"file": io.BytesIO(TABLE), "csrfmiddlewaretoken": token.group(1)}
    assert strict.post(reverse("labeling:import", args=[project.slug]), body).status_code in (302, 422)
