"""Who judges what next: leasing from the queue, and replacing its order.

Capacity is decided while the queue entries are locked: on PostgreSQL by row locks that skip what others hold, on
SQLite by the one writer. A lease that has run out is free whatever its state column says, so nothing has to be
swept for the queue to move on.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import IntegrityError, connection, transaction
from django.db.models import Count, Exists, Min, OuterRef, Q, QuerySet
from django.utils import timezone

from labeling.core.errors import Conflict
from labeling.models import Annotation, Assignment, Item, Job, Membership, Project, QueueEntry, ReviewItem
from labeling.services.gold import DrawnItem, draw_gold, draw_practice
from labeling.services.inbox import awaiting_one_more
from labeling.services.resolve import BEHIND_THE_BATCH
from labeling.services.second_look import SHARE_AGAIN, lease_second_looks

# One person can hold this many items at once: enough for any page, too few to empty the queue for the others.
MAX_HELD = 100
MAX_LEASED_AT_ONCE = 20
# How many half-answered items stand in front when a batch is swapped in. A bound, because a person who works alone
# has to be led past all of them.
SECOND_OPINIONS_IN_FRONT = 200
REFILL_SIZE = 200
# A batch is ranked from 0 on.
IN_FRONT = -1.0

# Written by hand because it is the hottest statement of the product: one pass over the head of the queue, two index
# probes an entry, independent of how many items or answers there are.
_AVAILABLE = """
SELECT e.id, e.item_id, e.reason, e.detail, e.propensity, e.needed, i.external_id, i.data, i.meta, i.split,
       s.value, s.probabilities, s.words, s.source
FROM labeling_queueentry e
JOIN labeling_item i ON i.id = e.item_id
LEFT JOIN labeling_suggestion s ON s.item_id = e.item_id
WHERE e.project_id = %s
  AND NOT EXISTS (SELECT 1 FROM labeling_assignment m
                  WHERE m.item_id = e.item_id AND m.user_id = %s AND m.state IN ('leased', 'submitted', 'skipped'))
  AND e.needed > (SELECT COUNT(*) FROM labeling_assignment l
                  WHERE l.item_id = e.item_id AND l.state = 'leased' AND l.expires_at > %s)
ORDER BY e.rank, e.id
LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class QueueCandidate:
    """An item that should be asked about, in the order of the list it stands in."""

    item_id: int
    reason: str
    detail: dict[str, Any] = field(default_factory=dict)
    propensity: float | None = None


@dataclass(frozen=True, slots=True)
class LeasedItem:
    """A lease with what the person needs to see."""

    assignment: Assignment
    external_id: str | None
    data: dict[str, Any]
    meta: dict[str, Any]


@dataclass(frozen=True, slots=True)
class EmptyQueue:
    """Why there is nothing to hand out: done, locked, limit, held, training or empty."""

    why: str
    message: str
    free_in_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class NextItems:
    items: list[LeasedItem]
    empty: EmptyQueue | None


def lease_items(
    *,
    project: Project,
    user: Any,
    n: int,
    resume: bool = False,
    now: datetime | None = None,
    membership: Membership | None = None,
) -> NextItems:
    """Up to `n` items for `user`, leased for the project's lease time; with `resume` those still held come first.

    The queue is refilled in order of arrival when it has run dry while open items are left. A caller that has read
    the person's membership already gives it: this is the hottest path of the product.
    """
    now = now or timezone.now()
    n = min(n, MAX_LEASED_AT_ONCE)
    membership = membership or Membership.objects.filter(project=project, user=user).first()
    if membership is not None and membership.paused_at is not None:
        return NextItems([], _paused(membership))
    left = _answers_left(project, user)
    if left == 0:
        limit = EmptyQueue(
            "limit",
            f"You have given your {project.person_limit} answers. Thank you: that was your part.",
        )
        return NextItems([], limit)
    leased = _lease(project, user, n, resume, left, now)
    if not leased:
        _refill_in_order(project=project, user=user)
        # Also when nothing was refilled: another order may have been swapped in since the first look.
        leased = _lease(project, user, n, False, left, now)
    if not leased and project.open_second_look_id is not None:
        leased = _lease(project, user, n, False, left, now, share_again=1.0)
    return NextItems(leased, None if leased else _why_empty(project, user, now))


