"""May a candidate become live? Evidence in, named checks out. Needs no numeric library: pages and doors ask too.

A check is passed, failed, or undecided: the data do not say. One that fails rejects the candidate. One that is
undecided leaves it a candidate, which only a person may make live.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from active_learning.core.audit import MIN_AUDITED, MIN_CALIBRATED, MIN_GROUP

# A candidate whose accuracy is less than that of `live` still counts as no worse when it is surely not this much lower.
MARGIN = 0.02
# A calibration error that is higher by no more than this is no worse: between resamples it moves as much.
CALIBRATION_MARGIN = 0.02
# One answer may take this many times as long as the live model's.
SLOWER = 1.5


class State(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value with its 95 % interval and the number of cases behind it."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class Check:
    """One question about the candidate. `unit` says how the figure is to be read: points, ratio, error, f1 or cost."""

    name: str
    title: str
    state: State
    words: str
    unit: str = ""
    figure: Figure | None = None
    is_decisive: bool = True

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Saved:
    """What the candidate saves an item against the live version, and what a mistake of that one costs on average."""

    figure: Figure
    a_mistake: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was measured on the audit split, candidate less live.

    `baselines` are comparisons as active_learning.core.evaluation stores them, in accuracy. `f1_gains` and `saved` are
    what the candidate gains over each in macro-F1, and what it saves of the costs that the owner named. `live` is the
    number of the version that it was measured against, None when none was live; `macro_f1` and `saved_of_live` are as
    for the baselines. `own_calibration` is the candidate's alone, as active_learning.core.calibration stores it.
    `segments` are the protected ones, by name.
    """

    n_audited: int
    baselines: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    f1_gains: Mapping[str, Figure] = field(default_factory=dict)
    saved: Mapping[str, Figure] = field(default_factory=dict)
    live: int | None = None
    accuracy: Figure | None = None
    macro_f1: Figure | None = None
    saved_of_live: Saved | None = None
    calibration: Figure | None = None
    own_calibration: Mapping[str, Any] | None = None
    latency: Figure | None = None
    segments: Mapping[str, Figure] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    state: State
    reason: str
    live: int | None
    checks: tuple[Check, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "state": self.state,
            "reason": self.reason,
            "live": self.live,
            "checks": [check.to_json() for check in self.checks],
        }


def judge(evidence: Evidence) -> Verdict:
    """The checks and what they come to. Too few audited items decide nothing."""
    if evidence.n_audited < MIN_AUDITED:
        words = f"insufficient data: {evidence.n_audited} of {MIN_AUDITED} audit items answered"
        check = Check("audited", "Enough audited items", State.UNDECIDED, words)
        return Verdict(State.UNDECIDED, words, evidence.live, (check,))
    checks = [
        _against_baseline(name, comparison, evidence.f1_gains.get(name), evidence.saved.get(name))
        for name, comparison in sorted(evidence.baselines.items())
    ]
    if evidence.live is not None:
        checks += [
            *_overall(evidence, evidence.live),
            _calibration(evidence, evidence.live),
            _latency(evidence.latency, evidence.live),
        ]
    checks += [_segment(name, figure) for name, figure in sorted(evidence.segments.items())]
    return _verdict(checks, evidence)


def _verdict(checks: list[Check], evidence: Evidence) -> Verdict:
    failed = [check for check in checks if check.state == State.FAILED]
    undecided = [check for check in checks if check.state == State.UNDECIDED and check.is_decisive]
    if failed:
        beaten = [check for check in failed if check.name.startswith("baseline")]
        parts = [check.words for check in failed if check not in beaten]
        if beaten:
            names = ", ".join(check.words for check in beaten)
            parts.insert(0, f"not better than the baseline: {names}")
        return Verdict(State.FAILED, "; ".join(parts)[:300], evidence.live, tuple(checks))
    if undecided:
        words = "; ".join(check.words for check in undecided)
        return Verdict(State.UNDECIDED, words[:300], evidence.live, tuple(checks))
    reason = f"beats every baseline on {evidence.n_audited} audit items"
    if evidence.live is not None:
        reason += f", no worse than model {evidence.live}"
    return Verdict(State.PASSED, reason, evidence.live, tuple(checks))


def _against_baseline(name: str, comparison: Mapping[str, Any], f1_gain: Figure | None, saved: Figure | None) -> Check:
    """By what mistakes cost, where the owner says it; else by how many are right or, because always saying the
    commonest of unequal labels is right most of the time and worth nothing, by macro-F1."""
    key, title = f"baseline:{name}", f"Better than the baseline {name}"
    if saved is not None:
        state = State.PASSED if saved.low > 0 else State.FAILED
        words = f"{name} (saves {_cost(saved.value)} an item, 95 % interval {_cost(saved.low)} to {_cost(saved.high)})"
        return Check(key, title, state, words, "cost", saved)
    figure = Figure(*(comparison[part] for part in ("difference", "low", "high", "n")))
    p = comparison["p_value"]
    words = f"{name} (p < 0.01)" if p < 0.01 else f"{name} (p = {p:.2f})"
    if comparison["is_better"] or f1_gain is None or f1_gain.low <= 0:
        state = State.PASSED if comparison["is_better"] else State.FAILED
        return Check(key, title, state, words, "points", figure)
    gain = f"macro-F1 {_signed(f1_gain.value)}, 95 % interval {_signed(f1_gain.low)} to {_signed(f1_gain.high)}"
    if figure.high < 0:
        words = f"{name}: {gain}, but {_points(figure.value)} points of accuracy; say what mistakes cost"
        return Check(key, title, State.UNDECIDED, words, "f1", f1_gain)
    return Check(key, title, State.PASSED, f"{name} ({gain})", "f1", f1_gain)


