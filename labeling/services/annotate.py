"""What people say: submit, skip, comment, and take it back."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from labeling.core.answers import MAX_SECONDS
from labeling.core.errors import Conflict, Invalid
from labeling.core.schema import rules_of
from labeling.models import Annotation, Assignment, Comment, Item, LabelSchema, Project, QueueEntry, ReviewItem
from labeling.services.gold import CHECKS, Feedback, check_by_gold, feedback_on, is_known, may_show_answer
from labeling.services.inbox import open_review
from labeling.services.passing import come_back
from labeling.services.resolve import SETTLED_BY, settle_by_known_answer, settle_item
from labeling.services.second_look import (
    forget_answer,
    is_judged_again,
    pass_on,
    store_second_answer,
    take_on,
    withdraw_old_label,
)

MAX_CLIENT_ID = 64
# Disputes hold up the project; flags come after them.
PRIORITY_OF_FLAG = 0.0
_ANSWERABLE = (
    Assignment.State.LEASED,
    Assignment.State.EXPIRED,
    Assignment.State.RELEASED,
)


@dataclass(frozen=True, slots=True)
class Submission:
    """A stored answer. `is_new` is False when the same answer had already arrived.

    `feedback` is there when the person is to be told the known answer.
    """

    annotation: Annotation
    item_state: str
    is_new: bool
    feedback: Feedback | None = None


def submit_annotation(
    *,
    assignment: Assignment,
    value: Any,
    client_id: str,
    seconds: float | None = None,
    comment: str = "",
    is_flag: bool = False,
    now: datetime | None = None,
) -> Submission:
    """The stored answer to a leased item.

    Sending it again with the same client id is harmless; the same client id with another body is a Conflict. An
    answer that comes after the lease has run out is kept as a further opinion and marked late.
    """
    now = now or timezone.now()
    if not client_id or len(client_id) > MAX_CLIENT_ID:
        raise Invalid(
            f"Give each answer a client_id of 1 to {MAX_CLIENT_ID} characters, so that sending it twice does no harm.",
            fields={"client_id": "required"},
        )
    digest = _digest(assignment.pk, value, comment, is_flag)
    if replay := _replay(assignment, client_id, digest):
        return replay
    schema = LabelSchema.objects.current(assignment.project_id)
    checked = rules_of(schema.kind, schema.config).check(value)
    try:
        with transaction.atomic():
            return _store(assignment, schema, checked, client_id, digest, seconds, comment, is_flag, now)
    except (IntegrityError, _AlreadyAnswered):
        # The same answer has come through another connection meanwhile, or the item has an answer of this person.
        if replay := _replay(assignment, client_id, digest):
            return replay
        if Assignment.objects.filter(pk=assignment.pk, answer_shown=True).exists():
            raise _answer_was_shown() from None
        raise Conflict(
            "You have already answered or skipped this item. Undo that first to change it.", code="already_answered"
        ) from None


class _AlreadyAnswered(Exception):
    pass


def _answer_was_shown() -> Conflict:
    return Conflict("You were told the known answer of this item, so what you said stands.", code="answer_shown")


def _replay(assignment: Assignment, client_id: str, digest: str) -> Submission | None:
    earlier = Annotation.objects.select_related("item").filter(user_id=assignment.user_id, client_id=client_id).first()
    if earlier is None:
        return None
    if earlier.body_digest != digest:
        raise Conflict(
            "This client_id was used for another answer. The first one is kept; use a new client_id for a new answer.",
            code="client_id_reused",
        )
    given = earlier.assignment or assignment
    feedback = feedback_on(item=earlier.item, value=earlier.value) if given.answer_shown else None
    return Submission(earlier, _state_to_tell(given, earlier.item), is_new=False, feedback=feedback)


def _store(
    assignment: Assignment,
    schema: LabelSchema,
    value: Any,
    client_id: str,
    digest: str,
    seconds: float | None,
    comment: str,
    is_flag: bool,
    now: datetime,
) -> Submission:
    # The item's row is what serializes answers, undos and settling; taken before anything else is written.
    item = Item.objects.select_for_update(no_key=True).only(*SETTLED_BY).get(pk=assignment.item_id)
    is_late = assignment.state != Assignment.State.LEASED or assignment.expires_at <= now
    is_shown = may_show_answer(project=assignment.project, item=item, reason=assignment.reason)
    moved = Assignment.objects.filter(pk=assignment.pk, state__in=_ANSWERABLE).update(
        state=Assignment.State.SUBMITTED, answer_shown=is_shown
    )
    if not moved:
        raise _AlreadyAnswered
    if is_late:
        # The person may hold the item again by now: this answer is the one that was waited for.
        Assignment.objects.filter(item_id=item.pk, user_id=assignment.user_id, state=Assignment.State.LEASED).update(
            state=Assignment.State.RELEASED
        )
    if item.state == Item.State.EXCLUDED:
        # It left with the last complaint while somebody had it before them: their answer holds it here after all.
        come_back(items=[item])
    second_look_item = withdraw_old_label(assignment=assignment, now=now)
    annotation = Annotation.objects.create(
        project_id=assignment.project_id,
        item_id=item.pk,
        user_id=assignment.user_id,
        schema=schema,
        assignment_id=assignment.pk,
        value=value,
        seconds=_plausible(seconds),
        client_id=client_id,
        body_digest=digest,
        is_late=is_late,
        created_at=now,
    )
    if second_look_item is not None:
        store_second_answer(second_look_item=second_look_item, annotation=annotation, now=now)
    _store_remark(assignment, comment, is_flag, now)
    if item.state == Item.State.OPEN and assignment.reason in CHECKS and is_known(item):
        # A check says something about the person, and what it is about is known.
        settle_by_known_answer(item=item, now=now)
    elif item.state in (Item.State.OPEN, Item.State.RESOLVED, Item.State.DISPUTED):
        settle_item(item=item, project=assignment.project, now=now, is_answered=True)
    check_by_gold(annotation=annotation, project=assignment.project, item=item, now=now)
    feedback = feedback_on(item=item, value=value) if is_shown else None
    return Submission(annotation, _state_to_tell(assignment, item), is_new=True, feedback=feedback)


def _state_to_tell(assignment: Assignment, item: Item) -> str:
    """The item's state; of a hidden check the state that any other item would have after its first answer."""
    if assignment.reason != QueueEntry.Reason.GOLD:
        return item.state
    return (Item.State.OPEN if assignment.project.policy.least(False) > 1 else Item.State.RESOLVED).value


