"""How much a shown suggestion moves people, from assignments on which chance decided whether it was shown.

Plain arithmetic; what answers of the same people and to the same items are worth is in `clusters`.
"""

import math
from dataclasses import dataclass

from labeling.core.shares import Share

# With fewer answers in either group nothing is said.
LEAST_IN_GROUP = 20
# Who takes fewer suggestions than this leaves no doubt that they look.
STAMPED = 0.95


@dataclass(frozen=True, slots=True)
class Difference:
    """`value` is the first share minus the second, with the 95 % interval from `low` to `high`."""

    value: float
    low: float
    high: float


def difference(first: Share, second: Share) -> Difference:
    """The difference of two shares with its hybrid score interval.

    Newcombe (1998), Statistics in Medicine 17, 873-890, method 10: from the two Wilson intervals.
    """
    value = first.value - second.value
    below = math.hypot(first.value - first.low, second.high - second.value)
    above = math.hypot(first.high - first.value, second.value - second.low)
    return Difference(value, max(-1.0, value - below), min(1.0, value + above))


def stamps(shown: Share, hidden: Share) -> bool:
    """Whether somebody takes nearly every suggestion they see, and clearly more than people agree with hidden ones."""
    return shown.n >= LEAST_IN_GROUP and shown.value >= STAMPED and shown.low > hidden.value
