"""What would change the answer: the fewest words to leave out, and the smallest change of one column.

A counterfactual in the sense of Wachter, Mittelstadt and Russell (2018, Harvard Journal of Law and Technology 31):
found by search, and always asked of the model itself before it is told. It says how the model answers, not what is
true. Searching for the fewest words is hard in general (they may only work together); this search is greedy, so a
smaller set may exist where it found several words, and none is claimed to exist where it found none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from active_learning.core.blocks import FeatureBlock
from active_learning.core.explain import (
    Contrast,
    Explainer,
    Reason,
    Rows,
    item_of_rows,
    log_odds,
    with_same_embedding,
    without,
    words_in,
)
from active_learning.core.featurize import Featurizer, NumericField, number_of

# Words that are tried alone, and that are left out together at most.
MAX_TRIED = 24
MAX_REMOVED = 8
_GRID = 24


@dataclass(frozen=True, slots=True)
class WordsChange:
    """Without `words` the model would say the label at position `label` (of several labels: no longer say it)."""

    words: tuple[Reason, ...]
    label: int
    p: float


@dataclass(frozen=True, slots=True)
class ColumnChange:
    """With `after` instead of `before` in a field the model would say the label at position `label`."""

    field: str
    side: int
    before: str
    after: str
    label: int
    p: float


def fewest_words(
    explainer: Explainer,
    featurizer: Featurizer,
    rows: Rows,
    contrast: Contrast,
    reasons: Sequence[Reason],
    *,
    vector: NDArray[np.float32] | None = None,
) -> WordsChange | None:
    """The fewest words, at most MAX_REMOVED, without which the answer is another one; None when none were found.

    `reasons` say which words of a long text to try first. Three batches of embeddings.
    """
    spec = explainer.spec
    order = {(reason.side, reason.name.lower()): -reason.weight for reason in reasons}
    words = [word for word in words_in(rows, spec) if any(map(str.isalnum, word.name))]
    words.sort(key=lambda word: (order.get((word.side, word.name.lower()), 0.0), -len(word.name)))
    words = words[:MAX_TRIED]
    if not words:
        return None

    def asked(variants: Sequence[Sequence[Reason]]) -> FeatureBlock:
        changed = [without(rows, [span for word in left_out for span in word.spans]) for left_out in variants]
        return featurizer.transform([item_of_rows(one, spec, vector) for one in changed])

    odds = log_odds(explainer.model, asked([(), *([word] for word in words)]), contrast)
    effects = odds[0] - odds[1:]
    helpful = [words[i] for i in np.argsort(-effects, kind="stable")[:MAX_REMOVED] if effects[i] > 0]
    if not helpful:
        return None
    growing = [helpful[: n + 1] for n in range(len(helpful))]
    p = explainer.model.predict_proba(asked(growing))
    flips = np.flatnonzero(_is_another(p, contrast))
    if not len(flips):
        return None
    chosen, last = list(growing[int(flips[0])]), p[int(flips[0])]
    while len(chosen) > 1:  # a word that turned out not to be needed is put back
        smaller = [[word for word in chosen if word is not spared] for spared in chosen]
        p = explainer.model.predict_proba(asked(smaller))
        flips = np.flatnonzero(_is_another(p, contrast))
        if not len(flips):
            break
        chosen, last = smaller[int(flips[0])], p[int(flips[0])]
    label, p_label = _outcome(last, contrast)
    return WordsChange(tuple(chosen), label, p_label)


def smallest_column_change(
    explainer: Explainer,
    rows: Rows,
    block: FeatureBlock,
    contrast: Contrast,
    *,
    categories: Mapping[str, Sequence[str]],
    vector: NDArray[np.float32] | None = None,
) -> ColumnChange | None:
    """The change of one number, or else of one category, that makes the answer another one; None when there is none.

    Numbers are compared by their distance in spreads of the pool. `categories`: values that a field may take.
    """
    found = _smallest_number_change(explainer, rows, block, contrast, vector)
    if found is not None:
        return found
    spec = explainer.spec
    tried = [
        (side, name, value)
        for side, row in enumerate(rows)
        for name in spec.categorical_fields
        for value in categories.get(name, ())
        if value != row.get(name)
    ]
    p = _answers(explainer, rows, block, tried, vector)
    flips = np.flatnonzero(_is_another(p, contrast))
    if not len(flips):
        return None
    # The most convinced of the other answers: of categories no two are nearer to each other.
    labels_p = [_outcome(p[i], contrast)[1] for i in flips]
    best = int(flips[int(np.argmax(labels_p))])
    return _column_change(rows, tried[best], p[best], contrast)


def _smallest_number_change(
    explainer: Explainer, rows: Rows, block: FeatureBlock, contrast: Contrast, vector: NDArray[np.float32] | None
) -> ColumnChange | None:
    best: tuple[float, tuple[int, str, Any], NDArray[Any]] | None = None
    for side, row in enumerate(rows):
        for field in explainer.spec.numeric_fields:
            now = number_of(row.get(field.name))
            start = field.center if now is None else now
            # Ages come in years: a whole number, also as text, is changed to a whole number.
            is_whole = start.is_integer() and "." not in str(row.get(field.name, "."))
            values = _candidates(field, start)
            for _ in range(3):  # ever finer between what does not change the answer and the nearest that does
                values = sorted({float(round(v)) if is_whole else float(f"{v:.4g}") for v in values} - {start})
                p = _answers(explainer, rows, block, [(side, field.name, v) for v in values], vector)
                flips = np.flatnonzero(_is_another(p, contrast))
                if not len(flips):
                    break
                nearest = min(flips.tolist(), key=lambda i: abs(values[i] - start))
                found = values[nearest]
                distance = abs(found - start) / field.scale
                if best is None or distance < best[0]:
                    shown = int(found) if is_whole else found
                    best = (distance, (side, field.name, shown), p[nearest])
                values = [*np.linspace(start, found, _GRID)[1:], found]
    return None if best is None else _column_change(rows, best[1], best[2], contrast)


def _candidates(field: NumericField, start: float) -> list[float]:
    """Values on either side: near the edges of the ranges that the model knows, and further out."""
    step = field.scale / 50
    near = [edge + shift for edge in field.edges for shift in (-step, 0.0, step)]
    return near + [start + sign * field.scale * far for sign in (-1, 1) for far in (0.25, 0.5, 1, 2, 3, 5, 10)]


def _answers(
    explainer: Explainer,
    rows: Rows,
    block: FeatureBlock,
    tried: Sequence[tuple[int, str, Any]],
    vector: NDArray[np.float32] | None,
) -> NDArray[np.float32]:
    if not tried:
        return np.zeros((0, len(explainer.model.labels)), dtype=np.float32)
    variants = [
        tuple(row | {name: value} if place == side else row for place, row in enumerate(rows))
        for side, name, value in tried
    ]
    return explainer.model.predict_proba(with_same_embedding(explainer, variants, block, vector))


def _is_another(p: NDArray[np.float32], contrast: Contrast) -> NDArray[np.bool_]:
    if not len(p):
        return np.zeros(0, dtype=bool)
    if contrast.second is None:
        return np.asarray(p[:, contrast.first] <= 0.5)
    return np.asarray(p.argmax(axis=1) != contrast.first)


def _outcome(p: NDArray[np.float32], contrast: Contrast) -> tuple[int, float]:
    if contrast.second is None:
        return contrast.first, 1.0 - float(p[contrast.first])
    return int(p.argmax()), float(p.max())


def _column_change(
    rows: Rows, change: tuple[int, str, Any], p: NDArray[np.float32], contrast: Contrast
) -> ColumnChange:
    side, name, value = change
    before = rows[side].get(name)
    label, p_label = _outcome(p, contrast)
    return ColumnChange(name, side, "missing" if before in (None, "") else str(before), _plain(value), label, p_label)


def _plain(value: Any) -> str:
    return f"{value:,.6g}" if isinstance(value, float) else str(value)