def _paused(membership: Membership) -> EmptyQueue:
    return EmptyQueue(
        "paused",
        f"{membership.pause_reason} Read the guidelines again and talk to an owner of the project, who can let you go "
        "on.",
    )


def _answers_left(project: Project, user: Any) -> int | None:
    if project.person_limit is None:
        return None
    given = Annotation.objects.live().filter(project=project, user=user).count()
    return max(0, project.person_limit - given)


def _lease(
    project: Project,
    user: Any,
    n: int,
    resume: bool,
    left: int | None,
    now: datetime,
    share_again: float = SHARE_AGAIN,
) -> list[LeasedItem]:
    with transaction.atomic():
        mine = Assignment.objects.filter(user_id=user.pk, project_id=project.pk, state=Assignment.State.LEASED)
        mine.filter(expires_at__lte=now).update(state=Assignment.State.EXPIRED)
        held = [_held(a) for a in mine.select_related("item").order_by("id")[:n]] if resume else []
        n_held = mine.count()
        room = min(n - len(held), MAX_HELD - n_held)
        if left is not None:
            room = min(room, left - n_held)
        return held + _lease_new(project, user, room, now, share_again)


def _held(assignment: Assignment) -> LeasedItem:
    item = assignment.item
    return LeasedItem(assignment, item.external_id, item.data, item.meta)


class _Available(NamedTuple):
    entry_id: int
    item_id: int
    reason: str
    detail: str
    propensity: float | None
    needed: int
    external_id: str | None
    data: str
    meta: str
    split: str
    value: str | None
    probabilities: str | None
    words: str | None
    source: str | None


def _lease_new(project: Project, user: Any, n: int, now: datetime, share_again: float) -> list[LeasedItem]:
    if n <= 0:
        return []
    expires_at = now + timedelta(seconds=project.lease_seconds)
    practice = _lease_drawn(draw_practice(project=project, user=user, n=n, now=now), project, user, now, expires_at)
    n -= len(practice)
    leased = _lease_drawn(draw_gold(project=project, user=user, n=n), project, user, now, expires_at)
    leased += _lease_second_looks(project, user, n - len(leased), now, expires_at, share_again)
    n_hidden = len(leased)
    for row in _available(project, user, n - n_hidden, now) if n > n_hidden else []:
        suggestion = _suggestion(row)
        assignment = Assignment(
            project_id=project.pk,
            item_id=row.item_id,
            user_id=user.pk,
            leased_at=now,
            expires_at=expires_at,
            reason=row.reason,
            detail=json.loads(row.detail),
            propensity=row.propensity,
            suggestion=suggestion,
            suggestion_shown=suggestion is not None and _show_suggestion(project, row.split),
        )
        leased.append(LeasedItem(assignment, row.external_id, json.loads(row.data), json.loads(row.meta)))
    Assignment.objects.bulk_create([item.assignment for item in leased[n_hidden:]])
    # Anywhere among the others, so that their place does not give away which are known or judged again.
    if n_hidden:
        random.shuffle(leased)
    return practice + leased


def _lease_drawn(
    drawn: list[DrawnItem], project: Project, user: Any, now: datetime, expires_at: datetime
) -> list[LeasedItem]:
    if not drawn:
        return []
    leased = [
        LeasedItem(
            Assignment(
                project_id=project.pk,
                item_id=one.item.pk,
                user_id=user.pk,
                leased_at=now,
                expires_at=expires_at,
                reason=one.reason,
                detail=one.detail,
            ),
            one.item.external_id,
            one.item.data,
            one.item.meta,
        )
        for one in drawn
    ]
    try:
        with transaction.atomic():
            Assignment.objects.bulk_create([one.assignment for one in leased])
    except IntegrityError:  # another page of the same person has drawn one of them meanwhile
        return []
    return leased


