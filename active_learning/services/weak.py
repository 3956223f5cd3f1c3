"""What users say of items that no person has judged, handed down as labels that a training may learn from."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from active_learning.core.weak import WeakLabel as Label
from active_learning.models import WeakBacker, WeakLabel
from labeling.models import Project


@dataclass(frozen=True, slots=True)
class Offered:
    """A weak label, and about which predictions each of its backers said it."""

    label: Label
    predictions: Mapping[str, Collection[UUID]]


def offer_weak_labels(*, project: Project, offered: Mapping[int, Offered], now: datetime) -> int:
    """These are the weak labels of the project's items from now on, by the id of the item: how many.

    Whether a training learns from them it decides itself (services.ablation).
    """
    with transaction.atomic():
        WeakLabel.objects.filter(project=project).delete()
        rows = WeakLabel.objects.bulk_create(
            WeakLabel(
                project=project,
                item_id=item_id,
                value=one.label.value,
                other=one.label.other,
                certainty=one.label.certainty,
                made_at=now,
            )
            for item_id, one in sorted(offered.items())
        )
        WeakBacker.objects.bulk_create(
            WeakBacker(label=row, prediction=prediction, subject=subject, network=network)
            for row in rows
            for subject, network in offered[row.item_id].label.backers
            for prediction in offered[row.item_id].predictions[subject]
        )
    return len(rows)


def withdraw_weak_labels(*, predictions: Collection[UUID] = (), subjects: Collection[str] = ()) -> int:
    """Takes away the weak labels that rest on what was said of these predictions, or by these subjects: how many.

    Belongs into the transaction that takes back what was said. What is left of the evidence is weighed anew with the
    next offer.
    """
    resting = WeakBacker.objects.filter(Q(prediction__in=predictions) | Q(subject__in=subjects))
    found = list(resting.values_list("label_id", flat=True).distinct())
    WeakLabel.objects.filter(pk__in=found).delete()
    return len(found)
