"""Search to label: people are asked next about items that somebody who knows what to look for has found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Count, QuerySet

from labeling.core.errors import Conflict, Invalid
from labeling.models import Annotation, Item, Project, QueueEntry
from labeling.services.audit import record_audit

MOST_AT_ONCE = 200
# More than that in front, and the model's order would not be heard for a long time.
MOST_IN_FRONT = 1_000
# Behind what a reviewer wants one more opinion on (at most -1), before every batch (from 0 on); in order of asking.
RANK = -0.5

# Why an item is left out, as pages and the API say it.
LEFT_OUT = {
    "audit": "it belongs to the audit split, which stays random",
    "resolved": "it is settled",
    "disputed": "a reviewer decides it",
    "excluded": "it is excluded from the project",
    "unknown": "there is no such item in this project",
}


@dataclass(frozen=True, slots=True)
class AskedNext:
    """Ids of the items that now stand in front, and of those left out with the code of why (a key of LEFT_OUT)."""

    queued: list[int]
    left_out: dict[int, str]


def ask_next(*, project: Project, item_ids: Sequence[int], detail: Mapping[str, Any], actor: Any) -> AskedNext:
    """Puts open items of the pool in front of the queue, until they are answered; doing it twice does no harm.

    `detail` says how they were found: {"query": "late refund"} or {"like": 17}. They were chosen and not drawn, so an
    entry loses the propensity that it may have had. Raises Conflict when too many wait in front already.
    """
    ids = sorted(set(item_ids))
    if not ids:
        raise Invalid("No item was chosen: tick some first.", fields={"items": "none"})
    if len(ids) > MOST_AT_ONCE:
        raise Invalid(f"At most {MOST_AT_ONCE} items at once, not {len(ids):,}.", fields={"items": str(len(ids))})
    with transaction.atomic():
        # Items before entries, as a submit takes them.
        rows = {item.pk: item for item in _locked(project, ids).only("id", "split", "state", "content_hash")}
        left_out = {pk: why for pk in ids if (why := _why_not(rows.get(pk)))}
        queued = [pk for pk in ids if pk not in left_out]
        _put_in_front(project, [rows[pk] for pk in queued], dict(detail))
        if QueueEntry.objects.filter(project=project, reason=QueueEntry.Reason.SEARCH).count() > MOST_IN_FRONT:
            raise Conflict(
                f"At most {MOST_IN_FRONT:,} items can wait in front. Nothing was changed: let people answer some, or "
                "take some out again.",
                code="front_is_full",
            )
        if queued:
            record_audit(
                action="queue.ask_next",
                actor=actor,
                project=project,
                target=f"{len(queued)} items",
                detail={**detail, "items": queued, "left_out": len(left_out)},
            )
    return AskedNext(queued, left_out)


def take_out(*, project: Project, detail: Mapping[str, Any], actor: Any) -> int:
    """Takes out again what was asked with this detail and is not answered yet: how many.

    Whoever holds one of them may still answer it. The others come back when an order or their turn brings them.
    """
    entries = QueueEntry.objects.filter(project=project, reason=QueueEntry.Reason.SEARCH, detail=dict(detail))
    with transaction.atomic():
        list(_locked(project, list(entries.values_list("item_id", flat=True))).values_list("pk"))
        n = entries.delete()[0]
        if n:
            record_audit(
                action="queue.take_out", actor=actor, project=project, target=f"{n} items", detail=dict(detail)
            )
    return n


def _locked(project: Project, ids: Sequence[int]) -> QuerySet[Item]:
    return Item.objects.select_for_update(no_key=True).filter(project=project, pk__in=ids).order_by("pk")


def _why_not(item: Item | None) -> str:
    if item is None:
        return "unknown"
    if item.state != Item.State.OPEN:
        return str(item.state)
    return "audit" if item.split == Item.Split.AUDIT else ""


def _put_in_front(project: Project, items: Sequence[Item], detail: dict[str, Any]) -> None:
    ids = [item.pk for item in items]
    standing = {entry.item_id: entry for entry in QueueEntry.objects.select_for_update().filter(item_id__in=ids)}
    given = dict(
        Annotation.objects.live().filter(item_id__in=ids).values_list("item_id").order_by().annotate(n=Count("id"))
    )
    moved, fresh = [], []
    for item in items:
        entry = standing.get(item.pk)
        if entry is None:
            is_forced = project.policy.is_forced(item.content_hash)
            needed = project.policy.n_wanted(given.get(item.pk, 0), is_forced=is_forced)
            entry = QueueEntry(project=project, item_id=item.pk, needed=needed)
            fresh.append(entry)
        elif entry.rank <= RANK:  # asked for by somebody else before
            continue
        else:
            moved.append(entry)
        entry.rank, entry.reason, entry.detail = RANK, QueueEntry.Reason.SEARCH, detail
        entry.propensity = None
    QueueEntry.objects.bulk_create(fresh)
    # Not what they still need: that belongs to whoever counts answers.
    QueueEntry.objects.bulk_update(moved, ["rank", "reason", "detail", "propensity"])
