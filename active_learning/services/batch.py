"""Files are predicted: a job reads one row by row, and writes one with the answers.

What is answered is kept in parts, each with its place in the source, so that after a crash the job goes on behind the
last part; at the end the parts become one file. At most one part is answered, and logged, twice.
"""

import hashlib
import itertools
import json
import struct
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, BinaryIO, cast
from uuid import UUID

from django.conf import settings
from django.core.files.base import ContentFile, File
from django.core.files.storage import default_storage
from django.db import transaction
from django.utils import timezone

from active_learning import selectors
from active_learning.core.batch_rows import (
    ANSWER_COLUMNS,
    BatchRow,
    batch_row,
    in_chunks,
    refused_row,
    text_column_of,
)
from active_learning.models import BatchSchedule
from active_learning.selectors import VECTOR_FIELD
from active_learning.services import prediction_log
from active_learning.services.prediction import (
    Predicted,
    answer_unlogged,
    input_schema,
    predict,
    problems_of,
)
from labeling.core.errors import Conflict, Invalid, NotFound
from labeling.core.exports import FORMATS, encoded, table_encoder
from labeling.core.formats import RowError, open_rows, sniff
from labeling.core.mapping import PREVIEW_ROWS, guess_mapping
from labeling.models import Item, Job, Project
from labeling.services import uploads
from labeling.services.audit import record_audit
from labeling.services.batches import full_disk_explained
from labeling.services.jobs import RunningJob, enqueue_job, running_job
from labeling.services.uploads import Upload

KIND = "batch"
ROOT = "batches"
# Where an operator puts files that are predicted on schedule: one folder a project, by its number.
SOURCES = "sources"
KEPT_DAYS = 30
ERRORS_SHOWN = 20
# How often a chunk is checked anew when another model becomes live between the check and the answer.
CHECKS = 3


def start_batch(*, project: Project, upload: Upload, format: str, user: Any) -> Job:
    """The queued job that predicts an upload. Raises Invalid when it is not a table that can be read."""
    check_format(format)
    with uploads.opened(upload) as stream:
        _look_at(project, stream, upload.name, upload.size)
    with transaction.atomic():
        record_audit(action="predictions.batch", actor=user, project=project, target=upload.name)
        return _enqueue(
            project,
            {"upload": upload.id, "name": upload.name, "format": format},
            reason=f"prediction of {upload.name}",
            user=user,
            lane=f"batch:{upload.id}",
        )


def start_scheduled(*, schedule: BatchSchedule) -> Job:
    """The queued job of one run of a schedule; one that still waits does the same work."""
    params: dict[str, Any] = {"schedule": schedule.pk, "name": schedule.name, "format": schedule.format}
    params |= {"pool": True} if schedule.source == BatchSchedule.Source.POOL else {"stored": schedule.name}
    return _enqueue(
        schedule.project,
        params,
        reason=f"prediction of {schedule.name or 'the pool'}, {schedule.get_every_display().lower()}",
        user=schedule.created_by,
        lane=f"batch-schedule:{schedule.pk}",
    )


def _enqueue(project: Project, params: dict[str, Any], *, reason: str, user: Any, lane: str) -> Job:
    return enqueue_job(
        kind=KIND,
        task="active_learning.run_batch",
        project=project,
        params=params,
        reason=reason,
        created_by=user,
        lane=lane,
    )


def check_format(format: str) -> None:
    """Raises Invalid for what is none of FORMATS."""
    if format not in FORMATS:
        raise Invalid(f"Formats are {', '.join(FORMATS)}.", fields={"format": format})


def predict_file(*, job_id: str) -> None:
    """Runs a batch. Done again after a crash it goes on behind the last part that was kept."""
    with running_job(job_id) as job:
        if job is None:
            return
        with full_disk_explained(), _source(job) as source:
            if not _answer_rows(job, source):
                return
            told = _assemble(job)
            if told is None:
                return
            job.finish(told | {"text_column": source.text_column})
    _delete_parts(job.job)


