"""A version's stored metrics as a page shows them: figures, tables, and pictures as shapes. No numeric libraries."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from active_learning.core.audit import WORN_AFTER, optimism
from labeling.core.wording import LabelWord, seconds_words

# Of more labels, those with the least F1 come first and the others fold away.
LABELS_SHOWN = 20
# The reliability picture: a square plot in a box, in its own units.
BOX, EDGE, SIDE = 320, 44, 264


@dataclass(frozen=True, slots=True)
class LabelRow:
    """One label's counts and scores; each score is {value, low, high, n} or None."""

    word: LabelWord
    n_true: int
    n_said: int
    precision: Mapping[str, Any] | None
    recall: Mapping[str, Any] | None
    f1: Mapping[str, Any] | None
    auc: Mapping[str, Any] | None


def label_rows(metrics: Mapping[str, Any], word: Callable[[str], LabelWord]) -> list[LabelRow]:
    """All labels in the order of the schema; of more than LABELS_SHOWN, the least F1 first."""
    rows = []
    classes = metrics["audit"]["classes"]
    for entry, more in zip(classes, metrics["by_label"], strict=True):
        interval = more["f1_interval"]
        is_scored = entry["f1"] is not None and interval is not None
        f1 = {"value": entry["f1"], "low": interval[0], "high": interval[1]} if is_scored else None
        rows.append(
            LabelRow(
                word(entry["label"]),
                entry["n_true"],
                entry["n_predicted"],
                entry["precision"],
                entry["recall"],
                f1,
                more["auc"],
            )
        )
    if len(rows) > LABELS_SHOWN:
        rows.sort(key=lambda row: (row.f1 is None, row.f1["value"] if row.f1 else 0.0, -row.n_true))
    return rows


@dataclass(frozen=True, slots=True)
class HeatCell:
    """`kind` is 0 to 5 for the share of the row, "self" on the diagonal, "none" for nothing."""

    kind: str
    n: int
    words: str


@dataclass(frozen=True, slots=True)
class HeatRow:
    number: int
    name: str
    cells: tuple[HeatCell, ...]


def heat(confusion: Mapping[str, Any], word: Callable[[str], LabelWord]) -> list[HeatRow]:
    """The confusion as a heat map: rows what is true, columns what was said."""
    names = [word(label).text for label in confusion["labels"]]
    if confusion["n_merged"]:
        names.append(f"{confusion['n_merged']} other labels")
    rows = []
    for place, counts in enumerate(confusion["counts"]):
        total = sum(counts)
        cells = []
        for other, n in enumerate(counts):
            share = f", {round(100 * n / total)} % of them" if total else ""
            warmth = "none" if not n else str(min(5, int(n / total * 6)))
            is_same = place == other and not (confusion["n_merged"] and place == len(names) - 1)
            kind = "right" if is_same and n else warmth
            cells.append(HeatCell(kind, n, f"{names[place]} said to be {names[other]}: {n:,}{share}"))
        rows.append(HeatRow(place + 1, names[place], tuple(cells)))
    return rows


@dataclass(frozen=True, slots=True)
class ReliabilityDot:
    x: float
    y: float
    y_low: float
    y_high: float
    words: str


@dataclass(frozen=True, slots=True)
class Reliability:
    """The picture of confidence (across) against share right (up): the same scale both ways, so that the diagonal is
    what a calibrated model would draw."""

    box: str
    left: int
    top: int
    right: int
    bottom: int
    before: str
    after: str
    dots: tuple[ReliabilityDot, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]


def draw_reliability(calibration: Mapping[str, Any]) -> Reliability:
    def x(share: float) -> float:
        return round(EDGE + SIDE * share, 1)

    def y(share: float) -> float:
        return round(EDGE / 2 + SIDE * (1 - share), 1)

    def line(bins: Sequence[Mapping[str, Any]]) -> str:
        return " ".join(f"{x(one['confidence'])},{y(one['right']['value'])}" for one in bins)

    dots = [
        ReliabilityDot(
            x(one["confidence"]),
            y(one["right"]["value"]),
            y(one["right"]["low"]),
            y(one["right"]["high"]),
            f"said {_percent(one['confidence'])}, right {_percent(one['right']['value'])} of {one['right']['n']:,}",
        )
        for one in calibration["after"]["bins"]
    ]
    ticks = [0.0, 0.25, 0.5, 0.75, 1.0]
    return Reliability(
        box=f"0 0 {BOX} {BOX}",
        left=EDGE,
        top=EDGE // 2,
        right=EDGE + SIDE,
        bottom=EDGE // 2 + SIDE,
        before=line(calibration["before"]["bins"]),
        after=line(calibration["after"]["bins"]),
        dots=tuple(dots),
        x_ticks=tuple((x(tick), _percent(tick)) for tick in ticks),
        y_ticks=tuple((y(tick), _percent(tick)) for tick in ticks),
    )


