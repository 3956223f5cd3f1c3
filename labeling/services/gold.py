"""Items with a known answer: practice for who is new, then checks hidden among the others of how people judge."""

import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from labeling.core.errors import Conflict
from labeling.core.shares import Share, wilson
from labeling.models import Annotation, Assignment, Item, Membership, Project, QueueEntry, Resolution
from labeling.services.audit import record_audit
from labeling.services.resolve import settle_item

# So many people have to miss an item that they are good at elsewhere before it is retired.
GOOD_MISSES = 2
# Who counts as good: right on this share of at least so many other known items.
GOOD_SHARE = 0.8
GOOD_LEAST = 5
# The draw is among so many items of a project: enough that nobody learns them by heart.
DRAWN_AMONG = 2_000
# Nobody is paused on fewer known items: the interval is looked at after each of them.
LEAST_CHECKED = 5
# A person is measured by so many of their latest answers to known items.
LATEST = 100

# Leases of these reasons ask about the person. They say nothing about the item, whose answer is known.
CHECKS = (QueueEntry.Reason.GOLD, QueueEntry.Reason.PRACTICE)
_DONE = (Assignment.State.SUBMITTED, Assignment.State.SKIPPED)
_TAKEN = (Assignment.State.LEASED, Assignment.State.SUBMITTED, Assignment.State.SKIPPED)


@dataclass(frozen=True, slots=True)
class DrawnItem:
    """A known item for a person, with what its lease says of why."""

    item: Item
    reason: QueueEntry.Reason
    detail: dict[str, Any] = field(default_factory=dict)


def draw_gold(*, project: Project, user: Any, n: int) -> list[DrawnItem]:
    """Known items for a person who asks for `n` items: each of the n is one with the project's probability.

    Never one that the person has had. Labels take turns by chance, so that a rare one is checked as often as a common
    one.
    """
    n_gold = sum(random.random() < project.gold_share for _ in range(n)) if project.gold_share else 0
    if not n_gold:
        return []
    looks_like = {"as": reason_to_tell(project)}
    drawn = _by_turns(_not_had(project, user), n_gold)
    return [DrawnItem(item, QueueEntry.Reason.GOLD, looks_like) for item in drawn]


def reason_to_tell(project: Project) -> str:
    """What a hidden check or second look says it is: something that comes without a suggestion, as it does."""
    if project.audit_share:
        return QueueEntry.Reason.AUDIT.value
    return (QueueEntry.Reason.RANDOM if project.ordered_at else QueueEntry.Reason.IMPORT_ORDER).value


def draw_practice(*, project: Project, user: Any, n: int, now: datetime) -> list[DrawnItem]:
    """Up to `n` of the known items that a new annotator begins with; none for everybody else.

    Two tabs of one person wait for each other here. Once as many are done as the project asks for, or as there are,
    practice is over for good; for somebody who has answered before it never begins.
    """
    if not project.onboarding:
        return []
    new = Membership.objects.select_for_update(no_key=True).filter(
        project=project, user_id=user.pk, role=Membership.Role.ANNOTATOR, practised_at__isnull=True
    )
    membership = new.first()
    if membership is None:
        return []
    n_done, n_held = _practice_counts(project, user.pk, now)
    known: dict[str, list[int]] = {}
    if n_done < project.onboarding and (n_done or n_held or not _has_answered(project, user.pk)):
        known = _not_had(project, user)
    of = min(project.onboarding, n_done + n_held + sum(map(len, known.values())))
    if n_done >= of:
        Membership.objects.filter(pk=membership.pk).update(practised_at=now)
        return []
    first = n_done + n_held + 1
    drawn = _by_turns(known, min(n, of - first + 1))
    return [
        DrawnItem(item, QueueEntry.Reason.PRACTICE, {"number": number, "of": of})
        for number, item in enumerate(drawn, start=first)
    ]


def _practice_counts(project: Project, user_id: int, now: datetime) -> tuple[int, int]:
    """Practice items that the person has answered or skipped, and those they hold."""
    is_held = Q(state=Assignment.State.LEASED, expires_at__gt=now)
    practice = Assignment.objects.filter(project=project, user_id=user_id, reason=QueueEntry.Reason.PRACTICE.value)
    counts = practice.aggregate(done=Count("pk", filter=Q(state__in=_DONE)), held=Count("pk", filter=is_held))
    return counts["done"], counts["held"]


