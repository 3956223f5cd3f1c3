"""What the page about feedback shows, put together from counts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from feedback.core.rates import Corrected, corrected_rate
from feedback.core.reliability import Pairs, Reliability, reliability_of
from feedback.core.signals import speaks_against
from labeling.core.shares import Share, wilson

# The signals that are weighed, in the order in which they are shown.
SIGNALS = {
    "thumbs_down": "Thumbs down",
    "thumbs_up": "Thumbs up",
    "correction": "Correction",
    "rating_down": "Rating of 1 or 2",
    "rating_up": "Rating of 4 or 5",
    "flag_down": "Flag",
    "edited": "Edited by 30 % or more",
    "undone": "Undone",
    "dismissed": "Dismissed",
    "accepted": "Accepted",
    "copied": "Copied",
    "converted": "Converted",
}
# What users did, as the list of the latest says it.
DID = {
    "shown": "saw it",
    "accepted": "took it",
    "edited": "edited it",
    "undone": "undid it",
    "dismissed": "dismissed it",
    "copied": "copied it",
    "dwell": "had it on the screen",
    "converted": "went on to what it was for",
}
SAID = {"up": "said it is right", "down": "said it is wrong", "neutral": "said neither", "undo": "took it back"}
# What the error rate is told from.
MAIN = "thumbs_down"


def pairs_of(right: Mapping[Any, bool], signals: Mapping[Any, Iterable[str]]) -> dict[str, Pairs]:
    """For each signal its pairs. `right`: the judged predictions, and whether they were right; `signals`: what each
    prediction carries."""
    n_right = sum(right.values())
    on: dict[tuple[str, bool], int] = {}
    for prediction, names in signals.items():
        if prediction in right:
            for name in set(names):
                on[name, right[prediction]] = on.get((name, right[prediction]), 0) + 1
    return {
        name: Pairs(len(right) - n_right, on.get((name, False), 0), n_right, on.get((name, True), 0))
        for name in SIGNALS
    }


@dataclass(frozen=True, slots=True)
class SignalRow:
    """One signal: how often it was given, and what it has shown itself to be worth."""

    name: str
    words: str
    n: int
    reliability: Reliability

    @property
    def says(self) -> str:
        found = self.reliability
        if not found.is_known:
            return "monitoring only"
        if not found.tells:
            return "hardly tells: the intervals overlap"
        if not self.weight:
            return "counts for nothing: it comes the wrong way round"
        return "speaks for a mistake" if found.log_ratio > 0 else "speaks for the answer"

    @property
    def weight(self) -> float:
        """What it may weigh in evidence."""
        return self.reliability.weight(against=speaks_against(self.name))


@dataclass(frozen=True, slots=True)
class Arrival:
    """One thing that a user said or did, as it came."""

    at: datetime
    words: str
    detail: str
    is_said: bool
    is_verified: bool


def arrived(said: Iterable[Mapping[str, Any]], did: Iterable[Mapping[str, Any]], *, most: int) -> list[Arrival]:
    """The latest of both, the newest first. `said`: {created_at, verdict, correction, comment, is_verified}; `did`:
    {received_at, name, value, is_verified}."""
    rows = [
        Arrival(
            one["created_at"],
            SAID[one["verdict"]],
            " · ".join(filter(None, [_corrected(one["correction"]), f"“{one['comment']}”" if one["comment"] else ""])),
            True,
            one["is_verified"],
        )
        for one in said
    ]
    rows += [Arrival(one["received_at"], DID[one["name"]], _measure(one), False, one["is_verified"]) for one in did]
    return sorted(rows, key=lambda row: row.at, reverse=True)[:most]


def _corrected(value: Any) -> str:
    if value is None:
        return ""
    return f"right would be {', '.join(map(str, value)) if isinstance(value, list) else value}"


def _measure(event: Mapping[str, Any]) -> str:
    if event["value"] is None:
        return ""
    return f"{event['value']:.0f}\u202fs" if event["name"] == "dwell" else f"{100 * event['value']:.0f}\u202f%"


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One version: what users say of it. `raw` is wrong of all thumbs, `complained` wrong of all predictions."""

    model: int | None
    n_predictions: int
    up: int
    down: int
    n_complained: int
    raw: Share | None
    complained: Share | None
    corrected: Corrected


def version_row(
    model: int | None, *, n_predictions: int, up: int, down: int, effect: float, n_complained: int, pairs: Pairs
) -> VersionRow:
    """`n_complained`: predictions with thumbs down; more than the log knows of when older ones were put away. `effect`
    is the design effect of the thumbs (rates.design_effect)."""
    n_predictions = max(n_predictions, n_complained)
    return VersionRow(
        model,
        n_predictions,
        up,
        down,
        n_complained,
        raw=wilson(down, up + down, effect),
        complained=wilson(n_complained, n_predictions),
        corrected=corrected_rate(n_complained, n_predictions, pairs),
    )


def signal_rows(given: Mapping[str, int], own: Mapping[str, Pairs], whole: Mapping[str, Pairs]) -> list[SignalRow]:
    """The signals that were given at all, or ever judged."""
    rows = []
    for name, words in SIGNALS.items():
        mine = own.get(name, Pairs())
        if given.get(name) or mine.on_right or mine.on_wrong:
            others = whole.get(name, Pairs())
            rows.append(SignalRow(name, words, given.get(name, 0), reliability_of(mine, _beside(others, mine))))
    return rows


def _beside(whole: Pairs, own: Pairs) -> Pairs:
    """The others alone. The whole may have been counted a moment before: then it holds less than the project's own."""
    try:
        return whole - own
    except ValueError:
        return Pairs()


@dataclass(frozen=True, slots=True)
class Bar:
    """One day of the chart: rectangles in its units."""

    day: date
    up: int
    down: int
    x: float
    width: float
    up_y: float
    up_height: float
    down_y: float
    down_height: float


@dataclass(frozen=True, slots=True)
class DayChart:
    """Verdicts a day, those of wrong below those of right, on one scale from 0."""

    width: int
    height: int
    most: int
    bars: Sequence[Bar] = field(default_factory=tuple)


def draw_days(counts: Mapping[date, tuple[int, int]], *, last: date, n_days: int = 30) -> DayChart | None:
    """The last days; None when nobody said anything in them. `counts`: (up, down) of each day."""
    days = [last - timedelta(days=back) for back in range(n_days - 1, -1, -1)]
    most = max((sum(counts.get(day, (0, 0))) for day in days), default=0)
    if not most:
        return None
    width, height = 600, 120
    step = width / n_days
    bars = []
    for place, day in enumerate(days):
        up, down = counts.get(day, (0, 0))
        down_height, up_height = height * down / most, height * up / most
        down_y = height - down_height
        bars.append(
            Bar(
                day,
                up,
                down,
                round(place * step + 1, 2),
                round(step - 2, 2),
                round(down_y - up_height, 2),
                round(up_height, 2),
                round(down_y, 2),
                round(down_height, 2),
            )
        )
    return DayChart(width, height, most, tuple(bars))
