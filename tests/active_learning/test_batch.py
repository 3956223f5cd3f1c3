"""Files of inputs: row for row answered, bad rows named, nothing done twice after a crash, and again on schedule."""

import csv
import io
import json
from datetime import timedelta

import pyarrow.parquet
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from rest_framework.test import APIClient

from active_learning.core import batch_rows
from active_learning.models import BatchSchedule, Prediction
from active_learning.services import batch, prediction_log
from active_learning.services.batch_schedules import run_due
from labeling.core.formats import RowError
from labeling.models import Item, Job, ReviewItem
from tests.active_learning.pools import make_pool
from tests.active_learning.test_live_page import words
from tests.active_learning.test_serving_policy import trained  # noqa: F401
from tests.factories import make_key, make_member

pytestmark = pytest.mark.django_db

CSV = (
    "id,question,note\n"
    'a-1,"a soup with bread","=1+1"\n'
    "a-2,,\n"
    '=b,"the match and the goal",x\n'
    'a-4,"a loan from the bank",y,too,many\n'
    'a-5,"an account at the bank",z\n'
)


def program(user, scopes=("predict",)):
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {make_key(user, scopes=list(scopes))}")
    return client


def send(client, project, content, name="in.csv", **more):
    file = SimpleUploadedFile(name, content if isinstance(content, bytes) else content.encode())
    return client.post(f"/api/v1/projects/{project.slug}/predict/batch/", {"file": file} | more, format="multipart")


def run(job):
    batch.predict_file(job_id=str(job.pk))
    job.refresh_from_db()
    assert job.state == "succeeded", job.error
    return job


def rows_of(job):
    with batch.opened_result(job=job) as file:
        return [json.loads(line) for line in file]


def test_each_row_is_answered_or_says_why_not(owner, trained):  # noqa: F811
    call = program(owner)
    sent = send(call, trained, CSV, format="csv")
    assert sent.status_code == 202, sent.content
    body = sent.json()
    assert call.get(body["result_url"]).json()["error"]["code"] == "not_finished"
    job = run(Job.objects.get(pk=body["job"]["id"]))
    found = call.get(body["result_url"])
    assert found["Content-Disposition"].startswith("attachment")
    text = b"".join(found.streaming_content).decode()
    answers = list(csv.DictReader(io.StringIO(text)))
    assert [row["row"] for row in answers] == ["1", "2", "3", "4", "5"]
    assert [row["id"] for row in answers] == ["a-1", "a-2", "'=b", "", "a-5"]
    assert [bool(row["error"]) for row in answers] == [False, True, False, True, False]
    assert answers[0]["value"] in ("food", "money", "sport")
    assert answers[0]["model"] == "1"
    logged = {str(pk) for pk in Prediction.objects.values_list("pk", flat=True)}
    assert {row["prediction"] for row in answers if not row["error"]} == logged
    told = call.get(body["url"]).json()["job"]["result"]
    assert (told["rows"], told["n_errors"], told["errors"][0]["row"]) == (5, 2, 2)
    assert sum(told["decisions"].values()) == 3
    assert ReviewItem.objects.count() >= told["decisions"].get("review", 0)
    assert not default_storage.exists(batch._part(job, 1))


@pytest.mark.parametrize("file_format", ["jsonl", "parquet"])
def test_other_forms_of_the_answers(owner, file_format):
    project = make_pool(owner, 4)  # no model is live: the rules answer
    lines = b'{"data": {"text": "a stew"}, "id": 7}\n[1]\n{"text": "a match"}\n'
    sent = send(program(owner), project, lines, "in.jsonl", format=file_format)
    job = run(Job.objects.get(pk=sent.json()["job"]["id"]))
    with batch.opened_result(job=job) as file:
        content = file.read()
    if file_format == "parquet":
        rows = pyarrow.parquet.read_table(io.BytesIO(content)).to_pylist()
    else:
        rows = [json.loads(line) for line in content.splitlines()]
    assert [(row["row"], row["id"], row["source"], row["decision"]) for row in rows] == [
        (1, "7", "rules", "review"),
        (2, None, None, None),
        (3, None, "rules", "review"),
    ]
    assert "not an object" in rows[1]["error"]


def test_after_a_crash_it_goes_on_behind_the_last_part(owner, monkeypatch):
    monkeypatch.setattr(batch_rows, "MAX_ROWS", 10)
    project = make_pool(owner, 4)
    content = "".join(json.dumps({"id": str(n), "text": f"stew {n}"}) + "\n" for n in range(35))
    sent = send(program(owner), project, content, "in.jsonl")
    job = Job.objects.get(pk=sent.json()["job"]["id"])
    flush, flushed = prediction_log.flush, []

    def dies_in_the_third_part():
        flush()
        flushed.append(1)
        if len(flushed) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(prediction_log, "flush", dies_in_the_third_part)
    with pytest.raises(KeyboardInterrupt):
        batch.predict_file(job_id=str(job.pk))
    Job.objects.filter(pk=job.pk).update(state="queued")  # as the sweep does with a job whose worker is gone
    job = run(job)
    rows = rows_of(job)
    assert [row["row"] for row in rows] == list(range(1, 36))
    assert job.result["rows"] == 35
    # Only the part that was not kept was answered a second time.
    assert Prediction.objects.count() == 35 + 10
    assert ReviewItem.objects.count() == 35