def _lease_second_looks(
    project: Project, user: Any, n: int, now: datetime, expires_at: datetime, share: float
) -> list[LeasedItem]:
    found = lease_second_looks(project=project, user=user, n=n, now=now, expires_at=expires_at, share=share)
    return [_held(assignment) for assignment in found]


def _available(project: Project, user: Any, n: int, now: datetime) -> list[_Available]:
    parameters = [project.pk, user.pk, connection.ops.adapt_datetimefield_value(now), n]
    if not connection.features.has_select_for_update_skip_locked:
        return _rows(_AVAILABLE, parameters)
    # A row that is found free may have been leased between the look and the lock: then look again. When all that is
    # left is locked by others, perhaps a batch that is being swapped, wait for them.
    for lock in _LOCKS:
        rows = _rows(_AVAILABLE + lock, parameters)
        if free := _still_free(rows, now):
            return free
    return []


# Looking again is cheap, waiting is not, and whoever loses this often is served by the next request.
_LOCKS = (" FOR UPDATE OF e SKIP LOCKED",) * 4 + (" FOR UPDATE OF e",) * 2


def _rows(sql: str, parameters: list[Any]) -> list[_Available]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return [_Available(*row) for row in cursor.fetchall()]


def _still_free(rows: list[_Available], now: datetime) -> list[_Available]:
    # The statement that found the rows may be older than leases that others have just committed: count again now
    # that the entries are locked.
    if not rows:
        return []
    leases = Assignment.objects.filter(
        item_id__in=[row.item_id for row in rows], state=Assignment.State.LEASED, expires_at__gt=now
    )
    live = dict(leases.values_list("item_id").order_by().annotate(n=Count("id")))
    return [row for row in rows if row.needed > live.get(row.item_id, 0)]


def _suggestion(row: _Available) -> dict[str, Any] | None:
    if row.source is None or row.value is None:
        return None
    value, probabilities = json.loads(row.value), json.loads(row.probabilities or "{}")
    return {
        "value": value,
        "p": probabilities.get(str(value)),
        "probabilities": probabilities,
        "words": json.loads(row.words or "[]"),
        "source": row.source,
    }


def _show_suggestion(project: Project, split: str) -> bool:
    if split == Item.Split.AUDIT or project.suggestion_policy == Project.SuggestionPolicy.HIDDEN:
        return False
    if project.suggestion_policy == Project.SuggestionPolicy.RANDOM:
        return random.random() >= project.suggestion_hidden_share
    return True


def _refill_in_order(*, project: Project, user: Any) -> int:
    """Queues the next open items in order of arrival: how many. The fallback of every smarter order."""
    queued = QueueEntry.objects.filter(item_id=OuterRef("pk"))
    seen = Assignment.objects.filter(item_id=OuterRef("pk"), user_id=user.pk, state__in=_TAKEN)
    waiting = Item.objects.filter(Q(project=project, state=Item.State.OPEN), ~Exists(queued), ~Exists(seen))
    with transaction.atomic():
        item_ids = list(waiting.order_by("id").values_list("pk", flat=True)[:REFILL_SIZE])
        wanted = _locked_open_items(project, item_ids)
        if item_ids and not wanted:
            # Another process puts them into the queue at this moment: wait until it has.
            list(Item.objects.select_for_update(no_key=True).filter(pk=item_ids[0]).values_list("pk"))
        entries = [
            QueueEntry(
                project=project,
                item_id=item_id,
                rank=BEHIND_THE_BATCH + item_id,
                reason=_reason_in_order(split, n_given),
                propensity=project.audit_share if split == Item.Split.AUDIT else None,
                needed=needed,
            )
            for item_id, (split, n_given, needed) in wanted.items()
        ]
        QueueEntry.objects.bulk_create(entries, ignore_conflicts=True)
    return len(entries)


