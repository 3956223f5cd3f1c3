"""The queue's order: what the model wants, random draws and audit items, interleaved by share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class QueuePlace:
    """An item in line: why it is there, and with what probability chance put it there (None: chosen, not drawn)."""

    item_id: int
    reason: str
    detail: dict[str, Any] = field(default_factory=dict)
    propensity: float | None = None


def draw(ids: NDArray[np.int64], n: int, rng: np.random.Generator, reason: str) -> list[QueuePlace]:
    """`n` of `ids` at random without replacement, each with its probability of being among them."""
    n = min(n, len(ids))
    if n <= 0:
        return []
    chosen = rng.choice(ids, size=n, replace=False)
    return [QueuePlace(int(i), reason, {"drawn": n, "of": len(ids)}, n / len(ids)) for i in chosen]


def compose_queue(
    streams: Mapping[str, Sequence[QueuePlace]], shares: Mapping[str, float], size: int
) -> list[QueuePlace]:
    """Up to `size` places, taken from the streams so that every stretch of the line has about these shares.

    A stream that ends leaves its share to the others. An item stands in line once: of the streams that hold it, the
    drawn one keeps it (or chance would no longer be chance).
    """
    drawn = {place.item_id for places in streams.values() for place in places if place.propensity is not None}
    waiting = {
        name: [place for place in places if place.propensity is not None or place.item_id not in drawn]
        for name, places in streams.items()
    }
    taken = dict.fromkeys(waiting, 0)
    next_place = dict.fromkeys(waiting, 0)
    standing: set[int] = set()
    line: list[QueuePlace] = []
    while len(line) < size:
        alive = [name for name in waiting if next_place[name] < len(waiting[name]) and shares[name] > 0]
        if not alive:
            break
        # Who is furthest behind its share comes next; the larger share wins a tie.
        name = min(alive, key=lambda s: ((taken[s] + 1) / shares[s], -shares[s]))
        place = waiting[name][next_place[name]]
        next_place[name] += 1
        if place.item_id not in standing:
            standing.add(place.item_id)
            taken[name] += 1
            line.append(place)
    return line


def count_reasons(line: Sequence[QueuePlace]) -> dict[str, int]:
    """How many places each reason has."""
    counts: dict[str, int] = {}
    for place in line:
        counts[place.reason] = counts.get(place.reason, 0) + 1
    return counts
