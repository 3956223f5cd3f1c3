"""Logged predictions grow old: out of the database into Parquet files, and in the end away."""

import io
import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from django.utils import timezone

from active_learning.core.shards import write_atomically
from active_learning.models import Decision, Prediction, ServingPolicy
from active_learning.services import files
from labeling.models import Project, ReviewItem

log = structlog.get_logger(__name__)

ROWS_A_FILE = 20_000
KEEP_DAYS: int = ServingPolicy._meta.get_field("keep_days").default
_COLUMNS = (
    "id", "created_at", "version", "value", "probabilities", "confidence", "certainty", "decision", "reason",
    "segment", "is_explored", "propensity", "content_hash", "input", "words", "is_whole", "unusual", "latency_ms",
    "item",
)  # fmt: skip
_AS_JSON = ("value", "probabilities", "input", "words", "unusual")


def archive_predictions(*, now: datetime | None = None) -> dict[str, int]:
    """Moves what is older than each project's days into files of one day each: how many rows.

    What a reviewer has open stays. A row is deleted only once its file is on the disk, so an interrupted run may leave
    some in two files, under the same id, and none in neither.
    """
    now = now or timezone.now()
    kept = dict(ServingPolicy.objects.values_list("project_id", "keep_days"))
    n = 0
    for project in Project.objects.only("pk"):
        before = now - timedelta(days=kept.get(project.pk, KEEP_DAYS))
        while rows := _oldest_day(project, before):
            _write(project, rows)
            n += _delete([row.pk for row in rows])
    if n:
        log.info("predictions_archived", rows=n)
    return {"archived": n}


def purge_predictions(*, project: Project, before: date) -> dict[str, int]:
    """Deletes all predictions of days before this one (UTC), archived or not: how many rows and files.

    The decisions of these days go too.
    """
    n_files = 0
    for path in sorted(_folder(project).glob("*.parquet")):
        if path.name[:10] < before.isoformat():
            path.unlink()
            n_files += 1
    midnight = datetime(before.year, before.month, before.day, tzinfo=UTC)
    n_rows, _ = Prediction.objects.filter(project=project, created_at__lt=midnight).delete()
    Decision.objects.filter(project=project, at__lt=midnight).delete()
    return {"rows": n_rows, "files": n_files}


def archived_days(*, project: Project) -> list[Path]:
    """The files of a project, the oldest first."""
    return sorted(_folder(project).glob("*.parquet"))


def _folder(project: Project) -> Path:
    return files.storage_root() / "predictions" / str(project.pk)


def _oldest_day(project: Project, before: datetime) -> list[Prediction]:
    """The oldest rows that may go, of one day."""
    waiting = ReviewItem.objects.filter(project=project, state=ReviewItem.State.OPEN).values("item_id")
    old = Prediction.objects.filter(project=project, created_at__lt=before).select_related("version")
    rows = list(old.exclude(item_id__in=waiting).order_by("created_at", "id")[:ROWS_A_FILE])
    return [row for row in rows if _day(row) == _day(rows[0])]


def _day(row: Prediction) -> str:
    return row.created_at.astimezone(UTC).date().isoformat()


def _write(project: Project, rows: Sequence[Prediction]) -> None:
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.table({name: [_cell(row, name) for row in rows] for name in _COLUMNS})
    file = io.BytesIO()
    pyarrow.parquet.write_table(table, file, compression="zstd")
    folder = _folder(project)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / f"{_day(rows[0])}-{rows[0].pk.hex}.parquet", file.getvalue())


def _cell(row: Prediction, name: str) -> Any:
    if name == "version":
        return row.version.number if row.version else None
    if name == "item":
        return row.item_id
    value = getattr(row, name)
    if name in _AS_JSON:
        return json.dumps(value, ensure_ascii=False)
    return str(value) if name == "id" else value


def _delete(ids: Sequence[Any]) -> int:
    n = 0
    for start in range(0, len(ids), 500):
        n += Prediction.objects.filter(pk__in=ids[start : start + 500]).delete()[0]
    return n
