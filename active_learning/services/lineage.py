"""Which versions learned what: told from the very data that they were trained on."""

import json
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

from active_learning.models import AliasEvent, Dataset, ModelVersion
from active_learning.services import files
from labeling.models import Project, Resolution

# What is settled is in the data of the next training, so that more need not be read.
MOST_READ = 3


def first_live_with(
    *, project: Project, item_id: int, value: Any, since: datetime, is_heard: bool = False
) -> tuple[ModelVersion, datetime] | None:
    """The first live version that learned this value of this item, which somebody said is right at `since`; and when it
    became live. None where none has: what was learned by a version that never answered anybody is not counted.

    Learned from people, who settled the item so since; or, `is_heard`, from what users say, weighed since.
    """
    settled = Resolution.objects.filter(item_id=item_id, created_at__gte=since).order_by("created_at")
    settled_at = next((one.created_at for one in settled if _same(one.value, value)), None)
    moves = AliasEvent.objects.filter(project_id=project.pk, alias=AliasEvent.Alias.LIVE, at__gt=since).order_by("id")
    live: dict[int, datetime] = {}
    for number, moved_at in moves.values_list("to_number", "at"):
        if number is not None:
            live.setdefault(number, moved_at)
    n_read = 0
    versions = ModelVersion.objects.filter(project=project, number__in=list(live), created_at__gt=since)
    for version in versions.select_related("dataset").order_by("number"):
        is_judged = settled_at is not None and version.created_at > settled_at
        is_weak = is_heard and _heard_until(version) >= since
        if not (is_judged or is_weak):
            continue
        if _holds(version.dataset, item_id, value, is_judged=is_judged, is_weak=is_weak):
            return version, live[version.number]
        n_read += 1
        if n_read == MOST_READ:
            return None
    return None


def _heard_until(version: ModelVersion) -> datetime:
    """Until when users were heard whose words the version kept; of one that kept none long ago."""
    found = version.metrics.get("weak") or {}
    at = found.get("heard_until") if found.get("is_kept") else None
    return datetime.fromisoformat(at) if at else datetime.min.replace(tzinfo=UTC)


def last_live_move(*, project: Project) -> int:
    """The number of the last move of the live alias, 0 before the first: while it stays, so does first_live_with."""
    moves = AliasEvent.objects.filter(project_id=project.pk, alias=AliasEvent.Alias.LIVE).order_by("-id")
    return moves.values_list("id", flat=True).first() or 0


def _holds(dataset: Dataset, item_id: int, value: Any, *, is_judged: bool, is_weak: bool) -> bool:
    """Whether it holds the item with this value, from people (`is_judged`), or from users (`is_weak`): of the two rows
    of a soft label the heavier one says what they hold it for."""
    try:
        stored = json.loads(files.absolute(dataset.path).read_bytes())
    except (OSError, ValueError):
        return False  # of a file that is gone nothing is claimed
    if is_judged and any(row[0] == item_id and _same(row[1], value) for row in stored.get("rows", ())):
        return True
    said = [row for row in stored.get("weak", ()) if row[0] == item_id] if is_weak else []
    return bool(said) and _same(max(said, key=itemgetter(2))[1], value)


def _same(one: Any, other: Any) -> bool:
    """Whether two values are the same; a data set writes points of a scale as the names of labels."""
    if isinstance(one, list) or isinstance(other, list):
        return bool(one == other)
    return str(one) == str(other)