def _locked_open_items(project: Project, item_ids: list[int]) -> dict[int, tuple[str, int, int]]:
    """Those of the items that are open, locked: their split, how many opinions they have and how many they want.

    Answers are stored under the item's lock, so the count is true until the transaction ends. An item that somebody
    answers at this moment is left out: whoever does so looks after its queue entry.
    """
    policy = project.policy
    found: dict[int, tuple[str, int, int]] = {}
    for start in range(0, len(item_ids), 500):
        items = Item.objects.filter(project=project, state=Item.State.OPEN, pk__in=item_ids[start : start + 500])
        locked = list(_for_update(items).order_by("pk").values_list("pk", "split", "content_hash"))
        given = dict(
            Annotation.objects.live()
            .filter(item_id__in=[item_id for item_id, _, _ in locked])
            .values_list("item_id")
            .order_by()
            .annotate(n=Count("id"))
        )
        for item_id, split, content_hash in locked:
            n_given = given.get(item_id, 0)
            needed = policy.n_wanted(n_given, is_forced=policy.is_forced(content_hash))
            found[item_id] = (split, n_given, needed)
    return found


def _for_update(items: QuerySet[Item]) -> QuerySet[Item]:
    # SQLite has no row locks and needs none: the transaction is the only writer.
    if connection.features.has_select_for_update_skip_locked:
        return items.select_for_update(no_key=True, skip_locked=True)
    return items


_TAKEN = (Assignment.State.LEASED, Assignment.State.SUBMITTED, Assignment.State.SKIPPED)


def _reason_in_order(split: str, n_given: int) -> str:
    if n_given:
        return QueueEntry.Reason.SECOND_OPINION
    return QueueEntry.Reason.AUDIT if split == Item.Split.AUDIT else QueueEntry.Reason.IMPORT_ORDER


def _why_empty(project: Project, user: Any, now: datetime) -> EmptyQueue:
    mine = Assignment.objects.filter(project=project, user=user, state=Assignment.State.LEASED, expires_at__gt=now)
    n_mine = mine.count()
    if n_mine >= MAX_HELD:
        return EmptyQueue(
            "held",
            f"You hold {n_mine} items already. Answer or release some of them first.",
        )
    if project.person_limit is not None and n_mine:
        return EmptyQueue(
            "limit",
            f"The {n_mine} items you hold are the last of your {project.person_limit} answers.",
        )
    seen = Assignment.objects.filter(item_id=OuterRef("item_id"), user_id=user.pk, state__in=_TAKEN)
    locked = QueueEntry.objects.filter(Q(project=project), ~Exists(seen))
    if n_locked := locked.count():
        first_free = Assignment.objects.filter(
            item__queue_entry__in=locked,
            state=Assignment.State.LEASED,
            expires_at__gt=now,
        ).aggregate(first=Min("expires_at"))["first"]
        seconds = max(1, round((first_free - now).total_seconds())) if first_free else 1
        return EmptyQueue(
            "locked",
            f"The last {n_locked} items are being judged by others. The first is free in {seconds} s.",
            seconds,
        )
    if n_mine:
        return EmptyQueue("held", f"The {n_mine} items you hold are the last ones for you.")
    if not Item.objects.filter(project=project).exists():
        return EmptyQueue("empty", "There are no items yet. An owner imports some under Import.")
    running = Job.objects.filter(project=project, state__in=Job.UNDER_WAY)
    if running.filter(kind__in=("import", "train", "features")).exists():
        return EmptyQueue(
            "training",
            "The next items are being prepared: a job is running. This page looks again.",
            5,
        )
    if Item.objects.filter(project=project, state=Item.State.OPEN).exists():
        return EmptyQueue(
            "done",
            "You have judged everything there is for you. What is left waits for other people.",
        )
    return EmptyQueue(
        "done",
        "Everything is judged. New items appear here as soon as they are imported.",
    )


def renew_lease(*, assignment: Assignment, now: datetime | None = None) -> Assignment:
    """The lease, extended. Raises Conflict when it has run out: the item may be somebody else's by now."""
    now = now or timezone.now()
    expires_at = now + timedelta(seconds=assignment.project.lease_seconds)
    renewed = Assignment.objects.filter(pk=assignment.pk, state=Assignment.State.LEASED, expires_at__gt=now).update(
        expires_at=expires_at
    )
    if not renewed:
        raise Conflict(
            "This lease has run out. An answer that is sent all the same is kept.",
            code="lease_expired",
        )
    assignment.expires_at = expires_at
    return assignment


