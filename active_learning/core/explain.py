"""Why a model says what it says of one item: what each word and column adds to the score.

The question is always "why this label rather than the one that it would say next?": people ask for reasons against an
alternative (Miller 2019, Artificial Intelligence 267), the log-odds of those two labels are what an answer hangs on,
and they do not change with labels that are out of the question. With several labels an item, each is asked about alone:
why this label rather than not.

Where the score is a sum, the contributions are exact: they and the bias sum to the log-odds. Of any other model each
word and column is left out in turn, and the change of the log-odds is its contribution (occlusion; Zeiler and Fergus
2014, Li, Monroe and Jurafsky 2016); those need not sum.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from active_learning.core.blocks import FeatureBlock
from active_learning.core.featurize import (
    Featurizer,
    FeaturizerSpec,
    NumericField,
    RawItem,
    flatten,
    hashed_columns,
    named_values,
    number_of,
    places_of_texts,
    sides,
    text_of,
    text_places,
    word_shares,
    words_of,
)
from active_learning.core.learners import Model
from active_learning.core.linear import LinearModel

# Below this a probability is as good as 0: log-odds stay finite.
_LEAST = 1e-7
# Words that are left out in turn where the score is no sum.
MAX_LEFT_OUT = 64
SIDE_NAMES = ("a", "b")
# The item's text as one thing: its sentence embedding.
MEANING, WORD, NUMBER, CATEGORY, VECTOR = "meaning", "word", "number", "category", "vector"

Rows = tuple[dict[str, Any], ...]  # a flattened item, or the two things of a pair
IsWanted = Callable[[str, str, float], bool]  # whether a reason of this kind, name and weight is asked for


@dataclass(frozen=True, slots=True)
class Explainer:
    """A model, how its items become numbers, and the dense columns of a typical item, against which others are seen."""

    model: Model
    spec: FeaturizerSpec
    typical: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Contrast:
    """Why the label at position `first` rather than the one at `second`; or, without `second`, rather than not."""

    first: int
    second: int | None


@dataclass(frozen=True, slots=True)
class Span:
    """Characters start..end of a field of the flattened item. `side` is "a" or "b" in a pair, else empty."""

    side: str
    field: str
    start: int
    end: int
    weight: float


@dataclass(frozen=True, slots=True)
class Reason:
    """A word, a column or the meaning of the whole text, and what it adds to the log-odds of the contrast.

    `name` is the word or the field; `value` what stands in the field. A word that occurs twice is one reason.
    """

    kind: str
    name: str
    weight: float
    value: str = ""
    side: str = ""
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """The reasons, heaviest first. Where `is_exact`, they, `rest` (reasons that were not asked for) and `bias` (what
    the labels' frequencies say before the item is looked at) sum to `log_odds`."""

    contrast: Contrast
    log_odds: float
    reasons: tuple[Reason, ...]
    rest: float
    bias: float
    is_exact: bool


def typical_of(spec: FeaturizerSpec, center: NDArray[np.float64]) -> NDArray[np.float64]:
    """The dense columns of an item that says nothing: the pool's mean, and of a pair two equal sides, whose difference
    is 0. A vector speaks of both sides at once, so of it the mean stays."""
    if not spec.is_pair:
        return center
    typical = np.zeros_like(center)
    vector = slice(spec.embedding_dimension, spec.embedding_dimension + spec.vector_dimension)
    typical[vector] = center[vector]
    return typical


def contrast_of(p: NDArray[np.floating], *, is_multilabel: bool, label: int | None = None) -> Contrast:
    """The likeliest label, or the one asked about, against the likeliest of the others."""
    first = int(p.argmax()) if label is None else label
    if is_multilabel:
        return Contrast(first, None)
    others = np.array(p, dtype=np.float64)
    others[first] = -1.0
    return Contrast(first, int(others.argmax()))


def rows_of_item(data: Mapping[str, Any], spec: FeaturizerSpec) -> Rows:
    """The flattened item; of a pair both its things."""
    return tuple(flatten(side) for side in sides(data, spec.is_pair))


def item_of_rows(rows: Rows, spec: FeaturizerSpec, vector: NDArray[np.float32] | None = None) -> RawItem:
    """What the featurizer takes: flattened fields stay as they are."""
    return RawItem(dict(zip(SIDE_NAMES, rows, strict=True)) if spec.is_pair else rows[0], vector)


def log_odds(model: Model, block: FeatureBlock, contrast: Contrast) -> NDArray[np.float64]:
    """The calibrated log-odds of the contrast for each row. A label without examples has none: then it is 0."""
    if isinstance(model, LinearModel):
        first, second = _place(model, contrast.first), _place(model, contrast.second)
        if first is None:
            return np.zeros(len(block))
        scores = model.scores(block).astype(np.float64) / model.temperature
        return np.asarray(scores[:, first] - (scores[:, second] if second is not None else 0.0))
    p = np.clip(model.predict_proba(block).astype(np.float64), _LEAST, 1 - _LEAST)
    own = p[:, contrast.first]
    return np.asarray(np.log(own / (1 - own if contrast.second is None else p[:, contrast.second])))


def explain(
    explainer: Explainer,
    rows: Rows,
    block: FeatureBlock,
    contrast: Contrast,
    *,
    vector: NDArray[np.float32] | None = None,
    top: int | None = None,
) -> Explanation:
    """What speaks for and against, from features that are there already (`block` is the item's one row).

    Exact and cheap for a linear model, whatever the text; never an embedding is computed. `top` builds no more reasons
    than these: the others are summed in `rest`.
    """
    if isinstance(explainer.model, LinearModel):
        return explain_sum(explainer.model, explainer, rows, block.dense[0], contrast, top=top)
    return _by_leaving_out(explainer, rows, block, contrast, vector, top)


# Linear models


def _place(model: LinearModel, label: int | None) -> int | None:
    """The column of a label's weights; None for one without examples, or none at all."""
    found: list[int] = [] if label is None else np.flatnonzero(model.seen == label).tolist()
    return found[0] if found else None


def explain_sum(
    model: LinearModel,
    explainer: Explainer,
    rows: Rows,
    features: NDArray[np.floating],
    contrast: Contrast,
    *,
    top: int | None = None,
    is_wanted: IsWanted = lambda *_: True,
) -> Explanation:
    """`explain` for a model that is a sum; of the item's features it needs the dense ones alone. A reason that is not
    wanted is summed in `rest` like those beyond `top`."""
    first, second = _place(model, contrast.first), _place(model, contrast.second)
    if first is None:
        return Explanation(contrast, 0.0, (), 0.0, 0.0, True)
    spec = explainer.spec
    asked = _Asked(model, first, second)
    by_column = asked.beside(model.dense_weights)
    told = (features - explainer.typical) * by_column
    bias = float(asked.beside(model.bias)) + float(explainer.typical @ by_column)
    made = _Made()
    for number, row in enumerate(rows):
        made.words(row, SIDE_NAMES[number] if spec.is_pair else "", spec, -1.0 if number else 1.0, asked)
    fields = dict.fromkeys(spec.categorical_fields, 0.0) | {field.name: 0.0 for field in spec.numeric_fields}
    for number, row in enumerate(rows if fields else ()):
        tokens = list(named_values(row, spec))
        weights = asked.weights_of(hashed_columns([token for _, token in tokens], spec.n_columns))
        for (field, _), weight in zip(tokens, weights, strict=True):
            fields[field] += float(-weight if number else weight)
    start = 0
    for name, width in spec.dense_parts:
        part = told[start : start + width]
        start += width
        if name == "numeric":
            for numeric, share in zip(spec.numeric_fields, part, strict=True):
                fields[numeric.name] += float(share)
        else:
            made.add(Reason(MEANING if name == "embedding" else VECTOR, "", float(part.sum())))
    for reason in _field_reasons(rows, spec, fields):
        made.add(reason)
    reasons, rest = made.heaviest(top, is_wanted)
    total = sum(reason.weight for reason in reasons) + rest + bias
    return Explanation(contrast, float(total), reasons, rest, bias, True)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What one unit of a column adds to the log-odds of one seen label against another, or against none."""

    model: LinearModel
    first: int
    second: int | None

    def beside(self, weights: NDArray[np.float32]) -> NDArray[np.float64]:
        own = weights[..., self.first].astype(np.float64)
        return (own if self.second is None else own - weights[..., self.second]) / self.model.temperature

    def weights_of(self, columns: NDArray[np.int64]) -> NDArray[np.float64]:
        known = self.model.columns
        if not len(known):
            return np.zeros(len(columns))
        at = known.searchsorted(columns)
        at[at == len(known)] = 0
        return self.beside(self.model.sparse_weights[at]) * (known[at] == columns)


def _field_reasons(rows: Rows, spec: FeaturizerSpec, weights: Mapping[str, float]) -> list[Reason]:
    numbers = {field.name for field in spec.numeric_fields}
    return [
        Reason(NUMBER if name in numbers else CATEGORY, name, weight, value=_shown_value(rows, name))
        for name, weight in weights.items()
        if weight
    ]


def _shown_value(rows: Rows, name: str) -> str:
    shown = []
    for row in rows:
        value = row.get(name)
        if value is None or value == "" or value == []:
            shown.append("missing")
        else:
            shown.append(", ".join(map(str, value)) if isinstance(value, list) else str(value))
    return " / ".join(text[:200] for text in shown)


@dataclass(frozen=True, slots=True)
class _Words:
    """The words of one side, where they are, what each of them adds, and where the fields stand."""

    side: str
    words: Sequence[str]
    matches: Sequence[re.Match[str]]
    shares: Sequence[float]
    fields: Sequence[tuple[str, int, int, bool]]

    def weights(self) -> dict[str, float]:
        """Of each different word, in order of appearance."""
        found: dict[str, float] = {}
        for word, share in zip(self.words, self.shares, strict=True):
            found[word] = found.get(word, 0.0) + share
        return found

    def reason(self, word: str, weight: float) -> Reason:
        at = [i for i, one in enumerate(self.words) if one == word]
        spans = [
            Span(self.side, name, match.start() - start, match.end() - start, self.shares[i])
            for i, match in zip(at, (self.matches[i] for i in at), strict=True)
            for name, start, end, is_text in self.fields
            if is_text and start <= match.start() and match.end() <= end
        ]
        return Reason(WORD, self.matches[at[0]].group(), weight, side=self.side, spans=tuple(spans))


def _fields(row: Mapping[str, Any], spec: FeaturizerSpec) -> list[tuple[str, int, int, bool]]:
    """Where each text field stands in the joined text, and whether it is a text as it came."""
    return [(name, start, end, isinstance(row.get(name), str)) for name, start, end in places_of_texts(row, spec)]


class _Made:
    """Collects reasons; only the heaviest words get their places looked up, because a text may have thousands."""

    def __init__(self) -> None:
        # Weight, kind, name, and the reason or the words among which it is.
        self._found: list[tuple[float, str, str, Reason | _Words]] = []

    def add(self, reason: Reason) -> None:
        if reason.weight:
            self._found.append((reason.weight, reason.kind, reason.name, reason))

    def words(self, row: Mapping[str, Any], side: str, spec: FeaturizerSpec, sign: float, asked: _Asked) -> None:
        if not spec.text_fields:
            return
        places = text_places(text_of(row, spec), spec)
        parts = sign * asked.weights_of(places.columns) * places.units
        shares = word_shares(parts, len(places.words), spec.ngram_max).tolist()
        own = _Words(side, places.words, places.matches, shares, _fields(row, spec))
        self._found += [(weight, WORD, word, own) for word, weight in own.weights().items() if weight]

    def heaviest(self, top: int | None, is_wanted: IsWanted) -> tuple[tuple[Reason, ...], float]:
        """The reasons that were asked for, and the sum of the others."""
        reasons: list[Reason] = []
        rest = 0.0
        for weight, kind, name, source in sorted(self._found, key=lambda one: -abs(one[0])):
            if (top is None or len(reasons) < top) and is_wanted(kind, name, weight):
                reasons.append(source if isinstance(source, Reason) else source.reason(name, weight))
            else:
                rest += weight
        return tuple(reasons), rest


# Any model


def words_in(rows: Rows, spec: FeaturizerSpec) -> list[Reason]:
    """Each different word of the item with its places, in order of appearance; weights are 0."""
    found = []
    for number, row in enumerate(rows):
        matches = list(words_of(text_of(row, spec)))
        words = [match.group().lower() for match in matches]
        side = SIDE_NAMES[number] if spec.is_pair else ""
        every = _Words(side, words, matches, [0.0] * len(words), _fields(row, spec))
        found += [every.reason(word, 0.0) for word in every.weights()]
    return [reason for reason in found if reason.spans]


def without(rows: Rows, spans: Sequence[Span]) -> Rows:
    """The item without these characters."""
    cut = [dict(row) for row in rows]
    for span in sorted(spans, key=lambda span: -span.start):
        row = cut[SIDE_NAMES.index(span.side) if span.side else 0]
        text = str(row[span.field])
        row[span.field] = text[: span.start] + text[span.end :]
    return tuple(cut)


def with_same_embedding(
    explainer: Explainer, variants: Sequence[Rows], block: FeatureBlock, vector: NDArray[np.float32] | None
) -> FeatureBlock:
    """Features of changed items whose meaning is taken to be the same: cheap, since no embedding is computed."""
    spec = explainer.spec
    width = spec.embedding_dimension
    plain = Featurizer(replace(spec, embedding="", embedding_version="", embedding_dimension=0))
    made = plain.transform([item_of_rows(rows, spec, vector) for rows in variants])
    meaning = np.repeat(block.dense[:, :width].astype(np.float32), len(variants), axis=0)
    return FeatureBlock(made.sparse, np.hstack([meaning, made.dense.astype(np.float32)]))


def _by_leaving_out(
    explainer: Explainer,
    rows: Rows,
    block: FeatureBlock,
    contrast: Contrast,
    vector: NDArray[np.float32] | None,
    top: int | None,
) -> Explanation:
    spec, model = explainer.spec, explainer.model
    words = words_in(rows, spec)
    # Of more words than can be tried, the longest: short ones are mostly those that every text has.
    words = sorted(words, key=lambda word: -len(word.name))[:MAX_LEFT_OUT]
    numeric = {field.name: field for field in spec.numeric_fields}
    fields = [*spec.categorical_fields, *numeric]
    variants = [without(rows, word.spans) for word in words]
    variants += [_typical_in(rows, name, numeric.get(name)) for name in fields]
    tried = with_same_embedding(explainer, [rows, *variants], block, vector)
    tried.dense[0] = block.dense[0]
    parts = [(name, start, width) for name, start, width in _wide_parts(spec)]
    for _, start, width in parts:
        whole = block.dense.astype(np.float32)
        whole[0, start : start + width] = explainer.typical[start : start + width]
        tried = FeatureBlock(sp.csr_matrix(sp.vstack([tried.sparse, block.sparse])), np.vstack([tried.dense, whole]))
    odds = log_odds(model, tried, contrast)
    effects = odds[0] - odds[1:]
    reasons = [
        replace(word, weight=float(effect), spans=tuple(replace(s, weight=float(effect)) for s in word.spans))
        for word, effect in zip(words, effects[: len(words)], strict=True)
    ]
    by_field = dict(zip(fields, effects[len(words) :].tolist(), strict=False))
    reasons += _field_reasons(rows, spec, by_field)
    for (name, _, _), effect in zip(parts, effects[len(words) + len(fields) :], strict=True):
        reasons.append(Reason(MEANING if name == "embedding" else VECTOR, "", float(effect)))
    found = sorted((reason for reason in reasons if reason.weight), key=lambda reason: -abs(reason.weight))
    kept = found if top is None else found[:top]
    rest = sum(reason.weight for reason in found[len(kept) :])
    return Explanation(contrast, float(odds[0]), tuple(kept), float(rest), 0.0, False)


def _wide_parts(spec: FeaturizerSpec) -> list[tuple[str, int, int]]:
    """Name, start and width of the embedding and the owner's vector among the dense columns."""
    found, start = [], 0
    for name, width in spec.dense_parts:
        if name != "numeric":
            found.append((name, start, width))
        start += width
    return found


def _typical_in(rows: Rows, name: str, field: NumericField | None) -> Rows:
    """The item with a typical number in a field, or nothing in a category."""
    value = None if field is None else field.center
    return tuple(row | {name: value} if number_of(row.get(name)) is not None or field is None else row for row in rows)
