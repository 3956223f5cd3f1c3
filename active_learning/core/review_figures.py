"""How the people behind the model do: what waits, how long it takes, and how often they say what the model said."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from labeling.core.shares import Share, wilson

# Fewer decisions say nothing of the slowest tenth.
FEWEST_FOR_P90 = 10


@dataclass(frozen=True, slots=True)
class JudgedReview:
    """A prediction that a reviewer decided. `was_sent`: the model gave it to a person; `is_blind`: unseen."""

    is_blind: bool
    was_sent: bool
    is_as_predicted: bool


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds from arrival to decision. `p90` is None where there are too few."""

    n: int
    median: float
    p90: float | None


def times_of(seconds: Sequence[float]) -> Times | None:
    """The median and the slowest tenth, by nearest rank; None without any."""
    if not seconds:
        return None
    ordered = sorted(seconds)
    n = len(ordered)

    def rank(share: float) -> float:
        return ordered[max(0, math.ceil(share * n) - 1)]

    return Times(n, rank(0.5), rank(0.9) if n >= FEWEST_FOR_P90 else None)


@dataclass(frozen=True, slots=True)
class Agreement:
    """Shares with Wilson's interval; None where nothing was judged.

    `blind` and `shown`: reviewers said what the model had said. Blind ones are drawn by chance from all predictions;
    those that were shown are the ones that the model was not sure of, and an answer that is shown draws people to it:
    the two say different things, and are never added up. `routing`: of the blind ones those that went where they
    should, to a person if the model was wrong and past one if it was right. `needed`: of all that the model sent to
    people and that was decided with its answer in sight, those where it was wrong.
    """

    blind: Share | None
    shown: Share | None
    routing: Share | None
    needed: Share | None


def agreement_of(judged: Sequence[JudgedReview]) -> Agreement:
    blind = [one for one in judged if one.is_blind]
    shown = [one for one in judged if not one.is_blind]
    sent = [one for one in shown if one.was_sent]
    return Agreement(
        blind=_share([one.is_as_predicted for one in blind]),
        shown=_share([one.is_as_predicted for one in shown]),
        routing=_share([one.was_sent != one.is_as_predicted for one in blind]),
        needed=_share([not one.is_as_predicted for one in sent]),
    )


def _share(found: Sequence[bool]) -> Share | None:
    return wilson(sum(found), len(found))


@dataclass(frozen=True, slots=True)
class Bar:
    """One day. `x` and `width` in percent of the picture, `y` and `height` in pixels."""

    day: date
    n: int
    x: float
    width: float
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class DayChart:
    height: int
    bottom: int
    most: int
    bars: tuple[Bar, ...]


def draw_days(counts: dict[date, int], *, last: date, n_days: int = 28) -> DayChart | None:
    """Decisions a day, up to `last`; None when there are none."""
    days = [last - timedelta(days=n_days - 1 - place) for place in range(n_days)]
    most = max(counts.get(day, 0) for day in days)
    if not most:
        return None
    top, bottom, step = 16, 104, 100 / n_days
    bars = []
    for place, day in enumerate(days):
        n = counts.get(day, 0)
        # What is there is seen, however small beside the tallest.
        height = max(2.0, round((bottom - top) * n / most, 1)) if n else 0.0
        bars.append(Bar(day, n, round(place * step + step * 0.12, 2), round(step * 0.76, 2), bottom - height, height))
    return DayChart(128, bottom, most, tuple(bars))
