"""What is asked of a model before people rely on it, each line filled from measurements or left to a person.

The lines are those of a release review: does it meet its purpose, for everybody, at the edges, with honest confidence,
fast enough; can it be stored, loaded, replaced?
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from active_learning.core.gate import State

# What no measurement can tell: the approver ticks it.
BY_PERSON = {
    "solves_problem": "It solves the problem that it is for",
    "understandable": "Who uses it understands what it says",
    "shift": "It was tried on what may come: other sources, other times",
    "integration": "What will call it has been tried with it",
    "ethics": "Nobody is harmed or treated unfairly by its mistakes",
}

# The calibration error to aim at.
WELL_CALIBRATED = 0.05
_EDGES = "an item without a known word, and one far from all others, get a proper answer"


@dataclass(frozen=True, slots=True)
class Line:
    """`state` is the gate's, or None where a person has not ticked yet. `name` is set where a person ticks."""

    title: str
    state: State | None
    words: str
    name: str = ""


def fill(
    *,
    gate: Mapping[str, Any],
    calibration: Mapping[str, Any] | None,
    explains: str,
    segments: Mapping[str, Any],
    recent: tuple[bool, str] | None,
    rollback_to: int | None,
    ticked: Sequence[str] = (),
) -> list[Line]:
    """The checklist of a version. `gate` is as stored with it; without one nothing was measured. `calibration` is what
    active_learning.core.calibration found, None with too few audit items.

    `explains` says how an answer is explained, `segments` is what active_learning.services.evaluation stored of them,
    `recent` whether the data are and how recent
    (None when not known), `rollback_to` which version takes over when this one fails.
    """
    checks = {check["name"]: check for check in gate.get("checks", ())}
    measured = gate.get("measured", {})
    known = f"{measured.get('known_inputs', 0)} known inputs are asked at each loading"
    lines = [
        _of_checks(
            "It is better than doing without",
            [c for n, c in checks.items() if n.startswith("baseline")],
            "too few audit items are answered",
        ),
        _of_checks(
            "It is no worse than what is live",
            [c for n, c in checks.items() if n in ("live", "macro_f1")],
            "none was live beside it",
        ),
        _of_checks(
            "It is no worse for any protected segment",
            [c for n, c in checks.items() if n.startswith("segment")],
            "none was live beside it" if gate.get("live") is None else "no segment is marked as protected",
        ),
        _alike(segments),
        _calibration(checks, calibration),
        _fast(checks, measured),
        _measured("It answers items that are empty or strange", measured.get("answers_to_nothing"), _EDGES),
        _measured("Its answers can be explained", True, explains),
        _measured("It has learned from recent data", *(recent or (None, ""))),
        _measured("It can be stored, loaded and checked", bool(measured.get("known_inputs")) or None, known),
        Line("There is something to fall back on", State.UNDECIDED, "no other version was live yet")
        if rollback_to is None
        else Line("There is something to fall back on", State.PASSED, f"model {rollback_to} is one rollback away"),
    ]
    people = [
        Line(title, State.PASSED if name in ticked else None, "ticked by the approver" if name in ticked else "", name)
        for name, title in BY_PERSON.items()
    ]
    return lines + people


def _of_checks(title: str, checks: Sequence[Mapping[str, Any]], otherwise: str) -> Line:
    if not checks:
        return Line(title, State.UNDECIDED, otherwise)
    states = {check["state"] for check in checks}
    for state in (State.FAILED, State.UNDECIDED):
        if state in states:
            return Line(title, state, "; ".join(check["words"] for check in checks if check["state"] == state))
    return Line(title, State.PASSED, "; ".join(check["words"] for check in checks))


def _alike(segments: Mapping[str, Any]) -> Line:
    """Whether protected groups get the favourable label alike: the four-fifths convention, on both ratios."""
    title = "Protected groups get the favourable label alike"
    ratios = [
        (f"{key['key']}: {group['group']}", words, ratio)
        for key in segments.get("keys", ())
        for group in key["groups"]
        for words, part in (("gets it", "disparate_impact"), ("gets it where it is due", "equal_opportunity"))
        if (ratio := group.get(part)) and not ratio["is_reference"]
    ]
    if not ratios:
        return Line(title, State.UNDECIDED, "no protected segment and favourable label, or too few audit items")
    below = [one for one in ratios if one[2]["is_below"]]
    state = State.PASSED
    if below:
        state = State.FAILED if any(ratio["is_surely_below"] for _, _, ratio in below) else State.UNDECIDED
    told = [
        f"{name} {words} {ratio['value']:.2f} times as often as the group that gets it most "
        f"({ratio['low']:.2f} to {ratio['high']:.2f}, n {ratio['n']:,})"
        for name, words, ratio in below
    ]
    return Line(title, state, "; ".join(told) or f"no ratio of {len(ratios)} is below four fifths")


def _calibration(checks: Mapping[str, Any], found: Mapping[str, Any] | None) -> Line:
    title = "It is as sure as it is right"
    if found is None:
        return Line(title, State.UNDECIDED, "not enough data yet")
    state = State.PASSED if found["ece"] <= WELL_CALIBRATED else State.UNDECIDED
    is_shown = found["low"] > max(found["by_chance"], WELL_CALIBRATED)
    if is_shown or ("calibration" in checks and checks["calibration"]["state"] == State.FAILED):
        state = State.FAILED
    words = (
        f"expected calibration error {found['ece']:.3f}, 95 % interval {found['low']:.3f} to {found['high']:.3f}, on "
        f"{found['n']:,} audit items; chance alone gives {found['by_chance']:.3f}; {WELL_CALIBRATED} is the aim"
    )
    return Line(title, state, words)


def _fast(checks: Mapping[str, Any], measured: Mapping[str, Any]) -> Line:
    title = "It is fast enough"
    if "latency_ms" not in measured:
        return Line(title, State.UNDECIDED, "not enough data yet")
    state = State(checks["latency"]["state"]) if "latency" in checks else State.PASSED
    return Line(title, state, f"{measured['latency_ms']:.2f} ms an answer, once its features are there")


def _measured(title: str, found: bool | None, words: str) -> Line:
    if found is None:
        return Line(title, State.UNDECIDED, "not enough data yet")
    return Line(title, State.PASSED if found else State.FAILED, words)