def stop_batch(*, job: Job, actor: Any) -> None:
    """Ends a run that waits or is under way: the part that is being answered is the last. Raises Conflict."""
    message = f"{actor.get_username()} stopped it."
    with transaction.atomic():
        under_way = Job.objects.filter(pk=job.pk, state__in=Job.UNDER_WAY)
        if not under_way.update(state=Job.State.FAILED, error=message, finished_at=timezone.now()):
            raise Conflict("This run has ended already.", code="ended")
        record_audit(action="job.stop", actor=actor, project=job.project, target=f"{job.kind} {job.pk}")


class _FileSource:
    """The rows of a file. What the model is unsure of goes to people, as an input that was sent one by one."""

    asks_people = True

    def __init__(self, project: Project, stream: BinaryIO, name: str, size: int) -> None:
        file_format, self.text_column = _look_at(project, stream, name, size)
        self._reader = open_rows(stream, file_format, size=size)

    def rows(self, seen: int, last: int) -> Iterator[BatchRow]:
        """Those behind the first `seen` ones."""
        return (batch_row(row, self.text_column) for row in itertools.islice(self._reader, seen, None))

    def share_read(self, seen: int) -> float:
        return self._reader.share_read


class _PoolSource:
    """The pool's unlabeled items. They wait in line for people already, so nobody is asked, and nothing is logged."""

    asks_people = False
    text_column = ""

    def __init__(self, project: Project) -> None:
        self._items = Item.objects.filter(project=project, split=Item.Split.POOL, state=Item.State.OPEN)
        self._n = self._items.count()

    def rows(self, seen: int, last: int) -> Iterator[BatchRow]:
        """Those with an id above `last`, numbered by it."""
        while items := list(self._items.filter(pk__gt=last).order_by("pk")[:500]):
            last = items[-1].pk
            for item in items:
                data = dict(item.data)
                if item.features:
                    data[VECTOR_FIELD] = list(struct.unpack(f"<{len(item.features) // 4}f", item.features))
                yield BatchRow(item.pk, item.external_id or "", data, size=len(str(item.data)))

    def share_read(self, seen: int) -> float:
        return min(seen / self._n, 1.0) if self._n else 1.0


@contextmanager
def _source(job: RunningJob) -> Iterator[_FileSource | _PoolSource]:
    params = job.params
    if params.get("pool"):
        yield _PoolSource(job.project)
    elif "stored" in params:
        with _stored(job.project, params["stored"]) as file:
            yield _FileSource(job.project, cast(BinaryIO, file.file), params["stored"], file.size)
    else:
        upload = uploads.upload_of(project=job.project, upload_id=params["upload"])
        with uploads.opened(upload) as stream:
            yield _FileSource(job.project, stream, upload.name, upload.size)


def check_source(*, project: Project, name: str) -> None:
    """Raises Invalid for what is no plain name and for a file that is no table, NotFound for one that is not there."""
    with _stored(project, name) as file:
        _look_at(project, cast(BinaryIO, file.file), name, file.size)


def _stored(project: Project, name: str) -> File:
    path = source_path(project, name)
    try:
        return default_storage.open(path, "rb")
    except (FileNotFoundError, IsADirectoryError):
        folder = path.rpartition("/")[0]
        raise NotFound(f"“{name}” is not a file in the folder {folder} of the storage.") from None


def source_path(project: Project, name: str) -> str:
    """Where a file to be predicted on schedule lies. Raises Invalid for what is not a plain name."""
    if not name.strip() or name.startswith(".") or len(name) > 200 or any(part in name for part in "/\\\0"):
        text = "Give the name of a file, without folders."
        raise Invalid(text, fields={"name": text})
    return f"{SOURCES}/{project.pk}/{name}"


