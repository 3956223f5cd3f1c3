"""What single hashed columns of a linear model say, without a table of all of them."""

import numpy as np
from numpy.typing import NDArray

from active_learning.core.linear import LinearModel


def column_weights(model: LinearModel, label: int, columns: NDArray[np.integer]) -> dict[int, float]:
    """What `LinearModel.word_weights` says of these columns, those that no labeled item has left out."""
    place = np.flatnonzero(model.seen == label)
    if not len(place) or not len(model.columns):
        return {}
    at = np.searchsorted(model.columns, columns).clip(max=len(model.columns) - 1)
    at = at[model.columns[at] == columns]
    rows = model.sparse_weights[at]
    own = rows[:, place[0]]
    if not model.is_multilabel and len(model.seen) > 1:
        own = (own * len(model.seen) - rows.sum(axis=1)) / (len(model.seen) - 1)
    return dict(zip(model.columns[at].tolist(), own.tolist(), strict=True))