def test_a_run_is_stopped_and_goes_on(client, owner, monkeypatch):
    """What was kept of it is not answered again."""
    monkeypatch.setattr(batch_rows, "MAX_ROWS", 10)
    project = make_pool(owner, 4)
    content = "note,n\n" + "".join(f"stew {n},{n}\n" for n in range(35))
    job = Job.objects.get(pk=send(program(owner), project, content).json()["job"]["id"])
    client.force_login(owner)
    page, flush, flushed = f"/projects/{project.slug}/live/files/", prediction_log.flush, []

    def is_stopped_in_the_second_part():
        flush()
        flushed.append(1)
        if len(flushed) == 2:
            assert "Stop" in words(client.get(page))
            assert client.post(f"{page}{job.pk}/stop/").status_code == 302

    monkeypatch.setattr(prediction_log, "flush", is_stopped_in_the_second_part)
    batch.predict_file(job_id=str(job.pk))
    job.refresh_from_db()
    assert (job.state, job.error, job.result) == ("failed", f"{owner.username} stopped it.", None)
    assert "stopped it" in client.get(f"{page}{job.pk}/result/").content.decode()
    assert "ended already" in words(client.post(f"{page}{job.pk}/stop/", follow=True))
    assert client.post(f"{page}{job.pk}/again/").status_code == 302
    job = run(job)
    assert [row["row"] for row in rows_of(job)] == list(range(1, 36))
    assert Prediction.objects.count() == 35 + 10
    assert job.result["text_column"] == "note" and "text: note" in words(client.get(page))


@pytest.mark.parametrize("how", ["before a part", "at the end", "disk", "taken over"])
def test_a_run_that_ends_while_its_file_is_put_together_goes_on(client, owner, monkeypatch, how):
    """Nothing that was answered is lost, nor answered again."""
    monkeypatch.setattr(batch_rows, "MAX_ROWS", 10)
    project = make_pool(owner, 4)
    job = Job.objects.get(pk=send(program(owner), project, "text\n" + "stew\n" * 25).json()["job"]["id"])
    client.force_login(owner)
    page, encoded = f"/projects/{project.slug}/live/files/", batch.encoded

    def disturbed(rows, encoder):
        if how == "disk":
            raise OSError(28, "No space left on device")
        if how == "at the end":
            yield from encoded(rows, encoder)
        if how == "taken over":
            Job.objects.filter(pk=job.pk).update(attempt=2)
        else:
            assert client.post(f"{page}{job.pk}/stop/").status_code == 302
        if how != "at the end":
            yield from encoded(rows, encoder)

    with monkeypatch.context() as patch:
        patch.setattr(batch, "encoded", disturbed)
        batch.predict_file(job_id=str(job.pk))
    job.refresh_from_db()
    assert (job.state, job.result) == ("running" if how == "taken over" else "failed", None)
    if how == "taken over":
        Job.objects.filter(pk=job.pk).update(state="queued")
    else:
        assert client.post(f"{page}{job.pk}/again/").status_code == 302
    job = run(job)
    assert [row["row"] for row in rows_of(job)] == list(range(1, 26))
    assert Prediction.objects.count() == 25
    assert not default_storage.exists(batch._part(job, 1))


@pytest.mark.parametrize(
    ("content", "name", "more"),
    [(b"", "in.csv", {}), (b"PK\3\4zip", "in.xlsx", {}), (CSV, "in.csv", {"format": "xml"})],
)
def test_what_is_no_table_is_refused(owner, content, name, more):
    project = make_pool(owner, 4)
    assert send(program(owner), project, content, name, **more).status_code == 422
    assert not Job.objects.filter(kind="batch").exists()


def test_the_pool_is_answered_on_schedule_and_nobody_is_asked(client, owner, trained):  # noqa: F811
    client.force_login(owner)
    page = f"/projects/{trained.slug}/live/files/"
    made = client.post(page + "schedules/", {"source": "pool", "name": "", "every": "day", "format": "jsonl"})
    assert made.status_code == 302
    now = timezone.now() + timedelta(seconds=1)
    assert (run_due(now=now), run_due(now=now)) == (1, 0)
    job = run(Job.objects.get(kind="batch"))
    unlabeled = Item.objects.filter(project=trained, split="pool", state="open").order_by("pk")
    rows = rows_of(job)
    assert [row["row"] for row in rows] == list(unlabeled.values_list("pk", flat=True))
    assert {row["model"] for row in rows} == {1}
    assert not Prediction.objects.exists()
    assert not ReviewItem.objects.exists()
    # Three days away: made up for once, then at the old hour.
    assert run_due(now=now + timedelta(days=3)) == 1
    schedule = BatchSchedule.objects.get()
    assert timedelta(days=3) < schedule.next_at - now <= timedelta(days=4)
    assert "scheduled" in words(client.get(page))
    assert client.post(f"{page}schedules/{schedule.pk}/stop/").status_code == 302
    assert not BatchSchedule.objects.exists()


