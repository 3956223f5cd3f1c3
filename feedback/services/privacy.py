"""What users may ask for: what is kept of them, and that it be forgotten. And what is forgotten anyway."""

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from active_learning.models import Prediction
from active_learning.services.weak import withdraw_weak_labels
from feedback.models import CurrentVerdict, FeedbackEvent, ImplicitEvent
from feedback.services.claims import subject_digest
from feedback.services.complaints import REASON, restate
from labeling.models import Item, Project
from labeling.services.audit import record_audit
from labeling.services.inbox import forget_facts

# Implicit events say something of the days in which they came, and are kept no longer than this.
KEEP_SIGNALS = timedelta(days=90)
_AT_ONCE = 5_000


def kept_of(*, project: Project, subject: str) -> dict[str, list[dict[str, Any]]]:
    """All that is kept of a subject, as they were named: {feedback, events}."""
    said = FeedbackEvent.objects.filter(project=project, subject__in=_digests(project, subject)).order_by("pk")
    done = ImplicitEvent.objects.filter(project=project, subject__in=_digests(project, subject)).order_by("pk")
    words = ("prediction", "channel", "verdict", "rating", "correction", "reasons", "comment", "created_at")
    return {
        "feedback": [{name: getattr(event, name) for name in words} for event in said],
        "events": [{name: getattr(event, name) for name in ("prediction", "name", "value", "at")} for event in done],
    }


def forget(*, project: Project, subject: str, actor: Any, now: datetime | None = None) -> dict[str, int]:
    """Deletes all that a subject said and did, and takes its effect back: how many rows of each kind.

    The audit log keeps that it was done and when, and not about whom. Doing it twice does no harm.
    """
    now = now or timezone.now()
    digests = _digests(project, subject)
    with transaction.atomic():
        verdicts = CurrentVerdict.objects.filter(project=project, subject__in=digests)
        touched = dict(verdicts.filter(item__isnull=False).values_list("item_id", "prediction"))
        withdraw_weak_labels(subjects=digests)
        counts = {"verdicts": verdicts.delete()[0]}
        # A plain set of rows: those of the model are only ever added, and this is the one exception.
        said: QuerySet[FeedbackEvent] = QuerySet(FeedbackEvent).filter(project=project, subject__in=digests)
        counts["feedback"] = said.delete()[0]
        counts["events"] = ImplicitEvent.objects.filter(project=project, subject__in=digests).delete()[0]
        predictions = Prediction.objects.select_related("version").in_bulk(list(touched.values()))
        items = Item.objects.select_for_update(no_key=True).filter(pk__in=list(touched)).order_by("pk")
        held = list(items.only("pk", "split", "state"))
        # Those that are open are told anew below, with the words of the others.
        forget_facts(item_ids=list(touched), reason=REASON, field="comments")
        for item in held:
            prediction = predictions.get(touched[item.pk])
            if prediction is not None and not prediction.is_explored:
                restate(item=item, prediction=prediction, now=now)
        record_audit(action="feedback.forget", actor=actor, project=project, target="a subject", detail=counts)
    return counts


def purge_signals(*, now: datetime | None = None) -> dict[str, int]:
    """Deletes implicit events older than KEEP_SIGNALS, so many at once that nobody waits long: how many."""
    before = (now or timezone.now()) - KEEP_SIGNALS
    n = 0
    while ids := list(ImplicitEvent.objects.filter(received_at__lt=before).values_list("pk", flat=True)[:_AT_ONCE]):
        n += ImplicitEvent.objects.filter(pk__in=ids).delete()[0]
    return {"purged": n}


def _digests(project: Project, subject: str) -> list[str]:
    """Both forms in which a subject may stand: vouched for, and only claimed."""
    return [
        subject_digest(project_id=project.pk, subject=subject, is_verified=is_verified)
        for is_verified in (True, False)
        if subject
    ]
