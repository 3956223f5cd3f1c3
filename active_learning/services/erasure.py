"""Versions keep what they learned; those that learned from somebody who is forgotten are marked.

A tombstone stays until that is sure: it is written in the transaction that forgets, read right after it, at the end of
each training, and once a minute.
"""

import functools
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.core.cache import cache
from django.db.models import Min
from django.utils import timezone

from active_learning.models import Dataset, Erasure, ModelVersion, Tombstone, TrainingRun
from active_learning.services import files
from labeling.models import Job, Project

log = structlog.get_logger(__name__)

# A training that begins so much later reads what the transaction left that forgot.
COMMITS_WITHIN = timedelta(minutes=1)
# While a training goes on the same data sets are looked at each minute.
NOTHING_SECONDS = 24 * 3600


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
    whose file is gone or broken all items are counted: nobody can tell any more.
    """
    _mark(tombstone.project_id, [tombstone])
    marked = ModelVersion.objects.filter(project_id=tombstone.project_id, erasures__at=tombstone.at)
    return list(marked.order_by("number").values_list("number", flat=True))


@dataclass(frozen=True, slots=True)
class _Words:
    """What a tombstone is of."""

    pk: int
    at: datetime
    said: Mapping[int, datetime]
    settled: Mapping[int, datetime]

    def before(self, at: datetime) -> tuple[set[int], set[int]]:
        """The items of which they had spoken by then, and those that had been settled."""
        spoken, settled = ({item for item, since in one.items() if since <= at} for one in (self.said, self.settled))
        return spoken, settled


def _mark(project_id: int, tombstones: Sequence[Tombstone]) -> None:
    """Marks the versions of a project for all of these. A data set is read once at most, and only where a version that
    may have learned from one of them is without the mark and it is not known that there is nothing of them in it."""
    words = [_Words(one.pk, one.at, _times(one.said), _times(one.settled)) for one in tombstones]
    first = min((at for one in words for at in (*one.said.values(), *one.settled.values())), default=None)
    if first is None:
        return
    marked = set(Erasure.objects.filter(version__project_id=project_id).values_list("version_id", "at"))
    versions = ModelVersion.objects.filter(project_id=project_id).annotate(asked_at=Min("runs__created_at"))
    began: dict[int, dict[int, datetime]] = defaultdict(dict)
    for dataset_id, pk, *times in versions.values_list("dataset_id", "pk", "created_at", "asked_at").order_by():
        began[dataset_id][pk] = min(at for at in times if at is not None)
    for dataset in Dataset.objects.filter(project_id=project_id, created_at__gte=first, pk__in=began):
        held = functools.cache(functools.partial(_held, dataset))
        for one in words:
            may_be_in = [pk for pk, at in began[dataset.pk].items() if at <= one.at + COMMITS_WITHIN]
            unmarked = [pk for pk in may_be_in if (pk, one.at) not in marked]
            n = _n_learned(one, dataset, held) if unmarked else 0
            for pk in unmarked if n else ():
                Erasure.objects.get_or_create(version_id=pk, at=one.at, defaults={"n_items": n})


def _n_learned(words: _Words, dataset: Dataset, held: Callable[[], tuple[set[int], set[int]] | None]) -> int:
    """How many items of a data set, which are read by `held`, are labeled as they said or as was settled for them."""
    spoken, settled = words.before(dataset.created_at)
    # Neither what a tombstone is of nor a data set ever changes: that it holds nothing of them stays true.
    nothing = f"erasure.nothing:{words.pk}:{words.at.timestamp()}:{dataset.sha256}:{dataset.created_at.timestamp()}"
    if not (spoken or settled) or cache.get(nothing):
        return 0
    found = held()
    learned = spoken | settled if found is None else (settled & found[0]) | (spoken & found[1])
    if not learned:
        cache.set(nothing, True, NOTHING_SECONDS)
    return len(learned)


def _times(stored: list[list[int | str]]) -> dict[int, datetime]:
    return {int(item): datetime.fromisoformat(str(at)) for item, at in stored}


def _held(dataset: Dataset) -> tuple[set[int], set[int]] | None:
    """The items that it holds as people and as users labeled them; None where its file is gone or broken."""
    try:
        stored = json.loads(files.absolute(dataset.path).read_bytes())
        return {row[0] for row in stored["rows"]}, {row[0] for row in stored.get("weak", ())}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        log.warning("dataset_unreadable", project=dataset.project_id, dataset=dataset.number, error=str(error)[:200])
        return None


def mark_all(*, project: Project) -> None:
    """Marks what is still to be marked in a project: of a training that has just ended."""
    _mark(project.pk, list(Tombstone.objects.filter(project=project)))


def finish_erasures(*, now: datetime | None = None) -> dict[str, int]:
    """Makes the marks that are still to be made, and removes the tombstones of which none can come any more: how many
    are left."""
    now = now or timezone.now()
    of_project: dict[int, list[Tombstone]] = defaultdict(list)
    for tombstone in Tombstone.objects.all():
        of_project[tombstone.project_id].append(tombstone)
    for project_id, tombstones in of_project.items():
        try:
            # Asked first: what such a training registers after that is there when the data sets are read.
            old = [one for one in tombstones if now > one.at + COMMITS_WITHIN]
            final = [one.pk for one in old if not is_learning(tombstone=one)]
            _mark(project_id, tombstones)
        except Exception:  # one project's trouble must not stop the others
            log.exception("marks_failed", project=project_id)
            continue
        Tombstone.objects.filter(pk__in=final).delete()
    return {"left": Tombstone.objects.count()}


def is_learning(*, tombstone: Tombstone) -> bool:
    """Whether a training is under way that may have read what is forgotten."""
    begun = TrainingRun.objects.filter(
        project_id=tombstone.project_id, created_at__lte=tombstone.at + COMMITS_WITHIN, job__state__in=Job.UNDER_WAY
    )
    return begun.exists()
