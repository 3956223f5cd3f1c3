"""What speaks for and against each label in general: words and columns of the items that a model learned from.

A contribution is what the word or column adds to the label's log-odds, on the average of the items that have it,
against the average of the other labels (weights of a softmax are only defined up to a shift; this is their symmetric
form, Friedman, Hastie and Tibshirani 2010, Journal of Statistical Software 33). Of a model that is no sum, the column
is taken out of such items and the model asked again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from active_learning.core.blocks import FeatureBlock
from active_learning.core.explain import Explainer
from active_learning.core.featurize import NumericField, column_of, named_values, text_of, tokens
from active_learning.core.linear import LinearModel

# Words of fewer items are chance; so many words and columns are listed each way.
MIN_ITEMS = 3
SHOWN = 15
# For a model that is no sum: columns that are tried, and items of each.
TRIED_COLUMNS, TRIED_ITEMS = 120, 12
_LEAST = 1e-7


@dataclass(frozen=True, slots=True)
class Column:
    """A hashed column by what stands behind it, or a dense one (`dense` is its place) by its field.

    `name` is the word, or the field; `value` the range or category.
    """

    kind: str
    name: str
    value: str
    column: int
    dense: bool = False


@dataclass(frozen=True, slots=True)
class Driver:
    column: Column
    weight: float
    n: int


ForAndAgainst = tuple[tuple[Driver, ...], tuple[Driver, ...]]


@dataclass(frozen=True, slots=True)
class Drivers:
    """Of each label: what speaks for it and against it, heaviest first. `meaning_share`: how much of what moves the
    answers, for or against, is the meaning of whole texts, which has no columns to list; None where that is not
    known."""

    of_label: dict[str, ForAndAgainst]
    meaning_share: float | None


def columns_behind(rows: Sequence[Mapping[str, object]], explainer: Explainer) -> list[Column]:
    """The words and columns of flattened items that tell something to people: signs and word pairs are left out."""
    spec = explainer.spec
    numeric = {field.name: field for field in spec.numeric_fields}
    found: dict[int, Column] = {}
    for row in rows:
        for token in tokens(text_of(row, spec), 1):
            if any(map(str.isalnum, token)):
                place = column_of(token, spec.n_columns)
                found.setdefault(place, Column("word", token, "", place))
        for name, token in named_values(row, spec):
            place = column_of(token, spec.n_columns)
            if name in numeric:
                value = _range_words(token.rpartition("#")[2], numeric[name])
                found.setdefault(place, Column("number", name, value, place))
            else:
                value = token.partition("=")[2] or "missing"
                found.setdefault(place, Column("category", name, value, place))
    start = spec.dense_dimension - len(spec.numeric_fields)
    dense = [
        Column("number", field.name, "higher by its usual spread", start + i, dense=True)
        for i, field in enumerate(spec.numeric_fields)
    ]
    return [*found.values(), *dense]


def _range_words(part: str, field: NumericField) -> str:
    if part == "none":
        return "missing"
    place, edges = int(part), field.edges
    if not edges:
        return "any"
    if place == 0:
        return f"below {edges[0]:,.4g}"
    if place >= len(edges):
        return f"{edges[-1]:,.4g} or more"
    return f"{edges[place - 1]:,.4g} to {edges[place]:,.4g}"


def drivers_of(explainer: Explainer, block: FeatureBlock, columns: Sequence[Column]) -> Drivers:
    """What drives the model on these items (a block of those learned from). `columns` as columns_behind found them."""
    model = explainer.model
    sparse = sp.csc_matrix(block.sparse)
    n_with = np.diff(sparse.indptr)
    usual = [column for column in columns if column.dense or n_with[column.column] >= MIN_ITEMS]
    if not usual:
        return Drivers(dict.fromkeys(model.labels, ((), ())), None)
    if isinstance(model, LinearModel):
        weights, seen = _linear_weights(model, sparse, n_with, usual)
        share = _meaning_share(model, explainer, block)
    else:
        usual = sorted((c for c in usual if not c.dense), key=lambda c: -n_with[c.column])[:TRIED_COLUMNS]
        weights, seen, share = _tried_weights(explainer, block, sparse, usual), list(range(len(model.labels))), None
    found: dict[str, ForAndAgainst] = dict.fromkeys(model.labels, ((), ()))
    for own, label in zip(weights.T, seen, strict=True):
        drivers = [
            Driver(column, float(weight), len(block) if column.dense else int(n_with[column.column]))
            for column, weight in zip(usual, own, strict=True)
        ]
        drivers.sort(key=lambda driver: -driver.weight)
        told = tuple(driver for driver in drivers[:SHOWN] if driver.weight > 0)
        against = tuple(driver for driver in drivers[: -SHOWN - 1 : -1] if driver.weight < 0)
        found[model.labels[label]] = (told, against)
    return Drivers(found, share)


def _linear_weights(
    model: LinearModel, sparse: sp.csc_matrix, n_with: NDArray[np.integer], columns: Sequence[Column]
) -> tuple[NDArray[np.float64], list[int]]:
    means = np.asarray(sparse.sum(axis=0)).ravel() / np.maximum(n_with, 1)
    place_of = {int(column): i for i, column in enumerate(model.columns)}
    rows = np.zeros((len(columns), len(model.seen)))
    for i, column in enumerate(columns):
        if column.dense:
            rows[i] = model.dense_weights[column.column]
        elif column.column in place_of:
            rows[i] = model.sparse_weights[place_of[column.column]].astype(np.float64) * means[column.column]
    k = len(model.seen)
    if not model.is_multilabel and k > 1:
        rows = (rows * k - rows.sum(axis=1, keepdims=True)) / (k - 1)
    return rows / model.temperature, model.seen.tolist()


def _meaning_share(model: LinearModel, explainer: Explainer, block: FeatureBlock) -> float | None:
    width = explainer.spec.embedding_dimension
    if not width or not len(block):
        return None
    told = (block.dense[:, :width].astype(np.float64) - explainer.typical[:width]) @ model.dense_weights[:width]
    whole = model.scores(block).astype(np.float64) - model.bias
    other = whole - block.dense[:, :width].astype(np.float64) @ model.dense_weights[:width]
    meaning, rest = np.abs(told - told.mean(axis=1, keepdims=True)), np.abs(other - other.mean(axis=1, keepdims=True))
    total = float(meaning.sum() + rest.sum())
    return float(meaning.sum()) / total if total else None


def _tried_weights(
    explainer: Explainer, block: FeatureBlock, sparse: sp.csc_matrix, columns: Sequence[Column]
) -> NDArray[np.float64]:
    model = explainer.model

    def odds(p: NDArray[np.float32]) -> NDArray[np.float64]:
        clear = np.clip(p.astype(np.float64), _LEAST, 1 - _LEAST)
        return np.log(clear / (1 - clear))

    before = odds(model.predict_proba(block))
    found = np.zeros((len(columns), len(model.labels)))
    for i, column in enumerate(columns):
        rows = sparse.indices[sparse.indptr[column.column] : sparse.indptr[column.column + 1]][:TRIED_ITEMS]
        part = block.take(rows)
        gone = part.sparse.copy()
        gone.data[gone.indices == column.column] = 0.0
        after = odds(model.predict_proba(FeatureBlock(gone, part.dense)))
        found[i] = (before[rows] - after).mean(axis=0)
    return found