def _store_remark(assignment: Assignment, text: str, is_flag: bool, now: datetime) -> Comment | None:
    """The remark, stored if there is one. The caller holds the item's row when it is a flag."""
    if not text and not is_flag:
        return None
    comment = Comment.objects.create(
        project_id=assignment.project_id,
        item_id=assignment.item_id,
        user_id=assignment.user_id,
        text=text,
        is_flag=is_flag,
    )
    if is_flag:
        open_review(
            project_id=assignment.project_id,
            item_id=assignment.item_id,
            reason=ReviewItem.Reason.FLAG.value,
            evidence={"n": Comment.objects.filter(item_id=assignment.item_id, is_flag=True).count()},
            priority=PRIORITY_OF_FLAG,
            now=now,
        )
    return comment


def _hold_item(assignment: Assignment) -> Item:
    return Item.objects.select_for_update(no_key=True).only("id").get(pk=assignment.item_id)


def _plausible(seconds: float | None) -> float | None:
    return round(seconds, 3) if seconds is not None and 0 <= seconds <= MAX_SECONDS else None


def _digest(assignment_id: int, value: Any, comment: str, is_flag: bool) -> str:
    body = json.dumps(
        [assignment_id, value, comment, is_flag],
        sort_keys=True,
        ensure_ascii=False,
        default=str,
    )
    return hashlib.sha256(body.encode()).hexdigest()[:32]


def skip_item(
    *, assignment: Assignment, reason: str, comment: str = "", is_flag: bool = False, now: datetime | None = None
) -> Assignment:
    """The assignment, skipped: the item does not come back to this person, and stays there for the others.

    Skipping twice does no harm: the comment or flag that goes with the skip is stored once.
    """
    now = now or timezone.now()
    with transaction.atomic():
        if is_flag:
            _hold_item(assignment)
        moved = Assignment.objects.filter(pk=assignment.pk, state__in=_ANSWERABLE).update(
            state=Assignment.State.SKIPPED, skip_reason=reason[:200], skipped_at=now
        )
        if moved:
            _store_remark(assignment, comment, is_flag, now)
            pass_on(assignment=assignment)
    assignment.refresh_from_db(fields=["state", "skip_reason", "skipped_at"])
    if not moved and assignment.state != Assignment.State.SKIPPED:
        raise Conflict(
            "This assignment was already answered. Undo that first.",
            code="already_answered",
        )
    return assignment