def _has_answered(project: Project, user_id: int) -> bool:
    return Annotation.objects.live().filter(project=project, user_id=user_id).exists()


def _not_had(project: Project, user: Any) -> dict[str, list[int]]:
    """The known items that the person has not had, by their answers."""
    had = Assignment.objects.filter(item_id=OuterRef("pk"), user_id=user.pk, state__in=_TAKEN)
    known = gold_in_use(project).filter(~Exists(had)).values_list("id", "gold").order_by("id")[:DRAWN_AMONG]
    by_label: dict[str, list[int]] = defaultdict(list)
    for pk, gold in known:
        by_label[str(gold)].append(pk)
    return by_label


def _by_turns(by_label: dict[str, list[int]], n: int) -> list[Item]:
    """`n` of the items, or all: a label by chance, then one of its items, taken out of `by_label`."""
    drawn: list[int] = []
    while by_label and len(drawn) < n:
        label = random.choice(list(by_label))
        drawn.append(by_label[label].pop(random.randrange(len(by_label[label]))))
        if not by_label[label]:
            del by_label[label]
    items = Item.objects.defer("features").in_bulk(drawn)
    return [items[pk] for pk in drawn]


def gold_in_use(project: Project) -> QuerySet[Item]:
    """Items whose answer is known and that people are checked by: settled ones, and open ones that nobody has judged.

    One that waits for a further opinion is left to the queue, so that a consensus is not cut short.
    """
    judged = Annotation.objects.live().filter(item_id=OuterRef("pk"))
    untouched = Q(~Exists(judged), state=Item.State.OPEN)
    return Item.objects.filter(
        Q(state=Item.State.RESOLVED) | untouched, project=project, gold__isnull=False, gold_retired_at__isnull=True
    )


def n_gold_in_use(*, project: Project) -> int:
    """How many known items can be drawn now; counting stops at DRAWN_AMONG."""
    return gold_in_use(project)[:DRAWN_AMONG].count()


def is_known(item: Item) -> bool:
    """Whether people are checked by the item."""
    return item.gold is not None and item.gold_retired_at is None


@dataclass(frozen=True, slots=True)
class Feedback:
    """What somebody is told after answering a known item. `note` is the reviewer's who decided it so, or empty."""

    value: Any
    is_right: bool
    note: str


def may_show_answer(*, project: Project, item: Item, reason: str) -> bool:
    """Whether who answers the item, leased for `reason`, is told the known answer afterwards."""
    if project.gold_feedback == Project.GoldFeedback.NEVER or not is_known(item):
        return False
    return project.gold_feedback == Project.GoldFeedback.ALWAYS or reason == QueueEntry.Reason.PRACTICE


def feedback_on(*, item: Item, value: Any) -> Feedback | None:
    """What is said to somebody who answered `value`; None when the answer is not known any more. One query."""
    if item.gold is None:
        return None
    decided = Resolution.objects.filter(
        item_id=item.pk, superseded_at__isnull=True, method=Resolution.Method.ADJUDICATED, value=item.gold
    )
    note = decided.values_list("note", flat=True).first()
    return Feedback(item.gold, value == item.gold, note or "")


@dataclass(frozen=True, slots=True)
class Practice:
    """How far somebody is with the known items that they begin with, and how often they were right.

    `n_done` of `of` are answered or skipped; `share` is of the answered ones whose answer is still known, None without
    any.
    """

    n_done: int
    of: int
    n_answered: int
    share: Share | None
    is_over: bool


