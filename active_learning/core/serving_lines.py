"""Settings of serving as an owner types them, one a line, and back. No numeric libraries."""

import re
from collections.abc import Iterator, Mapping, Sequence

from active_learning.core.expressions import ExpressionError, parse_expression
from active_learning.core.redaction import KEEPINGS
from active_learning.core.rules import MARK


def bands_problem(review_below: float, auto_above: float) -> str:
    """What is wrong with two boundaries in percent; empty when nothing is."""
    if not (0 <= review_below <= 100 and 0 <= auto_above <= 100):
        return "Both boundaries lie between 0 and 100."
    if review_below > auto_above:
        return (
            f"The bands overlap: below {review_below:g} % a person decides, so the model cannot decide alone above "
            f"{auto_above:g} %."
        )
    return ""


def bands_from_lines(text: str) -> dict[str, list[float]]:
    """Bands by label or segment, as shares, from lines such as "urgent => 60, 95" in percent: a person decides below
    the first number, the model alone above the second. Raises ValueError naming the line."""
    found: dict[str, list[float]] = {}
    for number, line in _lines(text):
        name, mark, rest = (part.strip() for part in line.rpartition(MARK))
        parts = [part.strip().removesuffix("%").strip() for part in rest.split(",")]
        try:
            low, high = (round(float(part) / 100, 6) for part in parts)
        except ValueError:
            low = high = -1.0
            mark = ""
        if not mark or not name:
            raise ValueError(f'Line {number} does not read "name {MARK} 50, 90".')
        if name in found:
            raise ValueError(f"Line {number}: {name} has bands already.")
        if problem := bands_problem(100 * low, 100 * high):
            raise ValueError(f"Line {number}: {problem}")
        found[name] = [low, high]
    return found


def bands_to_lines(bands: Mapping[str, Sequence[float]]) -> str:
    return "\n".join(f"{name} {MARK} {100 * low:g}, {100 * high:g}" for name, (low, high) in bands.items())


def edge_rules_from_lines(text: str) -> list[dict[str, str]]:
    """Rules from lines such as "amount > 1000 => large"; what a person reads may be left out.

    Raises ValueError naming the line and the character at which it cannot be read.
    """
    return [_edge_rule(number, line) for number, line in _lines(text)]


def _edge_rule(number: int, line: str) -> dict[str, str]:
    # The mark may also stand in a quoted text: the first one with a whole rule before it parts the two.
    problem: ExpressionError | None = None
    for at in [*(found.start() for found in re.finditer(MARK, line)), len(line)]:
        try:
            parse_expression(line[:at])
        except ExpressionError as error:
            problem = problem or error
        else:
            return {"when": line[:at].strip(), "why": line[at + len(MARK) :].strip()}
    assert problem is not None
    raise ValueError(f"Line {number}, character {problem.position + 1}: {problem.message}")


def edge_rules_to_lines(rules: Sequence[Mapping[str, str]]) -> str:
    lines = []
    for rule in rules:
        when, why = (" ".join(rule[name].splitlines()) for name in ("when", "why"))
        lines.append(when if why == when[: len(why)] and MARK not in when else f"{when} {MARK} {why}")
    return "\n".join(lines)


def keepings_from_lines(text: str) -> dict[str, str]:
    """How fields are logged, from lines such as "mail => never". Raises ValueError naming the line."""
    found: dict[str, str] = {}
    for number, line in _lines(text):
        name, mark, keeping = (part.strip() for part in line.rpartition(MARK))
        if not mark or not name or keeping not in KEEPINGS:
            raise ValueError(f'Line {number} does not read "field {MARK} {" or ".join(KEEPINGS)}".')
        found[name] = keeping
    return found


def keepings_to_lines(fields: Mapping[str, str]) -> str:
    return "\n".join(f"{name} {MARK} {keeping}" for name, keeping in fields.items())


def _lines(text: str) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip())
