"""From probabilities to a value that the schema allows."""

import numpy as np
from numpy.typing import NDArray

from active_learning.core.targets import decide
from labeling.core.schema import SchemaRules, Value


def likeliest_value(p: NDArray[np.float32], rules: SchemaRules) -> Value:
    """The likeliest value that the schema allows."""
    if rules.kind == "choices":
        order = np.argsort(-p, kind="stable")
        n = int(decide(p[None, :], is_multilabel=True).sum())
        n = min(max(n, rules.min or 0), rules.max if rules.max is not None else len(rules.labels))
        return sorted(rules.labels[i] for i in order[:n])
    label = rules.labels[int(p.argmax())]
    return int(label) if rules.kind == "rating" else label
