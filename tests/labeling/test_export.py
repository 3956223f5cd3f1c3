"""Labels go out: by command, by API, by job and page, with their provenance."""

import csv
import hashlib
import io
import json
import re
from datetime import timedelta
from typing import Any

import pyarrow.parquet as pq
import pytest
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from labeling.core.errors import Invalid, NotFound
from labeling.models import Annotation, Assignment, AuditEntry, Job, Project, Resolution
from labeling.services import export
from tests.factories import make_annotation, make_item, make_key, make_project

pytestmark = pytest.mark.django_db


def rows(project: Project, kind: str = "annotations") -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for line in b"".join(export.stream_labels(project=project, kind=kind, format="jsonl")).splitlines()
    ]


def resolve(project: Project, **fields: Any) -> Resolution:
    item = fields.pop("item", None) or make_item(project)
    given = {"value": "positive", "method": "consensus", "n_annotations": 2, "created_at": timezone.now()} | fields
    return Resolution.objects.create(project=project, item=item, **given)


def run(job: Job) -> Job:
    export.export_file(job_id=str(job.pk))
    job.refresh_from_db()
    return job


def test_a_row_says_where_it_came_from(project: Project, annotator: Any) -> None:
    item = make_item(project, "fine day", external_id="t-1", meta={"lang": "en"})
    now = timezone.now()
    assignment = Assignment.objects.create(
        project=project,
        item=item,
        user=annotator,
        state="submitted",
        leased_at=now,
        expires_at=now,
        reason="acquisition",
        propensity=0.25,
        suggestion={"value": "neutral", "p": 0.6},
        suggestion_shown=True,
    )
    annotation = make_annotation(item, "positive", annotator, seconds=2.5, assignment=assignment)
    (row,) = rows(project)
    assert row == {
        "annotation_id": annotation.pk,
        "item_id": item.pk,
        "external_id": "t-1",
        "data": {"text": "fine day"},
        "meta": {"lang": "en"},
        "split": "pool",
        "value": "positive",
        "annotator": "ann",
        "source": "member",
        "schema_version": 1,
        "seconds": 2.5,
        "suggestion_shown": True,
        "suggestion": {"value": "neutral", "p": 0.6},
        "reason": "acquisition",
        "propensity": 0.25,
        "is_late": False,
        "created_at": annotation.created_at.isoformat(),
    }


def test_anonymous_raters_get_no_name(project: Project) -> None:
    item = make_item(project)
    make_annotation(item)
    make_annotation(item)
    make_annotation(item, rater="judge 7")
    assert [row["annotator"] for row in rows(project)] == [None, None, "judge 7"]


def test_withdrawn_and_superseded_ones_are_left_out(project: Project, annotator: Any) -> None:
    item = make_item(project)
    make_annotation(item, "negative", annotator, withdrawn_at=timezone.now())
    make_annotation(item, "positive", annotator)
    assert [row["value"] for row in rows(project)] == ["positive"]
    resolve(project, item=item, value="negative", superseded_at=timezone.now() + timedelta(seconds=1))
    resolve(project, item=item, value="positive", posterior=0.9)
    ((row),) = rows(project, "resolved")
    assert (row["value"], row["method"], row["posterior"], row["n_annotations"]) == ("positive", "consensus", 0.9, 2)


def test_other_projects_are_left_out(project: Project) -> None:
    make_annotation(make_item(make_project()))
    assert rows(project) == [] and rows(project, "resolved") == []


