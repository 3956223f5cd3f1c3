"""What a request may speak about, and for whom: its token's prediction and its subject."""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.utils.crypto import salted_hmac

from active_learning.models import Prediction
from active_learning.services import prediction_log
from active_learning.services.tokens import MAX_SUBJECT, FeedbackClaim, read_feedback_token, subject_digest
from feedback.core.errors import Gone, TooMany
from feedback.core.subjects import is_signed, network_of
from feedback.models import WidgetKey
from labeling.core.errors import Forbidden, Invalid
from labeling.services.limits import count_hit, count_hits

# Another process writes a prediction within PREDICTION_LOG_SECONDS after it was answered; so much later it is there.
_LATE = 1.0
MAX_TOKEN = 1_000
TOO_MANY = "That is more feedback than one minute takes. Send it again a little later."


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends: as digests, which say only whether it is the same one again."""

    subject: str = ""
    is_verified: bool = False
    network: str = ""


def read_claim(*, key: WidgetKey, token: str) -> FeedbackClaim:
    """What the token vouches for. Raises Invalid for one that is none or too old, Forbidden for another project's."""
    if len(token) > MAX_TOKEN:
        raise Invalid("This is not a token of a prediction.", code="bad_token")
    claim = read_feedback_token(token=token)
    if claim.project_id != key.project_id:
        raise Forbidden("This token is of another project than the key.", code="foreign_token")
    return claim


def sender_of(
    *, key: WidgetKey, claim: FeedbackClaim, subject: str, signature: str, address: str, now: datetime
) -> Sender:
    """Who sends. A subject is verified when the token names it, or when the host's server signed it.

    Raises Forbidden for a wrong signature, and for somebody else's token.
    """
    if len(subject) > MAX_SUBJECT:
        raise Invalid(
            f"A subject has at most {MAX_SUBJECT} characters.", fields={"subject": f"{len(subject)} characters"}
        )
    if signature and not is_signed(subject, signature, key.secret):
        raise Forbidden("The signature is not that of this subject with the key's secret.", code="bad_signature")
    is_verified = bool(claim.subject or (subject and signature))
    named = subject_digest(project_id=key.project_id, subject=subject, is_verified=is_verified)
    if claim.subject and named and named != claim.subject:
        raise Forbidden("This token is for another subject.", code="foreign_subject")
    return Sender(
        subject=claim.subject or named,
        is_verified=is_verified,
        network=_network_digest(address, now),
    )


def _network_digest(address: str, now: datetime) -> str:
    network = network_of(address)
    if not network:
        return ""
    # Another one each week: nobody is followed for longer than the guard against mobs needs.
    year, week, _ = now.isocalendar()
    return salted_hmac("feedback.network", f"{year}-{week}:{network}", algorithm="sha256").hexdigest()[:16]


def models_of(*, claims: Iterable[FeedbackClaim]) -> dict[UUID, int | None]:
    """The number of the version behind each logged prediction, without those that are gone.

    One query when all are there. One that was answered a moment ago may not be written yet: then it is waited for, a
    second at most.
    """
    wanted = {claim.prediction_id: claim.project_id for claim in claims}

    def look(missing: dict[UUID, int]) -> dict[UUID, int | None]:
        rows = Prediction.objects.filter(pk__in=list(missing)).values_list("pk", "project_id", "version__number")
        return {pk: number for pk, project_id, number in rows if project_id == missing[pk]}

    found = look(wanted) if wanted else {}
    if any(_is_fresh(pk) for pk in wanted if pk not in found):
        prediction_log.flush()
        while True:
            found |= look({pk: project for pk, project in wanted.items() if pk not in found})
            if not any(_is_fresh(pk) for pk in wanted if pk not in found):
                break
            time.sleep(0.1)
    return found


def prediction_of(*, claim: FeedbackClaim) -> Prediction:
    """The prediction that the token is about. Raises Gone when it has been deleted, or put away as too old."""
    if claim.prediction_id in models_of(claims=[claim]):
        found = Prediction.objects.select_related("version").filter(pk=claim.prediction_id).first()
        if found is not None:
            return found
    raise Gone("This prediction is not kept any more: there is nothing to say about it.")


def _is_fresh(prediction_id: UUID) -> bool:
    # The first 48 bits are the milliseconds at which it was made.
    return time.time() - (prediction_id.int >> 80) / 1_000 < settings.PREDICTION_LOG_SECONDS + _LATE


def count_request(*, door: str, key: WidgetKey, address: str) -> None:
    """Counts a request against the limits of its key and its network. Raises TooMany."""
    network = network_of(address)
    _count(door, {"key": str(key.pk)} | ({"network": f"{key.project_id}:{network}"} if network else {}))


def count_act(*, door: str, sender: Sender, prediction: UUID) -> None:
    """Counts what was said against the limits of its subject and its prediction. Raises TooMany."""
    _count(door, {"prediction": prediction.hex} | ({"subject": sender.subject} if sender.subject else {}))


def count_events(*, acts: Sequence[tuple[Sender, UUID]]) -> list[float | None]:
    """Counts events, of a sender about a prediction each, against the limits of both: for each the seconds to wait, or
    None when it is within them."""
    predictions = Counter(prediction.hex for _, prediction in acts)
    subjects = Counter(sender.subject for sender, _ in acts if sender.subject)
    limits = settings.FEEDBACK_PER_MINUTE
    of_prediction = count_hits("feedback.prediction_events", predictions, limits["prediction_events"])
    of_subject = count_hits("feedback.subject_events", subjects, limits["subject_events"])
    return [of_prediction[prediction.hex] or of_subject.get(sender.subject) for sender, prediction in acts]


def _count(door: str, counted: dict[str, str]) -> None:
    for name, who in counted.items():
        wait = count_hit(f"feedback.{name}", f"{door}:{who}", settings.FEEDBACK_PER_MINUTE[name])
        if wait is not None:
            raise TooMany(TOO_MANY, wait=wait)