def forecast_words(forecast: Mapping[str, Any], seconds_per_label: float | None, whose: str) -> list[str]:
    """What the forecast says, first the sentence, then how sure it is.

    `seconds_per_label` is None when nobody's pace is known; `whose` names it ("your").
    """
    if "why" in forecast:
        return [f"No forecast yet: {forecast['why']}."]
    goal = forecast["goal"]
    if goal is None:
        gain = 100 * forecast["gain_next"]
        likely = ""
        if "gain_high" in forecast:  # versions measured before it was told have none
            low, high = (f"{100 * forecast[name]:.1f}" for name in ("gain_low", "gain_high"))
            likely = f" (95 % of the resampled curves: {low} to {high})"
        return [
            f"100 more labels add {_less_than(gain)}{likely}.",
            f"The fitted curve ends near {_percent(forecast['ceiling'])}; the next goal lies further ahead than can be "
            "told from here.",
        ]
    pace = ""
    if seconds_per_label is not None:
        pace = f" ({_hours(goal['n_more'] * seconds_per_label)} at {whose} pace)"
    most = f"more than {_about(4 * forecast['n_labels']):,}, or never"
    # Rounded like what stands between them, or that might seem to lie outside.
    lowest = f"{_about(goal['low']) if goal['low'] else 0:,}"
    highest = most if goal["high"] is None else f"{_about(goal['high']):,}"
    after = ""
    if "gain_after_high" in goal:
        after = f" From there on they add at most {100 * goal['gain_after_high']:.1f} points for each 100."
    return [
        f"About {_about(goal['n_more']):,} more labels{pace} to reach {_percent(goal['accuracy'])}; after that "
        f"{_less_than(100 * goal['gain_after'])} for each 100.",
        f"95 % of the resampled curves get there after {lowest} to {highest}.{after}",
    ]


def _percent(share: float) -> str:
    return f"{round(100 * share)} %"


def _less_than(points: float) -> str:
    return f"less than {max(0.1, math.ceil(points * 10 + 1e-9) / 10):.1f} points"


def _about(n: int) -> int:
    """Two digits: more would promise what nobody knows."""
    size = 10 ** max(0, len(str(n)) - 2)
    return max(1, round(n / size) * size)


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else seconds_words(max(60.0, 60 * round(seconds / 60)))


@dataclass(frozen=True, slots=True)
class Condition:
    title: str
    holds: bool | None
    figure: str


def stop_conditions(stop: Mapping[str, Any], word: Callable[[str], LabelWord]) -> list[Condition]:
    """The three conditions of the stop advice, each with what it rests on."""
    found = []
    for condition in stop["conditions"]:
        title, figure = _SAID[condition["name"]](condition, word)
        found.append(Condition(title, condition["holds"], figure))
    return found


def _stable(condition: Mapping[str, Any], word: Callable[[str], LabelWord]) -> tuple[str, str]:
    title = "The last models say the same"
    kappas = ", ".join("not defined" if one is None else f"{one:.2f}" for one in condition["kappas"])
    if len(condition["kappas"]) < 3:
        said = f"kappa {kappas}; " if kappas else ""
        return title, f"{said}it takes four models to compare three pairs"
    mean = "not defined" if condition["mean"] is None else f"{condition['mean']:.3f}"
    few = "" if condition["n_labels"] >= 100 else f"; {condition['n_labels']} of 100 labels"
    return title, f"mean kappa {mean} of the last three pairs ({kappas}), above 0.95 is asked{few}"


def _covered(condition: Mapping[str, Any], word: Callable[[str], LabelWord]) -> tuple[str, str]:
    title = "Every label is known and said"
    if condition["holds"]:
        return title, f"all {condition['n_labels']} labels have 10 examples or more, and the model says each of them"
    parts = []
    for key, text in (("rare", "fewer than 10 examples"), ("never_said", "never said")):
        named = [word(label).text for label in condition[key]]
        more = condition[f"n_{key}"] - len(named)
        if named:
            parts.append(f"{text}: {', '.join(named)}{f' and {more} more' if more else ''}")
    return title, "; ".join(parts)


def _precise(condition: Mapping[str, Any], word: Callable[[str], LabelWord]) -> tuple[str, str]:
    title = "The audit could show a gain"
    if condition["holds"] is None:
        return title, "too few audit items"
    width, to_gain = 100 * condition["width"], 100 * condition["to_gain"]
    return title, f"its interval is {width:.1f} points wide, {to_gain:.1f} are left to gain, n {condition['n']:,}"


_SAID = {"stable": _stable, "covered": _covered, "precise": _precise}


@dataclass(frozen=True, slots=True)
class Wear:
    """How often the present audit sample was looked at, and by how many points the best of so many may be flattered."""

    n_looks: int
    points: float
    is_worn: bool


def wear_of(accuracy: Mapping[str, Any] | None, n_looks: int) -> Wear | None:
    """None before anything was measured."""
    if accuracy is None:
        return None
    return Wear(n_looks, 100 * optimism(accuracy["value"], accuracy["n"], n_looks), n_looks >= WORN_AFTER)