def test_a_file_in_the_folder_of_sources(client, owner):
    project = make_pool(owner, 4)
    client.force_login(owner)
    url = f"/projects/{project.slug}/live/files/schedules/"
    typed = {"source": "file", "every": "week", "format": "jsonl"}
    for name in ("", "../secrets.csv", "a/b.csv", ".hidden", "gone.csv"):
        refused = client.post(url, typed | {"name": name})
        assert refused.status_code == 422
        assert f'value="{name}"' in refused.content.decode() or not name
    default_storage.save(f"sources/{project.pk}/folder.csv/x.csv", ContentFile(b"text\nstew\n"))
    default_storage.save(f"sources/{project.pk}/zip.csv", ContentFile(b"PK\3\4"))
    for name, why in (("folder.csv", "is not a file"), ("zip.csv", "ZIP archive")):
        assert why in client.post(url, typed | {"name": name}).content.decode()
    default_storage.save(f"sources/{project.pk}/daily.csv", ContentFile(b"text\nstew\n"))
    assert client.post(url, typed | {"name": "daily.csv"}).status_code == 302
    assert "scheduled already" in client.post(url, typed | {"name": "daily.csv"}).content.decode()
    run_due()
    job = run(Job.objects.get(kind="batch"))
    assert [row["source"] for row in rows_of(job)] == ["rules"]
    default_storage.delete(f"sources/{project.pk}/daily.csv")
    run_due(now=timezone.now() + timedelta(days=8))
    gone = Job.objects.filter(kind="batch").exclude(pk=job.pk).get()
    batch.predict_file(job_id=str(gone.pk))
    gone.refresh_from_db()
    assert (gone.state, "daily.csv" in gone.error) == ("failed", True)
    assert "Go on" in words(client.get(f"/projects/{project.slug}/live/files/"))


def test_files_are_swept_away_when_they_are_old(owner):
    project = make_pool(owner, 4)
    sent = send(program(owner), project, CSV)
    job = run(Job.objects.get(pk=sent.json()["job"]["id"]))
    later = timezone.now() + timedelta(days=batch.KEPT_DAYS + 1)
    batch.sweep_batches()
    assert default_storage.exists(batch.result_path(job))
    assert batch.sweep_batches(now=later) >= 1
    assert not default_storage.exists(batch.result_path(job))


def test_who_may(client, owner, outsider):
    project = make_pool(owner, 4)
    job = run(Job.objects.get(pk=send(program(owner), project, CSV).json()["job"]["id"]))
    page = f"/projects/{project.slug}/live/files/"
    file = lambda: SimpleUploadedFile("in.csv", CSV.encode())  # noqa: E731
    assert client.get(page).status_code == 302
    assert send(APIClient(), project, CSV).status_code == 401
    assert send(program(owner, ["annotate"]), project, CSV).status_code == 403
    assert send(program(outsider), project, CSV).status_code == 404
    for user, sees, sends, schedules in (
        (owner, 200, 302, 302),
        (make_member(project, "reviewer"), 200, 302, 403),
        (make_member(project), 403, 403, 403),
        (outsider, 404, 404, 404),
    ):
        client.force_login(user)
        assert client.get(page).status_code == sees
        assert client.get(page + "now/").status_code == sees
        fetched = client.get(f"{page}{job.pk}/result/")
        assert fetched.status_code == sees
        if sees == 200:
            assert b"".join(fetched.streaming_content).startswith(b"{")
        assert client.post(page, {"file": file(), "format": "csv"}).status_code == sends
        made = client.post(page + "schedules/", {"source": "pool", "every": "day", "format": "csv"})
        assert made.status_code == schedules
        stopped = client.post(f"{page}{job.pk}/stop/").status_code
        assert stopped == (302 if sees == 200 else sees)
    client.force_login(owner)
    assert client.post(f"{page}{job.pk}/again/").status_code == 409
    assert client.post(page, {"format": "csv"}).status_code == 422


def test_a_row_as_an_input():
    row = batch_rows.batch_row
    assert row((3, RowError(3, "is broken", "x")), "").problem == "x is broken"
    assert row((1, {"id": 5, "body": "hi", "n": "", "m": 0}), "body") == batch_rows.BatchRow(
        1, "5", {"id": 5, "text": "hi", "m": 0}, size=18
    )
    assert batch_rows.text_column_of([{"a": "1"}, {"a": "so, so"}], "a", ("text",)) == "a"
    assert batch_rows.text_column_of([{"a": "1"}, {"a": "2,000.5"}], "a", ("text",)) == "", "numbers are no text"
    assert batch_rows.text_column_of([{"a": "x"}, {"text": "y"}], "a", ("text",)) == ""
    chunks = batch_rows.in_chunks(batch_rows.BatchRow(n, "", {}, size=3_000_000) for n in range(5))
    assert [len(chunk) for chunk in chunks] == [2, 2, 1]
