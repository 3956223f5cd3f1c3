"""Items with a known answer, hidden among the others: they show how well a person judges."""

import random
from collections import defaultdict
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from labeling.core.errors import Conflict
from labeling.core.shares import Share, wilson
from labeling.models import Annotation, Assignment, Item, Membership, Project
from labeling.services.audit import record_audit

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

_TAKEN = (Assignment.State.LEASED, Assignment.State.SUBMITTED, Assignment.State.SKIPPED)


def draw_gold(*, project: Project, user: Any, n: int) -> list[Item]:
    """Known items for a person who asks for `n` items: each of the n is one with the project's probability.

    Settled ones, because the others stand in the queue anyway, and never one that the person has had. Labels take
    turns by chance, so that a rare one is checked as often as a common one.
    """
    n_gold = sum(random.random() < project.gold_share for _ in range(n)) if project.gold_share else 0
    if not n_gold:
        return []
    had = Assignment.objects.filter(item_id=OuterRef("pk"), user_id=user.pk, state__in=_TAKEN)
    known = gold_in_use(project).filter(~Exists(had)).values_list("id", "gold").order_by("id")[:DRAWN_AMONG]
    by_label: dict[str, list[int]] = defaultdict(list)
    for pk, gold in known:
        by_label[str(gold)].append(pk)
    drawn: list[int] = []
    while by_label and len(drawn) < n_gold:
        label = random.choice(list(by_label))
        drawn.append(by_label[label].pop(random.randrange(len(by_label[label]))))
        if not by_label[label]:
            del by_label[label]
    return list(Item.objects.filter(pk__in=drawn).defer("features"))


def gold_in_use(project: Project) -> QuerySet[Item]:
    """Settled items whose answer is known and that people are still checked by."""
    return Item.objects.filter(
        project=project, gold__isnull=False, gold_retired_at__isnull=True, state=Item.State.RESOLVED
    )


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
    if item.gold is None or item.gold_retired_at is not None or annotation.value == item.gold:
        return
    if _is_missed_by_the_good(item, project):
        Item.objects.filter(pk=item.pk).update(gold_retired_at=now)
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
