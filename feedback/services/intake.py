"""What a user says of a prediction is written down, counted once, and brought before a person where it has to be."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from active_learning.models import Prediction
from active_learning.selectors import current_rules
from active_learning.services.weak import withdraw_weak_labels
from feedback.core.statements import Statement, checked
from feedback.models import CurrentVerdict, FeedbackEvent, WidgetKey
from feedback.services.claims import Sender, count_act, prediction_of, read_claim, sender_of
from feedback.services.complaints import bring_before_a_person
from labeling.core.drafts import BadValueError, canonical
from labeling.core.errors import Conflict, Invalid


@dataclass(frozen=True, slots=True)
class Recorded:
    event: FeedbackEvent
    is_new: bool


def record_feedback(
    *,
    key: WidgetKey,
    token: str,
    statement: Statement,
    client_id: str,
    subject: str = "",
    signature: str = "",
    address: str = "",
    now: datetime | None = None,
) -> Recorded:
    """Writes down what was said, as what its subject says now of the prediction in this channel.

    The same `client_id` with the same content answers the first event again; with another one it is a Conflict. Raises
    Invalid, Forbidden, Gone or TooMany for what cannot be taken (services.claims), and then nothing has changed.
    """
    now = now or timezone.now()
    claim = read_claim(key=key, token=token)
    sender = sender_of(key=key, claim=claim, subject=subject, signature=signature, address=address, now=now)
    digest = _digest(statement.to_json() | {"prediction": claim.prediction_id.hex, "subject": sender.subject})
    if earlier := _replay(key, client_id, digest):
        return Recorded(earlier, False)
    count_act(door="said", sender=sender, prediction=claim.prediction_id)
    prediction = prediction_of(claim=claim)
    _, rules = current_rules(key.project)
    whole = checked(statement, said=prediction.value, rules=rules)
    for attempt in (1, 2):
        try:
            with transaction.atomic():
                return Recorded(_write(key, prediction, sender, whole, client_id, digest, now), True)
        except IntegrityError:
            # Sent twice at the same moment, or two first words about one prediction: the other one is there now.
            if earlier := _replay(key, client_id, digest):
                return Recorded(earlier, False)
            if attempt == 2:
                raise
    raise AssertionError


def _digest(body: dict[str, Any]) -> str:
    try:
        return hashlib.sha256(canonical(body, "The body")).hexdigest()
    except BadValueError as error:
        raise Invalid(error.message, fields={"": error.message}) from None


def _replay(key: WidgetKey, client_id: str, digest: str) -> FeedbackEvent | None:
    earlier = FeedbackEvent.objects.filter(project_id=key.project_id, client_id=client_id).first()
    if earlier is not None and earlier.digest != digest:
        raise Conflict(
            "This client_id was used for other feedback. The first stands; use a new client_id for a new act.",
            code="client_id_reused",
        )
    return earlier


def _write(
    key: WidgetKey,
    prediction: Prediction,
    sender: Sender,
    said: Statement,
    client_id: str,
    digest: str,
    now: datetime,
) -> FeedbackEvent:
    same = {"prediction": prediction.pk, "subject": sender.subject, "channel": said.channel}
    current = CurrentVerdict.objects.select_for_update().filter(**same).first()
    if current is None:
        current = CurrentVerdict(
            **same,
            project_id=key.project_id,
            revision=0,
            model=prediction.version.number if prediction.version else None,
            said=prediction.value,
            confidence=prediction.confidence,
            segment=prediction.segment,
            item_id=prediction.item_id,
            created_at=now,
        )
    event = FeedbackEvent.objects.create(
        **same,
        project_id=key.project_id,
        key=key,
        verdict=said.verdict,
        rating=said.rating,
        correction=said.correction,
        reasons=list(said.reasons),
        comment=said.comment,
        is_verified=sender.is_verified,
        network=sender.network,
        client_id=client_id,
        digest=digest,
        revision=current.revision + 1,
        created_at=now,
    )
    was_complaint = current.verdict == FeedbackEvent.Verdict.DOWN
    current.event, current.verdict, current.revision = event, said.verdict, event.revision
    current.is_verified, current.network, current.changed_at = sender.is_verified, sender.network, now
    current.save()
    if sender.is_verified:  # what rests on the word before this one is weighed anew; on others' nothing rests
        withdraw_weak_labels(predictions=[prediction.pk])
    if was_complaint or current.verdict == FeedbackEvent.Verdict.DOWN:
        bring_before_a_person(verdict=current, prediction=prediction, project=key.project, now=now)
    return event
