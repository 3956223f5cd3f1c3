"""What is wrong with labels and columns, said before a model learns from them: a refusal, or a warning.

A refusal ends the training; a warning is kept beside what was learned. Each says what was counted and what to do.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeClassifier

from active_learning.core.blocks import FeatureBlock
from active_learning.core.crossfit import FOLDS, cross_fitted
from active_learning.core.featurize import (
    MAX_FIELDS,
    Featurizer,
    FeaturizerSpec,
    RawItem,
    columns_of,
    n_fields,
    sides,
)
from active_learning.core.linear import LinearLearner
from active_learning.core.material import Material
from active_learning.core.scaling import DenseScaling
from active_learning.core.targets import Targets

REFUSE = "refuse"
WARN = "warn"
# An answer with fewer examples can hardly be learned.
MIN_EXAMPLES = 2
# Fewer items say nothing about a column.
MIN_ITEMS_FOR_COLUMNS = 20
MIN_ITEMS_FOR_LEAKS = 50
# Columns are judged by so many items, spread over all labeled ones, so that the work is bounded.
MAX_ITEMS_FOR_COLUMNS = 1_000
# A column gives the answer away when it alone leaves at most one in twenty of the mistakes of always saying the
# commonest answer, and the words of the items leave at least three times as many.
GIVEN_AWAY = 0.95
TOLD_BY_WORDS = 0.85
FAR_FROM_GIVEN_AWAY = 0.5
MAX_NAMED = 5
# Where more of the labeled items repeat audit items, those that do not are no picture of all; from so many items on.
MOST_REPEATED = 0.5
MIN_ITEMS_FOR_REPEATS = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong. `severity` is "refuse" or "warn"; `fields` are the columns that it is about."""

    code: str
    severity: str
    words: str
    fields: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"fields": list(self.fields)}


def refusal(findings: Sequence[Finding]) -> str:
    """Why nothing may be learned, or the empty string."""
    return " ".join(finding.words for finding in findings if finding.severity == REFUSE)


# Answers


def check_answers(
    values: Sequence[object],
    labels: Sequence[str],
    *,
    is_multilabel: bool,
    learned_before: Mapping[str, int] | None = None,
) -> list[Finding]:
    """Whether there are enough different answers, and which ones have too few examples.

    `learned_before` counts the examples of each label that the live version learned from.
    """
    if not values:
        return [Finding("no_labels", REFUSE, "There are no labels to learn from yet.")]
    if is_multilabel and len(values) < MIN_EXAMPLES:
        return [Finding("one_label", REFUSE, "One label alone teaches nothing.")]
    if not is_multilabel and len({str(value) for value in values}) < 2:
        words = f"All {len(values):,} labels say {_short(values[0])}; a model needs two different answers."
        return [Finding("one_answer", REFUSE, words)]
    counts = Counter(str(label) for value in values for label in (value if isinstance(value, list) else [value]))
    before = learned_before or {}
    gone = [label for label in labels if before.get(label) and not counts[label]]
    found = []
    if gone:
        named = _named([f"{_short(label)} ({before[label]:,} before)" for label in gone])
        words = f"The live model had examples of {named}; now there are none, and a new one cannot say it."
        found.append(Finding("answer_vanished", WARN, f"{words} Look at what became of these labels."))
    rare = [label for label in labels if counts[label] < MIN_EXAMPLES and label not in gone]
    if rare:
        named = _named([f"{_short(label)} ({counts[label]})" for label in rare])
        words = f"Fewer than {MIN_EXAMPLES} examples of {named}: the model can hardly say what it has not seen."
        found.append(Finding("rare_answer", WARN, f"{words} Label some of them."))
    return found


# The same content twice


@dataclass(frozen=True, slots=True)
class Repeats:
    """What items with the same content do: `in_audit` are places of items that repeat an audit item."""

    findings: list[Finding]
    in_audit: list[int]


