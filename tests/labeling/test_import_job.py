"""The import job: what it stores, what it reports, and what a crash, a full disk or a second run do to it."""

import csv
import errno
import io
import json
import os
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.db import OperationalError
from django.utils import timezone

from labeling.core.errors import Invalid, NotFound, TooLarge, Unavailable
from labeling.core.formats import FileFormat
from labeling.core.mapping import Mapping
from labeling.models import AuditEntry, Item, Job, Project
from labeling.services import batches, imports, intake, uploads
from labeling.services.intake import ItemIntake
from tests.services import processes

pytestmark = pytest.mark.django_db
MAPPING = Mapping((("text", "text"), ("id", "id")))


def upload(project: Project, content: bytes, name: str = "items.csv") -> uploads.Upload:
    return uploads.keep_upload(project=project, user=None, name=name, file=io.BytesIO(content), size=len(content))


def start(project: Project, content: bytes, name: str = "items.csv", mapping: Mapping = MAPPING) -> Job:
    kept = upload(project, content, name)
    preview = imports.preview_upload(project=project, upload=kept)
    return imports.start_import(
        intake=ItemIntake(project), upload=kept, columns=mapping, file_format=preview.file_format, user=None
    )


def run(job: Job) -> Job:
    imports.import_file(job_id=str(job.pk))
    job.refresh_from_db()
    return job


def table(n: int) -> bytes:
    return b"id,text\n" + b"".join(b"%d,text number %d\n" % (i, i) for i in range(n))


def test_a_file_is_imported_with_its_bad_rows_listed(project: Project) -> None:
    job = run(start(project, b"id,text\n1,one\n2,\nragged\n1,=other content\n4,four\n"))
    assert job.state == "succeeded" and job.progress == 1.0
    result = job.result or {}
    assert (result["created"], result["duplicates"], result["n_errors"]) == (2, 0, 3)
    assert [error["row"] for error in result["errors"]] == [2, 3, 4]
    kept = uploads.upload_of(project=project, upload_id=job.params["upload"])
    with uploads.opened_errors(kept) as file:
        listed = list(csv.DictReader(io.StringIO(file.read().decode())))
    assert [(row["row"], row["line"], row["field"]) for row in listed] == [
        ("2", "3", "text"),
        ("3", "4", ""),
        ("4", "5", "id"),
    ]


def test_starting_an_import_twice_queues_it_once(project: Project) -> None:
    kept = upload(project, table(3))
    jobs = [
        imports.start_import(
            intake=ItemIntake(project), upload=kept, columns=MAPPING, file_format=FileFormat("csv"), user=None
        )
        for _ in range(2)
    ]
    assert jobs[0].pk == jobs[1].pk


def test_running_a_finished_job_again_does_nothing(project: Project) -> None:
    job = run(start(project, table(3)))
    before = job.result
    assert run(job).result == before and Item.objects.count() == 3


def test_importing_the_file_again_is_harmless(project: Project) -> None:
    run(start(project, table(5)))
    result = run(start(project, table(6))).result or {}
    assert (result["created"], result["duplicates"]) == (1, 5)


