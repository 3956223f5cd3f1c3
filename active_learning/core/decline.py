"""Whether the live model still gets as much right as it did when it became live."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from active_learning.core.audit import MIN_AUDITED
from labeling.core.shares import Share

# Points of accuracy below the promoted model's that are serious, whatever the project's own limit is.
CRITICAL_POINTS = 10.0


@dataclass(frozen=True, slots=True)
class Decline:
    """How many points of accuracy were lost, with the 95 % interval, and what that means.

    `verdict`: "steady" (less than the limit), "unsure" (the limit is reached, and chance may be why), "lost", or
    "critical" (more than CRITICAL_POINTS).
    """

    then: Share
    now: Share
    points: float
    low: float
    high: float
    verdict: str

    @property
    def is_lost(self) -> bool:
        return self.verdict in ("lost", "critical")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def decline(then: Share, now: Share | None, *, limit: float) -> Decline | None:
    """What was lost from `then` to `now`, shares of different audit items. None with fewer than MIN_AUDITED items.

    `limit` in points. The interval of the difference is Newcombe's of two Wilson intervals (1998, Statistics in
    Medicine 17:873, method 10). A loss counts when it reaches the limit and that interval does not hold 0.
    """
    if now is None or min(then.n, now.n) < MIN_AUDITED:
        return None
    lost = then.value - now.value
    low = lost - math.hypot(then.value - then.low, now.high - now.value)
    high = lost + math.hypot(then.high - then.value, now.value - now.low)
    points = 100 * lost
    # A limit is reached at the limit: 0.9 - 0.85 is a hair less than 0.05.
    if points < limit - 1e-9:
        verdict = "steady"
    elif low <= 0:
        verdict = "unsure"
    else:
        verdict = "critical" if points > CRITICAL_POINTS + 1e-9 else "lost"
    return Decline(then, now, points, 100 * low, 100 * high, verdict)
