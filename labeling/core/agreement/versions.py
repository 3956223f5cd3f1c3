"""Agreement of labels with what people said of the same items under a later version; and within one version."""

from collections.abc import Sequence

import numpy as np

from labeling.core.agreement.answers import Answers
from labeling.core.agreement.intervals import Coefficient, Panel, draw, measure
from labeling.core.agreement.report import code_sets, few_sets, overall, overall_of_sets
from labeling.core.schema import Kind, Value

SEED = 20_260_102


def alpha_between(old: Sequence[Value], new: Sequence[Value], kind: Kind) -> Coefficient:
    """Krippendorff's alpha of old and new answers, one of each an item: ordinal for ratings, MASI for sets of labels.

    The labels are all that were given before or after. A label that is gone agrees with none.
    """
    n = len(old)
    item, side = np.tile(np.arange(n), 2), np.repeat([0, 1], n)
    dice = np.random.default_rng(SEED)
    given = [*old, *new]
    if kind == "choices":
        chosen = [frozenset(value) if isinstance(value, list) else frozenset((str(value),)) for value in given]
        names = sorted(frozenset().union(*chosen))
        number = {name: place for place, name in enumerate(names)}
        codes, sets = code_sets(frozenset(number[name] for name in labels) for labels in chosen)
        said = tuple(" + ".join(sorted(names[place] for place in labels)) or "none" for labels in sets)
        panel = Panel.of(Answers(item, side, codes, said))
        return overall_of_sets(panel, sets, len(names), dice, people_known=False)[-1]
    values, codes = np.unique(np.array(given), return_inverse=True)
    is_rating = kind == "rating"
    scale = values.astype(np.float64) if is_rating else np.zeros(0)
    panel = Panel.of(Answers(item, side, codes, tuple(str(value) for value in values), scale))
    found = overall(panel, "ordinal" if is_rating else "nominal", dice, people_known=False)
    alphas = [one for one in found if one.title.startswith("Krippendorff's alpha")]
    return alphas[-1]


def percent_equal(answers: Answers, sets: Sequence[frozenset[int]] | None) -> Coefficient:
    """How often two people's answers to the same item are equal. Of sets of labels: the whole sets."""
    dice = np.random.default_rng(SEED)
    if sets is not None:
        _, answers, _ = few_sets(answers, sets, dice)
    panel = Panel.of(answers)
    same = np.eye(len(panel.answers.names))
    draws = draw(panel.patterns, dice)
    return measure(panel.patterns, panel.n, "Percent agreement", "percent", same, reason=panel.reason, draws=draws)
