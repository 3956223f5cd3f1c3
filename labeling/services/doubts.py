"""Which settled items a reviewer should look at first, and putting them before one."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from labeling.core.errors import NotFound
from labeling.core.schema import SchemaRules
from labeling.core.wording import first_words
from labeling.models import AgreementReport, Assignment, Item, Project, Resolution, ReviewItem
from labeling.selectors import agreement_of
from labeling.services.audit import record_audit
from labeling.services.crowd import Crowd
from labeling.services.inbox import open_review

MOST_DOUBTFUL = 20
# Disputes have a priority above 0 and flags 0; these come after them, the worst first.
BEHIND_FLAGS = -1.0
# A table of the model's probabilities for every item and label must fit.
_MOST_PREDICTED = 20_000_000


def doubtful_items(*, project: Project, rules: SchemaRules, crowd: Crowd) -> dict[str, Any]:
    """The items that the consensus settled with the least behind them, and what put them in order."""
    settled = Resolution.objects.filter(
        project=project,
        superseded_at__isnull=True,
        method=Resolution.Method.CONSENSUS,
        n_annotations__gte=2,
        posterior__isnull=False,
        value__isnull=False,
    ).exclude(item__state=Item.State.EXCLUDED)
    columns = ("item_id", "value", "posterior", "n_annotations")
    ranked = _ranked_with_model(project, rules, crowd, settled)
    if ranked is None:
        rows: list[tuple[Any, ...]] = [
            (*row, row[2]) for row in settled.order_by("posterior", "pk").values_list(*columns)[:MOST_DOUBTFUL]
        ]
    else:
        kept = {row[0]: row for row in settled.filter(item_id__in=list(ranked)).values_list(*columns)}
        rows = [(*kept[pk], quality) for pk, quality in ranked.items() if pk in kept]
    data = dict(Item.objects.filter(pk__in=[row[0] for row in rows]).values_list("pk", "data"))
    return {
        "by": "posterior" if ranked is None else "CROWDLAB",
        "n_settled": settled.count(),
        "items": [
            {
                "item": pk,
                "words": first_words(data.get(pk), 100),
                "value": value,
                "posterior": posterior,
                "n": n,
                "quality": round(float(quality), 4),
            }
            for pk, value, posterior, n, quality in rows
        ],
    }


def _ranked_with_model(project: Project, rules: SchemaRules, crowd: Crowd, settled: Any) -> dict[int, float] | None:
    """The most doubtful items with CROWDLAB's quality; None unless a model is good enough to have a say.

    The model's word on an item is the suggestion that was drawn for its first reader: no model had learned from the
    item then. It is tried on the audit split against what people said there.
    """
    import numpy as np

    from labeling.core.consensus import may_vote
    from labeling.core.doubts import crowdlab

    n_labels = len(rules.labels)
    if rules.kind == "choices" or len(crowd.items) * n_labels > _MOST_PREDICTED or not len(crowd.answers):
        return None
    place = {pk: number for number, pk in enumerate(crowd.items.tolist())}
    code = {label: number for number, label in enumerate(rules.labels)}
    label = np.full(len(crowd.items), -1, dtype=np.int64)
    for pk, value in settled.values_list("item_id", "value").iterator(chunk_size=10_000):
        if pk in place:
            label[place[pk]] = code.get(str(value), -1)
    shares = np.bincount(crowd.answers.label, minlength=n_labels) / len(crowd.answers)
    predicted = np.tile(shares, (len(crowd.items), 1))
    is_audit = np.zeros(len(crowd.items), dtype=bool)
    has_model = np.zeros(len(crowd.items), dtype=bool)
    first = Assignment.objects.filter(project=project, suggestion__isnull=False).order_by("pk")
    columns = ("item_id", "suggestion__probabilities", "item__split")
    for pk, probabilities, split in first.values_list(*columns).iterator(chunk_size=5_000):
        number = place.get(pk)
        if number is None or has_model[number] or not isinstance(probabilities, dict):
            continue
        row = np.array([probabilities.get(name, 0.0) for name in rules.labels], dtype=np.float64)
        if row.sum() <= 0:
            continue
        has_model[number], is_audit[number] = True, split == Item.Split.AUDIT
        predicted[number] = row / row.sum()
    tried = has_model & is_audit & (label >= 0)
    if not may_vote(predicted[tried].argmax(axis=1), label[tried]):
        return None
    kept = (label >= 0)[crowd.answers.item]
    scores = crowdlab(crowd.answers.where(kept), np.maximum(label, 0), predicted)
    # Of audit items the model is not asked what to correct: it is measured by them.
    ranked = np.flatnonzero((label >= 0)[: len(scores)] & ~is_audit[: len(scores)])
    quality = scores[ranked, label[ranked]]
    order = np.argsort(quality, kind="stable")[:MOST_DOUBTFUL]
    return {int(crowd.items[ranked[n]]): float(quality[n]) for n in order}


@dataclass(frozen=True, slots=True)
class DoubtsSent:
    """The reviews that wait now, and why each other item was left as it is."""

    opened: list[ReviewItem]
    left: dict[int, str]


def send_doubts(
    *, project: Project, user: Any, item_ids: Collection[int] | None = None, now: datetime | None = None
) -> DoubtsSent:
    """Puts settled items that were measured to be doubtful before a reviewer; without `item_ids` all of them.

    An item whose settled value has changed since is left, and so is one that waits already. Raises NotFound before the
    first measurement.
    """
    report = agreement_of(project=project)
    if report is None:
        raise NotFound("Agreement has not been measured here yet, so nothing is known to be doubtful.")
    now = now or timezone.now()
    found = report.result["doubtful"]
    listed = {row["item"]: (place, row) for place, row in enumerate(found["items"], start=1)}
    wanted = listed if item_ids is None else item_ids
    opened: list[ReviewItem] = []
    left = {pk: "It is not among the doubtful items of the last measurement." for pk in wanted if pk not in listed}
    with transaction.atomic():
        items = Item.objects.select_for_update(no_key=True).filter(
            project=project, pk__in=[pk for pk in wanted if pk in listed]
        )
        locked = list(items.only("id", "project_id", "state").order_by("pk"))
        ids = [item.pk for item in locked]
        current = {r.item_id: r for r in Resolution.objects.filter(item_id__in=ids, superseded_at__isnull=True)}
        waiting = ReviewItem.objects.filter(item_id__in=ids, state=ReviewItem.State.OPEN)
        waiting = waiting.filter(evidence__has_key=ReviewItem.Reason.DOUBT.value)
        already = set(waiting.values_list("item_id", flat=True))
        for item in locked:
            place, row = listed[item.pk]
            stands = current.get(item.pk)
            if item.pk in already:
                left[item.pk] = "It waits in the review inbox already."
            elif item.state == Item.State.EXCLUDED or not is_as_measured(stands, row):
                left[item.pk] = "It is not settled as it was when it was measured."
            else:
                opened.append(_send(project, item, place, row, found, report, user, now))
    # The most doubtful first, as they are listed and reviewed.
    return DoubtsSent(sorted(opened, key=lambda review: -review.priority), left)


def is_as_measured(stands: Resolution | None, row: dict[str, Any]) -> bool:
    """Whether an item is still settled by the consensus, and as the row of the report says."""
    return stands is not None and stands.method == Resolution.Method.CONSENSUS and stands.value == row["value"]


def _send(
    project: Project,
    item: Item,
    place: int,
    row: dict[str, Any],
    found: dict[str, Any],
    report: AgreementReport,
    user: Any,
    now: datetime,
) -> ReviewItem:
    evidence = {name: row[name] for name in ("value", "posterior", "quality", "n")}
    evidence |= {"by": found["by"], "place": place, "n_settled": found["n_settled"]}
    review = open_review(
        project_id=project.pk,
        item_id=item.pk,
        reason=ReviewItem.Reason.DOUBT.value,
        evidence=evidence | {"measured_at": report.computed_at.isoformat()},
        # Of equal quality they stay in the order of the list.
        priority=BEHIND_FLAGS - row["quality"] - place / 1_000_000,
        now=now,
    )
    record_audit(
        action="review.open",
        actor=user,
        project=project,
        target=f"item {item.pk}",
        detail={"review": review.pk, "reason": ReviewItem.Reason.DOUBT.value} | evidence,
    )
    return review
