"""Versions keep what they learned; those that learned from somebody who is forgotten are marked.

A tombstone stays until that is sure: it is written in the transaction that forgets, read right after it, at the end of
each training, and once a minute.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

import structlog
from django.utils import timezone

from active_learning.models import Dataset, Erasure, ModelVersion, Tombstone, TrainingRun
from active_learning.services import files
from labeling.models import Job, Project

log = structlog.get_logger(__name__)

# A training that begins so much later reads what the transaction left that forgot.
COMMITS_WITHIN = timedelta(minutes=1)


def leave_tombstone(
    *, project: Project, said: Mapping[int, datetime], settled: Mapping[int, datetime], now: datetime
) -> Tombstone | None:
    """What marks are made from; None where nothing was said that a version could have learned. Belongs into the
    transaction that forgets.

    `said`: items and since when they spoke of each, which counts where a version learned from the words of users;
    `settled`: items that were settled after they had complained, and when, which counts where it learned from people's
    answers.
    """
    if not (said or settled):
        return None
    return Tombstone.objects.create(project=project, said=_stored(said), settled=_stored(settled), at=now)


def _stored(times: Mapping[int, datetime]) -> list[list[int | str]]:
    return [[item, at.isoformat()] for item, at in sorted(times.items())]


def mark_versions(*, tombstone: Tombstone) -> list[int]:
    """Marks the versions that learned from whom the tombstone is of: the numbers of all that are marked for it.

    Doing it twice does no harm. Looked at are those whose training began before they were forgotten; of a data set
    whose file is gone all items are counted: nobody can tell any more.
    """
    said, settled = _times(tombstone.said), _times(tombstone.settled)
    datasets = Dataset.objects.filter(
        project_id=tombstone.project_id, created_at__gte=min([*said.values(), *settled.values()])
    )
    for dataset in datasets:
        n = len(set(_held(dataset, said, settled)))
        versions = ModelVersion.objects.filter(dataset=dataset).prefetch_related("runs") if n else []
        for version in versions:
            began = min([version.created_at, *(run.created_at for run in version.runs.all())])
            if began <= tombstone.at + COMMITS_WITHIN:
                Erasure.objects.get_or_create(version=version, at=tombstone.at, defaults={"n_items": n})
    marked = ModelVersion.objects.filter(project_id=tombstone.project_id, erasures__at=tombstone.at)
    return list(marked.order_by("number").values_list("number", flat=True))


def _times(stored: list[list[int | str]]) -> dict[int, datetime]:
    return {int(item): datetime.fromisoformat(str(at)) for item, at in stored}


def _held(dataset: Dataset, said: Mapping[int, datetime], settled: Mapping[int, datetime]) -> Iterator[int]:
    spoken = {item for item, at in said.items() if at <= dataset.created_at}
    judged = {item for item, at in settled.items() if at <= dataset.created_at}
    try:
        stored = json.loads(files.absolute(dataset.path).read_bytes())
    except (OSError, ValueError):
        yield from spoken | judged
        return
    yield from (row[0] for row in stored["rows"] if row[0] in judged)
    yield from (row[0] for row in stored.get("weak", ()) if row[0] in spoken)


def mark_all(*, project: Project) -> None:
    """Marks what is still to be marked in a project: of a training that has just ended."""
    for tombstone in Tombstone.objects.filter(project=project):
        mark_versions(tombstone=tombstone)


def finish_erasures(*, now: datetime | None = None) -> dict[str, int]:
    """Makes the marks that are still to be made, and removes the tombstones of which none can come any more: how many
    are left."""
    now = now or timezone.now()
    for tombstone in Tombstone.objects.all():
        try:
            # Asked first: what such a training registers after that is there when the data sets are read.
            is_final = now > tombstone.at + COMMITS_WITHIN and not is_learning(tombstone=tombstone)
            mark_versions(tombstone=tombstone)
        except Exception:  # one project's trouble must not stop the others
            log.exception("marks_failed", project=tombstone.project_id)
            continue
        if is_final:
            tombstone.delete()
    return {"left": Tombstone.objects.count()}


def is_learning(*, tombstone: Tombstone) -> bool:
    """Whether a training is under way that may have read what is forgotten."""
    begun = TrainingRun.objects.filter(
        project_id=tombstone.project_id, created_at__lte=tombstone.at + COMMITS_WITHIN, job__state__in=Job.UNDER_WAY
    )
    return begun.exists()
