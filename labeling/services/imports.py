"""Files come in: looked at, planned, and imported by a job that goes on behind its last batch after a crash."""

import csv
import io
import itertools
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction

from labeling.core.answers import AnswerDraft
from labeling.core.errors import Conflict, Invalid
from labeling.core.exports import csv_safe
from labeling.core.formats import FileFormat, RowError, RowReader, open_rows, sniff
from labeling.core.mapping import PREVIEW_ROWS, ColumnGuess, Columns, columns_in
from labeling.models import Job, Project
from labeling.services import uploads
from labeling.services.answers import AnswerIntake
from labeling.services.audit import record_audit
from labeling.services.batches import Intake, IntakeReport, full_disk_explained, in_batches, told_apart
from labeling.services.intake import ItemIntake
from labeling.services.jobs import RunningJob, enqueue_job, running_job
from labeling.services.uploads import Upload

# What a file can hold.
INTAKES: dict[str, type[Intake[Any]]] = {"items": ItemIntake, "labels": AnswerIntake}

ERRORS_SHOWN = 20
# What a plan is made from: a fraction of a second of work.
PLANNED_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class Preview:
    """The first rows of a file, what they seem to hold, and what the columns seem to be."""

    file_format: FileFormat
    columns: list[str]
    rows: list[tuple[int, dict[str, Any]]]
    errors: list[RowError]
    # "items" or "labels": as the person says, else as guessed.
    contents: str
    guesses: list[ColumnGuess]
    # The first rows reach the end: what is shown is all there is.
    is_whole: bool

    @property
    def roles(self) -> tuple[tuple[str, str], ...]:
        return tuple((guess.column, guess.role) for guess in self.guesses)


def preview_upload(
    *, project: Project, upload: Upload, encoding: str | None = None, contents: str | None = None
) -> Preview:
    """The first PREVIEW_ROWS rows of an upload. Raises Invalid when it is not a table that can be read."""
    with uploads.opened(upload) as stream:
        file_format = sniff(stream, upload.name, encoding=encoding)
        reader = iter(open_rows(stream, file_format, size=upload.size))
        first = list(itertools.islice(reader, PREVIEW_ROWS))
        is_whole = next(reader, None) is None
    if not first:
        raise Invalid("The file has a header and no rows." if file_format.kind in ("csv", "tsv") else "No rows.")
    rows = [(number, row) for number, row in first if not isinstance(row, RowError)]
    values = [row for _, row in rows]
    if contents is None:
        contents = "labels" if AnswerIntake(project).seems_to_be(values) else "items"
    return Preview(
        file_format=file_format,
        columns=columns_in(values),
        rows=rows,
        errors=[row for _, row in first if isinstance(row, RowError)],
        contents=contents,
        guesses=INTAKES[contents](project).guess(values),
        is_whole=is_whole,
    )


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What would become of the first rows of a file."""

    n_rows: int
    n_new: int
    n_known: int
    errors: list[RowError]
    # Of answers: how many people gave the good ones among them, and about how many items.
    n_annotators: int
    n_items: int
    # Counted when the first rows are all of them, else estimated from the size of the file.
    n_rows_in_file: int
    is_whole: bool


def plan_import(*, intake: Intake[Any], upload: Upload, columns: Columns[Any], file_format: FileFormat) -> ImportPlan:
    """The first PLANNED_ROWS rows, tried without storing anything. Raises Invalid when no row could be used."""
    columns.check(intake.rules)
    with uploads.opened(upload) as stream:
        reader = open_rows(stream, file_format, size=upload.size)
        drafts = intake.drafts_of(reader, columns.roles)
        first = list(itertools.islice(drafts, PLANNED_ROWS))
        share = reader.share_read
        is_whole = next(drafts, None) is None
    good, bad = told_apart(first)
    found = intake.sort_out(good)
    refused = {error.row for error in found.errors}
    answers = [draft for draft in good if isinstance(draft, AnswerDraft) and draft.row not in refused]
    return ImportPlan(
        n_rows=len(first),
        n_new=len(found.fresh),
        n_known=found.n_known,
        errors=sorted(bad + found.errors, key=lambda error: error.row),
        n_annotators=len({answer.rater for answer in answers}),
        n_items=len({answer.item for answer in answers}),
        n_rows_in_file=len(first) if is_whole else max(len(first) + 1, _roughly(len(first) / max(share, 1e-6))),
        is_whole=is_whole,
    )


def _roughly(number: float) -> int:
    """To two digits: an estimate should look like one."""
    return int(float(f"{number:.1e}"))


def start_import(
    *, intake: Intake[Any], upload: Upload, columns: Columns[Any], file_format: FileFormat, user: Any
) -> Job:
    """The queued job that imports an upload. Starting the same upload twice queues it once.

    Raises Invalid when no row could be used with these columns.
    """
    columns.check(intake.rules)
    params = {"mapping": [list(pair) for pair in columns.roles], "format": file_format.to_json()}
    return _start(intake.project, upload, user, params | {"contents": intake.contents})


def start_rows_import(*, project: Project, contents: str, lines: Iterable[bytes], user: Any) -> Job:
    """The queued job that adds rows in the API's form, one JSON object a line."""
    upload = uploads.keep_lines(project=project, user=user, name="rows sent by API", lines=lines)
    params = {"mapping": None, "format": FileFormat("jsonl").to_json(), "contents": contents}
    return _start(project, upload, user, params)


