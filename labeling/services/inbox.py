"""What puts an item before a reviewer, and what takes it away again without one."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Exists, Max, OuterRef

from labeling.models import Annotation, ReviewItem

# What is judged blind waits by chance: its place must not tell what the model or its users think of it.
PRIORITY_OF_BLIND = 0.5


def open_review(
    *, project_id: int, item_id: int, reason: str, evidence: dict[str, Any], priority: float, now: datetime
) -> ReviewItem:
    """The open review of the item, with what is known of this reason added to it.

    It keeps the highest priority that it was given, and the reason that came with it; a random check stays one by both,
    whatever else is known of the item. The caller holds the item's row: that is what keeps two reasons from opening two
    reviews.
    """
    review = ReviewItem.objects.filter(item_id=item_id, state=ReviewItem.State.OPEN).first()
    if review is None:
        return ReviewItem.objects.create(
            project_id=project_id,
            item_id=item_id,
            reason=reason,
            evidence={reason: evidence},
            priority=priority,
            opened_at=now,
        )
    _add(review, reason, evidence, priority)
    review.save(update_fields=["evidence", "reason", "priority"])
    return review


@dataclass(frozen=True, slots=True)
class Opening:
    """A reason to look at an item, and what is known of it."""

    item_id: int
    reason: str
    evidence: dict[str, Any]
    priority: float


def open_reviews(*, project_id: int, openings: Iterable[Opening], now: datetime) -> None:
    """What `open_review` does, for many at once: two queries, and one for each item that waits already."""
    wanted = list(openings)
    ids = {one.item_id for one in wanted}
    waiting = {
        review.item_id: review for review in ReviewItem.objects.filter(item_id__in=ids, state=ReviewItem.State.OPEN)
    }
    there = set(waiting)
    for one in wanted:
        review = waiting.get(one.item_id)
        if review is not None:
            _add(review, one.reason, one.evidence, one.priority)
            continue
        waiting[one.item_id] = ReviewItem(
            project_id=project_id,
            item_id=one.item_id,
            reason=one.reason,
            evidence={one.reason: one.evidence},
            priority=one.priority,
            opened_at=now,
        )
    ReviewItem.objects.bulk_create([review for item_id, review in waiting.items() if item_id not in there])
    for item_id in there:
        waiting[item_id].save(update_fields=["evidence", "reason", "priority"])


def _add(review: ReviewItem, reason: str, evidence: dict[str, Any], priority: float) -> None:
    if BESIDE in evidence:
        # Of a review that was open for something else, or since before this was kept.
        others = review.priority if set(review.evidence) - {reason} else 0.0
        evidence = evidence | {BESIDE: review.evidence.get(reason, {}).get(BESIDE, others)}
    review.evidence = {name: _beside(facts, priority) for name, facts in review.evidence.items()} | {reason: evidence}
    if priority > review.priority:
        review.reason, review.priority = reason, priority
    stay_blind(review)


def stay_blind(review: ReviewItem) -> None:
    """A random check is told by nothing else than that it is one."""
    if ReviewItem.Reason.EXPLORE.value in review.evidence:
        review.reason, review.priority = ReviewItem.Reason.EXPLORE.value, PRIORITY_OF_BLIND


# Among the facts of a reason that may be taken back: the priority that the review has without it.
BESIDE = "beside"
MAY_GO = {BESIDE: 0.0}


def _beside(facts: dict[str, Any], priority: float) -> dict[str, Any]:
    """These facts, with another reason of this priority beside them."""
    return facts | {BESIDE: max(facts[BESIDE], priority)} if BESIDE in facts else facts


def restate_reason(
    *, project_id: int, item_id: int, reason: str, evidence: dict[str, Any] | None, priority: float, now: datetime
) -> None:
    """What is known of one reason, told anew; None when the reason has gone. The caller holds the item's row.

    A review that was open for nothing else is closed then. One that stays has the priority that its other reasons gave
    it, or what is told now where that is higher, be it lower than before.
    """
    if evidence is not None:
        review = open_review(
            project_id=project_id,
            item_id=item_id,
            reason=reason,
            evidence=evidence | MAY_GO,
            priority=priority,
            now=now,
        )
        least = review.evidence[reason][BESIDE]
        if max(least, priority) < review.priority:
            review.priority = max(least, priority)
            stay_blind(review)
            review.save(update_fields=["priority"])
        return
    found = ReviewItem.objects.filter(item_id=item_id, state=ReviewItem.State.OPEN, evidence__has_key=reason)
    for review in found:
        _withdraw(review, reason, now)


def forget_facts(*, item_ids: Iterable[int], reason: str, field: str) -> None:
    """Empties a list among the facts of a reason, in all reviews of the items, ended ones too: what somebody asked to
    be forgotten. The caller holds the items' rows."""
    for review in ReviewItem.objects.filter(item_id__in=list(item_ids), evidence__has_key=reason):
        review.evidence = review.evidence | {reason: review.evidence[reason] | {field: []}}
        review.save(update_fields=["evidence"])


def close_reviews(*, item_ids: Iterable[int], now: datetime) -> int:
    """Closes the open disputes of items that were settled without a reviewer: how many.

    A review that has another reason too stays open for it. The caller holds the items' rows.
    """
    n_closed = 0
    disputes = ReviewItem.objects.filter(
        item_id__in=list(item_ids), state=ReviewItem.State.OPEN, evidence__has_key=ReviewItem.Reason.DISPUTE.value
    )
    for review in disputes:
        n_closed += _withdraw(review, ReviewItem.Reason.DISPUTE.value, now)
    return n_closed


def _withdraw(review: ReviewItem, reason: str, now: datetime) -> bool:
    """Takes a reason from an open review: whether that closed it, because there was no other."""
    others = {name: facts for name, facts in review.evidence.items() if name != reason}
    if others:
        review.priority = review.evidence[reason].get(BESIDE, review.priority)
        review.evidence = others
        if review.reason == reason:
            review.reason = next(iter(others))
        stay_blind(review)
        review.save(update_fields=["evidence", "reason", "priority"])
        return False
    # The evidence stays: it is the story of what was open.
    review.state, review.closed_at = ReviewItem.State.CLOSED, now
    review.save(update_fields=["state", "closed_at"])
    return True


# Beside the reasons of a review stands what its end must know to be taken back, under a key that is none of them.
ACT = "act"


def awaiting_one_more(*, item_ids: Iterable[int]) -> set[int]:
    """Those of the items that a reviewer wants one more opinion on, which has not come yet. Two queries.

    As long as it has not, the answers that are there say nothing new: counting them again must neither dispute the item
    nor settle it.
    """
    later = ReviewItem.objects.filter(item_id=OuterRef("item_id"), pk__gt=OuterRef("pk"))
    requeued = ReviewItem.objects.filter(~Exists(later), item_id__in=list(item_ids), state=ReviewItem.State.REQUEUED)
    # By number and not by time: an imported answer has the time at which it was given elsewhere.
    known = {review.item_id: review.evidence[ACT]["last_answer"] for review in requeued}
    newest = dict(
        Annotation.objects.live().filter(item_id__in=known).values_list("item_id").order_by().annotate(last=Max("pk"))
    )
    return {item_id for item_id, last in known.items() if newest.get(item_id, 0) <= last}
