"""Items come in: checked, de-duplicated, split and stored in short transactions. Sending them again is harmless."""

import csv
import io
import itertools
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from labeling.core.drafts import ItemDraft, is_in_audit_split
from labeling.core.errors import Conflict, Invalid, Unavailable
from labeling.core.exports import csv_safe
from labeling.core.formats import FileFormat, RowError, RowReader, open_rows, sniff
from labeling.core.mapping import PREVIEW_ROWS, ColumnGuess, Mapping, columns_in, draft_from_api, guess_mapping
from labeling.core.schema import SchemaRules, rules_of
from labeling.models import Item, Job, LabelSchema, Project
from labeling.services import uploads
from labeling.services.audit import record_audit
from labeling.services.jobs import RunningJob, enqueue_job, running_job
from labeling.services.uploads import Upload

# One transaction each: long enough to be fast, short enough not to hold up people who are labeling on SQLite.
BATCH_SIZE = 1_000
# More errors than this are counted and not listed.
MAX_ERRORS_KEPT = 10_000
ERRORS_SHOWN = 20
# What a plan is made from: a fraction of a second of work.
PLANNED_ROWS = 1_000

Draft = ItemDraft | RowError


@dataclass(slots=True)
class IntakeReport:
    """What became of the rows. `errors` lists the first MAX_ERRORS_KEPT of the `n_errors` rows left out."""

    created: int = 0
    duplicates: int = 0
    n_errors: int = 0
    errors: list[RowError] = field(default_factory=list)

    def leave_out(self, errors: Iterable[RowError]) -> None:
        for error in errors:
            self.n_errors += 1
            if len(self.errors) < MAX_ERRORS_KEPT:
                self.errors.append(error)

    @property
    def n_rows(self) -> int:
        return self.created + self.duplicates + self.n_errors


def add_items(*, project: Project, drafts: Iterable[Draft], origin: str = "import") -> IntakeReport:
    """Stores new items in batches: how many were created, were there already, or are wrong and why.

    Takes drafts and errors mixed, so that a report keeps the order of the rows.
    """
    report = IntakeReport()
    with _full_disk_explained():
        for batch in _batches(drafts):
            _add_batch(project, batch, origin, report)
    report.errors.sort(key=lambda error: error.row)
    return report


def add_rows(*, project: Project, rows: Iterable[tuple[int, object]], origin: str = "api") -> IntakeReport:
    """The same for numbered rows in the API's form. An exception in place of a row says why it could not be read."""
    rules = rules_for(project)
    return add_items(project=project, drafts=(_api_draft(row, value, rules) for row, value in rows), origin=origin)


def _api_draft(row: int, value: object, rules: SchemaRules) -> Draft:
    if isinstance(value, RecursionError):
        return RowError(row, "Its objects are nested too deeply to be read.")
    if isinstance(value, UnicodeDecodeError):
        return RowError(row, "It is not UTF-8.")
    if isinstance(value, Exception):
        return RowError(row, f"It is not JSON: {value}.")
    return draft_from_api(row, value, rules)


def rules_for(project: Project) -> SchemaRules:
    """What values the project's current schema allows. One query."""
    schema = LabelSchema.objects.current(project.pk)
    return rules_of(schema.kind, schema.config)


def _batches(drafts: Iterable[Draft]) -> Iterator[list[Draft]]:
    iterator = iter(drafts)
    while batch := list(itertools.islice(iterator, BATCH_SIZE)):
        yield batch


def _add_batch(
    project: Project,
    batch: list[Draft],
    origin: str,
    report: IntakeReport,
    remember: Callable[[], None] | None = None,
) -> None:
    """Stores one batch. `remember` is called inside its transaction: both are kept, or neither."""
    report.leave_out(draft for draft in batch if isinstance(draft, RowError))
    drafts = [draft for draft in batch if isinstance(draft, ItemDraft)]
    with transaction.atomic():
        # Two imports into one project take turns, so that what is looked up stays true until it is stored. On SQLite
        # the transaction itself is the only writer.
        Project.objects.select_for_update(no_key=True).filter(pk=project.pk).get()
        fresh, n_known, conflicts = _sort_out(project, drafts)
        _insert(project, fresh, origin)
        report.created += len(fresh)
        report.duplicates += n_known
        report.leave_out(conflicts)
        if remember is not None:
            remember()


