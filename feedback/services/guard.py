"""Mobs are contained: bursts of verdicts are set aside with a reason, seen by an owner, and taken back or kept out."""

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Count, Q
from django.utils import timezone

from active_learning.services.weak import withdraw_weak_labels
from feedback import selectors
from feedback.core.guard import (
    MIN_BURST,
    MIN_OF_A_SUBJECT,
    TRUSTED,
    Answered,
    Burst,
    Speaker,
    burst,
    is_stranger,
    strangers_flock,
    trust,
)
from feedback.models import CurrentVerdict, FeedbackEvent
from feedback.services.complaints import restate
from labeling.core.errors import Conflict
from labeling.models import Project
from labeling.services.audit import record_audit

log = structlog.get_logger(__name__)

WINDOW = timedelta(hours=1)
WORDS = {FeedbackEvent.Verdict.DOWN.value: "complaints", FeedbackEvent.Verdict.UP.value: "times “right”"}
# A week of hours says what is usual.
N_WINDOWS = 7 * 24


def check_bursts(*, now: datetime | None = None) -> dict[str, int]:
    """Quarantines the verdicts of the last hour wherever they are a burst: how many. Doing it twice does no harm.

    Looked at, for complaints and for praise, are the project as a whole, each of its subjects and each answered value.
    Set aside is what subjects gave who gave several: many people who speak once each are no mob, but a bad answer, or a
    good one. Those whom nobody vouches for are one for each network; and where surely more of them than usually were
    never heard before, those are set aside too, however many networks they come from. Nothing is deleted.
    """
    now = now or timezone.now()
    lately = CurrentVerdict.objects.filter(verdict__in=WORDS, changed_at__gt=now - WINDOW, changed_at__lte=now)
    by_kind = lately.order_by().values_list("project_id", "verdict")
    counted = by_kind.annotate(n=Count("pk", filter=Q(released_at__isnull=True)))
    n_of = {(project_id, kind): n_kind for project_id, kind, n_kind in counted}
    n = 0
    for project in Project.objects.filter(pk__in={project_id for project_id, _ in n_of}):
        answered = cache(partial(_answered, project, now))
        # Most hours hold less than any burst has: then it need not be known what is usual.
        many = [kind for kind in WORDS if n_of.get((project.pk, kind), 0) >= MIN_BURST]
        n += sum(_check(project, kind, now, answered) for kind in many)
        # Complaints are put in order by what their signals are worth: counted here, and not while somebody complains.
        selectors.count_ratios(project=project)
    if n:
        log.warning("feedback_quarantined", verdicts=n)
    return {"quarantined": n}


def _check(project: Project, kind: str, now: datetime, answered: Callable[[], dict[tuple[str, str], Answered]]) -> int:
    history = selectors.verdicts_by_window(project=project, verdict=kind, now=now, window=WINDOW, n_windows=N_WINDOWS)
    latest = history[0]
    spoke_before = [row["speaker"] for window in reversed(history[1:]) for row in window]
    chosen: dict[int, str] = {}
    of_subject = Counter(row["subject"] for row in latest)
    for of, words in (
        ("subject", "by one subject or network"),
        ("value", "about one answer"),
        ("project", "in the project"),
    ):
        counts = Counter(row[of] for row in latest)
        # Most said less than any burst has: what was usual for them need not be known.
        many = {row[of] for row in latest if not row["is_aside"] and counts[row[of]] >= MIN_BURST}
        usual = [Counter(row[of] for row in window if row[of] in many) for window in history[1:]]
        for name in many:
            before = [window[name] for window in usual]
            before = before if any(before) else []
            mine = [row for row in latest if row[of] == name]
            # Answers only raise what is usual: where they are not known and there is no burst, they make none.
            found = burst(before, len(mine)) and burst(before, len(mine), answered().get((of, name)))
            if found is not None:
                reason = _reason(kind, found, words)
                several = {row["pk"] for row in mine if of_subject[row["subject"]] >= MIN_OF_A_SUBJECT}
                aside = [row for row in mine if row["pk"] in several | _strangers(mine, spoke_before)]
                chosen |= {row["pk"]: chosen.get(row["pk"], reason) for row in aside if not row["is_aside"]}
    return quarantine(project=project, chosen=_without_trusted(project, latest, chosen, of_subject), now=now)


def _answered(project: Project, now: datetime) -> dict[tuple[str, str], Answered]:
    """How much was answered in the whole project, and with each value."""
    lately = selectors.answered_by_value(project=project, since=now - WINDOW, until=now)
    before = selectors.answered_by_value(project=project, since=now - (N_WINDOWS + 1) * WINDOW, until=now - WINDOW)
    found = {("value", value): Answered(before[value], lately[value]) for value in lately}
    return found | {("project", str(project.pk)): Answered(before.total(), lately.total())}


def _strangers(mine: list[dict[str, Any]], spoke_before: list[Speaker]) -> set[int]:
    """Those in a burst who were never heard before and nobody vouches for, where they are surely more than usually."""
    if not strangers_flock([row["speaker"] for row in mine], spoke_before):
        return set()
    seen = {one.name for one in spoke_before}
    return {row["pk"] for row in mine if is_stranger(row["speaker"], seen)}


def _without_trusted(
    project: Project, latest: list[dict[str, Any]], chosen: dict[int, str], of_subject: Counter[str]
) -> dict[int, str]:
    """Without whom people agreed with: a regular is no mob, unless they are a burst alone."""
    if not chosen:
        return chosen
    agreement = selectors.belief_earned(project=project).agreement
    subject_of = {row["pk"]: row["subject"] for row in latest}
    trusted = {who for who in set(subject_of.values()) if trust(*agreement.get(who, (0, 0))) >= TRUSTED}
    trusted -= {who for who, n in of_subject.items() if n >= MIN_BURST}
    return {pk: reason for pk, reason in chosen.items() if subject_of[pk] not in trusted}


def _reason(kind: str, found: Burst, where: str) -> str:
    return f"{found.count} {WORDS[kind]} {where} in an hour, usual are {found.usual:.3g} (z {found.z:.1f})"


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
