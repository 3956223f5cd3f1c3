"""Mobs are contained: bursts of verdicts are set aside with a reason, seen by an owner, and taken back or kept out."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from active_learning.services.weak import withdraw_weak_labels
from feedback import selectors
from feedback.core.guard import MIN_BURST, MIN_OF_A_SUBJECT, Burst, burst
from feedback.models import CurrentVerdict, FeedbackEvent
from feedback.services.complaints import restate
from labeling.core.errors import Conflict
from labeling.models import Project
from labeling.services.audit import record_audit

log = structlog.get_logger(__name__)

WINDOW = timedelta(hours=1)
# A week of hours says what is usual.
N_WINDOWS = 7 * 24


def check_bursts(*, now: datetime | None = None) -> dict[str, int]:
    """Quarantines the complaints of the last hour wherever they are a burst: how many. Doing it twice does no harm.

    Looked at are the project as a whole, each of its subjects and each answered value. Set aside are the complaints of
    subjects who gave several of them: many people who complain once each are no mob, but a bad answer. Nothing is
    deleted.
    """
    now = now or timezone.now()
    lately = CurrentVerdict.objects.filter(
        verdict=FeedbackEvent.Verdict.DOWN, changed_at__gt=now - WINDOW, changed_at__lte=now
    )
    n = 0
    for project in Project.objects.filter(pk__in=lately.order_by().values("project_id").distinct()):
        n += _check(project, now)
        # Complaints are put in order by what their signals are worth: counted here, and not while somebody complains.
        selectors.count_ratios(project=project)
    if n:
        log.warning("feedback_quarantined", verdicts=n)
    return {"quarantined": n}


def _check(project: Project, now: datetime) -> int:
    history = selectors.complaints_by_window(project=project, now=now, window=WINDOW, n_windows=N_WINDOWS)
    latest = history[0]
    chosen: dict[int, str] = {}
    of_subject = Counter(row["subject"] for row in latest)
    for of, words in (("subject", "one subject"), ("value", "one answer"), ("project", "the project")):
        counts = Counter(row[of] for row in latest if row[of] != "")
        # Most said less than any burst has: what was usual for them need not be known.
        many = {name for name, n in counts.items() if n >= MIN_BURST}
        usual = [Counter(row[of] for row in window if row[of] in many) for window in history[1:]]
        for name in many:
            before = [window[name] for window in usual]
            mine = [row for row in latest if row[of] == name]
            found = burst(before if any(before) else [], len(mine))
            if found is not None:
                reason = _reason(found, words)
                several = [row for row in mine if row["subject"] and of_subject[row["subject"]] >= MIN_OF_A_SUBJECT]
                chosen |= {row["pk"]: chosen.get(row["pk"], reason) for row in several}
    return quarantine(project=project, chosen=chosen, now=now)


def _reason(found: Burst, of: str) -> str:
    return f"{found.count} complaints about {of} in an hour, usual are {found.usual:g} (z {found.z:.1f})"


def quarantine(*, project: Project, chosen: dict[int, str], now: datetime) -> int:
    """Sets verdicts aside: they count nowhere until they are released. How many were not aside yet."""
    if not chosen:
        return 0
    with transaction.atomic():
        rows = list(
            CurrentVerdict.objects.select_for_update()
            .filter(project=project, pk__in=list(chosen), quarantined_at__isnull=True)
            .order_by("pk")
        )
        for row in rows:
            row.quarantined_at, row.quarantined_for = now, chosen[row.pk][:200]
        CurrentVerdict.objects.bulk_update(rows, ["quarantined_at", "quarantined_for"])
        withdraw_weak_labels(predictions=[row.prediction for row in rows])
        restate(item_ids={row.item_id for row in rows if row.item_id is not None}, now=now)
        if rows:
            reasons = Counter(row.quarantined_for for row in rows)
            record_audit(
                action="feedback.quarantine",
                actor=None,
                project=project,
                target=f"{len(rows)} verdicts",
                detail={"reasons": dict(reasons.most_common(10))},
            )
    return len(rows)


def release(*, project: Project, verdict_ids: Iterable[int], actor: Any, now: datetime | None = None) -> int:
    """Counts verdicts again that were set aside: how many. Raises Conflict when none of them is."""
    now = now or timezone.now()
    with transaction.atomic():
        rows = list(
            CurrentVerdict.objects.select_for_update()
            .filter(project=project, pk__in=list(verdict_ids), quarantined_at__isnull=False)
            .order_by("pk")
        )
        if not rows:
            raise Conflict("None of these is in quarantine any more.", code="not_quarantined")
        for row in rows:
            # The next look must not set aside again what an owner has looked at.
            row.quarantined_at, row.quarantined_for, row.released_at = None, "", now
        CurrentVerdict.objects.bulk_update(rows, ["quarantined_at", "quarantined_for", "released_at"])
        restate(item_ids={row.item_id for row in rows if row.item_id is not None}, now=now)
        record_audit(action="feedback.release", actor=actor, project=project, target=f"{len(rows)} verdicts", detail={})
    return len(rows)
