"""What a reviewer does with an item that people differ on: decides it, asks one more person, takes that back.

Raw answers never change. A decision is a resolution of its own that supersedes the one before it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Max, Min
from django.utils import timezone

from labeling.core.errors import Conflict, Invalid
from labeling.core.inbox_order import LONGEST_SECONDS
from labeling.core.schema import Value, rules_of
from labeling.core.sides import clear_majority
from labeling.core.wording import value_words
from labeling.models import Annotation, Assignment, Item, LabelSchema, Membership, QueueEntry, Resolution, ReviewItem
from labeling.services.audit import record_audit
from labeling.services.inbox import ACT, awaiting_one_more, stay_blind
from labeling.services.resolve import settle_item

MAX_NOTE = 2000
_HAVE_SEEN_IT = (Assignment.State.LEASED, Assignment.State.SUBMITTED, Assignment.State.SKIPPED)


def decide(
    *,
    review: ReviewItem,
    value: Any,
    user: Any,
    note: str = "",
    as_gold: bool = False,
    seconds: float | None = None,
    now: datetime | None = None,
) -> ReviewItem:
    """The review, decided: the item is settled by this person's word, whatever is answered later.

    The same decision by the same person again changes nothing; anything else about a review that is no longer open
    is a Conflict that says what became of it. With `as_gold` the value becomes the item's known answer if it has none.
    `seconds`: how long it was looked at; more than anybody looks at one item is not kept.
    """
    schema = LabelSchema.objects.current(review.project_id)
    checked = rules_of(schema.kind, schema.config).check(value)
    note = _checked_note(note)
    now = now or timezone.now()
    with transaction.atomic():
        item, review = _locked(review)
        if _is_decided_as(review, checked, user):
            return review
        _refuse_unless_open(review, item, schema)
        review.seconds = _measured(seconds)
        _decide(review, item, checked, user, note, as_gold, now)
    return review


def cannot_tell(
    *, review: ReviewItem, user: Any, note: str = "", seconds: float | None = None, now: datetime | None = None
) -> ReviewItem:
    """The review, ended without a value: nobody can tell. The item is excluded, so nobody is asked again and no model
    learns from it. Doing it twice does no harm; taking it back puts the item where it was."""
    note = _checked_note(note)
    now = now or timezone.now()
    with transaction.atomic():
        item, review = _locked(review)
        if review.state == ReviewItem.State.UNCLEAR and review.closed_by_id == user.pk:
            return review
        _refuse_unless_open(review, item)
        stood = _supersede_current(item, now)
        Item.objects.filter(pk=item.pk).update(state=Item.State.EXCLUDED)
        QueueEntry.objects.filter(item_id=item.pk).delete()
        review.seconds = _measured(seconds)
        _end(review, ReviewItem.State.UNCLEAR, user, note, now, {"stood": stood, "was": item.state})
        record_audit(
            action="review.unclear",
            actor=user,
            project=review.project,
            target=f"item {item.pk}",
            detail={"review": review.pk, "note": note},
        )
    return review


def close_without_decision(*, review: ReviewItem, user: Any, reason: str, now: datetime | None = None) -> bool:
    """Takes an open review out of the inbox without a decision, for a stated reason: whether it was open.

    The item stays as it is. What it was opened for may open another one.
    """
    reason = _checked_note(reason)
    if not reason:
        raise Invalid("Say why these need no decision.", fields={"reason": "required"})
    now = now or timezone.now()
    with transaction.atomic():
        item, review = _locked(review)
        if review.state != ReviewItem.State.OPEN:
            return False
        _end(review, ReviewItem.State.CLOSED, user, reason, now, {})
        record_audit(
            action="review.close",
            actor=user,
            project=review.project,
            target=f"item {item.pk}",
            detail={"review": review.pk, "reason": reason},
        )
    return True


@dataclass(frozen=True, slots=True)
class MajorityTaken:
    """How many reviews were decided by their majority, and how many were left because something had changed."""

    n_decided: int
    n_left: int


def take_majorities(
    *, chosen: Sequence[tuple[ReviewItem, Any]], user: Any, now: datetime | None = None
) -> MajorityTaken:
    """Decides each review by the value that was seen to have a clear majority, unless that is no longer so.

    All carry the same time, so that they can be taken back together.
    """
    now = now or timezone.now()
    n_decided = 0
    for review, value in chosen:
        with transaction.atomic():
            item, fresh = _locked(review)
            if fresh.state == ReviewItem.State.OPEN and item.state != Item.State.EXCLUDED:
                given = list(Annotation.objects.live().filter(item_id=item.pk).values_list("value", flat=True))
                schema = LabelSchema.objects.current(item.project_id)
                if clear_majority(given) == value == rules_of(schema.kind, schema.config).check(value):
                    _decide(fresh, item, value, user, "", False, now, how="majority")
                    n_decided += 1
    return MajorityTaken(n_decided, len(chosen) - n_decided)


def requeue(*, review: ReviewItem, user: Any, note: str = "", now: datetime | None = None) -> ReviewItem:
    """The review, put aside until one more person has judged the item. Doing it twice does no harm."""
    note = _checked_note(note)
    now = now or timezone.now()
    with transaction.atomic():
        item, review = _locked(review)
        if review.state == ReviewItem.State.REQUEUED and review.closed_by_id == user.pk:
            return review
        _refuse_unless_open(review, item)
        if not _somebody_is_left(item):
            raise Conflict(
                "Everybody in this project has judged or skipped this item already. Decide it, or invite somebody.",
                code="nobody_left",
            )
        stood = _supersede_current(item, now)
        last = Annotation.objects.filter(item_id=item.pk).aggregate(last=Max("pk"))["last"] or 0
        # Open, although it may have all the answers that the project asks for. Counting them again does not dispute it
        # before a newer one than the last of now is there: see inbox.awaiting_one_more.
        Item.objects.filter(pk=item.pk).update(state=Item.State.OPEN)
        _ask_next(item)
        _end(review, ReviewItem.State.REQUEUED, user, note, now, {"stood": stood, "last_answer": last})
        record_audit(
            action="review.requeue",
            actor=user,
            project=review.project,
            target=f"item {item.pk}",
            detail={"review": review.pk, "note": note},
        )
    return review


def undo(*, review: ReviewItem, user: Any, now: datetime | None = None) -> ReviewItem:
    """The review as it was before it was decided or requeued; the item's answers are counted again.

    Counting may close it at once, when answers that came meanwhile agree. An open review stays as it is. Raises
    Conflict when somebody has built on it: a later decision, or the further opinion that was asked for.
    """
    now = now or timezone.now()
    with transaction.atomic():
        item, review = _locked(review)
        if review.state == ReviewItem.State.OPEN:
            return review
        if review.state == ReviewItem.State.CLOSED:
            raise Conflict("This one was settled without a reviewer: there is nothing to take back.", code="closed")
        was, act = review.state, review.evidence.get(ACT, {})
        if was == ReviewItem.State.DECIDED:
            _withdraw_decision(review, item, act, now)
        elif was == ReviewItem.State.UNCLEAR:
            _put_back(item, act)
        else:
            _withdraw_question(item)
        _reopen(review)
        record_audit(
            action="review.undo",
            actor=user,
            project=review.project,
            target=f"item {item.pk}",
            detail={"review": review.pk, "was": was},
        )
        _count_again(review, item, act, now)
        review.refresh_from_db()
    return review


@dataclass(frozen=True, slots=True)
class TakenBack:
    """How many reviews were taken back, and why each of the others was left."""

    n_undone: int
    left: list[tuple[ReviewItem, str]]


def undo_together(*, review: ReviewItem, user: Any, now: datetime | None = None) -> TakenBack:
    """Takes back what one person did in one act: this review and those decided with it.

    Of several, those that somebody has built on are left; a single one raises its Conflict.
    """
    together = [review]
    if review.closed_at is not None:
        same = ReviewItem.objects.filter(
            project_id=review.project_id, closed_at=review.closed_at, closed_by_id=review.closed_by_id
        )
        together = list(same.select_related("item").defer("item__features").order_by("pk"))
    n_undone, left = 0, []
    for one in together:
        try:
            undo(review=one, user=user, now=now)
            n_undone += 1
        except Conflict as error:
            if len(together) == 1:
                raise
            left.append((one, error.message))
    return TakenBack(n_undone, left)


def _locked(review: ReviewItem) -> tuple[Item, ReviewItem]:
    # The item's row is what serializes answers, settling and reviewers; the review is read again under it.
    item = Item.objects.select_for_update(no_key=True).defer("features", "data").get(pk=review.item_id)
    fresh = ReviewItem.objects.select_related("project", "closed_by", "resolution").get(pk=review.pk)
    return item, fresh


def _checked_note(note: str) -> str:
    note = note.strip()
    if len(note) > MAX_NOTE:
        raise Invalid(f"A note has at most {MAX_NOTE:,} characters.", fields={"note": f"{len(note)} characters"})
    return note


def _measured(seconds: float | None) -> float | None:
    return seconds if seconds is not None and 0.0 < seconds <= LONGEST_SECONDS else None


def _is_decided_as(review: ReviewItem, value: Value, user: Any) -> bool:
    return (
        review.state == ReviewItem.State.DECIDED
        and review.closed_by_id == user.pk
        and review.resolution is not None
        and review.resolution.value == value
    )


def _refuse_unless_open(review: ReviewItem, item: Item, schema: LabelSchema | None = None) -> None:
    if review.state == ReviewItem.State.UNCLEAR:
        who = review.closed_by.get_username() if review.closed_by else "Somebody"
        raise Conflict(f"{who} has said meanwhile that nobody can tell. Nothing was changed.", code="unclear")
    if item.state == Item.State.EXCLUDED:
        raise Conflict("This item was excluded from the project. Nothing was changed.", code="excluded")
    if review.state == ReviewItem.State.OPEN:
        return
    who = review.closed_by.get_username() if review.closed_by else "Somebody"
    if review.state == ReviewItem.State.CLOSED and review.closed_by:
        raise Conflict(f"{who} has closed this one without a decision: {review.note}", code="closed")
    if review.state == ReviewItem.State.CLOSED:
        raise Conflict("This one has been settled meanwhile without a reviewer: its answers agree now.", code="closed")
    if review.state == ReviewItem.State.REQUEUED:
        raise Conflict(f"{who} has asked one more person about this one meanwhile.", code="already_requeued")
    schema = schema or LabelSchema.objects.current(review.project_id)
    value = review.resolution.value if review.resolution else None
    words = ", ".join(word.text for word in value_words(schema.kind, schema.config, value))
    raise Conflict(
        f"{who} has decided this one already: {words}. That stands; take it back first to decide otherwise.",
        code="already_decided",
    )


def _decide(
    review: ReviewItem,
    item: Item,
    value: Value,
    user: Any,
    note: str,
    as_gold: bool,
    now: datetime,
    how: str = "looked at",
) -> None:
    stood = _supersede_current(item, now)
    review.resolution = Resolution.objects.create(
        project_id=item.project_id,
        item_id=item.pk,
        value=value,
        method=Resolution.Method.ADJUDICATED,
        n_annotations=Annotation.objects.live().filter(item_id=item.pk).count(),
        user=user,
        note=note,
        created_at=now,
    )
    set_gold = as_gold and item.gold is None
    Item.objects.filter(pk=item.pk).update(state=Item.State.RESOLVED, **({"gold": value} if set_gold else {}))
    QueueEntry.objects.filter(item_id=item.pk).delete()
    _end(review, ReviewItem.State.DECIDED, user, note, now, {"stood": stood, "set_gold": set_gold})
    record_audit(
        action="review.decide",
        actor=user,
        project=review.project,
        target=f"item {item.pk}",
        detail={"review": review.pk, "value": value, "note": note, "as_gold": set_gold, "how": how},
    )


def _supersede_current(item: Item, now: datetime) -> int | None:
    """Supersedes what stands: its id if it was somebody's word or known, which counting could not bring back."""
    current = Resolution.objects.filter(item_id=item.pk, superseded_at__isnull=True).first()
    if current is None:
        return None
    Resolution.objects.filter(pk=current.pk).update(superseded_at=max(now, current.created_at))
    return current.pk if current.method in (Resolution.Method.ADJUDICATED, Resolution.Method.KNOWN) else None


