"""What a user's verdict has become, told to that user."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.cache import cache
from django.utils import timezone

from active_learning.services.lineage import first_live_with, last_live_move
from feedback.models import Channel, CurrentVerdict, FeedbackEvent, WidgetKey
from feedback.services.claims import count_act, read_claim, sender_of
from labeling.models import Item

# A page that is loaded often asks often, and what was learned once stays so.
REMEMBERED_SECONDS = 3_600
# What no version has learned, none has until another becomes live.
MISSED_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Used:
    """The version that learned the user's correction, and when it became live."""

    model: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """What the user says of a prediction now (empty: nothing), and where their correction is used."""

    verdict: str
    used: Used | None


def standing_of(*, key: WidgetKey, token: str, subject: str = "", signature: str = "", address: str = "") -> Standing:
    """What the subject says of the token's prediction by thumbs. Raises as record_feedback does.

    Not their words: where nobody vouches for a subject, whoever holds the token could read them.
    """
    claim = read_claim(key=key, token=token)
    sender = sender_of(key=key, claim=claim, subject=subject, signature=signature, address=address, now=timezone.now())
    count_act(door="standing", sender=sender, prediction=claim.prediction_id)
    said = CurrentVerdict.objects.filter(
        prediction=claim.prediction_id, subject=sender.subject, channel=Channel.THUMBS, project=key.project
    )
    verdict = said.exclude(verdict=FeedbackEvent.Verdict.UNDO).select_related("event", "project", "item").first()
    if verdict is None:
        return Standing("", None)
    return Standing(verdict.verdict, _used(verdict))


def _used(verdict: CurrentVerdict) -> Used | None:
    event = verdict.event
    if event is None or event.correction is None or verdict.item is None or verdict.item.split == Item.Split.AUDIT:
        return None  # no model ever learns from the audit split
    name = f"feedback.used:{event.pk}"
    known: list[Any] | None = cache.get(name)
    if known is not None:
        return Used(known[0], datetime.fromisoformat(known[1]))
    missed, move = f"{name}:missed", last_live_move(project=verdict.project)
    if cache.get(missed) == move:
        return None
    found = first_live_with(
        project=verdict.project,
        item_id=verdict.item.pk,
        value=event.correction,
        since=event.created_at,
        is_heard=verdict.is_verified and verdict.quarantined_at is None,
    )
    if found is None:
        cache.set(missed, move, MISSED_SECONDS)
        return None
    version, at = found
    cache.set(name, [version.number, at.isoformat()], REMEMBERED_SECONDS)
    return Used(version.number, at)
