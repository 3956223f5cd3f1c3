"""What people decided about predictions, written down in one order, so that the product can be told of each once.

The log is written when somebody looks: before a pull, and before messages are sent. It follows the resolutions by their
number. Those of the last minute are looked at again, because a transaction that began earlier may end later.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from active_learning.models import Decision, Prediction, ServingPolicy
from labeling.models import Project, Resolution, ReviewItem

AT_ONCE = 500
SETTLES_WITHIN = timedelta(minutes=1)
# So many of the newest decisions are watched for being taken back, and so many of the newest reviews for "cannot tell".
WATCHED = 500


def collect_decisions(*, project: Project, now: datetime | None = None) -> int:
    """Logs what was decided since the last time: how many. One process at a time for a project."""
    now = now or timezone.now()
    with transaction.atomic():
        policy = _locked_policy(project)
        return _settled(policy, now) + _unclear(project, now) + _withdrawn(project, now)


def log_settled_before(*, project: Project, rows: Sequence[Prediction]) -> None:
    """Logs decisions that stood before their predictions were made. Belongs into the transaction that writes them."""
    standing = _standing([row.item_id for row in rows if row.item_id is not None])
    known = [row for row in rows if row.item_id in standing]
    if known:
        _locked_policy(project)
        _log(_of_resolution(row, standing[row.item_id]) for row in known if row.item_id is not None)


def ask_a_person(*, project: Project, prediction: Prediction, item_id: int) -> None:
    """A person judges this item for the prediction, which nobody was to look at when it was made: the product hears
    what comes of it, or came of it before. Belongs into the caller's transaction, which holds the item's row."""
    if Prediction.objects.filter(pk=prediction.pk, item__isnull=True).update(item_id=item_id):
        prediction.item_id = item_id
        log_settled_before(project=project, rows=[prediction])


def _locked_policy(project: Project) -> ServingPolicy:
    # Whoever writes the log holds the policy, so that its numbers appear in their order.
    policy, _ = ServingPolicy.objects.select_for_update().get_or_create(project=project)
    return policy


def _settled(policy: ServingPolicy, now: datetime) -> int:
    n, last = 0, policy.decisions_up_to
    while True:
        found = list(
            Resolution.objects.filter(project_id=policy.project_id, pk__gt=last)
            .only("pk", "item_id", "value", "method", "created_at", "superseded_at")
            .order_by("pk")[:AT_ONCE]
        )
        current = {one.item_id: one for one in found if one.superseded_at is None}
        rows = Prediction.objects.filter(item_id__in=current).only("pk", "project_id", "item_id", "value")
        n += _log(_of_resolution(row, current[row.item_id]) for row in rows if row.item_id is not None)
        old = [one.pk for one in found if one.created_at < now - SETTLES_WITHIN]
        policy.decisions_up_to = max([policy.decisions_up_to, *old])
        if len(found) < AT_ONCE:
            break
        last = found[-1].pk
    policy.save(update_fields=["decisions_up_to"])
    return n


def _of_resolution(row: Prediction, resolution: Resolution) -> Decision:
    return Decision(
        project_id=row.project_id,
        prediction=row.pk,
        item=resolution.item_id,
        predicted=row.value,
        outcome=Decision.Outcome.SETTLED,
        value=resolution.value,
        method=resolution.method,
        cause=resolution.pk,
        at=resolution.created_at,
    )


def _unclear(project: Project, now: datetime) -> int:
    ended = ReviewItem.objects.filter(project=project, state=ReviewItem.State.UNCLEAR).order_by("-closed_at")
    ended_at = {item: (pk, at) for item, pk, at in ended.values_list("item_id", "pk", "closed_at")[:WATCHED]}
    rows = Prediction.objects.filter(item_id__in=ended_at).only("pk", "project_id", "item_id", "value")
    return _log(
        Decision(
            project_id=project.pk,
            prediction=row.pk,
            item=row.item_id,
            predicted=row.value,
            outcome=Decision.Outcome.UNCLEAR,
            cause=ended_at[row.item_id][0],
            at=ended_at[row.item_id][1] or now,
        )
        for row in rows
        if row.item_id is not None
    )


def _withdrawn(project: Project, now: datetime) -> int:
    """What was told and does not stand any more, with nothing in its place."""
    newest: dict[Any, Decision] = {}
    for one in Decision.objects.filter(project=project).order_by("-pk")[:WATCHED]:
        newest.setdefault(one.prediction, one)
    standing = _standing({one.item for one in newest.values()})
    unclear = set(
        ReviewItem.objects.filter(
            pk__in={one.cause for one in newest.values() if one.outcome == Decision.Outcome.UNCLEAR},
            state=ReviewItem.State.UNCLEAR,
        ).values_list("pk", flat=True)
    )
    gone = [
        one
        for one in newest.values()
        if one.item not in standing
        and (
            one.outcome == Decision.Outcome.SETTLED
            or (one.outcome == Decision.Outcome.UNCLEAR and one.cause not in unclear)
        )
        # What is unclear has lost the value that stood before: that is told as unclear.
        and not (one.outcome == Decision.Outcome.SETTLED and _is_unclear(one.item))
    ]
    for one in gone:
        one.pk, one.outcome, one.value, one.method, one.at = None, Decision.Outcome.WITHDRAWN, None, "", now
    return _log(gone)


def _is_unclear(item_id: int) -> bool:
    return ReviewItem.objects.filter(item_id=item_id, state=ReviewItem.State.UNCLEAR).exists()


def _standing(item_ids: Iterable[int]) -> dict[int, Resolution]:
    current = Resolution.objects.filter(item_id__in=list(item_ids), superseded_at__isnull=True)
    return {one.item_id: one for one in current.only("pk", "item_id", "value", "method", "created_at")}


def _log(rows: Iterable[Decision]) -> int:
    rows = list(rows)
    known = set(
        Decision.objects.filter(prediction__in={row.prediction for row in rows}).values_list(
            "prediction", "outcome", "cause", "at"
        )
    )
    fresh = [row for row in rows if (row.prediction, str(row.outcome), row.cause, row.at) not in known]
    # In the order in which they were decided, as far as one look knows it.
    fresh.sort(key=lambda row: (row.at, row.cause))
    Decision.objects.bulk_create(fresh, batch_size=AT_ONCE, ignore_conflicts=True)
    return len(fresh)