def _end(review: ReviewItem, state: str, user: Any, note: str, now: datetime, act: dict[str, Any]) -> None:
    review.state, review.closed_at, review.closed_by, review.note = state, now, user, note
    review.evidence = review.evidence | {ACT: act}
    review.save(update_fields=["state", "closed_at", "closed_by", "note", "evidence", "resolution", "seconds"])


def _ask_next(item: Item) -> None:
    first = QueueEntry.objects.filter(project_id=item.project_id).aggregate(rank=Min("rank"))["rank"]
    entry = QueueEntry.objects.filter(item_id=item.pk).first() or QueueEntry(
        project_id=item.project_id, item_id=item.pk, needed=1
    )
    entry.rank = (first or 0.0) - 1.0
    entry.reason = QueueEntry.Reason.SECOND_OPINION
    entry.save()


def _somebody_is_left(item: Item) -> bool:
    answered = Annotation.objects.live().filter(item_id=item.pk, user__isnull=False).values("user_id")
    seen = Assignment.objects.filter(item_id=item.pk, state__in=_HAVE_SEEN_IT).values("user_id")
    people = Membership.objects.filter(project_id=item.project_id)
    return people.exclude(user_id__in=answered).exclude(user_id__in=seen).exists()


def _withdraw_decision(review: ReviewItem, item: Item, act: dict[str, Any], now: datetime) -> None:
    resolution = review.resolution
    if resolution is None or resolution.superseded_at is not None:
        raise Conflict("A later decision about this item stands. Take that back first.", code="superseded")
    Resolution.objects.filter(pk=resolution.pk).update(superseded_at=max(now, resolution.created_at))
    if act.get("set_gold") and item.gold == resolution.value:
        Item.objects.filter(pk=item.pk).update(gold=None)


