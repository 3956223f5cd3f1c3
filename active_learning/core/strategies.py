"""The names of the query strategies and what people read. No numeric libraries here: pages list them."""

RECOMMENDED = "recommended"
RANDOM = "random"

TITLES = {
    RECOMMENDED: "Recommended: typical items first, then torn ones that tell most",
    "margin": "Margin: the smallest lead of the likeliest label",
    "entropy": "Entropy: the least certain over all labels",
    "uncertainty": "Least confidence: the lowest best probability",
    RANDOM: "Random order",
    "modal:margin_sampling": "modAL: margin sampling",
    "modal:entropy_sampling": "modAL: entropy sampling",
    "modal:uncertainty_sampling": "modAL: uncertainty sampling",
    "modal:uncertainty_batch_sampling": "modAL: ranked batch sampling",
    "modal:vote_entropy": "modAL: committee of five models, vote entropy",
    "modal:min_confidence": "modAL: least confident label",
    "modal:avg_confidence": "modAL: mean confidence of the labels",
    "modal:max_score": "modAL: best label score",
    "modal:avg_score": "modAL: mean label score",
}
# What a replay plays unless it is told otherwise.
REPLAYED = (RECOMMENDED, "margin", "entropy", "uncertainty", RANDOM)
# Those that only make sense where an item may have several labels.
FOR_SEVERAL_LABELS = frozenset({"modal:min_confidence", "modal:avg_confidence", "modal:max_score", "modal:avg_score"})
# Members of a committee name one label each.
FOR_ONE_LABEL = frozenset({"modal:vote_entropy"})


def titles_for(kind: str) -> dict[str, str]:
    """The strategies that a project of this kind may choose from."""
    unsuited = FOR_ONE_LABEL if kind == "choices" else FOR_SEVERAL_LABELS
    return {name: title for name, title in TITLES.items() if name not in unsuited}