def _look_at(project: Project, stream: BinaryIO, name: str, size: int) -> tuple[Any, str]:
    """The format of a file, and which column is its text. Raises Invalid when it cannot be read as a table."""
    file_format = sniff(stream, name, encoding=None)
    first = itertools.islice(open_rows(stream, file_format, size=size), PREVIEW_ROWS)
    rows = [row for _, row in first if not isinstance(row, RowError)]
    schema = input_schema(project=project)
    _, rules = selectors.current_rules(project)
    guessed = next((one.column for one in guess_mapping(rows, rules) if one.role == "text"), None) if rows else None
    column = text_column_of(rows, guessed, ("text",) if schema is None else schema.texts)
    stream.seek(0)
    return file_format, column


def _answer_rows(job: RunningJob, source: _FileSource | _PoolSource) -> bool:
    """Whether all rows were answered, and nobody stopped it."""
    started = time.monotonic()
    seen, parts, last = (job.params.get(name, 0) for name in ("seen", "parts", "last"))
    n_before = seen
    for chunk in in_chunks(source.rows(seen, last)):
        if not job.is_ours():
            return False
        rows = _answered(job.project, chunk, asks_people=source.asks_people)
        prediction_log.flush()
        parts += 1
        path = _part(job.job, parts)
        default_storage.delete(path)
        default_storage.save(path, ContentFile("".join(json.dumps(row) + "\n" for row in rows).encode()))
        seen, last = seen + len(chunk), chunk[-1].number
        job.remember(seen=seen, parts=parts, last=last)
        speed = (seen - n_before) / (time.monotonic() - started)
        job.report(0.95 * source.share_read(seen), f"{seen:,} rows · {speed:,.0f} rows/s")
    return job.is_ours()


def _answered(project: Project, chunk: list[BatchRow], *, asks_people: bool) -> list[dict[str, Any]]:
    """A row for each of the chunk: its answer, or why there is none."""
    for _ in range(CHECKS):
        problems = problems_of(project=project, inputs=[{} if row.data is None else row.data for row in chunk])
        good = [row for place, row in enumerate(chunk) if row.data is not None and place not in problems]
        try:
            asked = [dict(row.data or {}) for row in good]
            ask = predict if asks_people else answer_unlogged
            answers = ask(project=project, inputs=asked).predictions if asked else []
            break
        except Invalid:  # another model became live in between, which reads other fields
            continue
    else:
        raise Conflict("The live model changed again and again while the file was answered. Start it again.")
    answer_of = {row.number: answer for row, answer in zip(good, answers, strict=True)}
    return [
        _row(row, answer_of[row.number], is_logged=asks_people)
        if row.number in answer_of
        else refused_row(row) | {"error": row.problem or problems[place]}
        for place, row in enumerate(chunk)
    ]


def _row(row: BatchRow, answer: Predicted, *, is_logged: bool) -> dict[str, Any]:
    return {
        "row": row.number,
        "id": row.id or None,
        "prediction": str(answer.row.id) if is_logged else None,
        "value": answer.said.value,
        "probabilities": answer.said.probabilities or None,
        "confidence": answer.row.confidence,
        "certainty": answer.row.certainty,
        "decision": answer.row.decision,
        "why": answer.row.reason,
        "model": answer.model,
        "source": answer.source,
        "error": None,
    }