def test_long_exports_are_read_in_pieces(
    project: Project, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    monkeypatch.setattr(export, "BATCH_ROWS", 10)
    items = [make_item(project) for _ in range(35)]
    for item in items:
        make_annotation(item)
    Annotation.objects.filter(item__in=items[10:25]).update(withdrawn_at=timezone.now())
    with django_assert_num_queries(1 + 2):
        exported = rows(project)
    assert [row["item_id"] for row in exported] == [item.pk for item in items[:10] + items[25:]]


def test_an_export_ends_at_what_was_there_when_it_began(project: Project) -> None:
    make_annotation(make_item(project))
    streaming = export.export_rows(project=project, kind="annotations")
    next(streaming)
    make_annotation(make_item(project))
    assert list(streaming) == []


def test_unknown_kinds_and_formats_are_refused(project: Project) -> None:
    for wrong in ({"kind": "all", "format": "csv"}, {"kind": "resolved", "format": "xlsx"}):
        with pytest.raises(Invalid):
            export.stream_labels(project=project, **wrong)
        with pytest.raises(Invalid):
            export.start_export(project=project, user=None, **wrong)


# The job


@pytest.mark.parametrize("file_format", ["jsonl", "csv", "parquet"])
def test_the_job_writes_a_file_with_its_manifest(project: Project, owner: Any, file_format: str) -> None:
    make_annotation(make_item(project, "=HYPERLINK(1)"))
    job = run(export.start_export(project=project, kind="annotations", format=file_format, user=owner))
    assert job.state == "succeeded", job.error
    manifest = job.result or {}
    with export.opened_export(job=job) as file:
        content = file.read()
    assert manifest["rows"] == 1 and manifest["bytes"] == len(content)
    assert manifest["sha256"] == hashlib.sha256(content).hexdigest()
    is_csv = file_format == "csv"
    assert manifest["csv_safe"] is is_csv and manifest["is_lossless"] is not is_csv
    assert manifest["changed_cells"] == is_csv and manifest["schema_versions"] == [1]
    if is_csv:
        assert list(csv.DictReader(io.StringIO(content.decode())))[0]["text"] == "'=HYPERLINK(1)"
    if file_format == "parquet":
        assert pq.read_table(io.BytesIO(content)).column_names == manifest["columns"]
    if file_format == "jsonl":
        assert list(json.loads(content)) == manifest["columns"]
    assert AuditEntry.objects.get(action="labels.export").detail == {"kind": "annotations", "format": file_format}


def test_the_same_export_waits_once_and_runs_twice_without_harm(project: Project, owner: Any) -> None:
    asked = {"project": project, "kind": "resolved", "format": "csv", "user": owner}
    job = export.start_export(**asked)
    assert export.start_export(**asked).pk == job.pk
    first = run(job).result or {}
    Job.objects.filter(pk=job.pk).update(state="queued")
    again = run(job).result or {}
    assert first["sha256"] == again["sha256"]
    assert export.start_export(**asked).pk != job.pk


def test_a_full_disk_fails_the_export_with_words(project: Project, owner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **kwargs: Any) -> str:
        raise OSError(28, "No space left on device")

    job = export.start_export(project=project, kind="resolved", format="csv", user=owner)
    monkeypatch.setattr(type(default_storage._wrapped), "_save", full)  # type: ignore[attr-defined]
    assert "disk is full" in run(job).error


def test_old_exports_are_swept(project: Project, owner: Any) -> None:
    job = run(export.start_export(project=project, kind="resolved", format="csv", user=owner))
    assert export.sweep_exports() == 0
    assert export.sweep_exports(now=timezone.now() + timedelta(days=export.KEPT_DAYS + 1)) >= 1
    with pytest.raises(NotFound):
        export.opened_export(job=job)


# The page


def words(response: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


def test_an_export_from_the_form_to_the_file(client: Client, project: Project, reviewer: Any) -> None:
    make_annotation(make_item(project))
    client.force_login(reviewer)
    address = reverse("labeling:export", args=[project.slug])
    assert "No export yet" in words(client.get(address))
    assert client.post(address, {"kind": "annotations", "format": "csv"}).url == address
    waiting = client.get(address)
    assert "waiting" in words(waiting) and "No worker is running" in words(waiting)
    assert "every 1s" in waiting.content.decode()
    job = run(Job.objects.get())
    listed = client.get(reverse("labeling:export-list", args=[project.slug]))
    assert "done" in words(listed) and "every 1s" not in listed.content.decode()
    download = client.get(reverse("labeling:export-download", args=[project.slug, job.pk]))
    assert b"annotation_id" in b"".join(download.streaming_content)
    assert re.search(r'attachment; filename="tweets-annotations-\d{8}-\d{4}\.csv"', download["Content-Disposition"])
    assert download["X-Content-Type-Options"] == "nosniff" and "sandbox" in download["Content-Security-Policy"]
    manifest = client.get(reverse("labeling:export-manifest", args=[project.slug, job.pk])).json()
    assert manifest["rows"] == 1


def test_an_unknown_format_is_refused_on_the_page(client: Client, project: Project, owner: Any) -> None:
    client.force_login(owner)
    answer = client.post(reverse("labeling:export", args=[project.slug]), {"kind": "annotations", "format": "xlsx"})
    assert answer.status_code == 422 and not Job.objects.exists()


def test_only_reviewers_and_owners_export(
    client: Client, project: Project, owner: Any, reviewer: Any, annotator: Any, outsider: Any
) -> None:
    job = run(export.start_export(project=project, kind="resolved", format="csv", user=owner))
    plain = [reverse(f"labeling:{name}", args=[project.slug]) for name in ("export", "export-list")]
    of_job = [
        reverse(f"labeling:{name}", args=[project.slug, job.pk]) for name in ("export-download", "export-manifest")
    ]
    for user, status in ((owner, 200), (reviewer, 200), (annotator, 403), (outsider, 404)):
        visitor = Client()
        visitor.force_login(user)
        for address in plain + of_job:
            answer = visitor.get(address)
            b"".join(getattr(answer, "streaming_content", ()))
            assert answer.status_code == status, address
    assert all("/login/" in client.get(address).url for address in plain + of_job)
    other = make_project(owner)
    client.force_login(owner)
    for address in of_job:
        assert client.get(address.replace(f"/{project.slug}/", f"/{other.slug}/")).status_code == 404


# The API and the command


def test_the_api_streams_each_format(client: Client, project: Project, owner: Any) -> None:
    make_annotation(make_item(project, "hello there"))
    address = f"/api/v1/projects/{project.slug}/labels/"
    headers = {"Authorization": f"Bearer {make_key(owner)}"}
    for file_format in ("jsonl", "csv", "parquet"):
        answer = client.get(address, {"format": file_format}, headers=headers)
        content = b"".join(answer.streaming_content)  # type: ignore[attr-defined]
        assert answer.status_code == 200 and content
        if file_format == "jsonl":
            assert json.loads(content)["data"] == {"text": "hello there"}
    assert client.get(address, {"format": "xlsx"}, headers=headers).status_code == 422


def test_the_command_writes_a_file(project: Project, tmp_path: Any) -> None:
    make_annotation(make_item(project, "hello there"))
    out = tmp_path / "labels.csv"
    call_command("export_labels", project.slug, format="csv", output=out, stdout=io.StringIO())
    (row,) = csv.DictReader(io.StringIO(out.read_text()))
    assert row["text"] == "hello there" and list(tmp_path.iterdir()) == [out]


def test_the_command_writes_to_standard_output(project: Project, capfdbinary: Any) -> None:
    make_annotation(make_item(project, "hello there"))
    call_command("export_labels", project.slug)
    assert json.loads(capfdbinary.readouterr().out)["value"] == "positive"


def test_the_command_explains_what_it_cannot_do(project: Project, tmp_path: Any) -> None:
    with pytest.raises(CommandError, match="no project nope"):
        call_command("export_labels", "nope")
    with pytest.raises(CommandError, match="Nothing was written"):
        call_command("export_labels", project.slug, output=tmp_path / "missing" / "x.jsonl")
