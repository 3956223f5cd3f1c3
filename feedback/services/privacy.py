"""What users may ask for: what is kept of them, and that it be forgotten. And what is forgotten anyway."""

from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Min, QuerySet
from django.utils import timezone

from active_learning.services.erasure import is_learning, leave_tombstone, mark_versions
from active_learning.services.tokens import subject_digest
from active_learning.services.weak import withdraw_weak_labels
from feedback.models import CurrentVerdict, FeedbackEvent, ImplicitEvent
from feedback.services.complaints import REASON, restate
from labeling.models import Item, Project, ReviewItem
from labeling.services.audit import record_audit
from labeling.services.inbox import forget_facts

log = structlog.get_logger(__name__)

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


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How many rows were deleted of each kind, and which versions had learned from what was said.

    `is_final`: whether all of those are marked by now. Else the rest is, by itself: trainings that had begun go on, or
    the data sets could not be read at once.
    """

    verdicts: int
    feedback: int
    events: int
    models: list[int]
    is_final: bool
    at: datetime


def forget(*, project: Project, subject: str, actor: Any, now: datetime | None = None) -> Forgotten:
    """Deletes all that a subject said and did, and takes its effect back. Models that learned from it are marked.

    The audit log keeps that it was done and when, and not about whom. Doing it twice does no harm.
    """
    now = now or timezone.now()
    digests = _digests(project, subject)
    verdicts = CurrentVerdict.objects.filter(project=project, subject__in=digests)
    with transaction.atomic():
        # Held first, in the order in which all hold them: what a refresh is about to write down on them is then there.
        held = list(verdicts.select_for_update().order_by("pk").values_list("item_id", flat=True))
        touched = {pk for pk in held if pk is not None}
        said_of, settled = _spoken_of(project, digests, verdicts)
        n_verdicts = verdicts.delete()[0]
        withdraw_weak_labels(subjects=digests)
        # A plain set of rows: those of the model are only ever added, and this is the one exception.
        said: QuerySet[FeedbackEvent] = QuerySet(FeedbackEvent).filter(project=project, subject__in=digests)
        n_said = said.delete()[0]
        n_done = ImplicitEvent.objects.filter(project=project, subject__in=digests).delete()[0]
        list(Item.objects.select_for_update(no_key=True).filter(pk__in=touched).order_by("pk").only("pk"))
        # Those that are open are told anew, with the words of the others.
        forget_facts(item_ids=touched, reason=REASON, field="comments")
        restate(item_ids=touched, now=now)
        found = Forgotten(n_verdicts, n_said, n_done, [], True, now)
        detail = {name: value for name, value in asdict(found).items() if name not in ("models", "is_final", "at")}
        record_audit(action="feedback.forget", actor=actor, project=project, target="a subject", detail=detail)
        tombstone = leave_tombstone(project=project, said=said_of, settled=settled, now=now)
    if tombstone is None:
        return found
    # Data sets are read once it is done: whatever becomes of that, the subject is forgotten, and the marks are made.
    try:
        models = mark_versions(tombstone=tombstone)
    except Exception:
        log.exception("marks_failed", project=project.slug)
        return replace(found, is_final=False)
    return replace(found, models=models, is_final=not is_learning(tombstone=tombstone))


def _spoken_of(
    project: Project, digests: list[str], verdicts: QuerySet[CurrentVerdict]
) -> tuple[dict[int, datetime], dict[int, datetime]]:
    """The items of which something was said and since when, and those that reviewers decided on after a complaint of
    theirs, be it taken back since, and when."""
    spoken = verdicts.filter(item__isnull=False).values_list("item_id").order_by().annotate(first=Min("created_at"))
    said: dict[int, datetime] = dict(spoken)
    complaints = FeedbackEvent.objects.filter(
        project=project, subject__in=digests, verdict=FeedbackEvent.Verdict.DOWN
    ).values("prediction")
    complained = verdicts.filter(item__isnull=False, prediction__in=complaints).values("item_id")
    reviews = ReviewItem.objects.filter(
        item_id__in=complained,
        state=ReviewItem.State.DECIDED,
        evidence__has_key=REASON,
        closed_at__isnull=False,
    )
    settled = {
        item: at
        for item, at in reviews.order_by("-closed_at").values_list("item_id", "closed_at")
        if at is not None and at >= said[item]
    }
    return said, settled


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
