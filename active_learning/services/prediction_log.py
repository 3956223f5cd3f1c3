"""The log of predictions."""

from collections.abc import Sequence

from active_learning.models import Prediction


def record(*, rows: Sequence[Prediction]) -> None:
    """Writes the rows."""
    Prediction.objects.bulk_create(rows)
