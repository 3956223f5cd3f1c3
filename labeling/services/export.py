"""Labels go out: streamed over HTTP, or written to a file by a job."""

import hashlib
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, BinaryIO, cast

from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import Max, QuerySet
from django.utils import timezone

from labeling.core.errors import Invalid, NotFound, Unavailable
from labeling.core.exports import BATCH_ROWS, COLUMNS, FORMATS, KINDS, encoded, encoder_for
from labeling.models import Annotation, Job, LabelSchema, Project, Resolution
from labeling.services.audit import record_audit
from labeling.services.jobs import RunningJob, enqueue_job, running_job

ROOT = "exports"
KEPT_DAYS = 30

Row = dict[str, Any]


def stream_labels(*, project: Project, kind: str, format: str) -> Iterator[bytes]:
    """A file of labels in pieces, read in short queries: a slow reader holds no transaction open."""
    _check(kind, format)
    return encoded(export_rows(project=project, kind=kind), encoder_for(format, kind))


def export_rows(*, project: Project, kind: str) -> Iterator[Row]:
    """Every label with where it came from, in the order of arrival; withdrawn and superseded ones are left out.

    Ends at what was there when it began. A label withdrawn while it runs may still be in it.
    """
    if kind == "resolved":
        resolutions = Resolution.objects.filter(project=project, superseded_at__isnull=True)
        return _keyset(resolutions, _RESOLVED_FIELDS, _resolved_row)
    return _keyset(Annotation.objects.live().filter(project=project), _ANNOTATION_FIELDS, _annotation_row)


def _keyset(queryset: QuerySet[Any], fields: tuple[str, ...], as_row: Any) -> Iterator[Row]:
    last = queryset.aggregate(last=Max("id"))["last"] or 0
    seen = 0
    while seen < last:
        rows = list(queryset.filter(id__gt=seen, id__lte=last).order_by("id").values_list(*fields)[:BATCH_ROWS])
        if not rows:
            return
        seen = rows[-1][0]
        for row in rows:
            yield as_row(row)


_ANNOTATION_FIELDS = (
    "id",
    "item_id",
    "item__external_id",
    "item__data",
    "item__meta",
    "item__split",
    "value",
    "user__username",
    "rater",
    "source",
    "schema__version",
    "seconds",
    "assignment__suggestion_shown",
    "assignment__suggestion",
    "assignment__reason",
    "assignment__propensity",
    "is_late",
    "created_at",
)


def _annotation_row(row: tuple[Any, ...]) -> Row:
    (
        annotation_id, item_id, external_id, data, meta, split, value, username, rater, source, schema_version, seconds,
        suggestion_shown, suggestion, reason, propensity, is_late, created_at,
    ) = row  # fmt: skip
    return {
        "annotation_id": annotation_id,
        "item_id": item_id,
        "external_id": external_id,
        "data": data,
        "meta": meta,
        "split": split,
        "value": value,
        # None is an anonymous rater. Two of them may be one person or two, so no name is made up.
        "annotator": username or rater or None,
        "source": source,
        "schema_version": schema_version,
        "seconds": seconds,
        "suggestion_shown": bool(suggestion_shown),
        "suggestion": suggestion,
        "reason": reason,
        "propensity": propensity,
        "is_late": is_late,
        "created_at": created_at,
    }


_RESOLVED_FIELDS = (
    "id",
    "item_id",
    "item__external_id",
    "item__data",
    "item__meta",
    "item__split",
    "value",
    "method",
    "posterior",
    "distribution",
    "n_annotations",
    "model_vote",
    "user__username",
    "note",
    "created_at",
)


def _resolved_row(row: tuple[Any, ...]) -> Row:
    (
        resolution_id, item_id, external_id, data, meta, split, value, method, posterior, distribution, n_annotations,
        model_vote, adjudicator, note, created_at,
    ) = row  # fmt: skip
    return {
        "resolution_id": resolution_id,
        "item_id": item_id,
        "external_id": external_id,
        "data": data,
        "meta": meta,
        "split": split,
        "value": value,
        "method": method,
        "posterior": posterior,
        # Soft labels: what the consensus makes of each value, or the share of the opinions.
        "distribution": distribution,
        "n_annotations": n_annotations,
        # What a model said, where it was a voter too. None: it had no vote.
        "model_vote": model_vote,
        "adjudicator": adjudicator,
        "note": note,
        "created_at": created_at,
    }


