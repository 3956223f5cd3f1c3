"""Who stands where: the answers to one item, grouped by what they say."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from labeling.core.schema import Value

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
FEWEST_FOR_MAJORITY = 3


@dataclass(frozen=True, slots=True)
class Side:
    """One value and who gave it: places in the list of answers."""

    letter: str
    value: Any
    places: tuple[int, ...]


def sides_of(values: Sequence[Value]) -> list[Side]:
    """The different values, the most frequent first; equally frequent ones in alphabetical order."""
    places: dict[str, list[int]] = {}
    for place, value in enumerate(values):
        places.setdefault(json.dumps(value), []).append(place)
    ordered = sorted(places.items(), key=lambda side: (-len(side[1]), side[0]))
    return [
        Side(LETTERS[number] if number < len(LETTERS) else str(number + 1), values[at[0]], tuple(at))
        for number, (_, at) in enumerate(ordered)
    ]


def clear_majority(values: Sequence[Value]) -> Value | None:
    """The value that at least two thirds of three or more answers share; None when there is none."""
    if len(values) < FEWEST_FOR_MAJORITY:
        return None
    top = sides_of(values)[0]
    # In whole numbers: two of three is exactly two thirds.
    return top.value if 3 * len(top.places) >= 2 * len(values) else None


def most_frequent(values: Sequence[Value]) -> Value | None:
    """The value that more answers share than any other; None when two are as frequent or there are none."""
    sides = sides_of(values)
    if not sides or (len(sides) > 1 and len(sides[0].places) == len(sides[1].places)):
        return None
    return sides[0].value
