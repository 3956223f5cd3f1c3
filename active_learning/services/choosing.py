"""Which learner a training uses: searched among a few, or as the last search found."""

from typing import Any

import numpy as np

from active_learning import selectors
from active_learning.core.featurize import FeaturizerSpec
from active_learning.core.material import Material
from active_learning.core.search import AUTOMATIC, LEAST_SEARCHED, candidates, holds, search, why_unsuited
from labeling.core.schema import SchemaRules
from labeling.models import Project


def choose_learner(
    *, project: Project, spec: FeaturizerSpec, rules: SchemaRules, material: Material, seed: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The recipe's parameters, and how they were chosen, as it is kept in the version's metrics.

    A search sees the training part alone. One stands until there are half more labels than it had, so that most
    trainings make no search; without enough labels the first candidate is taken.
    """
    setting = selectors.policy_of(project).learner
    recipes = candidates(rules.kind, spec, len(rules.labels), setting)
    n = len(material)
    newest = selectors.newest_version(project=project)
    earlier = newest.metrics.get("search") if newest else None
    if newest and earlier and newest.parameters.get("fingerprint") == spec.fingerprint and holds(earlier, recipes, n):
        chosen: dict[str, Any] = earlier | {"setting": setting, "by": earlier["by"] or newest.number}
    else:
        rng = np.random.default_rng(seed)
        enough = n >= LEAST_SEARCHED and len(recipes) > 1
        found = search(recipes, material, rng) if enough else None
        chosen = {"setting": setting, "n_labels": n, "by": None, "tried": [], "chosen": 0, "n": 0}
        chosen |= found.to_json() if found else {}
    chosen["unsuited"] = "" if setting == AUTOMATIC else why_unsuited(setting, rules.kind, spec, len(rules.labels))
    return recipes[chosen["chosen"]], chosen