def test_a_crash_in_the_middle_loses_and_doubles_nothing(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH_SIZE", 100)
    content = table(950) + b"951,\n1,other content\n" + b"952,last\n"
    job = start(project, content)
    insert = intake._insert
    calls = iter(range(100))

    def dying(*args: Any) -> None:
        if next(calls) == 4:
            raise SystemExit("killed")
        insert(*args)

    monkeypatch.setattr(intake, "_insert", dying)
    with pytest.raises(SystemExit):
        run(job)
    assert Item.objects.count() == 400
    monkeypatch.setattr(intake, "_insert", insert)
    Job.objects.filter(pk=job.pk).update(state="queued")
    result = run(job).result or {}
    assert (result["created"], result["duplicates"], result["n_errors"]) == (951, 0, 2)
    assert [error["row"] for error in result["errors"]] == [951, 952]


def test_errors_from_before_a_crash_are_listed_again(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH_SIZE", 10)
    job = start(project, b"id,text\n1,one\n1,two\n,\n" + table(40).partition(b"\n")[2])
    insert = intake._insert
    calls = iter(range(100))

    def dying(*args: Any) -> None:
        if next(calls) == 2:
            raise SystemExit("killed")
        insert(*args)

    monkeypatch.setattr(intake, "_insert", dying)
    with pytest.raises(SystemExit):
        run(job)
    monkeypatch.setattr(intake, "_insert", insert)
    Job.objects.filter(pk=job.pk).update(state="queued")
    result = run(job).result or {}
    # "1,text number 1" comes after "1,one": three rows contradict or lack something, before and after the crash.
    assert [error["row"] for error in result["errors"]] == [2, 3, 5]
    assert result["created"] == Item.objects.count() == 40


@pytest.mark.parametrize(
    "failure", [OperationalError("database or disk is full"), OSError(errno.ENOSPC, "No space left on device")]
)
def test_a_full_disk_fails_with_words_and_keeps_what_was_stored(
    project: Project, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    monkeypatch.setattr(batches, "BATCH_SIZE", 10)
    job = start(project, table(35))
    insert = intake._insert
    calls = iter(range(100))

    def full(*args: Any) -> None:
        if next(calls) == 2:
            raise failure
        insert(*args)

    monkeypatch.setattr(intake, "_insert", full)
    run(job)
    assert job.state == "failed" and "disk is full" in job.error and "kept" in job.error
    assert Item.objects.count() == 20
    monkeypatch.setattr(intake, "_insert", insert)
    again = run(imports.retry_import(job=job, user=None))
    assert again.state == "succeeded" and again.result is not None
    assert (again.result["created"], again.result["duplicates"]) == (15, 20)


def test_a_full_disk_during_the_upload_leaves_nothing_behind(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **kwargs: Any) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(type(default_storage._wrapped), "_save", full)  # type: ignore[attr-defined]
    with pytest.raises(Unavailable, match="disk is full"):
        upload(project, table(3))
    with pytest.raises(Unavailable, match="disk is full"):
        imports.start_rows_import(project=project, contents="items", lines=iter([b"{}\n"]), user=None)
    assert not Job.objects.exists()


def test_a_file_over_the_limit_is_refused(project: Project, settings: Any) -> None:
    settings.IMPORT_MAX_BYTES = 10
    with pytest.raises(TooLarge, match="10 bytes"):
        upload(project, table(3))
    with pytest.raises(TooLarge):
        imports.start_rows_import(
            project=project, contents="items", lines=iter([b'{"data": {"text": "a"}}']), user=None
        )


def test_uploads_are_private_files_under_generated_names(project: Project) -> None:
    kept = upload(project, table(1), "../../etc/pass\\wd.csv")
    assert kept.name == "wd.csv" and "wd" not in kept.path
    mode = os.stat(default_storage.path(kept.path)).st_mode
    assert mode & 0o777 == 0o600


def test_an_upload_belongs_to_its_project(project: Project, owner: Any) -> None:
    from tests.factories import make_project

    kept = upload(project, table(1))
    assert uploads.upload_of(project=project, upload_id=kept.id) == kept
    for stranger in (make_project(owner), make_project()):
        with pytest.raises(NotFound):
            uploads.upload_of(project=stranger, upload_id=kept.id)
    for bad in ("../" + kept.id, "x", kept.id[:-1] + "/", "." * 32):
        with pytest.raises(NotFound):
            uploads.upload_of(project=project, upload_id=bad)


def test_rows_sent_by_api_become_a_job(project: Project, owner: Any) -> None:
    lines = (json.dumps({"id": i, "data": {"text": f"text {i}"}}).encode() for i in range(1500))
    job = run(imports.start_rows_import(project=project, contents="items", lines=lines, user=owner))
    assert job.result is not None and job.result["created"] == 1500
    job = run(
        imports.start_rows_import(project=project, contents="items", lines=[b'{"text": "a"}', b"oops"], user=owner)
    )
    assert job.result is not None and [error["row"] for error in job.result["errors"]] == [1, 2]
    assert AuditEntry.objects.filter(action="items.import", actor=owner).count() == 2


def test_old_uploads_are_swept_and_waiting_ones_are_not(project: Project) -> None:
    done, waiting = run(start(project, table(1))), start(project, table(2))
    later = timezone.now() + timedelta(days=uploads.KEPT_DAYS + 1)
    assert uploads.sweep_uploads() == 0
    assert uploads.sweep_uploads(now=later) >= 1
    with pytest.raises(NotFound):
        uploads.upload_of(project=project, upload_id=done.params["upload"])
    assert not default_storage.exists(f"{uploads.ROOT}/{project.pk}/{done.params['upload']}")
    assert run(waiting).state == "succeeded"


def test_a_swept_file_fails_the_job_with_words(project: Project) -> None:
    job = start(project, table(1))
    kept = uploads.upload_of(project=project, upload_id=job.params["upload"])
    default_storage.delete(kept.path)
    assert "not here any more" in run(job).error


def test_a_mapping_that_makes_no_items_starts_no_job(project: Project) -> None:
    with pytest.raises(Invalid):
        start(project, table(1), mapping=Mapping((("id", "id"),)))
    assert not Job.objects.exists()


def test_the_plan_tells_what_would_happen(project: Project) -> None:
    run(start(project, table(10)))
    kept = upload(project, table(12) + b"99,\n1,another\n")
    plan = imports.plan_import(intake=ItemIntake(project), upload=kept, columns=MAPPING, file_format=FileFormat("csv"))
    assert (plan.n_rows, plan.n_new, plan.n_known, len(plan.errors)) == (14, 2, 10, 2)
    assert plan.is_whole and plan.n_rows_in_file == 14
    large = upload(project, table(50_000))
    plan = imports.plan_import(intake=ItemIntake(project), upload=large, columns=MAPPING, file_format=FileFormat("csv"))
    assert not plan.is_whole and 40_000 <= plan.n_rows_in_file <= 65_000


@pytest.mark.django_db(transaction=True)
def test_kill_9_in_the_middle_of_an_import_loses_and_doubles_nothing(start_worker: Any, owner: Any) -> None:
    """A real worker dies while it imports; another one goes on behind the last stored batch."""
    from labeling.services.jobs import sweep_jobs
    from tests.factories import make_project

    project = make_project(owner)
    n = 30_000
    first = start_worker()
    job = start(project, table(n) + b"bad,\n")

    def n_stored() -> int:
        return Job.objects.get(pk=job.pk).params.get("batches", 0)

    processes.wait_until(lambda: n_stored() >= 3, seconds=60, what="the import under way")
    first.kill()
    stored = n_stored()
    job.refresh_from_db()
    assert 3 <= stored < n / batches.BATCH_SIZE and job.state == "running"
    assert Item.objects.filter(project=project).count() == stored * batches.BATCH_SIZE
    start_worker()
    sweep_jobs(now=timezone.now() + timedelta(minutes=2))

    def is_over() -> bool:
        job.refresh_from_db()
        return job.state in ("succeeded", "failed")

    processes.wait_until(is_over, seconds=120, what="the import to end")
    assert job.state == "succeeded", job.error
    result = job.result or {}
    assert (result["created"], result["duplicates"], result["n_errors"]) == (n, 0, 1)
    assert Item.objects.filter(project=project).count() == n
