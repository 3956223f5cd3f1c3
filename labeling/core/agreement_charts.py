"""Pictures of a measured agreement as shapes: places along a picture in percent of its width, heights in pixels."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labeling.core.agreement_words import FIRM, TENTATIVE, confused

# With fewer shared items a pair's kappa is hardly more than chance: its cell stays grey.
FEW_SHARED = 5
# The band is drawn in a box this wide that is stretched over the plot.
BOX = 1_000


@dataclass(frozen=True, slots=True)
class Whisker:
    """A dot with its interval, and where the usual marks and chance stand."""

    x: float
    x_low: float | None
    x_high: float | None
    zero: float
    tentative: float
    firm: float


def lowest_of(coefficients: Sequence[Mapping[str, Any]]) -> float:
    """Where the axis of several coefficients begins: 0, or below the lowest of them and their intervals."""
    ends = [one["this_team"]["low"] if one["this_team"] else one["value"] for one in coefficients if _is_defined(one)]
    return max(-1.0, math.floor(min([0.0, *ends]) * 5) / 5)


def _is_defined(one: Mapping[str, Any]) -> bool:
    return one["value"] is not None


def draw_whisker(one: Mapping[str, Any], lowest: float) -> Whisker | None:
    """The dot of a coefficient on an axis from `lowest` to 1; None where it is not defined."""
    if not _is_defined(one):
        return None

    def x(value: float) -> float:
        return round(100 * (max(value, lowest) - lowest) / (1 - lowest), 2)

    team = one["this_team"]
    return Whisker(
        x(one["value"]),
        x(team["low"]) if team else None,
        x(team["high"]) if team else None,
        x(0.0),
        x(TENTATIVE),
        x(FIRM),
    )


@dataclass(frozen=True, slots=True)
class TimeDot:
    x: float
    y: float | None
    y_low: float | None
    y_high: float | None
    has_changed: bool


@dataclass(frozen=True, slots=True)
class Level:
    y: float
    text: str


@dataclass(frozen=True, slots=True)
class VersionMark:
    x: float
    text_y: float
    text: str


@dataclass(frozen=True, slots=True)
class TimeChart:
    """Alpha window by window. `height` and `bottom`: of the picture and of its plot, from the top in pixels."""

    height: int
    top: int
    bottom: int
    box: str
    line: str
    band: str
    dots: tuple[TimeDot, ...]
    levels: tuple[Level, ...]
    marks: tuple[VersionMark, ...]


def draw_time(windows: Sequence[Mapping[str, Any]], versions: Sequence[Mapping[str, Any]]) -> TimeChart | None:
    """The chart of at least two windows, an equal stretch each; None for fewer."""
    if len(windows) < 2:
        return None
    height, top, bottom = 260, 40, 226
    lowest = lowest_of([window["alpha"] for window in windows])
    n = len(windows)

    def y(value: float) -> float:
        return round(bottom - (bottom - top) * (max(value, lowest) - lowest) / (1 - lowest), 1)

    def x(place: float) -> float:
        return round(100 * place / n, 2)

    dots = []
    for place, window in enumerate(windows):
        one, team = window["alpha"], window["alpha"]["this_team"]
        value = one["value"]
        dots.append(
            TimeDot(
                x(place + 0.5),
                None if value is None else y(value),
                y(team["low"]) if team else None,
                y(team["high"]) if team else None,
                window["has_changed"],
            )
        )
    known = [dot for dot in dots if dot.y is not None]
    banded = [dot for dot in dots if dot.y_low is not None]
    scale = BOX / 100
    band = [f"{dot.x * scale:.1f},{dot.y_high}" for dot in banded] + [
        f"{dot.x * scale:.1f},{dot.y_low}" for dot in reversed(banded)
    ]
    steps = [value / 5 for value in range(round(lowest * 5), 6)]
    marks: list[VersionMark] = []
    for version in versions:
        if version["window"] is not None:
            at = x(version["window"])
            row = sum(1 for mark in marks if at - mark.x < 12)
            marks.append(VersionMark(at, 14 + 13 * min(row, 2), f"v{version['version']} {version['what']}"))
    return TimeChart(
        height=height,
        top=top,
        bottom=bottom,
        box=f"0 0 {BOX} {height}",
        line=" ".join(f"{dot.x * scale:.1f},{dot.y}" for dot in known),
        band=" ".join(band) if len(banded) > 1 else "",
        dots=tuple(dots),
        levels=tuple(Level(y(step), f"{step:.1f}") for step in steps),
        marks=tuple(marks),
    )


@dataclass(frozen=True, slots=True)
class Cell:
    """A pair in the heat map. `warmth` is 0 to 5 for kappa from 0 to 1, "minus" below, "few" where n is small."""

    kind: str
    text: str = ""
    words: str = ""


@dataclass(frozen=True, slots=True)
class HeatRow:
    number: int
    name: str
    cells: tuple[Cell, ...]


def draw_heat(pairs: Mapping[str, Any], names: Mapping[str, Mapping[str, str]]) -> list[HeatRow]:
    """Everybody against everybody, in the order in which those who answer alike stand together."""
    order = pairs["order"]
    found = {(row["first"], row["second"]): row for row in pairs["pairs"]}
    called = {number: names[str(number)]["name"] for number in order}
    rows = []
    for place, one in enumerate(order, start=1):
        cells = []
        for other in order:
            row = found.get((one, other)) or found.get((other, one))
            cells.append(Cell("self") if one == other else _cell(row, called[one], called[other]))
        rows.append(HeatRow(place, called[one], tuple(cells)))
    return rows


def _cell(row: Mapping[str, Any] | None, one: str, other: str) -> Cell:
    who = f"{one} and {other}"
    if row is None:
        return Cell("none", "", f"{who} share no item")
    kappa, n = row["kappa"], row["kappa"]["n"]["items"]
    shared = f"{n:,} shared item{'' if n == 1 else 's'}, {round(100 * row['percent'])} % equal"
    if kappa["value"] is None:
        return Cell("few" if n < FEW_SHARED else "none", "–", f"{who}: kappa not defined, {kappa['reason']}; {shared}")
    team = kappa["this_team"]
    limits = f", {team['low']:.2f} to {team['high']:.2f}" if team else ""
    words = f"{who}: kappa {kappa['value']:.2f}{limits}; {shared}"
    if n < FEW_SHARED:
        return Cell("few", f"{kappa['value']:.2f}", words)
    kind = "minus" if kappa["value"] < 0 else str(min(5, int(kappa["value"] * 6)))
    return Cell(kind, f"{kappa['value']:.2f}", words)


@dataclass(frozen=True, slots=True)
class ConfusionRow:
    """What somebody said on the `n` items of which most of the others said the same."""

    name: str
    n: int
    cells: tuple[Cell, ...]


def draw_confusion(confusion: Mapping[str, Any], labels: Sequence[str]) -> list[ConfusionRow]:
    """A row for each label that most others said of something, a column for every label."""
    found = {(cell.others, cell.said): cell for cell in confused(confusion)}
    rows = []
    for others, n in confusion["of"]:
        cells = []
        for said, name in enumerate(labels):
            cell = found.get((others, said))
            if cell is None:
                cells.append(
                    Cell(_warmth(0.0, n), "0", f"{name} where most others said {labels[others]}: never, of {n:,}")
                )
                continue
            share = cell.share
            words = (
                f"{name} where most others said {labels[others]}: {cell.n_items:,} of {n:,}, "
                f"{round(100 * share.low)} to {round(100 * share.high)} %"
            )
            cells.append(Cell(_warmth(share.value, n), f"{cell.n_items:,}", words))
        rows.append(ConfusionRow(labels[others], n, tuple(cells)))
    return rows


def _warmth(share: float, n: int) -> str:
    return "few" if n < FEW_SHARED else str(min(5, int(share * 6)))