def _assemble(job: RunningJob) -> dict[str, Any] | None:
    """The parts as one file of the wanted format, and what is in it; None when somebody stopped it meanwhile."""
    decisions: Counter[str] = Counter()
    models: Counter[str] = Counter()
    errors: list[dict[str, Any]] = []
    n_rows = n_errors = size = 0
    digest = hashlib.sha256()

    def counted() -> Iterator[dict[str, Any]]:
        nonlocal n_rows, n_errors
        for number in range(1, job.params.get("parts", 0) + 1):
            if not job.is_ours():
                return
            with default_storage.open(_part(job.job, number), "rb") as part:
                for row in map(json.loads, part):
                    n_rows += 1
                    if row["error"]:
                        n_errors += 1
                        if len(errors) < ERRORS_SHOWN:
                            errors.append({"row": row["row"], "message": row["error"]})
                    else:
                        decisions[row["decision"]] += 1
                        models[row["source"] if row["model"] is None else f"model {row['model']}"] += 1
                    yield row
            job.report(0.95 + 0.04 * number / job.params["parts"], f"{n_rows:,} rows written")

    encoder = table_encoder(job.params["format"], ANSWER_COLUMNS)
    with tempfile.TemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR) as file:
        for piece in encoded(counted(), encoder):
            file.write(piece)
            digest.update(piece)
            size += len(piece)
        if not job.is_ours():
            return None
        file.seek(0)
        default_storage.delete(result_path(job.job))
        default_storage.save(result_path(job.job), File(file))
    return {
        "rows": n_rows,
        "n_errors": n_errors,
        "errors": errors,
        "decisions": dict(decisions),
        "answered_by": dict(models),
        "bytes": size,
        "sha256": digest.hexdigest(),
        # CSV puts an apostrophe before cells that a spreadsheet would run; the other formats change nothing.
        "changed_cells": encoder.n_changed_cells,
    }


def batch_of(*, project: Project, pk: UUID) -> Job:
    """A run of the project. Raises NotFound."""
    job = Job.objects.filter(project=project, kind=KIND, pk=pk).first()
    if job is None:
        raise NotFound("There is no such batch in this project.")
    return job


def result_name(job: Job) -> str:
    """What the file is called when it is fetched."""
    assert job.project is not None
    return f"{job.project.slug}-predictions-{job.created_at:%Y%m%d-%H%M}.{job.params['format']}"


def result_path(job: Job) -> str:
    return f"{ROOT}/{job.project_id}/{job.pk}/predictions.{job.params['format']}"


def _part(job: Job, number: int) -> str:
    return f"{ROOT}/{job.project_id}/{job.pk}/part-{number:06}.jsonl"


def _delete_parts(job: Job) -> None:
    """Only those of a run that ended well by this very attempt: from any other's it may yet go on."""
    ended = Job.objects.filter(pk=job.pk, state=Job.State.SUCCEEDED, attempt=job.attempt).first()
    for number in range(1, ended.params.get("parts", 0) + 1 if ended else 1):
        default_storage.delete(_part(job, number))


def opened_result(*, job: Job) -> BinaryIO:
    """The file of a finished batch. Raises Conflict before it is finished, NotFound when it was swept away."""
    if job.state == Job.State.FAILED:
        raise Conflict(f"There is no file of this batch. {job.error}", code="not_finished")
    if job.state != Job.State.SUCCEEDED:
        raise Conflict("This batch has not finished, so there is no file yet.", code="not_finished")
    try:
        return cast(BinaryIO, default_storage.open(result_path(job), "rb"))
    except FileNotFoundError:
        raise NotFound(f"This file is not here any more: files are kept {KEPT_DAYS} days. Start it again.") from None


def sweep_batches(*, now: datetime | None = None) -> int:
    """Deletes the files of batches that began more than KEPT_DAYS ago and have ended: how many batches."""
    now = now or timezone.now()
    in_use = {str(pk) for pk in Job.objects.filter(kind=KIND, state__in=Job.UNDER_WAY).values_list("pk", flat=True)}
    swept = 0
    for folder in uploads.folders_below(ROOT):
        if folder.rpartition("/")[2] in in_use:
            continue
        files = [f"{folder}/{name}" for name in default_storage.listdir(folder)[1]]
        if all(default_storage.get_modified_time(path) < now - timedelta(days=KEPT_DAYS) for path in files):
            for path in files:
                default_storage.delete(path)
            default_storage.delete(folder)
            swept += 1
    return swept