def _put_back(item: Item, act: dict[str, Any]) -> None:
    if item.state == Item.State.EXCLUDED:
        item.state = act["was"]
        Item.objects.filter(pk=item.pk).update(state=item.state)


def _withdraw_question(item: Item) -> None:
    if item.pk not in awaiting_one_more(item_ids=[item.pk]):
        raise Conflict("The further opinion has come: there is nothing to take back.", code="answered")
    QueueEntry.objects.filter(item_id=item.pk).delete()


def _reopen(review: ReviewItem) -> None:
    review.evidence = {reason: facts for reason, facts in review.evidence.items() if reason != ACT}
    newer = ReviewItem.objects.filter(item_id=review.item_id, state=ReviewItem.State.OPEN).first()
    if newer is not None:
        # One open review an item: what was opened since joins the older one.
        review.evidence = review.evidence | newer.evidence
        review.priority = max(review.priority, newer.priority)
        stay_blind(review)
        newer.delete()
    review.state, review.closed_at, review.closed_by = ReviewItem.State.OPEN, None, None
    review.resolution, review.note, review.seconds = None, "", None
    review.save()


def _count_again(review: ReviewItem, item: Item, act: dict[str, Any], now: datetime) -> None:
    if item.state == Item.State.EXCLUDED:
        return
    stood = Resolution.objects.filter(pk=act["stood"]).first() if act.get("stood") else None
    if stood is not None:
        # Somebody's earlier word stands again. A resolution is never edited, so it is a new row.
        stood.pk, stood.created_at, stood.superseded_at = None, now, None
        stood.save(force_insert=True)
        Item.objects.filter(pk=item.pk).update(state=Item.State.RESOLVED)
        return
    if ReviewItem.Reason.DISPUTE in review.evidence:
        # Counting closes the dispute of an item that is disputed, and of no other.
        Item.objects.filter(pk=item.pk).update(state=Item.State.DISPUTED)
        item.state = Item.State.DISPUTED
    settle_item(item=item, project=review.project, now=now)