def practice_of(*, membership: Membership, now: datetime) -> Practice | None:
    """A member's practice; None before its first item is done, and for who never had any."""
    project = membership.project
    n_done, n_held = _practice_counts(project, membership.user_id, now)
    if not n_done:
        return None
    answers = Annotation.objects.live().filter(
        project=project, user_id=membership.user_id, assignment__reason=QueueEntry.Reason.PRACTICE.value
    )
    given = list(answers.select_related("item").defer("item__features"))
    right = [answer.value == answer.item.gold for answer in given if is_known(answer.item)]
    of = n_done
    if membership.practised_at is None:
        n_left = sum(map(len, _not_had(project, membership.user).values()))
        of = max(n_done, min(project.onboarding, n_done + n_held + n_left))
    return Practice(n_done, of, len(given), wilson(sum(right), len(right)), is_over=n_done == of)


def gold_answers(project: Project, user_id: int) -> QuerySet[Annotation]:
    """A person's live answers to known items, whichever way those came, the latest first."""
    known = Annotation.objects.live().filter(item__gold__isnull=False, item__gold_retired_at__isnull=True)
    return known.filter(project=project, user_id=user_id).order_by("-created_at", "-id")


def gold_accuracy(*, project: Project, user_id: int, since: datetime | None = None) -> Share | None:
    """How often a person was right on their latest known items, with Wilson's interval; None before the first."""
    answers = gold_answers(project, user_id)
    if since is not None:
        answers = answers.filter(created_at__gt=since)
    rows = list(answers.values_list("value", "item__gold")[:LATEST])
    return wilson(sum(value == gold for value, gold in rows), len(rows))


def check_by_gold(*, annotation: Annotation, project: Project, item: Item, now: datetime) -> None:
    """What an answer to a known item leads to: a pause when the person is surely below the bar, or a retired item.

    Runs in the transaction that stores the answer, under the item's lock.
    """
    if not is_known(item) or annotation.value == item.gold:
        return
    if _is_missed_by_the_good(item, project):
        item.gold_retired_at = now
        Item.objects.filter(pk=item.pk).update(gold_retired_at=now)
        # What it is was taken from the answer that is in doubt now: the people who judged it settle it.
        settle_item(item=item, project=project, now=now)
        record_audit(
            action="gold.retire", actor=None, project=project, target=str(item), detail={"missed_by": GOOD_MISSES}
        )
        return
    by_person = Q(project=project, user=annotation.user_id, paused_at__isnull=True)
    membership = Membership.objects.filter(by_person).select_related("user").first()
    if membership is None:
        return
    share = gold_accuracy(project=project, user_id=membership.user_id, since=membership.pause_lifted_at)
    if share is not None and share.n >= LEAST_CHECKED and share.high < project.gold_bar:
        reason = (
            f"{round(share.value * share.n)} of {share.n} known items were right: with 95 % certainty at most "
            f"{100 * share.high:.0f} %, and this project asks for {100 * project.gold_bar:.0f} %."
        )
        Membership.objects.filter(pk=membership.pk).update(paused_at=now, pause_reason=reason)
        record_audit(
            action="member.pause",
            actor=None,
            project=project,
            target=membership.user.get_username(),
            detail={"right": share.value, "n": share.n, "high": share.high, "bar": project.gold_bar},
        )


def _is_missed_by_the_good(item: Item, project: Project) -> bool:
    missed = (
        Annotation.objects.live()
        .filter(item=item, user__isnull=False)
        .exclude(value=item.gold)
        .values_list("user_id", flat=True)
    )
    n_good = 0
    for user_id in missed:
        others = gold_answers(project, user_id or 0).exclude(item=item).values_list("value", "item__gold")[:LATEST]
        right = [value == gold for value, gold in others]
        n_good += len(right) >= GOOD_LEAST and sum(right) >= GOOD_SHARE * len(right)
    return n_good >= GOOD_MISSES


def lift_pause(*, membership: Membership, actor: Any, now: datetime) -> Membership:
    """The membership of somebody who may go on. What they answered before does not pause them again."""
    with transaction.atomic():
        lifted = Membership.objects.filter(pk=membership.pk, paused_at__isnull=False).update(
            paused_at=None, pause_reason="", pause_lifted_at=now
        )
        if not lifted:
            raise Conflict("This person is not paused.", code="not_paused")
        record_audit(
            action="member.resume", actor=actor, project=membership.project, target=membership.user.get_username()
        )
    membership.refresh_from_db()
    return membership
