"""Against mobs: bursts that do not look like the days before, and subjects who have to earn belief."""

import math
import statistics
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from labeling.core.shares import wilson

# Robust standard deviations from the usual.
MAX_Z = 6.0
MIN_BURST = 30
# Whoever complains less often in a burst is no mob: many people who complain once are a bad answer.
MIN_OF_A_SUBJECT = 3
# What is looked back on; fewer windows than this say nothing of what is usual.
MIN_WINDOWS = 6
# Before it is known how often users speak: of one answer in four, as if that had been seen of so many answers.
FIRST_SHARE, FIRST_ANSWERS = 0.25, 100
# What is known of who usually speaks comes of at least so many.
MIN_SPOKEN = 30
# Who proved right as often as this in what people judged too is no part of a mob.
TRUSTED = 0.75
# A new subject is believed like one who was right once and wrong three times.
PRIOR_RIGHT, PRIOR_WRONG = 1.0, 3.0


@dataclass(frozen=True, slots=True)
class Burst:
    """More in one window than is usual: `z` robust standard deviations above the median of those before."""

    count: int
    usual: float
    z: float


@dataclass(frozen=True, slots=True)
class Answered:
    """How many predictions were answered in the windows before, and in this one."""

    before: int
    now: int


def burst(before: Sequence[int], count: int, answered: Answered | None = None) -> Burst | None:
    """Whether `count` in this window is a burst after those of the windows `before`; None when it is none.

    The deviation is 1.4826 times the median absolute deviation, and no less than that of a Poisson count of the usual:
    a quiet history must not make every second click an attack. Of a history shorter than MIN_WINDOWS the median is
    taken as 0. Where it is known how many predictions were `answered`, the usual is at least as many as speak of so
    many answers: who answers more hears more, and a young project has users too. A burst has at least MIN_BURST.
    """
    known = list(before) if len(before) >= MIN_WINDOWS else [0]
    middle = usual = statistics.median(known)
    if answered is not None:
        share = (sum(before) + FIRST_SHARE * FIRST_ANSWERS) / (answered.before + FIRST_ANSWERS)
        usual = max(middle, min(1.0, share) * answered.now)
    deviation = 1.4826 * statistics.median(abs(one - middle) for one in known)
    z = (count - usual) / max(deviation, math.sqrt(usual + 1))
    return Burst(count, usual, z) if count >= MIN_BURST and z > MAX_Z else None


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who spoke, as they were named: whether the host vouches for them."""

    name: Hashable
    is_verified: bool


def is_stranger(who: Speaker, seen: Iterable[Hashable]) -> bool:
    """Nobody vouches for them, and they never spoke before."""
    return not who.is_verified and who.name not in seen


def strangers_flock(spoke: Sequence[Speaker], spoke_before: Sequence[Speaker]) -> bool:
    """Whether surely more of those who speak in a burst are strangers than usually: made-up names, each new.

    `spoke_before` is in order, the earliest first; what is usual is told by its later half, who might have been seen in
    the earlier one. The intervals of the two shares must not overlap. False as long as fewer than MIN_SPOKEN are there.
    """
    half = len(spoke_before) // 2
    if half < MIN_SPOKEN:
        return False
    seen = {one.name for one in spoke_before[:half]}
    n_usual = 0
    for one in spoke_before[half:]:
        n_usual += is_stranger(one, seen)
        seen.add(one.name)
    now = wilson(sum(is_stranger(one, seen) for one in spoke), len(spoke))
    usual = wilson(n_usual, len(spoke_before) - half)
    return now is not None and usual is not None and now.low > usual.high


def trust(n_right: int, n_judged: int) -> float:
    """How far a subject is believed, 0 to 1: the mean of a Beta posterior of how often people agreed with them."""
    return (n_right + PRIOR_RIGHT) / (n_judged + PRIOR_RIGHT + PRIOR_WRONG)
