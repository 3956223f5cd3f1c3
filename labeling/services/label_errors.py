"""Labels that are probably wrong, put before a reviewer: a model that did not learn from the item says otherwise."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from labeling.core.settling import plurality
from labeling.models import Annotation, Item, Project, Resolution, ReviewItem
from labeling.services.audit import record_audit
from labeling.services.batches import in_parts
from labeling.services.inbox import open_review

# Disputes have a priority above 0, flags 0, doubtful values from -2 to -1; these come after them, the worst first.
BEHIND_DOUBTS = -2.0
_BY_A_PERSON = (Resolution.Method.ADJUDICATED, Resolution.Method.KNOWN)


@dataclass(frozen=True, slots=True)
class LabelSuspect:
    """A label that is probably wrong: the item's value and the model's, with the probability of each by a model that
    did not learn from the item, and its place in the list, 1 the most suspicious."""

    item_id: int
    value: Any
    model_value: Any
    p_value: float
    p_model: float
    place: int


@dataclass(frozen=True, slots=True)
class SuspectsSent:
    """The reviews that wait now, and why each other item was left as it is."""

    opened: list[ReviewItem]
    left: dict[int, str]


def send_label_errors(
    *,
    project: Project,
    suspects: Sequence[LabelSuspect],
    source: str,
    n_looked_at: int,
    user: Any,
    most: int | None = None,
    now: datetime | None = None,
) -> SuspectsSent:
    """Puts probable label errors before a reviewer, at most `most` new ones; doing it twice does no harm.

    Left are audit items (no model has a say about what it is measured by), what a reviewer has decided already, what
    has another value by now, and what waits for this reason already. The label counts until somebody decides.
    """
    now = now or timezone.now()
    by_item = {one.item_id: one for one in suspects}
    opened: list[ReviewItem] = []
    left: dict[int, str] = {}
    with transaction.atomic():
        items: dict[int, Item] = {}
        for part in in_parts(sorted(by_item)):
            locked = Item.objects.select_for_update(no_key=True).filter(project=project, pk__in=part).order_by("pk")
            items |= {item.pk: item for item in locked.only("id", "project_id", "state", "split")}
        current = _current(list(items))
        already = _waiting(list(items))
        for one in sorted(suspects, key=lambda suspect: suspect.place):
            why = _why_not(items.get(one.item_id), one, current, already)
            if why:
                left[one.item_id] = why
            elif most is None or len(opened) < most:
                opened.append(_send(project, one, source, n_looked_at, user, now))
    return SuspectsSent(opened, left)


def _why_not(
    item: Item | None, suspect: LabelSuspect, current: dict[int, tuple[Any, str]], already: Collection[int]
) -> str:
    if item is None:
        return "There is no such item any more."
    if item.state == Item.State.EXCLUDED:
        return "It was excluded from the project."
    if item.split == Item.Split.AUDIT:
        return "It belongs to the audit split, about which no model has a say."
    value, method = current.get(item.pk, (None, ""))
    if method in _BY_A_PERSON:
        return "A reviewer has decided it already."
    if value != suspect.value:
        return "It has another value by now."
    return "It waits in the review inbox already." if item.pk in already else ""


def _current(item_ids: Sequence[int]) -> dict[int, tuple[Any, str]]:
    """What each item is: its settled value with the method, else what most people said."""
    found: dict[int, tuple[Any, str]] = {}
    given: dict[int, list[Any]] = {}
    for part in in_parts(item_ids):
        live = Annotation.objects.live().filter(item_id__in=part)
        for pk, value in live.values_list("item_id", "value"):
            given.setdefault(pk, []).append(value)
        settled = Resolution.objects.filter(item_id__in=part, superseded_at__isnull=True, value__isnull=False)
        found |= {one.item_id: (one.value, one.method) for one in settled}
    return {pk: (plurality(values).value, "") for pk, values in given.items()} | found


def _waiting(item_ids: Sequence[int]) -> set[int]:
    found: set[int] = set()
    for part in in_parts(item_ids):
        reviews = ReviewItem.objects.filter(item_id__in=part, state=ReviewItem.State.OPEN)
        reviews = reviews.filter(evidence__has_key=ReviewItem.Reason.LABEL_ERROR.value)
        found |= set(reviews.values_list("item_id", flat=True))
    return found


def _send(
    project: Project, suspect: LabelSuspect, source: str, n_looked_at: int, user: Any, now: datetime
) -> ReviewItem:
    evidence = {name: value for name, value in asdict(suspect).items() if name != "item_id"}
    evidence |= {"source": source, "n": n_looked_at}
    review = open_review(
        project_id=project.pk,
        item_id=suspect.item_id,
        reason=ReviewItem.Reason.LABEL_ERROR.value,
        evidence=evidence,
        # Of equal probability they stay in the order of the list.
        priority=BEHIND_DOUBTS - suspect.p_value - suspect.place / 1_000_000,
        now=now,
    )
    record_audit(
        action="review.open",
        actor=user,
        project=project,
        target=f"item {suspect.item_id}",
        detail={"review": review.pk, "reason": ReviewItem.Reason.LABEL_ERROR.value} | evidence,
    )
    return review


def withdraw_label_errors(
    *, project: Project, item_ids: Collection[int], user: Any, now: datetime | None = None
) -> int:
    """Takes this reason away from the open reviews of the items: how many. One without another reason is closed."""
    now = now or timezone.now()
    reason = ReviewItem.Reason.LABEL_ERROR.value
    n = 0
    with transaction.atomic():
        for part in in_parts(sorted(item_ids)):
            ids = list(
                Item.objects.select_for_update(no_key=True)
                .filter(project=project, pk__in=part)
                .order_by("pk")
                .values_list("pk", flat=True)
            )
            reviews = ReviewItem.objects.filter(item_id__in=ids, state=ReviewItem.State.OPEN)
            for review in reviews.filter(evidence__has_key=reason):
                _withdraw(review, reason, now)
                n += 1
        if n:
            record_audit(
                action="review.withdraw", actor=user, project=project, target=f"{n} items", detail={"reason": reason}
            )
    return n


def _withdraw(review: ReviewItem, reason: str, now: datetime) -> None:
    others = {name: facts for name, facts in review.evidence.items() if name != reason}
    if not others:
        # The evidence stays: it is the story of what was suspected.
        review.state, review.closed_at = ReviewItem.State.CLOSED, now
        review.save(update_fields=["state", "closed_at"])
        return
    review.evidence = others
    if review.reason == reason:
        review.reason = next(iter(others))
    review.save(update_fields=["evidence", "reason"])
