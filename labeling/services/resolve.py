"""Settling what an item is, from the answers that count."""

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from labeling.core.settling import plurality
from labeling.models import Annotation, Item, Project, QueueEntry, Resolution

# A partly answered item goes behind the fresh ones of its batch: for a model breadth beats repetition.
BEHIND_THE_BATCH = 1_000_000.0


def settle_item(*, item: Item, project: Project, now: datetime) -> str:
    """The item's state after counting its answers; the queue and the resolution follow it.

    The caller holds the item's row. An adjudicated value stands, whatever is answered later.
    """
    current = Resolution.objects.filter(item_id=item.pk, superseded_at__isnull=True).first()
    if item.state == Item.State.EXCLUDED or (current and current.method == Resolution.Method.ADJUDICATED):
        return item.state
    values = list(Annotation.objects.live().filter(item_id=item.pk).values_list("value", flat=True))
    n = len(values)
    if n < project.overlap:
        _supersede(current, now)
        _set_state(item, Item.State.OPEN)
        _want_opinions(item, project.overlap - n, n)
        return item.state
    QueueEntry.objects.filter(item_id=item.pk).delete()
    verdict = plurality(values)
    if verdict.value is None:
        _supersede(current, now)
        _set_state(item, Item.State.DISPUTED)
        return item.state
    if current is None or current.value != verdict.value or current.n_annotations != n:
        _supersede(current, now)
        Resolution.objects.create(
            project_id=project.pk,
            item_id=item.pk,
            value=verdict.value,
            method=Resolution.Method.CONSENSUS,
            n_annotations=n,
            created_at=now,
        )
    _set_state(item, Item.State.RESOLVED)
    return item.state


def settle_items(*, project: Project, item_ids: Iterable[int]) -> dict[str, int]:
    """Settles many items, for answers that came in bulk: how many ended in each state."""
    now = timezone.now()
    counts: dict[str, int] = {}
    ids = sorted(item_ids)
    for start in range(0, len(ids), 200):
        with transaction.atomic():
            items = Item.objects.select_for_update(no_key=True).filter(project=project, pk__in=ids[start : start + 200])
            for item in items.order_by("pk"):
                state = settle_item(item=item, project=project, now=now)
                counts[state] = counts.get(state, 0) + 1
    return counts


def _supersede(resolution: Resolution | None, now: datetime) -> None:
    if resolution is not None:
        Resolution.objects.filter(pk=resolution.pk).update(superseded_at=max(now, resolution.created_at))


def _set_state(item: Item, state: str) -> None:
    if item.state != state:
        Item.objects.filter(pk=item.pk).update(state=state)
        item.state = state


def _want_opinions(item: Item, needed: int, n_given: int) -> None:
    entry = QueueEntry.objects.filter(item_id=item.pk).first()
    if entry is None:
        if n_given or item.split == Item.Split.AUDIT:
            reason = QueueEntry.Reason.SECOND_OPINION if n_given else QueueEntry.Reason.AUDIT
        else:
            reason = QueueEntry.Reason.IMPORT_ORDER
        QueueEntry.objects.create(
            project_id=item.project_id,
            item_id=item.pk,
            rank=BEHIND_THE_BATCH,
            reason=reason,
            needed=needed,
        )
        return
    if n_given and entry.rank < BEHIND_THE_BATCH:
        entry.rank += BEHIND_THE_BATCH
        entry.reason = QueueEntry.Reason.SECOND_OPINION
    entry.needed = needed
    entry.save(update_fields=["rank", "reason", "needed"])
