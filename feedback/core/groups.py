"""What users say of parts of the predictions: of single segments, and week by week. Small parts are not told apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from feedback.core.rates import NO_PAIRS, Corrected, corrected_rate
from feedback.core.reliability import MIN_PAIRS, Pairs
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
    `complained`: wrong, of all predictions; `corrected`: the error rate behind that share, after how users of the
    segment mark mistakes (`as_marked` is "here"), or of all segments ("everywhere"; "": it is of no segment).

    A part that is too small has no shares.
    """

    name: Any
    counts: Counts
    spoken: Share | None = None
    raw: Share | None = None
    complained: Share | None = None
    corrected: Corrected = _TOO_SMALL
    as_marked: str = ""

    @property
    def is_small(self) -> bool:
        return self.counts.n_predictions < MIN_GROUP


def group_row(name: Any, counts: Counts, pairs: Pairs, own: Pairs | None = None) -> GroupRow:
    """The row of a part. `pairs` are those of the whole project, `own` those of its segment, None where it is of none.

    Where MIN_PAIRS of either kind are of the segment they are what corrects its rate, drawn to the rest. Else users are
    taken to mark mistakes alike everywhere.
    """
    # The log knows of fewer when older predictions were put away.
    n = max(counts.n_predictions, counts.n_spoken)
    if n < MIN_GROUP:
        return GroupRow(name, counts)
    is_own = own is not None and min(own.n_wrong, own.n_right) >= MIN_PAIRS
    used, others = (own, pairs - own) if own is not None and is_own else (pairs, NO_PAIRS)
    return GroupRow(
        name,
        replace(counts, n_predictions=n),
        spoken=wilson(counts.n_spoken, n),
        raw=wilson(counts.down, counts.up + counts.down, counts.effect),
        complained=wilson(counts.n_complained, n),
        corrected=corrected_rate(counts.n_complained, n, used, others),
        as_marked="here" if is_own else "everywhere" if own is not None else "",
    )


@dataclass(frozen=True, slots=True)
class Groups:
    """The parts that are large enough, the largest first, and how many others there are, with how many predictions."""

    rows: Sequence[GroupRow] = ()
    n_small: int = 0
    n_in_small: int = 0


def groups_of(counts: Mapping[Any, Counts], pairs: Pairs, own: Mapping[Any, Pairs]) -> Groups:
    """The segments by name, `own` being the pairs of each. Those of fewer than MIN_GROUP predictions, and what is
    beyond MAX_GROUPS, are only counted."""
    rows = [group_row(name, one, pairs, own.get(name, NO_PAIRS)) for name, one in counts.items()]
    rows.sort(key=lambda row: (-row.counts.n_predictions, str(row.name)))
    told = [row for row in rows if not row.is_small][:MAX_GROUPS]
    n_told = sum(row.counts.n_predictions for row in told)
    return Groups(tuple(told), len(rows) - len(told), sum(row.counts.n_predictions for row in rows) - n_told)
