"""How far what users do can be believed: each signal against predictions that people judged too.

A signal is something like "thumbs down" or "edited". Of the predictions that were judged wrong, some had it (its
sensitivity); of those that were judged right, some had it too (its false alarms). What it says is the ratio of the two.
"""

import math
from dataclasses import dataclass

from labeling.core.shares import Share, wilson

# Below so many judged wrong, or judged right, a signal is for looking at only.
MIN_PAIRS = 30
# The whole deployment speaks for a project as loudly as so many pairs of its own.
SHRINK_TO = 20.0


@dataclass(frozen=True, slots=True)
class Pairs:
    """Predictions that people judged: how many were wrong and right, and on how many of each the signal was given."""

    n_wrong: int = 0
    on_wrong: int = 0
    n_right: int = 0
    on_right: int = 0

    def __post_init__(self) -> None:
        if not (0 <= self.on_wrong <= self.n_wrong and 0 <= self.on_right <= self.n_right):
            raise ValueError("a signal cannot be given on more predictions than there are")

    def __sub__(self, other: "Pairs") -> "Pairs":
        return Pairs(
            self.n_wrong - other.n_wrong,
            self.on_wrong - other.on_wrong,
            self.n_right - other.n_right,
            self.on_right - other.on_right,
        )


@dataclass(frozen=True, slots=True)
class Reliability:
    """`sensitivity` P(signal | wrong) and `false_alarm` P(signal | right), shrunk to the whole, with 95 % intervals.

    `log_ratio` is the logarithm of the first over the second: above 0 the signal speaks for a mistake, below against.
    """

    sensitivity: Share
    false_alarm: Share
    n_wrong: int
    n_right: int

    @property
    def is_known(self) -> bool:
        return min(self.n_wrong, self.n_right) >= MIN_PAIRS

    @property
    def log_ratio(self) -> float:
        return math.log(self.sensitivity.value / self.false_alarm.value)

    @property
    def log_error(self) -> float:
        """The standard error of `log_ratio` (delta method, of the counts completed by the whole)."""
        return math.sqrt(sum((1 - one.value) / (one.value * one.n) for one in (self.sensitivity, self.false_alarm)))

    @property
    def tells(self) -> bool:
        """Whether it surely comes more often of one than of the other: the intervals do not overlap."""
        return self.sensitivity.low > self.false_alarm.high or self.false_alarm.low > self.sensitivity.high

    def weight(self, *, against: bool) -> float:
        """What the signal may weigh in evidence, if it means that the answer was wrong (`against`) or right.

        The logarithm; 0 as long as it is for looking at only, does not surely tell, or says the opposite of what it
        means. To read it the other way round would hand its sign to whoever turned it: a mob, or a page with its
        buttons swapped, which may be mended tomorrow.
        """
        if not (self.is_known and self.tells) or (self.log_ratio > 0) != against:
            return 0.0
        return self.log_ratio


def reliability_of(own: Pairs, others: Pairs = Pairs()) -> Reliability:
    """The reliability of a signal in one project. `others` are the pairs of all other projects.

    Beta(1, 1) smoothing of the others (Laplace); their rates then stand beside the project's own with the weight of at
    most SHRINK_TO pairs. Intervals are Wilson's of the counts so completed.
    """
    return Reliability(
        sensitivity=_shrunk(own.on_wrong, own.n_wrong, others.on_wrong, others.n_wrong),
        false_alarm=_shrunk(own.on_right, own.n_right, others.on_right, others.n_right),
        n_wrong=own.n_wrong,
        n_right=own.n_right,
    )


def _shrunk(given: int, n: int, given_elsewhere: int, n_elsewhere: int) -> Share:
    mean = (given_elsewhere + 1) / (n_elsewhere + 2)
    strength = min(2.0 + n_elsewhere, SHRINK_TO)
    found = wilson(given + mean * strength, n + strength)
    assert found is not None  # there are at least the two of Laplace
    return found