def _overall(evidence: Evidence, live: int) -> list[Check]:
    """Whether it is no worse than `live` taken as a whole: by cost where the owner says what mistakes cost."""
    if evidence.saved_of_live is not None:
        return [_cost_of(evidence.saved_of_live, live)]
    found = [_accuracy(evidence.accuracy, live)]
    figure = evidence.macro_f1
    if figure is not None and found[0].state != State.FAILED:
        said = f"{_signed(figure.value)}, 95 % interval {_signed(figure.low)} to {_signed(figure.high)}"
        is_more_often_right = evidence.accuracy is not None and evidence.accuracy.low > 0
        state, words = State.PASSED, said
        if figure.high < 0:
            state = State.UNDECIDED if is_more_often_right else State.FAILED
            words = f"worse than model {live} over all labels alike: macro-F1 {said}"
        found.append(Check("macro_f1", f"No worse than model {live} in macro-F1", state, words, "f1", figure))
    return found


def _cost_of(saved: Saved, live: int) -> Check:
    title, figure = f"No costlier than model {live}", saved.figure
    said = f"saves {_cost(figure.value)} an item, 95 % interval {_cost(figure.low)} to {_cost(figure.high)}"
    if figure.high < 0:
        state, words = State.FAILED, f"costlier than model {live}: {said}"
    elif figure.value >= 0 or figure.low > -MARGIN * saved.a_mistake:
        state, words = State.PASSED, f"against model {live}: {said}"
    else:
        state, words = State.UNDECIDED, f"not shown to be as cheap as model {live}: {said}"
    return Check("live", title, state, words, "cost", figure)


def _accuracy(figure: Figure | None, live: int) -> Check:
    title = f"No less accurate than model {live}"
    if figure is None:
        return Check("live", title, State.UNDECIDED, f"model {live} could not be measured beside it", "points")
    said = f"{_points(figure.value)} points, 95 % interval {_points(figure.low)} to {_points(figure.high)}"
    if figure.high < 0:
        state, words = State.FAILED, f"worse than model {live}: {said}"
    elif figure.value >= 0 or figure.low > -MARGIN:
        state, words = State.PASSED, f"against model {live}: {said}"
    else:
        state, words = State.UNDECIDED, f"not shown to be as good as model {live}: {said}"
    return Check("live", title, state, words, "points", figure)


def _calibration(evidence: Evidence, live: int) -> Check:
    """Where few items leave the difference open, the candidate is held against perfect calibration instead of against
    `live`: a chain of losses that are each too small to be shown would show there."""
    title = f"As well calibrated as model {live}"
    figure, own = evidence.calibration, evidence.own_calibration
    if evidence.n_audited < MIN_CALIBRATED:
        words = f"insufficient data: {evidence.n_audited} of {MIN_CALIBRATED} audit items"
        return Check("calibration", title, State.UNDECIDED, words, "error", is_decisive=False)
    if figure is None:
        return Check(
            "calibration", title, State.UNDECIDED, f"calibration of model {live} could not be measured", "error"
        )
    said = f"calibration error {_signed(figure.value)}, 95 % interval {_signed(figure.low)} to {_signed(figure.high)}"
    if figure.value <= CALIBRATION_MARGIN:
        state, words = State.PASSED, said
    elif figure.low > 0:
        state, words = State.FAILED, f"worse calibrated than model {live}: {said}"
    elif own is not None and own["low"] <= own["by_chance"]:
        state = State.PASSED
        words = f"{said}; its own error {own['ece']:.3f} is what chance does to a perfect one ({own['by_chance']:.3f})"
    else:
        state, words = State.UNDECIDED, f"not shown to be as well calibrated as model {live}: {said}"
    return Check("calibration", title, state, words, "error", figure)


def _latency(figure: Figure | None, live: int) -> Check:
    title = f"As fast as model {live}"
    if figure is None:
        return Check("latency", title, State.UNDECIDED, f"the speed of model {live} could not be measured", "ratio")
    said = f"{figure.value:.2f} times as long, 95 % interval {figure.low:.2f} to {figure.high:.2f}"
    if figure.value <= SLOWER:
        return Check("latency", title, State.PASSED, said, "ratio", figure)
    state = State.FAILED if figure.low > SLOWER else State.UNDECIDED
    return Check("latency", title, state, f"slower than model {live}: {said}", "ratio", figure)


def _segment(name: str, figure: Figure) -> Check:
    """Small segments say nothing and hold nothing up: they would for ever."""
    title = f"No worse for {name}"
    if figure.n < MIN_AUDITED:
        # The size of a small group is not told: it might tell of single people.
        counted = f"{figure.n} of {MIN_AUDITED}" if figure.n >= MIN_GROUP else f"fewer than {MIN_GROUP}"
        words = f"insufficient data on {name}: {counted} audit items"
        return Check(f"segment:{name}", title, State.UNDECIDED, words, "points", None, is_decisive=False)
    said = f"{_points(figure.value)} points, 95 % interval {_points(figure.low)} to {_points(figure.high)}"
    if figure.high < 0:
        return Check(f"segment:{name}", title, State.FAILED, f"worse for {name}: {said}", "points", figure)
    return Check(f"segment:{name}", title, State.PASSED, said, "points", figure)


def _points(share: float) -> str:
    return f"{100 * share:+.1f}".replace("-", "−")


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def _cost(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")
