"""Implicit events: checked one by one, stored in one statement, before the answer."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils import timezone

from active_learning.services.tokens import FeedbackClaim
from feedback.core.signals import MAX_EVENTS, Signal, parse_signal
from feedback.models import ImplicitEvent, WidgetKey
from feedback.services.claims import Sender, models_of, read_claim, sender_of
from labeling.core.errors import DomainError, Invalid, TooLarge

# So many refusals are told; the first is enough to act.
MAX_TOLD = 20


@dataclass(slots=True)
class Taken:
    """How many events were stored, how many were there already, and why the others were not taken."""

    accepted: int = 0
    duplicates: int = 0
    refused: int = 0
    errors: list[dict[str, Any]] = field(default_factory=list)

    def refuse(self, place: int, error: DomainError) -> None:
        self.refused += 1
        if len(self.errors) < MAX_TOLD:
            self.errors.append({"row": place, "code": error.code, "message": error.message})


def record_signals(*, key: WidgetKey, rows: object, address: str = "", now: datetime | None = None) -> Taken:
    """Stores the events of a batch; what is wrong with one is told and keeps none of the others out.

    An event whose `client_id` is stored already is a duplicate. What was taken is in the database when this returns.
    Raises TooLarge for more than MAX_EVENTS.
    """
    if not isinstance(rows, list):
        raise Invalid("Send {key, events: [...]}.", fields={"events": "not a list"})
    if len(rows) > MAX_EVENTS:
        raise TooLarge(f"{len(rows):,} events in one batch; the limit is {MAX_EVENTS}.")
    now = now or timezone.now()
    taken = Taken()
    checked: list[tuple[int, Signal, FeedbackClaim, Sender]] = []
    senders: dict[tuple[str, str, str], tuple[FeedbackClaim, Sender]] = {}
    for place, row in enumerate(rows):
        try:
            signal = parse_signal(row, now)
            who = (signal.token, signal.subject, signal.signature)
            if who not in senders:
                claim = read_claim(key=key, token=signal.token)
                sender = sender_of(
                    key=key, claim=claim, subject=signal.subject, signature=signal.signature, address=address, now=now
                )
                senders[who] = claim, sender
            checked.append((place, signal, *senders[who]))
        except DomainError as error:
            taken.refuse(place, error)
    models = models_of(claims=[claim for claim, _ in senders.values()])
    events: dict[str, ImplicitEvent] = {}
    for place, signal, claim, sender in checked:
        if claim.prediction_id not in models:
            taken.refuse(place, Invalid("This prediction is not kept any more.", code="prediction_gone"))
        elif signal.client_id in events:
            taken.duplicates += 1
        else:
            events[signal.client_id] = _event(key, signal, claim, sender, models[claim.prediction_id], now)
    n_new = _store(key, events)
    taken.accepted, taken.duplicates = n_new, taken.duplicates + len(events) - n_new
    return taken


def _event(
    key: WidgetKey, signal: Signal, claim: FeedbackClaim, sender: Sender, model: int | None, now: datetime
) -> ImplicitEvent:
    return ImplicitEvent(
        project_id=key.project_id,
        prediction=claim.prediction_id,
        name=signal.name,
        value=signal.value,
        model=model,
        subject=sender.subject,
        is_verified=sender.is_verified,
        client_id=signal.client_id,
        at=signal.at,
        received_at=now,
    )


def _store(key: WidgetKey, events: dict[str, ImplicitEvent]) -> int:
    """How many were new. Two processes may store the same at once: the constraint keeps one."""
    there = set(
        ImplicitEvent.objects.filter(project_id=key.project_id, client_id__in=list(events)).values_list(
            "client_id", flat=True
        )
    )
    fresh: Sequence[ImplicitEvent] = [event for client_id, event in events.items() if client_id not in there]
    ImplicitEvent.objects.bulk_create(fresh, ignore_conflicts=True)
    return len(fresh)
