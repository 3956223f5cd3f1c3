"""What users say of parts of the predictions: of single segments, and week by week. Small parts are not told apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from feedback.core.rates import Corrected, corrected_rate
from feedback.core.reliability import Pairs
from labeling.core.shares import Share, wilson

# Of fewer predictions a figure says more of single users than of the model.
MIN_GROUP = 30
MAX_GROUPS = 50
_TOO_SMALL = Corrected(None, f"fewer than {MIN_GROUP} predictions")


@dataclass(frozen=True, slots=True)
class Counts:
    """Predictions; those about which somebody gave a thumb, and a thumb down; and the thumbs, with the design effect of
    their share (rates.design_effect)."""

    n_predictions: int = 0
    n_spoken: int = 0
    n_complained: int = 0
    up: int = 0
    down: int = 0
    effect: float = 1.0


@dataclass(frozen=True, slots=True)
class GroupRow:
    """One part of the predictions. `spoken`: about which somebody said something; `raw`: wrong, of all thumbs;
    `complained`: wrong, of all predictions; `corrected`: the error rate behind that share.

    A part that is too small has no shares.
    """

    name: Any
    counts: Counts
    spoken: Share | None = None
    raw: Share | None = None
    complained: Share | None = None
    corrected: Corrected = _TOO_SMALL

    @property
    def is_small(self) -> bool:
        return self.counts.n_predictions < MIN_GROUP


def group_row(name: Any, counts: Counts, pairs: Pairs) -> GroupRow:
    """The row of a part. `pairs` are those of the whole project: users are taken to mark mistakes alike everywhere."""
    # The log knows of fewer when older predictions were put away.
    n = max(counts.n_predictions, counts.n_spoken)
    if n < MIN_GROUP:
        return GroupRow(name, counts)
    return GroupRow(
        name,
        replace(counts, n_predictions=n),
        spoken=wilson(counts.n_spoken, n),
        raw=wilson(counts.down, counts.up + counts.down, counts.effect),
        complained=wilson(counts.n_complained, n),
        corrected=corrected_rate(counts.n_complained, n, pairs),
    )


@dataclass(frozen=True, slots=True)
class Groups:
    """The parts that are large enough, the largest first, and how many others there are, with how many predictions."""

    rows: Sequence[GroupRow] = ()
    n_small: int = 0
    n_in_small: int = 0


def groups_of(counts: Mapping[Any, Counts], pairs: Pairs) -> Groups:
    """The parts by name. Those of fewer than MIN_GROUP predictions, and what is beyond MAX_GROUPS, are only counted."""
    rows = [group_row(name, one, pairs) for name, one in counts.items()]
    rows.sort(key=lambda row: (-row.counts.n_predictions, str(row.name)))
    told = [row for row in rows if not row.is_small][:MAX_GROUPS]
    n_told = sum(row.counts.n_predictions for row in told)
    return Groups(tuple(told), len(rows) - len(told), sum(row.counts.n_predictions for row in rows) - n_told)
