"""A second look: a random sample of labels from older guidelines is judged again, blind, under those of today."""

import random
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from labeling.core.errors import Conflict, Invalid
from labeling.models import (
    Annotation,
    Assignment,
    Item,
    LabelSchema,
    Project,
    QueueEntry,
    SecondLook,
    SecondLookItem,
)
from labeling.selectors import askable
from labeling.services.audit import record_audit
from labeling.services.batches import in_parts
from labeling.services.gold import reason_to_tell

MOST = 2_000
# Of what a person is given while a look is open; the rest keeps the queue moving, and hides which are which.
SHARE_AGAIN = 0.5
# The draw is among so many: enough that people who ask at once rarely get the same.
_AMONG = 50
_TAKEN = (Assignment.State.LEASED, Assignment.State.SUBMITTED, Assignment.State.SKIPPED)


def queue_second_look(
    *, project: Project, actor: Any, n: int, version: int | None = None, now: datetime | None = None
) -> SecondLook:
    """A new second look at up to `n` items, drawn at random from those labelled under an older version.

    `version` asks for labels of that version only. Of an item with several such labels one is drawn.
    Raises Conflict while another look is open, and when there is nothing to look at.
    """
    if not 1 <= n <= MOST:
        raise Invalid(f"Between 1 and {MOST:,} labels can be looked at again.", fields={"n": str(n)})
    current = LabelSchema.objects.current(project.pk)
    older = LabelSchema.objects.filter(project=project, version__lt=current.version)
    if version is not None:
        older = older.filter(version=version)
        if not older:
            raise Invalid(f"There is no older version {version}.", fields={"version": str(version)})
    drawn, n_of = _drawn(project, list(older.values_list("pk", flat=True)), n)
    if not drawn:
        under = "an older version" if version is None else f"version {version}"
        raise Conflict(f"No label was given under {under}: there is nothing to look at again.", code="nothing_older")
    try:
        with transaction.atomic():
            look = SecondLook.objects.create(
                project=project, schema=current, n_of=n_of, created_by=actor, created_at=now or timezone.now()
            )
            SecondLookItem.objects.bulk_create(
                (
                    SecondLookItem(look=look, item_id=item_id, old_id=old_id, asked_id=author, propensity=propensity)
                    for item_id, old_id, author, propensity in drawn
                ),
                batch_size=500,
            )
            Project.objects.filter(pk=project.pk).update(open_second_look=look)
            record_audit(
                action="second_look.queue",
                actor=actor,
                project=project,
                target=f"second look {look.pk}",
                detail={"n": len(drawn), "of": n_of, "version": version},
            )
    except IntegrityError:
        raise Conflict("A second look is open already. Close it first, or let it end.", code="look_is_open") from None
    project.open_second_look = look
    return look


def _drawn(project: Project, schema_ids: list[int], n: int) -> tuple[list[tuple[int, int, int | None, float]], int]:
    """Up to `n` rows of item, label, author and the probability of drawing this label; and of how many items.

    Items are drawn alike, so that a share of them is one of all such items; then one label of each. The rows come in
    random order. Known items are left out: a person who was told the answer would give it, and the first answer of one
    who was not is what they are checked by.
    """
    labels = (
        Annotation.objects.live()
        .filter(project=project, schema_id__in=schema_ids, item__gold__isnull=True)
        .exclude(item__state=Item.State.EXCLUDED)
    )
    n_of = labels.aggregate(n=Count("item", distinct=True))["n"]
    by_item = labels.values("item_id").annotate(n_labels=Count("pk")).order_by("?")
    item_ids = list(by_item.values_list("item_id", flat=True)[:n])
    given: dict[int, list[tuple[int, int | None]]] = {item_id: [] for item_id in item_ids}
    for part in in_parts(item_ids):
        for item_id, pk, author in labels.filter(item_id__in=part).values_list("item_id", "pk", "user_id"):
            given[item_id].append((pk, author))
    # One whose last label was taken back at this moment is left out.
    return [
        (item_id, *random.choice(found), len(item_ids) / n_of / len(found)) for item_id, found in given.items() if found
    ], n_of


def close_second_look(*, look: SecondLook, actor: Any, now: datetime | None = None) -> SecondLook:
    """The look, ended: nobody is asked any more, and what was answered is kept. Doing it twice does no harm.

    Answers to items that somebody holds at this moment still count.
    """
    with transaction.atomic():
        if _close(look.pk, look.project_id, now or timezone.now()):
            record_audit(action="second_look.close", actor=actor, project=look.project, target=f"second look {look.pk}")
    look.refresh_from_db(fields=["closed_at"])
    return look


def _close(look_id: int, project_id: int, now: datetime) -> bool:
    closed = SecondLook.objects.filter(pk=look_id, closed_at__isnull=True).update(closed_at=now)
    Project.objects.filter(pk=project_id, open_second_look_id=look_id).update(open_second_look=None)
    return bool(closed)


