"""Against mobs: bursts that do not look like the days before, and subjects who have to earn belief."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

# Robust standard deviations from the usual.
MAX_Z = 6.0
MIN_BURST = 30
# Whoever complains less often in a burst is no mob: many people who complain once are a bad answer.
MIN_OF_A_SUBJECT = 3
# What is looked back on; fewer windows than this say nothing of what is usual.
MIN_WINDOWS = 6
# A new subject is believed like one who was right once and wrong three times.
PRIOR_RIGHT, PRIOR_WRONG = 1.0, 3.0


@dataclass(frozen=True, slots=True)
class Burst:
    """More in one window than is usual: `z` robust standard deviations above the median of those before."""

    count: int
    usual: float
    z: float


def burst(before: Sequence[int], count: int) -> Burst | None:
    """Whether `count` in this window is a burst after those of the windows `before`; None when it is none.

    The deviation is 1.4826 times the median absolute deviation, and no less than that of a Poisson count of the median:
    a quiet history must not make every second click an attack. Of a history shorter than MIN_WINDOWS the usual is taken
    as 0. A burst has at least MIN_BURST.
    """
    known = list(before) if len(before) >= MIN_WINDOWS else [0]
    usual = statistics.median(known)
    deviation = 1.4826 * statistics.median(abs(one - usual) for one in known)
    z = (count - usual) / max(deviation, math.sqrt(usual + 1))
    return Burst(count, usual, z) if count >= MIN_BURST and z > MAX_Z else None


def trust(n_right: int, n_judged: int) -> float:
    """How far a subject is believed, 0 to 1: the mean of a Beta posterior of how often people agreed with them."""
    return (n_right + PRIOR_RIGHT) / (n_judged + PRIOR_RIGHT + PRIOR_WRONG)