def _start(project: Project, upload: Upload, user: Any, params: dict[str, Any]) -> Job:
    with transaction.atomic():
        record_audit(action=f"{params['contents']}.import", actor=user, project=project, target=upload.name)
        return enqueue_job(
            kind="import",
            task="labeling.run_import",
            project=project,
            params=params | {"upload": upload.id, "name": upload.name, "size": upload.size},
            reason=f"import of {upload.name}",
            created_by=user,
            lane=f"import:{upload.id}",
        )


def import_file(*, job_id: str) -> None:
    """Runs an import job. Done again after a crash it goes on behind the last stored batch."""
    with running_job(job_id) as job:
        if job is not None:
            upload = uploads.upload_of(project=job.project, upload_id=job.params["upload"])
            with uploads.opened(upload) as stream, full_disk_explained():
                file_format = FileFormat.from_json(job.params["format"])
                _import_rows(job, upload, open_rows(stream, file_format, size=upload.size))


def _import_rows(job: RunningJob, upload: Upload, reader: RowReader) -> None:
    intake = INTAKES[contents_of(job.params)](job.project)
    started = time.monotonic()
    report = IntakeReport(created=job.params.get("created", 0), duplicates=job.params.get("duplicates", 0))
    n_stored_before = job.params.get("batches", 0)
    n_read = 0
    for number, batch in enumerate(in_batches(intake.drafts_of(reader, job.params["mapping"])), start=1):
        n_read += len(batch)
        if number <= n_stored_before:
            # Stored and counted before the crash; only what was wrong is found once more.
            drafts, errors = told_apart(batch)
            report.leave_out(errors)
            report.leave_out(intake.sort_out(drafts).errors)
            continue

        def remember(number: int = number) -> None:
            job.remember(batches=number, created=report.created, duplicates=report.duplicates)

        intake.add_batch(batch, report, remember)
        seconds = time.monotonic() - started
        job.report(reader.share_read * 0.99, _progress_message(report, n_read / seconds, reader.share_read, seconds))
    report.errors.sort(key=lambda error: error.row)
    if report.errors:
        _store_errors(upload, report)
    seconds = time.monotonic() - started
    job.finish(
        {
            "created": report.created,
            "duplicates": report.duplicates,
            "n_errors": report.n_errors,
            "errors": [{"row": e.row, "field": e.field, "message": e.message} for e in report.errors[:ERRORS_SHOWN]],
            "rows": report.n_rows,
            "seconds": round(seconds, 2),
        }
    )


def contents_of(params: dict[str, Any]) -> str:
    """What the file of an import job holds."""
    # Jobs from before there was a choice have none.
    return str(params.get("contents", "items"))


def _progress_message(report: IntakeReport, rows_per_second: float, share: float, seconds: float) -> str:
    parts = [f"{report.created:,} created"]
    if report.duplicates:
        parts.append(f"{report.duplicates:,} were there")
    if report.n_errors:
        parts.append(f"{report.n_errors:,} left out")
    left = f", {round(seconds / share * (1 - share)):,} s left" if 0.02 < share < 1 else ""
    return f"{', '.join(parts)} · {rows_per_second:,.0f} rows/s{left}"


def _store_errors(upload: Upload, report: IntakeReport) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["row", "line", "field", "message"])
    for error in report.errors:
        writer.writerow([error.row, error.line or "", csv_safe(error.field), csv_safe(error.message)])
    if report.n_errors > len(report.errors):
        writer.writerow(["", "", "", f"and {report.n_errors - len(report.errors):,} more rows, which are not listed"])
    default_storage.delete(upload.errors_path)
    default_storage.save(upload.errors_path, ContentFile(text.getvalue().encode()))


def retry_import(*, job: Job, user: Any) -> Job:
    """A new job for the file of a failed one. Rows that were stored by it count as duplicates.

    Raises Conflict when the job has not failed, and NotFound when its file was swept away.
    """
    if job.state != Job.State.FAILED or job.project is None:
        raise Conflict("Only an import that has failed can be started again.")
    upload = uploads.upload_of(project=job.project, upload_id=job.params["upload"])
    params = {name: job.params[name] for name in ("mapping", "format")} | {"contents": contents_of(job.params)}
    return _start(job.project, upload, user, params)
