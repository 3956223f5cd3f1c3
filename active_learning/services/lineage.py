"""Which versions learned what: told from the very data that they were trained on."""

import json
from datetime import datetime
from typing import Any

from active_learning.models import AliasEvent, Dataset, ModelVersion
from active_learning.services import files
from labeling.models import Project, Resolution

# What is settled is in the data of the next training, so that more need not be read.
MOST_READ = 3


def first_live_with(
    *, project: Project, item_id: int, value: Any, since: datetime
) -> tuple[ModelVersion, datetime] | None:
    """The first live version that learned this value of this item, where people settled it so after `since`; and when
    it became live. None where none has: what was learned by a version that never answered anybody is not counted."""
    settled = Resolution.objects.filter(item_id=item_id, created_at__gte=since).order_by("created_at")
    at = next((one.created_at for one in settled if _same(one.value, value)), None)
    if at is None:
        return None
    moves = AliasEvent.objects.filter(project_id=project.pk, alias=AliasEvent.Alias.LIVE, at__gt=at).order_by("id")
    live: dict[int, datetime] = {}
    for number, moved_at in moves.values_list("to_number", "at"):
        if number is not None:
            live.setdefault(number, moved_at)
    versions = ModelVersion.objects.filter(project=project, number__in=list(live), created_at__gt=at)
    for version in versions.select_related("dataset").order_by("number")[:MOST_READ]:
        if _holds(version.dataset, item_id, value):
            return version, live[version.number]
    return None


def last_live_move(*, project: Project) -> int:
    """The number of the last move of the live alias, 0 before the first: while it stays, so does first_live_with."""
    moves = AliasEvent.objects.filter(project_id=project.pk, alias=AliasEvent.Alias.LIVE).order_by("-id")
    return moves.values_list("id", flat=True).first() or 0


def _holds(dataset: Dataset, item_id: int, value: Any) -> bool:
    try:
        rows = json.loads(files.absolute(dataset.path).read_bytes())["rows"]
    except (OSError, ValueError, KeyError):
        return False  # of a file that is gone nothing is claimed
    return any(row[0] == item_id and _same(row[1], value) for row in rows)


def _same(one: Any, other: Any) -> bool:
    """Whether two values are the same; a data set writes points of a scale as the names of labels."""
    if isinstance(one, list) or isinstance(other, list):
        return bool(one == other)
    return str(one) == str(other)
