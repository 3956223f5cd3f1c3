"""Versions keep what they learned; those that learned from somebody who is forgotten now are marked."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime

from active_learning.models import Dataset, Erasure, ModelVersion
from active_learning.services import files
from labeling.models import Project


def versions_that_learned_from(
    *, project: Project, said: Mapping[int, datetime], settled: Mapping[int, datetime]
) -> dict[int, int]:
    """The ids of the versions whose data set holds items as somebody spoke of them, and how many of these.

    `said`: items and since when they spoke of each, which counts where a version learned from the words of users;
    `settled`: items that were settled after they had complained, and when, which counts where it learned from people's
    answers. Of a data set whose file is gone all are counted: nobody can tell any more.
    """
    first = min([*said.values(), *settled.values()], default=None)
    if first is None:
        return {}
    found: dict[int, int] = {}
    for dataset in Dataset.objects.filter(project=project, created_at__gte=first):
        n = len(set(_held(dataset, said, settled)))
        if n:
            versions = ModelVersion.objects.filter(project=project, dataset=dataset)
            found |= dict.fromkeys(versions.values_list("pk", flat=True), n)
    return found


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


def mark_versions(*, learned: Mapping[int, int], now: datetime) -> list[int]:
    """Marks the versions: their numbers."""
    Erasure.objects.bulk_create(Erasure(version_id=pk, n_items=n, at=now) for pk, n in learned.items())
    numbers = ModelVersion.objects.filter(pk__in=learned).order_by("number").values_list("number", flat=True)
    return list(numbers)