def _sort_out(project: Project, drafts: list[ItemDraft]) -> tuple[list[ItemDraft], int, list[RowError]]:
    """Which drafts are new, how many are known already, and which contradict what is stored."""
    items = Item.objects.filter(project=project)
    hashes: set[str] = set()
    hash_of_id: dict[str, str] = {}
    for part in _parts([draft.content_hash for draft in drafts]):
        hashes.update(items.filter(content_hash__in=part).values_list("content_hash", flat=True))
    for part in _parts([draft.external_id for draft in drafts if draft.external_id is not None]):
        stored = items.filter(external_id__in=part).values_list("external_id", "content_hash")
        hash_of_id.update((external_id or "", its_hash) for external_id, its_hash in stored)
    length = _vector_length(project)
    fresh: list[ItemDraft] = []
    conflicts: list[RowError] = []
    n_known = 0
    for draft in drafts:
        own_length = len(draft.features) // 4 if draft.features else 0
        if length is not None and own_length != length:
            conflicts.append(RowError(draft.row, _wrong_length(own_length, length), "features", draft.line))
            continue
        known_as = hash_of_id.get(draft.external_id) if draft.external_id else None
        if known_as is not None and known_as != draft.content_hash:
            message = (
                f"The id “{draft.external_id}” is taken by an item with other content. "
                "The content of an item never changes: give this one a new id."
            )
            conflicts.append(RowError(draft.row, message, "id", draft.line))
        elif known_as is not None or draft.content_hash in hashes:
            n_known += 1
        else:
            length = own_length
            hashes.add(draft.content_hash)
            if draft.external_id:
                hash_of_id[draft.external_id] = draft.content_hash
            fresh.append(draft)
    return fresh, n_known, conflicts


def _parts(values: list[Any]) -> Iterator[list[Any]]:
    """The values in parts that fit into one query. One of its parameters is the project's."""
    size = (connection.features.max_query_params or BATCH_SIZE + 1) - 1
    for start in range(0, len(values), size):
        yield values[start : start + size]


def _vector_length(project: Project) -> int | None:
    """How many numbers every item of the project brings: 0 for none, None while there are no items."""
    # Any item will do, because all of them are alike in this.
    any_item = Item.objects.filter(project=project).values_list("features", flat=True)[:1]
    for features in any_item:
        return len(features) // 4 if features else 0
    return None


def _wrong_length(given: int, wanted: int) -> str:
    if not wanted:
        return "The items of this project have no features, so this one cannot have any."
    if not given:
        return f"features is missing: every item of this project has {wanted} numbers."
    return f"features has {given} numbers; every item of this project has {wanted}."


# By hand, because building model objects took more time than everything else together.
_COLUMNS = "project_id, external_id, content_hash, data, features, meta, split, state, gold, origin, created_at"
_INSERT = f"INSERT INTO labeling_item ({_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
_COPY = f"COPY labeling_item ({_COLUMNS}) FROM STDIN"


def _insert(project: Project, drafts: list[ItemDraft], origin: str) -> None:
    if not drafts:
        return
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    rows = [
        (
            project.pk,
            draft.external_id,
            draft.content_hash,
            json.dumps(draft.data),
            draft.features,
            json.dumps(draft.meta),
            _split(draft.content_hash, project.audit_share),
            Item.State.OPEN.value,
            None if draft.gold is None else json.dumps(draft.gold),
            origin,
            now,
        )
        for draft in drafts
    ]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(_COPY) as copy:
                for row in rows:
                    copy.write_row(row)
        else:
            cursor.executemany(_INSERT, rows)


def _split(content_hash: str, audit_share: float) -> str:
    return (Item.Split.AUDIT if is_in_audit_split(content_hash, audit_share) else Item.Split.POOL).value


# Files


@dataclass(frozen=True, slots=True)
class Preview:
    """The first rows of a file, and what its columns seem to be."""

    file_format: FileFormat
    columns: list[str]
    rows: list[tuple[int, dict[str, Any]]]
    errors: list[RowError]
    guesses: list[ColumnGuess]
    # The first rows reach the end: what is shown is all there is.
    is_whole: bool

    @property
    def mapping(self) -> Mapping:
        return Mapping(tuple((guess.column, guess.role) for guess in self.guesses))