def check_repeats(
    keys: Sequence[bytes | None],
    values: Sequence[object],
    audit_keys: Collection[bytes | None],
    *,
    are_columns_alone: bool = False,
) -> Repeats:
    """Labeled items by the key of their content (None: nothing to compare) against each other and the audit split.

    An item that repeats an audit item would make the audit a test of memory. It is left out of the training rather than
    the audit item out of the audit: a test that drops what came up twice is no random sample any more. Where most items
    repeat one nothing honest is left: without them a model learns from what is unlike the audit, with them the audit
    tests memory. That is a refusal, but for items of numbers and categories alone (`are_columns_alone`): equal rows of
    so few values are different things, and new ones will be equal to them as well. Where all labeled items are one and
    the same, that is the trouble, and the only finding.
    """
    if len(keys) >= MIN_EXAMPLES and len(set(keys)) == 1 and keys[0] is not None:
        words = f"All {len(keys):,} labeled items look the same to the model: every field that it looks at is equal."
        return Repeats([Finding("no_features", REFUSE, f"{words} Look at what was imported.")], [])
    audited = set(audit_keys) - {None}
    in_audit = [place for place, key in enumerate(keys) if key in audited]
    answers: dict[bytes, Counter[str]] = {}
    for key, value in zip(keys, values, strict=True):
        if key is not None:
            answers.setdefault(key, Counter())[str(value)] += 1
    torn = [counts for counts in answers.values() if len(counts) > 1]
    found = []
    if in_audit:
        share = len(in_audit) / len(keys)
        is_most = len(keys) >= MIN_ITEMS_FOR_REPEATS and share > MOST_REPEATED
        of_all = f"{len(in_audit):,} of {len(keys):,} labeled items ({100 * share:.0f} %)"
        if is_most and are_columns_alone:
            words = (
                f"{of_all} have the same values as an audit item: there are so few different ones that new items will"
            )
            words += " have them too. They are learned from, and the audit speaks of items with such values."
            found.append(Finding("repeats_audit", WARN, words))
            in_audit = []
        elif is_most:
            words = (
                f"{of_all} have the same content as an audit item. With them the audit would test what the model has"
            )
            words += (
                " seen, without them it would learn from what is unlike the audit: nothing honest could be said of it."
            )
            words += " Exclude the copies, or import each content once."
            return Repeats([Finding("repeats_audit", REFUSE, words)], [])
        else:
            words = f"{_items(len(in_audit))} with the same content as an audit item: left out of the training, because"
            found.append(Finding("repeats_audit", WARN, f"{words} the audit must test what the model has not seen."))
    if torn:
        n = sum(counts.total() for counts in torn)
        groups = f"{len(torn):,} group{'s' if len(torn) != 1 else ''}"
        words = f"{_items(n)} in {groups} of equal content, answered in different ways."
        found.append(Finding("contradiction", WARN, f"{words} Settle them, or say in the guidelines which is right."))
    return Repeats(found, in_audit)


# Columns


def check_columns(
    items: Sequence[RawItem],
    answers: Sequence[str],
    spec: FeaturizerSpec,
    rng: np.random.Generator,
    *,
    trusted: Collection[str] = (),
) -> list[Finding]:
    """Numbers and categories that are the same everywhere, or that give the answer away.

    `answers` are those of the items, as text. `trusted` are columns that an owner vouches for. Needs no more than
    MAX_ITEMS_FOR_COLUMNS items.
    """
    columns = columns_of([item.data for item in items], spec)
    if not columns or len(items) < MIN_ITEMS_FOR_COLUMNS:
        return []
    found = []
    constant = [name for name, cells in columns.items() if len(set(cells)) == 1]
    if constant:
        words = f"The same in all {len(items):,} labeled items that were looked at: {_named(constant, quoted=True)}."
        words += " Nothing can be learned from it; if it should differ, look at the import."
        found.append(Finding("constant_column", WARN, words, tuple(constant)))
    if len(items) < MIN_ITEMS_FOR_LEAKS or len(set(answers)) < 2:
        return found
    truth = np.unique(np.array(answers), return_inverse=True)[1].astype(np.int64)
    fold = rng.permutation(len(items)) % FOLDS
    told = {
        name: told_by_column(cells, truth, fold)
        for name, cells in columns.items()
        if name not in constant and name not in trusted
    }
    suspects = sorted((name for name, share in told.items() if share >= GIVEN_AWAY), key=lambda name: -told[name])
    if suspects and told_by_words(items, truth, spec, rng) < TOLD_BY_WORDS:
        share = f"{100 * told[suspects[0]]:.0f} % of what there is to know of the answer ({len(items):,} items)"
        words = f"A field alone tells {share}: {_named(suspects, quoted=True)}. It gives the answer away, or was filled"
        words += " in after it. Name it under Fields to leave out or, if it is known before anyone answers, to trust."
        found.append(Finding("gives_answer_away", REFUSE, words, tuple(suspects)))
    return found


def check_width(items: Sequence[RawItem], spec: FeaturizerSpec) -> list[Finding]:
    """Whether items have more fields than a model looks at."""
    most = max((n_fields(side) for item in items for side in sides(item.data, spec.is_pair)), default=0)
    if most <= MAX_FIELDS:
        return []
    words = f"Items have up to {most:,} fields; the model looks at the first {MAX_FIELDS} of each and at none behind."
    return [Finding("too_many_fields", WARN, f"{words} Send so many numbers as one vector, `features`.")]


