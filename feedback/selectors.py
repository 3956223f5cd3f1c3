"""What is read of feedback."""

from typing import Any

from feedback.models import CurrentVerdict, FeedbackEvent
from labeling.core.wording import answers_of
from labeling.models import LabelSchema, Project


def complaints_about(*, item_id: int) -> list[CurrentVerdict]:
    """Those who say now that the answer to this item is wrong, the newest first; the quarantined left out."""
    found = CurrentVerdict.objects.filter(
        item_id=item_id, verdict=FeedbackEvent.Verdict.DOWN, quarantined_at__isnull=True
    )
    return list(found.select_related("event").order_by("-changed_at"))


# A picker of more is none; a correction may still name any label.
MAX_CHOICES = 50


def correction_choices(*, project: Project, said: Any = None) -> tuple[list[dict[str, Any]], bool]:
    """What a correction may say, as {value, name}, and whether it is a list of these. One query.

    What was `said` is no correction of it.
    """
    schema = LabelSchema.objects.current(project.pk)
    answers = [answer for answer in answers_of(schema.kind, schema.config) if answer.value != said]
    shown = [{"value": answer.value, "name": answer.text} for answer in answers[:MAX_CHOICES]]
    return shown, schema.kind == "choices"


def said_by(*, event: FeedbackEvent) -> Any:
    """What the prediction says that the event is about."""
    same = CurrentVerdict.objects.filter(prediction=event.prediction, subject=event.subject, channel=event.channel)
    return same.values_list("said", flat=True).first()
