"""Complaints in the reviewers' inbox: one entry an item, with what its users say of it now."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Any

from active_learning.models import Prediction
from active_learning.selectors import VECTOR_FIELD
from active_learning.services.decisions import ask_a_person
from feedback import selectors
from feedback.core.complaints import Chance, chance_wrong
from feedback.core.statements import REASONS
from feedback.models import CurrentVerdict, FeedbackEvent
from labeling.models import Item, Project, ReviewItem
from labeling.services.inbox import MAY_GO, restate_reason
from labeling.services.passing import ORIGIN, come_back, leave
from labeling.services.routed import Routed, route_to_review

REASON = ReviewItem.Reason.COMPLAINT.value
MAX_SHOWN = 20


def bring_before_a_person(*, verdict: CurrentVerdict, prediction: Prediction, project: Project, now: datetime) -> None:
    """Puts the complaint into the inbox, or takes it out again when nobody complains any more.

    Belongs into the caller's transaction. An answer that is judged blind anyway stays blind, and one whose input was
    not kept, or not as models see it, cannot be judged: neither is brought, and both are counted.
    """
    if verdict.item_id is None:
        if prediction.input is None or not prediction.is_whole:
            return
        verdict.item_id = _item_of(prediction, project, now)
        verdict.save(update_fields=["item"])
    if verdict.item_id is not None and not prediction.is_explored:
        restate(item_ids=[verdict.item_id], now=now)
        ask_a_person(project=project, prediction=prediction, item_id=verdict.item_id)


def restate(*, item_ids: Iterable[int], now: datetime) -> None:
    """What the inbox says of the complaints about these items, as they are now; an item that only complaints brought
    leaves the pool with the last of them. Belongs into a transaction: it holds the items' rows."""
    items = Item.objects.select_for_update(no_key=True).filter(pk__in=list(item_ids)).order_by("pk")
    for item in items.only("pk", "project_id", "split", "state", "origin", "gold"):
        complaints = selectors.complaints_about(item_id=item.pk)
        if complaints.n:
            come_back(items=[item])
        is_asked = item.split != Item.Split.AUDIT and item.state not in (Item.State.RESOLVED, Item.State.EXCLUDED)
        is_told = is_asked and bool(complaints.n)
        chance = _chance(item, complaints.confidence) if is_told else Chance(0.0)
        restate_reason(
            project_id=item.project_id,
            item_id=item.pk,
            reason=REASON,
            evidence=_evidence(complaints, chance) if is_told else None,
            priority=round(chance.value, 4) if is_told else 0.0,
            now=now,
        )
        if not complaints.n:
            leave(item=item)


def _item_of(prediction: Prediction, project: Project, now: datetime) -> int | None:
    """The item of the prediction's input, new or there, with its row held; None for what cannot be an item."""
    data = dict(prediction.input or {})
    features = data.pop(VECTOR_FIELD) if isinstance(data.get(VECTOR_FIELD), list) else None
    row = Routed(
        data=data,
        reason=REASON,
        evidence=_said(prediction) | MAY_GO,
        meta={"segment": prediction.segment} if prediction.segment else {},
        features=features,
    )
    return route_to_review(project=project, rows=[row], now=now, origin=ORIGIN)[0]


def _said(prediction: Prediction) -> dict[str, Any]:
    """The prediction as the inbox shows a suggestion."""
    version = prediction.version
    return {
        "prediction": str(prediction.pk),
        "value": prediction.value,
        "probabilities": dict(sorted(prediction.probabilities.items(), key=lambda pair: -pair[1])[:MAX_SHOWN]),
        "words": prediction.words,
        "source": f"model {version.number}" if version else "rules",
    }


def _said_then(complaint: CurrentVerdict) -> dict[str, Any]:
    """The same of the prediction that somebody complains about; what is left of it, when its row has gone."""
    prediction = Prediction.objects.select_related("version").filter(pk=complaint.prediction).first()
    if prediction is not None:
        return _said(prediction)
    return {
        "prediction": str(complaint.prediction),
        "value": complaint.said,
        "probabilities": {},
        "words": [],
        "source": f"model {complaint.model}" if complaint.model else "rules",
    }


def _evidence(complaints: selectors.About, chance: Chance) -> dict[str, Any]:
    newest = complaints.newest
    events = [complaint.event for complaint in newest if complaint.event is not None]
    corrections = Counter(str(event.correction) for event in events if event.correction is not None)
    value_of = {str(event.correction): event.correction for event in events if event.correction is not None}
    return _said_then(newest[0]) | {
        "chance": {name: one if one is None else round(one, 4) for name, one in asdict(chance).items()},
        "n": complaints.n,
        "n_verified": complaints.n_verified,
        "n_predictions": complaints.n_predictions,
        "comments": _by_cause(events)[:MAX_SHOWN],
        "corrections": [{"value": value_of[text], "n": n} for text, n in corrections.most_common(MAX_SHOWN)],
        "reasons": [
            {"words": REASONS[code], "n": n}
            for code, n in Counter(reason for event in events for reason in event.reasons).most_common()
        ],
        "signals": selectors.signals_on(predictions={complaint.prediction for complaint in newest}),
    }


def _by_cause(events: list[FeedbackEvent]) -> list[dict[str, Any]]:
    """What they wrote, that of the commonest cause first."""
    causes = Counter(reason for event in events for reason in event.reasons)
    written = [event for event in events if event.comment]
    # The sort keeps the newest first among equals.
    written.sort(key=lambda event: -max((causes[reason] for reason in event.reasons), default=0))
    return [
        {
            "text": event.comment,
            "at": event.created_at.isoformat(),
            "is_verified": event.is_verified,
            "why": ", ".join(REASONS[reason] for reason in event.reasons).lower(),
        }
        for event in written
    ]


def _chance(item: Item, confidence: float | None) -> Chance:
    """What a look is expected to mend: how likely the answer is wrong, of which the model was so sure."""
    signals = selectors.signals_by_subject(item_id=item.pk)
    return chance_wrong(confidence, signals, selectors.known_ratios(project_id=item.project_id))