def lease_second_looks(
    *, project: Project, user: Any, n: int, now: datetime, expires_at: datetime, share: float
) -> list[Assignment]:
    """New leases, with their items, of old labels to judge again: each of the `n` with probability `share`.

    Whoever gave a label is asked again, so that the guidelines change and not the person. Where that cannot be, or
    they have skipped it, anybody is who has not had the item.
    """
    if project.open_second_look_id is None:
        return []
    n_wanted = sum(random.random() < share for _ in range(n))
    if not n_wanted:
        return []
    look_id = project.open_second_look_id
    of_item = Assignment.objects.filter(item_id=OuterRef("item_id"))
    held = of_item.filter(state=Assignment.State.LEASED)
    held = held.filter(Q(user=user) | Q(reason=QueueEntry.Reason.SECOND_LOOK, expires_at__gt=now))
    free = SecondLookItem.objects.waiting().filter(~Exists(held), look_id=look_id)
    had = of_item.filter(user=user, state__in=_TAKEN)
    nobodys = Q(asked__isnull=True) | Q(asked__in=_absent(project, look_id))
    # Some of them by chance, because whoever asks at the same moment sees the same.
    found = list(free.filter(asked=user).order_by("pk").values_list("pk", flat=True)[:_AMONG])
    found += free.filter(nobodys, ~Exists(had)).order_by("pk").values_list("pk", flat=True)[:_AMONG]
    drawn = random.sample(found, min(n_wanted, len(found)))
    leases = [
        Assignment(
            project_id=project.pk,
            item=one.item,
            user_id=user.pk,
            leased_at=now,
            expires_at=expires_at,
            reason=QueueEntry.Reason.SECOND_LOOK,
            detail={"look": look_id, "as": reason_to_tell(project)},
            propensity=one.propensity,
        )
        for one in SecondLookItem.objects.filter(pk__in=drawn).select_related("item").defer("item__features")
    ]
    try:
        with transaction.atomic():
            return Assignment.objects.bulk_create(leases)
    except IntegrityError:  # another page of the same person has drawn one of them meanwhile
        return []


def _absent(project: Project, look_id: int) -> list[int]:
    """Who is asked in a look, and cannot be."""
    waiting = SecondLookItem.objects.filter(look_id=look_id, new__isnull=True, asked__isnull=False)
    authors = list(waiting.order_by("asked").values_list("asked", flat=True).distinct())
    there = set(askable(project.pk).filter(user__in=authors).values_list("user_id", flat=True))
    return [author for author in authors if author is not None and author not in there]


def pass_on(*, assignment: Assignment) -> None:
    """An item of a second look that its author skips is anybody's."""
    _of(assignment).filter(asked=assignment.user_id).update(asked=None)


def take_on(*, assignment: Assignment) -> None:
    """An item of a second look whose author takes the skip back is theirs again."""
    _of(assignment).filter(old__user=assignment.user_id).update(asked=assignment.user_id)


def _of(assignment: Assignment) -> QuerySet[SecondLookItem]:
    if assignment.reason != QueueEntry.Reason.SECOND_LOOK:
        return SecondLookItem.objects.none()
    return SecondLookItem.objects.filter(look_id=assignment.detail["look"], item_id=assignment.item_id)


def withdraw_old_label(*, assignment: Assignment, now: datetime) -> int | None:
    """Which SecondLookItem the answer to this assignment belongs to; None when it is one more opinion and no more.

    Where the old label is the same person's it is withdrawn, to make room. The caller holds the item's row.
    """
    if assignment.reason != QueueEntry.Reason.SECOND_LOOK:  # nearly always: not even a query is made
        return None
    one = _of(assignment).select_related("old").first()
    if one is None or one.old.withdrawn_at is not None:
        return None
    if one.old.user_id == assignment.user_id:
        Annotation.objects.filter(pk=one.old_id).update(withdrawn_at=now)
    elif one.new_id is not None:  # somebody else was asked too, and was faster
        return None
    return one.pk


def store_second_answer(*, second_look_item: int, annotation: Annotation, now: datetime) -> None:
    """Puts an answer beside the old label; the look ends with its last one. The caller holds the item's row."""
    items = SecondLookItem.objects.filter(pk=second_look_item)
    items.update(new=annotation)
    # Locked before it is counted: of two people who give the last two answers the second sees both.
    look = SecondLook.objects.select_for_update(no_key=True).get(items=second_look_item)
    if look.closed_at is None and not SecondLookItem.objects.waiting().filter(look=look).exists():
        _close(look.pk, look.project_id, now)


def forget_answer(*, annotation: Annotation) -> None:
    """Takes a withdrawn answer out of second looks; an old label that it replaced counts again.

    An old label that was taken back itself is not judged again. The caller holds the item's row.
    """
    touched = SecondLookItem.objects.filter(Q(new=annotation) | Q(old=annotation))
    replaced = touched.filter(new=annotation, old__user=F("new__user")).values_list("old_id", flat=True)
    Annotation.objects.filter(pk__in=list(replaced)).update(withdrawn_at=None)
    touched.update(new=None)


def is_judged_again(*, annotation: Annotation) -> bool:
    """Whether its author has judged the item again since, in a second look."""
    return SecondLookItem.objects.filter(old=annotation, new__user=F("old__user")).exists()
