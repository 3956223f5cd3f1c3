"""What a model may write down here: proposals for the items in the queue."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.utils import timezone

from labeling.core.schema import Value
from labeling.models import Project, Suggestion


@dataclass(frozen=True, slots=True)
class ItemSuggestion:
    """A proposed value with calibrated probabilities per label and the words that drove it."""

    item_id: int
    value: Value
    probabilities: dict[str, float]
    source: str
    words: list[dict[str, Any]] = field(default_factory=list)


def store_suggestions(*, project: Project, suggestions: Sequence[ItemSuggestion]) -> int:
    """Replaces the project's suggestions by these: how many there are now."""
    now = timezone.now()
    rows = [
        Suggestion(
            project=project,
            item_id=s.item_id,
            value=s.value,
            probabilities=s.probabilities,
            words=s.words,
            source=s.source,
            created_at=now,
        )
        for s in suggestions
    ]
    with transaction.atomic():
        Suggestion.objects.filter(project=project).delete()
        Suggestion.objects.bulk_create(rows, batch_size=500)
    return len(rows)
