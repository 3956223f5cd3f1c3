"""Implicit events: checked one by one, stored in one statement, before the answer."""

from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter
from typing import Any

from django.utils import timezone

from active_learning.services.tokens import FeedbackClaim
from feedback.core.errors import TooMany
from feedback.core.signals import MAX_EVENTS, Signal, parse_signal
from feedback.models import ImplicitEvent, WidgetKey
from feedback.services.claims import TOO_MANY, Sender, count_events, models_of, read_claim, sender_of
from labeling.core.errors import Conflict, DomainError, Invalid, TooLarge

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
    Raises TooLarge for more than MAX_EVENTS, and TooMany when all that could be taken is over a limit.
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
    checked = _within_limits(checked, taken)
    models = models_of(claims=[claim for claim, _ in senders.values()])
    events: dict[str, tuple[int, ImplicitEvent]] = {}
    for place, signal, claim, sender in checked:
        if claim.prediction_id not in models:
            taken.refuse(place, Invalid("This prediction is not kept any more.", code="prediction_gone"))
            continue
        event = _event(key, signal, claim, sender, models[claim.prediction_id], now)
        if signal.client_id not in events:
            events[signal.client_id] = place, event
        else:
            _count_again(taken, place, event, _content(events[signal.client_id][1]))
    _store(key, events, taken)
    taken.errors.sort(key=itemgetter("row"))
    return taken


def _within_limits(
    checked: list[tuple[int, Signal, FeedbackClaim, Sender]], taken: Taken
) -> list[tuple[int, Signal, FeedbackClaim, Sender]]:
    """Those that the limits of their subjects and predictions let through; one noisy user keeps no other out."""
    waits = count_events(acts=[(sender, claim.prediction_id) for _, _, claim, sender in checked])
    late = [wait for wait in waits if wait is not None]
    if late and len(late) == len(checked):
        raise TooMany(TOO_MANY, wait=max(late))
    for row, wait in zip(checked, waits, strict=True):
        if wait is not None:
            taken.refuse(row[0], TooMany(TOO_MANY, wait=wait))
    return [row for row, wait in zip(checked, waits, strict=True) if wait is None]


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


def _store(key: WidgetKey, events: dict[str, tuple[int, ImplicitEvent]], taken: Taken) -> None:
    """Stores those that are new. Two processes may store the same at once: the constraint keeps one."""
    known = ImplicitEvent.objects.filter(project_id=key.project_id, client_id__in=list(events))
    there = {event.client_id: _content(event) for event in known.only("client_id", *_CONTENT)}
    fresh = [event for client_id, (_, event) in events.items() if client_id not in there]
    ImplicitEvent.objects.bulk_create(fresh, ignore_conflicts=True)
    taken.accepted += len(fresh)
    for client_id, content in there.items():
        _count_again(taken, *events[client_id], content)


# What makes two events the same; the clock of a sender that tries again may say something else.
_CONTENT = ("prediction", "name", "value", "subject")


def _content(event: ImplicitEvent) -> tuple[Any, ...]:
    return tuple(getattr(event, name) for name in _CONTENT)


def _count_again(taken: Taken, place: int, event: ImplicitEvent, before: tuple[Any, ...]) -> None:
    if _content(event) == before:
        taken.duplicates += 1
    else:
        taken.refuse(place, Conflict("This client_id was used for another event.", code="client_id_reused"))