def preview_upload(*, upload: Upload, rules: SchemaRules, encoding: str | None = None) -> Preview:
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
    return Preview(
        file_format=file_format,
        columns=columns_in(values),
        rows=rows,
        errors=[row for _, row in first if isinstance(row, RowError)],
        guesses=guess_mapping(values, rules),
        is_whole=is_whole,
    )


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What would become of the first rows of a file under a mapping."""

    n_rows: int
    n_new: int
    n_known: int
    errors: list[RowError]
    # Counted when the first rows are all of them, else estimated from the size of the file.
    n_rows_in_file: int
    is_whole: bool


def plan_import(*, project: Project, upload: Upload, mapping: Mapping, file_format: FileFormat) -> ImportPlan:
    """The first PLANNED_ROWS rows, tried without storing anything. Raises Invalid when the mapping makes no items."""
    rules = rules_for(project)
    mapping.check(rules)
    with uploads.opened(upload) as stream:
        reader = open_rows(stream, file_format, size=upload.size)
        drafts = drafts_of(reader, list(mapping.roles), rules)
        first = list(itertools.islice(drafts, PLANNED_ROWS))
        share = reader.share_read
        is_whole = next(drafts, None) is None
    fresh, n_known, conflicts = _sort_out(project, [draft for draft in first if isinstance(draft, ItemDraft)])
    errors = sorted([draft for draft in first if isinstance(draft, RowError)] + conflicts, key=lambda error: error.row)
    return ImportPlan(
        n_rows=len(first),
        n_new=len(fresh),
        n_known=n_known,
        errors=errors,
        n_rows_in_file=len(first) if is_whole else max(len(first) + 1, _roughly(len(first) / max(share, 1e-6))),
        is_whole=is_whole,
    )


def _roughly(number: float) -> int:
    """To two digits: an estimate should look like one."""
    return int(float(f"{number:.1e}"))


def start_import(*, project: Project, upload: Upload, mapping: Mapping, file_format: FileFormat, user: Any) -> Job:
    """The queued job that imports an upload. Starting the same upload twice queues it once.

    Raises Invalid when no item could be made by the mapping.
    """
    mapping.check(rules_for(project))
    return _start(
        project, upload, user, {"mapping": [list(pair) for pair in mapping.roles], "format": file_format.to_json()}
    )


def start_rows_import(*, project: Project, lines: Iterable[bytes], user: Any) -> Job:
    """The queued job that adds rows in the API's form, one JSON object a line."""
    upload = uploads.keep_lines(project=project, user=user, name="rows sent by API", lines=lines)
    return _start(project, upload, user, {"mapping": None, "format": FileFormat("jsonl").to_json()})


def _start(project: Project, upload: Upload, user: Any, params: dict[str, Any]) -> Job:
    with transaction.atomic():
        record_audit(action="items.import", actor=user, project=project, target=upload.name)
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
            with uploads.opened(upload) as stream, _full_disk_explained():
                file_format = FileFormat.from_json(job.params["format"])
                _import_rows(job, upload, open_rows(stream, file_format, size=upload.size))


def _import_rows(job: RunningJob, upload: Upload, reader: RowReader) -> None:
    project = job.project
    rules = rules_for(project)
    started = time.monotonic()
    report = IntakeReport(created=job.params.get("created", 0), duplicates=job.params.get("duplicates", 0))
    n_stored_before = job.params.get("batches", 0)
    n_read = 0
    for number, batch in enumerate(_batches(drafts_of(reader, job.params["mapping"], rules)), start=1):
        n_read += len(batch)
        if number <= n_stored_before:
            # Stored and counted before the crash; only what was wrong is found once more.
            report.leave_out(draft for draft in batch if isinstance(draft, RowError))
            report.leave_out(_sort_out(project, [draft for draft in batch if isinstance(draft, ItemDraft)])[2])
            continue

        def remember(number: int = number) -> None:
            job.remember(batches=number, created=report.created, duplicates=report.duplicates)

        _add_batch(project, batch, "import", report, remember)
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


def drafts_of(reader: RowReader, mapping: Sequence[Sequence[str]] | None, rules: SchemaRules) -> Iterator[Draft]:
    """The rows of a file as items or errors. Without a mapping they are in the API's form."""
    roles = None if mapping is None else Mapping(tuple((column, role) for column, role in mapping))
    for number, values in reader:
        if isinstance(values, RowError):
            yield values
        elif roles is None:
            yield draft_from_api(number, values, rules)
        else:
            yield roles.draft(number, values, rules, reader.line)


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


@contextmanager
def _full_disk_explained() -> Iterator[None]:
    try:
        yield
    except (OperationalError, OSError) as error:
        text = str(error).lower()
        if "disk is full" in text or "no space left" in text:
            raise Unavailable(
                "The disk is full. The rows stored so far are kept; free some space and import again: what is there "
                "already is counted as a duplicate."
            ) from error
        raise


def retry_import(*, job: Job, user: Any) -> Job:
    """A new job for the file of a failed one. Rows that were stored by it count as duplicates.

    Raises Conflict when the job has not failed, and NotFound when its file was swept away.
    """
    if job.state != Job.State.FAILED or job.project is None:
        raise Conflict("Only an import that has failed can be started again.")
    upload = uploads.upload_of(project=job.project, upload_id=job.params["upload"])
    return _start(job.project, upload, user, {name: job.params[name] for name in ("mapping", "format")})
