"""How often the answers are wrong, from what users say, corrected for how they say it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from feedback.core.reliability import MIN_PAIRS, SHRINK_TO, Pairs
from labeling.core.shares import Z95, Share

NO_PAIRS = Pairs()
# Of fewer subjects it cannot be told how alike one subject's verdicts are: they are taken to be all alike.
MIN_SUBJECTS = 10


@dataclass(frozen=True, slots=True)
class Voices:
    """The verdicts of some subjects, in sums over these: of each, `n` is how many they gave, `hits` how many of those
    have the property whose share is told."""

    subjects: int = 0
    n: int = 0
    hits: int = 0
    n_squared: int = 0
    hits_squared: int = 0
    hits_times_n: int = 0

    @classmethod
    def of(cls, given: Iterable[tuple[int, int]]) -> "Voices":
        """`given`: (hits, n) of each subject."""
        sums = [(1, n, hits, n * n, hits * hits, hits * n) for hits, n in given]
        return cls(*(sum(column) for column in zip(*sums, strict=True)))


def design_effect(voices: Voices) -> float:
    """How many verdicts say as much as one would if each came of a subject of its own, 1 or more.

    The variance of the share between subjects (linearized, of a ratio) over that of independent verdicts; at most that
    of subjects whose verdicts are all alike (Kish 1965: sum of squares / sum), which is taken below MIN_SUBJECTS and
    where all verdicts are the same.
    """
    n, k = voices.n, voices.subjects
    if n == 0:
        return 1.0
    alike, share = voices.n_squared / n, voices.hits / n
    if k < MIN_SUBJECTS or share in (0.0, 1.0):
        return alike
    # The sum of (hits - share n)^2.
    off = voices.hits_squared - 2 * share * voices.hits_times_n + share * share * voices.n_squared
    return min(max(1.0, k / (k - 1) * off / (n * share * (1 - share))), alike)


@dataclass(frozen=True, slots=True)
class Corrected:
    """The share of wrong answers behind the share of complaints, or why it cannot be told (`why`; then no share)."""

    share: Share | None
    why: str = ""


def corrected_rate(n_signals: int, n: int, pairs: Pairs, others: Pairs = NO_PAIRS) -> Corrected:
    """The error rate behind `n_signals` of `n` predictions that carry a signal (Rogan and Gladen 1978).

    (observed - false alarms) / (sensitivity - false alarms), cut to 0..1. The 95 % interval is Fieller's (1954) of this
    ratio: all rates r for which observed - r sensitivity - (1 - r) false alarms is within its error of 0; it counts
    in that sensitivity and false alarms are estimates too. Each of the three counts has one more of either kind.
    `others` are pairs of the rest of the project, if `pairs` are those of a part of it: their rates stand beside its
    own with the weight of at most SHRINK_TO pairs. Undefined below MIN_PAIRS judged wrong or right, and for a signal
    that does not surely tell the two apart: there the interval would have no end.
    """
    if min(pairs.n_wrong, pairs.n_right) < MIN_PAIRS:
        return Corrected(None, f"fewer than {MIN_PAIRS} judged wrong or judged right")
    if n == 0:
        return Corrected(None, "no predictions")
    seen, seen_error = _with_error(n_signals, n)
    on_wrong, n_wrong = _drawn(pairs.on_wrong, pairs.n_wrong, others.on_wrong, others.n_wrong)
    on_right, n_right = _drawn(pairs.on_right, pairs.n_right, others.on_right, others.n_right)
    hit, hit_error = _with_error(on_wrong, n_wrong)
    alarm, alarm_error = _with_error(on_right, n_right)
    z2, tells, above = Z95 * Z95, hit - alarm, seen - alarm
    # (above - r tells)^2 <= z2 (seen_error + r^2 hit_error + (1 - r)^2 alarm_error), as a r^2 + 2 b r + c <= 0
    a = tells**2 - z2 * (hit_error + alarm_error)
    if tells <= 0 or a <= 0:
        return Corrected(None, "the signal does not tell wrong from right")
    b = z2 * alarm_error - above * tells
    c = above**2 - z2 * (seen_error + alarm_error)
    root = math.sqrt(max(0.0, b * b - a * c))
    low, high = _cut((-b - root) / a), _cut((-b + root) / a)
    sensitivity, false_alarm = on_wrong / n_wrong, on_right / n_right
    value = (n_signals / n - false_alarm) / (sensitivity - false_alarm) if sensitivity > false_alarm else low
    return Corrected(Share(min(max(value, low), high), low, high, n))


def _drawn(given: int, n: int, given_elsewhere: int, n_elsewhere: int) -> tuple[float, float]:
    """The counts of a part, with those of the rest at the weight of SHRINK_TO."""
    strength = min(float(n_elsewhere), SHRINK_TO)
    return (given + strength * given_elsewhere / n_elsewhere, n + strength) if n_elsewhere else (given, n)


def _with_error(given: float, n: float) -> tuple[float, float]:
    """A share and its variance, with one more of either kind."""
    share = (given + 1) / (n + 2)
    return share, share * (1 - share) / (n + 2)


def _cut(value: float) -> float:
    return min(1.0, max(0.0, value))
