"""The table of costs as an owner writes it: one kind of mistake a line. No numeric libraries: pages use it."""

from collections.abc import Mapping, Sequence
from typing import Any

from active_learning.core.rules import MARK

# Every label; and, with several labels an item, "not there".
ANY = "*"
ABSENT = "-"
MAX_COST = 1_000_000.0


def costs_from_lines(text: str) -> list[dict[str, Any]]:
    """Stored costs from lines such as "urgent => later: 10" (an urgent one said to be later costs 10).

    Raises ValueError naming the line.
    """
    stored = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        mistake, colon, cost = line.rpartition(":")
        true, mark, said = (part.strip() for part in mistake.partition(MARK))
        if not (colon and mark and true and said):
            raise ValueError(f'Line {number} does not read "true label {MARK} said label: cost".')
        try:
            stored.append({"true": true, "said": said, "cost": float(cost)})
        except ValueError:
            raise ValueError(f"Line {number}: a cost is a number, not {cost.strip() or 'nothing'}.") from None
    return stored


def costs_to_lines(stored: Sequence[Mapping[str, Any]]) -> str:
    """The same the other way round."""
    return "\n".join(f"{entry['true']} {MARK} {entry['said']}: {entry['cost']:g}" for entry in stored)


def check_costs(stored: object, labels: Sequence[str], *, is_multilabel: bool) -> None:
    """Raises ValueError, naming the entry, unless every entry names labels of the schema and a cost of 0 or more."""
    if not isinstance(stored, list):
        raise ValueError("Costs are a list.")
    known = {*labels, ANY} | ({ABSENT} if is_multilabel else set())
    for number, entry in enumerate(stored, start=1):
        if not isinstance(entry, Mapping) or set(entry) != {"true", "said", "cost"}:
            raise ValueError(f'Cost {number} needs "true", "said" and "cost".')
        for side in ("true", "said"):
            if entry[side] not in known:
                raise ValueError(f"Cost {number}: {entry[side]} is not a label of the schema.")
        cost = entry["cost"]
        if isinstance(cost, bool) or not isinstance(cost, int | float) or not 0 <= cost <= MAX_COST:
            raise ValueError(f"Cost {number}: a cost is a number from 0 to {MAX_COST:,.0f}.")
        if entry["true"] == entry["said"] != ANY:
            raise ValueError(f"Cost {number}: {entry['true']} said to be {entry['said']} is no mistake.")
        if is_multilabel and (entry["true"] == ABSENT) == (entry["said"] == ABSENT):
            raise ValueError(f"Cost {number}: with several labels an item, one side is {ABSENT} (not there).")
