"""Which passages a text's meaning hangs on: each is left out in turn, and the model is asked again.

A sentence embedding has no words in it that could be listed, so this is the one way to say what in the text moved it
(occlusion; Zeiler and Fergus 2014, Li, Monroe and Jurafsky 2016). It embeds the text once for each passage, all in one
batch: some milliseconds each, so it is done when somebody looks, never with every answer.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from active_learning.core.embedding import MAX_EMBEDDED_CHARACTERS
from active_learning.core.explain import (
    SIDE_NAMES,
    Contrast,
    Explainer,
    Rows,
    Span,
    item_of_rows,
    log_odds,
    without,
)
from active_learning.core.featurize import Featurizer, FeaturizerSpec, words_of
from active_learning.core.linear import LinearModel

MAX_PASSAGES = 24
# Fewer sentences or clauses would say too little; then groups of words do, so many of them.
ENOUGH, GROUPS = 8, 16
_SENTENCE_ENDS = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？])|\n+")
_CLAUSE_ENDS = re.compile(r"(?<=[,;:)])\s+|(?<=[，、；：])|\s+[–—-]\s+")


@dataclass(frozen=True, slots=True)
class PassageEffect:
    """How much the log-odds fall when the passage is left out: above 0 it speaks for the answer.

    `meaning` is the part of that which the embedding makes up; None where the score is no sum.
    """

    span: Span
    text: str
    effect: float
    meaning: float | None


def passages_of(text: str, most: int = MAX_PASSAGES) -> list[tuple[int, int]]:
    """The text in at most `most` pieces with a word in each: words, or sentences, or clauses, or groups of words.

    Only what the embedding reads is looked at (MAX_EMBEDDED_CHARACTERS).
    """
    text = text[:MAX_EMBEDDED_CHARACTERS]
    words = [match.span() for match in words_of(text) if match.group()[0].isalnum()]
    if len(words) <= most:
        return words
    pieces = _cut(text, _SENTENCE_ENDS)
    if len(pieces) < ENOUGH:
        pieces = [piece for whole in pieces for piece in _cut(text, _CLAUSE_ENDS, *whole)]
    if len(pieces) < ENOUGH:
        size = -(-len(words) // GROUPS)
        pieces = [(words[i][0], words[min(i + size, len(words)) - 1][1]) for i in range(0, len(words), size)]
    if len(pieces) > most:  # neighbours together, evenly
        edges = np.linspace(0, len(pieces), most + 1).astype(int)
        pieces = [(pieces[a][0], pieces[b - 1][1]) for a, b in pairwise(edges)]
    return pieces


def _cut(text: str, ends: re.Pattern[str], start: int = 0, end: int | None = None) -> list[tuple[int, int]]:
    """The pieces of text[start:end] between matches of `ends`, without their outer blanks; wordless ones left out."""
    end = len(text) if end is None else end
    marks = [start]
    for match in ends.finditer(text, start, end):
        marks += match.span()
    marks.append(end)
    found = []
    for first, last in zip(marks[::2], marks[1::2], strict=True):
        piece = text[first:last]
        if any(character.isalnum() for character in piece):
            found.append((first + len(piece) - len(piece.lstrip()), last - len(piece) + len(piece.rstrip())))
    return found


def occlude(
    explainer: Explainer,
    featurizer: Featurizer,
    rows: Rows,
    contrast: Contrast,
    *,
    vector: NDArray[np.float32] | None = None,
) -> list[PassageEffect]:
    """What each passage is worth, in reading order; nothing for an item without text.

    Raises EmbeddingUnavailable like Featurizer, which is the caller's.
    """
    spec = explainer.spec
    rows = tuple(_clipped(row, spec) for row in rows)
    spans = []
    texts = [
        (SIDE_NAMES[number] if spec.is_pair else "", name, row[name])
        for number, row in enumerate(rows)
        for name in spec.text_fields
        if isinstance(row.get(name), str)
    ]
    for side, name, text in texts:
        most = max(2, MAX_PASSAGES // len(texts))
        spans += [Span(side, name, start, end, 0.0) for start, end in passages_of(text, most)]
    if not spans:
        return []
    variants = [rows, *(without(rows, [span]) for span in spans)]
    block = featurizer.transform([item_of_rows(one, spec, vector) for one in variants])
    odds = log_odds(explainer.model, block, contrast)
    effects = odds[0] - odds[1:]
    meanings: Sequence[float | None] = [None] * len(spans)
    if isinstance(explainer.model, LinearModel) and spec.embedding_dimension:
        told = _embedding_part(explainer.model, block.dense[:, : spec.embedding_dimension], contrast)
        meanings = (told[0] - told[1:]).tolist()
    found = []
    for span, effect, meaning in zip(spans, effects.tolist(), meanings, strict=True):
        row = rows[SIDE_NAMES.index(span.side) if span.side else 0]
        found.append(
            PassageEffect(
                Span(span.side, span.field, span.start, span.end, effect),
                row[span.field][span.start : span.end],
                effect,
                meaning,
            )
        )
    return found


def _clipped(row: dict[str, object], spec: FeaturizerSpec) -> dict[str, object]:
    """The row with no more text than the embedding reads, so that leaving words out brings no later ones in."""
    cut, room = dict(row), MAX_EMBEDDED_CHARACTERS
    for name in spec.text_fields:
        value = cut.get(name)
        if isinstance(value, str):
            cut[name] = value[: max(room, 0)]
            room -= len(value) + 1
    return cut


def _embedding_part(model: LinearModel, dense: NDArray[np.floating], contrast: Contrast) -> NDArray[np.float64]:
    """What the embedding adds to the log-odds of each row."""
    weights = model.dense_weights[: dense.shape[1]].astype(np.float64)
    seen = model.seen.tolist()
    if contrast.first not in seen:
        return np.zeros(len(dense))
    own = weights[:, seen.index(contrast.first)]
    if contrast.second is not None and contrast.second in seen:
        own = own - weights[:, seen.index(contrast.second)]
    return np.asarray(dense.astype(np.float64) @ own / model.temperature)