def unskip_item(*, assignment: Assignment, now: datetime | None = None) -> Assignment:
    """The skipped assignment, leased again."""
    now = now or timezone.now()
    with transaction.atomic():
        item = Item.objects.select_for_update(no_key=True).get(pk=assignment.item_id)
        take_on(assignment=assignment)
        _lease_again(assignment, item, now, was=Assignment.State.SKIPPED)
    assignment.refresh_from_db()
    return assignment


def comment_on_item(*, assignment: Assignment, text: str, is_flag: bool) -> Comment:
    """The stored comment or flag."""
    text = text.strip()
    if not text and not is_flag:
        raise Invalid("A comment says something.", fields={"text": "empty"})
    if len(text) > 2000:
        raise Invalid(
            "A comment has at most 2,000 characters.",
            fields={"text": f"{len(text)} characters"},
        )
    with transaction.atomic():
        if is_flag:
            _hold_item(assignment)
        comment = _store_remark(assignment, text, is_flag, timezone.now())
    assert comment is not None  # it says something
    return comment


def undo_annotation(*, annotation: Annotation, now: datetime | None = None) -> Assignment:
    """The assignment of a withdrawn answer, leased to the person again so that it can be answered anew.

    Withdrawing takes the effect back everywhere that counts answers: settled values, the queue, exports and the next
    training set. Undoing twice does no harm. When somebody else has taken the item meanwhile the assignment stays
    expired: an answer to it is then kept as a further opinion. What the person said before a second look counts again.
    Raises Conflict when the person was told the known answer.
    """
    now = now or timezone.now()
    if annotation.assignment is None:
        raise Conflict("An imported answer cannot be undone here.", code="not_undoable")
    assignment = annotation.assignment
    if assignment.answer_shown:
        raise _answer_was_shown()
    with transaction.atomic():
        item = Item.objects.select_for_update(no_key=True).get(pk=annotation.item_id)
        withdrawn = Annotation.objects.live().filter(pk=annotation.pk).update(withdrawn_at=now)
        if withdrawn:
            forget_answer(annotation=annotation)
            settle_item(item=item, project=annotation.project, now=now)
            _lease_again(assignment, item, now, was=Assignment.State.SUBMITTED)
        elif is_judged_again(annotation=annotation):
            raise Conflict("You have judged this item again since. Undo that answer first.", code="judged_again")
    assignment.refresh_from_db()
    return assignment


def _lease_again(assignment: Assignment, item: Item, now: datetime, was: str) -> None:
    project = assignment.project
    others = Assignment.objects.filter(item_id=item.pk, state=Assignment.State.LEASED).exclude(pk=assignment.pk)
    # A second look at what is being taken back: there is nothing to look at.
    others.filter(user_id=assignment.user_id).update(state=Assignment.State.RELEASED)
    live = others.filter(expires_at__gt=now)
    if assignment.reason in CHECKS:  # everybody may be asked a check, however many opinions the item has
        is_free = True
    elif assignment.reason == QueueEntry.Reason.SECOND_LOOK:
        is_free = not live.filter(reason=QueueEntry.Reason.SECOND_LOOK).exists()
    else:
        is_free = live.count() < _n_wanted(project, item)
    Assignment.objects.filter(pk=assignment.pk, state=was).update(
        state=Assignment.State.LEASED if is_free else Assignment.State.EXPIRED,
        leased_at=now,
        expires_at=now + timedelta(seconds=project.lease_seconds) if is_free else now,
    )


def _n_wanted(project: Project, item: Item) -> int:
    """Opinions that an item wants now, live leases not subtracted."""
    entry = QueueEntry.objects.filter(item_id=item.pk).first()
    if entry is not None:
        return entry.needed
    if item.state != Item.State.OPEN:
        return 0
    n_given = Annotation.objects.live().filter(item_id=item.pk).count()
    return project.policy.n_wanted(n_given, is_forced=project.policy.is_forced(item.content_hash))
