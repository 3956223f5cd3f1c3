"""Things from outside that a person should look at: they become items, and wait in the review inbox."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter
from typing import Any

from labeling.core.drafts import ItemDraft, draft_item
from labeling.core.formats import RowError
from labeling.models import Item, Project, ReviewItem
from labeling.services.inbox import PRIORITY_OF_BLIND, Opening, open_reviews
from labeling.services.intake import rules_for
from labeling.services.passing import come_back

_DONE = (Item.State.RESOLVED, Item.State.EXCLUDED)


@dataclass(frozen=True, slots=True)
class Routed:
    """Something to look at: its fields, why, and what is known of it: `value`, `probabilities`, `words` and `source` of
    the evidence are shown as a suggestion.

    `is_blind`: a random draw, to be judged without knowing what the model said.
    """

    data: dict[str, Any]
    reason: str
    evidence: dict[str, Any] = field(default_factory=dict)
    priority: float = 0.0
    meta: dict[str, Any] = field(default_factory=dict)
    features: Any = None
    is_blind: bool = False


def route_to_review(
    *, project: Project, rows: Sequence[Routed], now: datetime, origin: str = "prediction"
) -> list[int | None]:
    """The item of each row, new or of the same content, waiting in the inbox; None for what cannot be an item.

    Belongs into the caller's transaction. Random draws that nobody had sent before become audit items, which no model
    learns from; everything else joins the pool. An audit item is never shown with what the model said of it. What is
    settled, or was excluded, is not asked again. `origin`: what brings them (services.passing).
    """
    rules = rules_for(project)
    drafts = [
        draft_item(place, data=row.data, meta=row.meta, features=row.features, rules=rules)
        for place, row in enumerate(rows)
    ]
    good = [draft for draft in drafts if isinstance(draft, ItemDraft)]
    blind = {draft.content_hash for draft in good if rows[draft.row].is_blind}
    item_of = _items(project, good, blind, now, origin)
    come_back(items=item_of.values(), origin=origin)
    found: list[int | None] = []
    openings: list[Opening] = []
    for row, draft in zip(rows, drafts, strict=True):
        if isinstance(draft, RowError):
            found.append(None)
            continue
        item = item_of[draft.content_hash]
        found.append(item.pk)
        if item.state in _DONE:
            continue
        is_blind = row.is_blind or item.split == Item.Split.AUDIT
        openings.append(
            Opening(
                item_id=item.pk,
                reason=ReviewItem.Reason.EXPLORE.value if is_blind else row.reason,
                evidence={} if is_blind else row.evidence,
                priority=PRIORITY_OF_BLIND if is_blind else row.priority,
            )
        )
    open_reviews(project_id=project.pk, openings=openings, now=now)
    return found


def _items(
    project: Project, drafts: Iterable[ItemDraft], blind: set[str], now: datetime, origin: str
) -> dict[str, Item]:
    """The items of these contents by hash, their rows held; those that are missing are made."""
    by_hash = {draft.content_hash: draft for draft in drafts}
    there = set(
        Item.objects.filter(project=project, content_hash__in=list(by_hash)).values_list("content_hash", flat=True)
    )
    Item.objects.bulk_create(
        [
            Item(
                project=project,
                content_hash=content_hash,
                data=draft.data,
                meta=draft.meta,
                features=draft.features,
                split=Item.Split.AUDIT if content_hash in blind else Item.Split.POOL,
                origin=origin,
                created_at=now,
            )
            # In one order: two requests must not wait for each other.
            for content_hash, draft in sorted(by_hash.items(), key=itemgetter(0))
            if content_hash not in there
        ],
        ignore_conflicts=True,  # another process may have sent the same just now
    )
    held = Item.objects.select_for_update(no_key=True).filter(project=project, content_hash__in=list(by_hash))
    return {item.content_hash: item for item in held.defer("features", "data").order_by("pk")}
