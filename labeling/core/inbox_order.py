"""In which order reviewers look at things: by what a second of their time is expected to mend."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

# What it is worth to find out that something was wrong, in comparison. A dispute and a prediction that is not sure hold
# somebody up; a settled value, however doubtful, holds up nobody. What the owner gives to people by a rule matters too
# much to be left alone, and of what users complain about somebody has said already that it is wrong.
WORTH = {
    "edge": 2.0,
    "complaint": 1.5,
    "dispute": 1.0,
    "unsure": 1.0,
    "explore": 1.0,
    "flag": 0.5,
    "doubt": 0.5,
    "label_error": 0.25,
}
# The chance that looking changes something, where nothing says it of the single item: a rule of the owner's wants a
# person whatever the model says, a random check must not tell by its place what the model thinks of it, and stands in
# the midst of what the model is not sure of: what is measured by it must not wait for ever where days are too short.
CHANCE = {"edge": 0.5, "explore": 0.7, "flag": 0.5}
# Where a kind's priorities begin: complaints, disputes and unsure predictions bring their doubt as it is (1 - posterior
# or certainty), doubtful values and probable errors stand below 0 by their quality and their p-value.
BEGINS_AT = {"doubt": -2.0, "label_error": -3.0}
# A week of waiting counts as much as being worth twice as much, so nothing is passed over for ever.
DAYS_TO_DOUBLE = 7.0
# Before anything was measured.
USUAL_SECONDS = 20.0
# The median of a kind counts as much as that of all kinds when it comes from so many reviews.
HALF_TRUSTED_AT = 10
# Longer than this nobody looks at one item: the page was left open.
LONGEST_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Standing:
    """Why an item stands where it stands: `value` = worth x chance x waiting, over `seconds`, is `score`."""

    worth: float
    chance: float
    waiting: float
    seconds: float

    @property
    def value(self) -> float:
        return self.worth * self.chance * self.waiting

    @property
    def score(self) -> float:
        return self.value / self.seconds


def chance_of(reason: str, priority: float) -> float:
    """The chance, from 0 to 1, that looking changes something, as the priority of a review says it."""
    return CHANCE.get(reason, min(1.0, max(0.0, priority - BEGINS_AT.get(reason, 0.0))))


def standing_in_line(*, reason: str, priority: float, opened_at: datetime, now: datetime, seconds: float) -> Standing:
    """What a second of looking at it is expected to be worth; `seconds` is the usual time for its kind."""
    days = max(0.0, (now - opened_at).total_seconds() / 86_400)
    return Standing(WORTH[reason], chance_of(reason, priority), 1.0 + days / DAYS_TO_DOUBLE, seconds)


def usual_seconds(measured: Mapping[str, Sequence[float]], reasons: Sequence[str]) -> dict[str, float]:
    """The median seconds of reviewing each kind, drawn to that of all kinds where few were measured.

    Medians are weighed on the scale of their logarithm: n reviews of a kind against HALF_TRUSTED_AT of the whole, and
    the whole likewise against USUAL_SECONDS.
    """
    usual = _drawn([one for times in measured.values() for one in times], USUAL_SECONDS)
    return {reason: _drawn(measured.get(reason, ()), usual) for reason in reasons}


def _drawn(times: Sequence[float], towards: float) -> float:
    good = [max(1.0, one) for one in times]
    if not good:
        return towards
    weight = len(good) / (len(good) + HALF_TRUSTED_AT)
    return math.exp(weight * math.log(statistics.median(good)) + (1 - weight) * math.log(towards))
