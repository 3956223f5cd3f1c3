"""How a version's learner was chosen, in words. No numeric libraries: pages and cards show it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

KINDS = {
    "linear": "Linear",
    "ordinal": "Linear, points in their order",
    "pairwise": "Linear, mirrored pairs",
    "naive_bayes": "Naive Bayes",
    "boosting": "Boosted trees",
}
_SETTINGS = {"linear": "the linear ones", "naive_bayes": "naive Bayes", "boosting": "boosted trees"}


@dataclass(frozen=True, slots=True)
class TriedRow:
    """A candidate as a row. `macro_f1` is None where it is not defined."""

    name: str
    loss: float
    macro_f1: float | None
    is_chosen: bool


def tried_rows(search: Mapping[str, Any]) -> list[TriedRow]:
    """The candidates that were compared, in the order in which they were tried."""
    return [
        TriedRow(candidate_words(one["recipe"]), one["loss"], one["macro_f1"], place == search["chosen"])
        for place, one in enumerate(search["tried"])
    ]


def candidate_words(recipe: Mapping[str, Any]) -> str:
    """What a candidate is called: its kind, and in what it differs from others of that kind."""
    kind = recipe.get("kind", "linear")
    if kind == "naive_bayes":
        told = f"alpha {recipe['alpha']:g}"
    elif kind == "boosting":
        told = f"{recipe['rounds']} rounds of {recipe['leaves']} leaves"
    else:
        told = f"C {recipe['C']:g}"
    return f"{KINDS[kind]}, {told}"


def choice_words(search: Mapping[str, Any]) -> str:
    """How the learner was chosen, in a sentence or two."""
    setting = search["setting"]
    words = "" if setting == "automatic" else f"An owner chose {_SETTINGS[setting]}. "
    if search["unsuited"]:
        words += f"They are not used: {search['unsuited']}. "
    if not search["tried"]:
        return f"{words}The first candidate: {search['n_labels']:,} labels are too few to compare on."
    when = f" when model {search['by']} learned" if search["by"] else ""
    return f"{words}Compared{when} on {search['n']:,} labels, each judged by models that had not seen it."