def release_lease(*, assignment: Assignment) -> Assignment:
    """The lease, given back. Doing it twice does no harm; an answered one stays as it is."""
    Assignment.objects.filter(pk=assignment.pk, state=Assignment.State.LEASED).update(state=Assignment.State.RELEASED)
    assignment.refresh_from_db(fields=["state"])
    return assignment


def expire_leases(*, now: datetime | None = None) -> int:
    """Writes down which leases have run out: how many. Housekeeping: the queue does not depend on it."""
    now = now or timezone.now()
    return Assignment.objects.filter(state=Assignment.State.LEASED, expires_at__lte=now).update(
        state=Assignment.State.EXPIRED
    )


def replace_queue(
    *,
    project: Project,
    entries: Sequence[QueueCandidate],
    batch: int,
    ordered_by: str,
    now: datetime | None = None,
) -> int:
    """Swaps in a new order in one transaction: how many entries the queue has now.

    Leased entries stay, and so does, in front of all, what a reviewer wants one more opinion on, and behind it what
    somebody found by search and nobody has answered. Half-answered items are mixed into the front; those that were
    answered or settled while the batch was being computed are left out.
    `ordered_by` says what made the order ("model 4").
    """
    now = now or timezone.now()
    with transaction.atomic():
        leased = set(
            Assignment.objects.filter(project=project, state=Assignment.State.LEASED, expires_at__gt=now).values_list(
                "item_id", flat=True
            )
        )
        # Items before entries, as a submit takes them.
        halfway = _halfway(project)
        wanted = _locked_open_items(project, halfway + [entry.item_id for entry in entries])
        asked = _asked_by_a_reviewer(project)
        moving = QueueEntry.objects.filter(project=project).exclude(reason=QueueEntry.Reason.SEARCH)
        moving.exclude(item_id__in=leased | asked).delete()
        QueueEntry.objects.filter(item_id__in=asked).update(rank=IN_FRONT, batch=batch)
        kept = set(QueueEntry.objects.filter(project=project).values_list("item_id", flat=True))
        rows = [
            QueueEntry(
                project=project,
                item_id=item_id,
                rank=2 * place + 0.5,
                batch=batch,
                reason=QueueEntry.Reason.SECOND_OPINION,
                needed=wanted[item_id][2],
            )
            for place, item_id in enumerate(halfway)
            if item_id in wanted and item_id not in kept
        ]
        rows += [
            QueueEntry(
                project=project,
                item_id=entry.item_id,
                rank=float(place),
                batch=batch,
                reason=entry.reason,
                detail=entry.detail,
                propensity=entry.propensity,
                needed=wanted[entry.item_id][2],
            )
            for place, entry in enumerate(entries)
            if entry.item_id in wanted and wanted[entry.item_id][1] == 0 and entry.item_id not in kept
        ]
        QueueEntry.objects.bulk_create(rows, batch_size=500, ignore_conflicts=True)
        Project.objects.filter(pk=project.pk).update(ordered_by=ordered_by[:60], ordered_at=now)
        return QueueEntry.objects.filter(project=project).count()


def _asked_by_a_reviewer(project: Project) -> set[int]:
    requeued = ReviewItem.objects.filter(
        project=project, state=ReviewItem.State.REQUEUED, item__state=Item.State.OPEN, item__queue_entry__isnull=False
    )
    return awaiting_one_more(item_ids=requeued.values_list("item_id", flat=True))


def _halfway(project: Project) -> list[int]:
    """Open items that have some of the opinions they want, the longest waiting first; a bounded number."""
    if project.overlap == 1 and not project.policy.stops_early:
        return []
    rows = (
        Annotation.objects.live()
        .filter(project=project, item__state=Item.State.OPEN)
        .values("item_id")
        .order_by()
        .annotate(first=Min("id"))
        .order_by("first")
        .values_list("item_id", flat=True)
    )
    return list(rows[:SECOND_OPINIONS_IN_FRONT])