def told_by_column(cells: Sequence[float | str | None], truth: NDArray[np.int64], fold: NDArray[np.integer]) -> float:
    """Which share of the mistakes of always saying the commonest answer this column alone avoids, on held-out folds.

    Numbers are cut by a small decision tree, other values answered by the commonest answer beside them. 1 is perfect,
    0 no better than the commonest answer; below 0 is worse. A column that is far from it on the first fold is judged by
    that fold: with hundreds of columns the other four are most of the work.
    """
    said = np.empty(len(truth), dtype=np.int64)
    is_number = any(isinstance(cell, float) for cell in cells)
    numbers = np.array([[cell if isinstance(cell, float) else np.nan] for cell in cells]) if is_number else None
    for held_out in range(FOLDS):
        others, own = np.flatnonzero(fold != held_out), np.flatnonzero(fold == held_out)
        if numbers is not None:
            most_leaves = max(2, 4 * len(np.unique(truth)))
            tree = DecisionTreeClassifier(max_leaf_nodes=most_leaves, min_samples_leaf=2, random_state=0)
            said[own] = tree.fit(numbers[others], truth[others]).predict(numbers[own])
        else:
            beside: dict[object, Counter[int]] = {}
            for place in others.tolist():
                beside.setdefault(cells[place], Counter())[int(truth[place])] += 1
            commonest = int(np.bincount(truth[others]).argmax())
            usual = {cell: counts.most_common(1)[0][0] for cell, counts in beside.items()}
            said[own] = [usual.get(cells[place], commonest) for place in own.tolist()]
        if held_out == 0 and (first := _avoided(said[own], truth[own])) < FAR_FROM_GIVEN_AWAY:
            return first
    return _avoided(said, truth)


def told_by_words(
    items: Sequence[RawItem], truth: NDArray[np.int64], spec: FeaturizerSpec, rng: np.random.Generator
) -> float:
    """What told_by_column is, of the words of the items alone. 0 for items without texts."""
    if not spec.text_fields:
        return 0.0
    words_only = replace(
        spec,
        numeric_fields=(),
        categorical_fields=(),
        vector_dimension=0,
        embedding="",
        embedding_version="",
        embedding_dimension=0,
    )
    block = Featurizer(words_only).transform(items)
    targets = Targets(tuple(str(place) for place in range(int(truth.max()) + 1)), truth)
    no_columns = DenseScaling(np.zeros(0), np.zeros(0))
    said = cross_fitted(LinearLearner(), Material(block, targets, np.ones(len(truth)), no_columns), rng)
    return _avoided(said, truth)


def _avoided(said: NDArray[np.int64], truth: NDArray[np.int64]) -> float:
    usual = np.bincount(truth).max() / len(truth)
    return float(((said == truth).mean() - usual) / (1 - usual)) if usual < 1 else 0.0


# Features


def check_features(block: FeatureBlock, spec: FeaturizerSpec) -> list[Finding]:
    """Whether the labeled items can be told apart at all."""
    if len(block) < MIN_EXAMPLES:
        return []
    if _is_same_everywhere(block):
        all_zero = not block.sparse.count_nonzero() and not np.count_nonzero(block.dense)
        words = f"All {len(block):,} labeled items look the same to the model: "
        words += "every feature is zero." if all_zero else "every feature has one value."
        return [Finding("no_features", REFUSE, f"{words} Look at what was imported, and at Fields to leave out.")]
    vector = block.dense[:, spec.embedding_dimension : spec.embedding_dimension + spec.vector_dimension]
    if vector.shape[1] and (vector == vector[0]).all():
        words = f"The {vector.shape[1]:,} numbers of `features` are the same in all {len(block):,} labeled items."
        return [Finding("constant_vector", WARN, f"{words} Nothing can be learned from them; look at the import.")]
    return []


def _is_same_everywhere(block: FeatureBlock) -> bool:
    if block.dense.shape[1] and not (block.dense == block.dense[0]).all():
        return False
    widths = np.diff(block.sparse.indptr)
    if (widths != widths[0]).any():
        return False
    columns = block.sparse.indices.reshape(len(block), -1)
    cells = block.sparse.data.reshape(len(block), -1)
    return bool((columns == columns[0]).all() and (cells == cells[0]).all())


def _items(n: int) -> str:
    return f"{n:,} labeled item{'s' if n != 1 else ''}"


def _named(names: Sequence[str], *, quoted: bool = False) -> str:
    text = ", ".join(f"“{_short(name)}”" if quoted else _short(name) for name in names[:MAX_NAMED])
    return text if len(names) <= MAX_NAMED else f"{text} and {len(names) - MAX_NAMED:,} more"


def _short(text: object) -> str:
    words = str(text)
    return words if len(words) <= 60 else f"{words[:59]}…"