def start_export(*, project: Project, kind: str, format: str, user: Any) -> Job:
    """The queued job that writes a file of labels. One that is still waiting for the same file is returned instead."""
    _check(kind, format)
    with transaction.atomic():
        record_audit(
            action="labels.export",
            actor=user,
            project=project,
            target=project.slug,
            detail={"kind": kind, "format": format},
        )
        return enqueue_job(
            kind="export",
            task="labeling.run_export",
            project=project,
            params={"kind": kind, "format": format},
            reason=f"export of {KINDS[kind].lower()} as {FORMATS[format]}",
            created_by=user,
            lane=f"export:{project.pk}:{kind}:{format}",
        )


def _check(kind: str, format: str) -> None:
    if kind not in KINDS:
        raise Invalid(f"Kinds are {', '.join(KINDS)}.", fields={"kind": kind})
    if format not in FORMATS:
        raise Invalid(f"Formats are {', '.join(FORMATS)}.", fields={"format": format})


def export_file(*, job_id: str) -> None:
    """Runs an export job. Its result is the manifest of the file; done again it writes the same file anew."""
    with running_job(job_id) as job:
        if job is not None:
            job.finish(_write(job))


def _write(job: RunningJob) -> dict[str, Any]:
    project, kind, file_format = job.project, job.params["kind"], job.params["format"]
    table = Resolution if kind == "resolved" else Annotation
    expected = table.objects.filter(project=project).count()
    encoder = encoder_for(file_format, kind)
    digest = hashlib.sha256()
    n_rows = size = 0

    def counted(rows: Iterator[Row]) -> Iterator[Row]:
        nonlocal n_rows
        for row in rows:
            n_rows += 1
            yield row

    started = time.monotonic()
    try:
        with tempfile.TemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR) as file:
            for piece in encoded(counted(export_rows(project=project, kind=kind)), encoder):
                file.write(piece)
                digest.update(piece)
                size += len(piece)
                seconds = time.monotonic() - started
                job.report(
                    0.95 * n_rows / max(expected, n_rows, 1), f"{n_rows:,} rows · {n_rows / seconds:,.0f} rows/s"
                )
            file.seek(0)
            path = _path(job.job)
            default_storage.delete(path)
            default_storage.save(path, File(file))
    except OSError as error:
        if error.errno == 28:
            raise Unavailable(
                "The disk is full: the export was not written. Free some space and start it again."
            ) from error
        raise
    return {
        "project": project.slug,
        "kind": kind,
        "format": file_format,
        "rows": n_rows,
        "bytes": size,
        "sha256": digest.hexdigest(),
        "columns": [name for name in COLUMNS[kind] if name != "text" or file_format != "jsonl"],
        "schema_versions": list(
            LabelSchema.objects.filter(project=project).order_by("version").values_list("version", flat=True)
        ),
        # CSV puts an apostrophe before cells that a spreadsheet would run; the other formats change nothing.
        "csv_safe": file_format == "csv",
        "changed_cells": encoder.n_changed_cells,
        "is_lossless": encoder.n_changed_cells == 0,
        "created_at": timezone.now().isoformat(),
        "seconds": round(time.monotonic() - started, 2),
    }


def _path(job: Job) -> str:
    return f"{ROOT}/{job.project_id}/{job.pk}.{job.params['format']}"


def opened_export(*, job: Job) -> BinaryIO:
    """The file of a finished export. Raises NotFound when it was swept away."""
    try:
        return cast(BinaryIO, default_storage.open(_path(job), "rb"))
    except FileNotFoundError:
        raise NotFound(f"This export is not here any more: files are kept {KEPT_DAYS} days. Start it again.") from None


def sweep_exports(*, now: datetime | None = None) -> int:
    """Deletes files that are older than KEPT_DAYS: how many."""
    now = now or timezone.now()
    try:
        projects, _ = default_storage.listdir(ROOT)
    except FileNotFoundError:
        return 0
    swept = 0
    for project in projects:
        for name in default_storage.listdir(f"{ROOT}/{project}")[1]:
            path = f"{ROOT}/{project}/{name}"
            if default_storage.get_modified_time(path) < now - timedelta(days=KEPT_DAYS):
                default_storage.delete(path)
                swept += 1
    return swept
