"""Looks at the labels and at the items themselves before a training, and leaves out what may not be learned from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from active_learning import selectors
from active_learning.core.featurize import FeaturizerSpec, RawItem, content_key
from active_learning.core.validation import (
    MAX_ITEMS_FOR_COLUMNS,
    Finding,
    check_answers,
    check_columns,
    check_repeats,
    check_width,
    refusal,
)
from active_learning.models import ModelVersion
from active_learning.selectors import LabelSet
from active_learning.services import features
from labeling.core.schema import SchemaRules
from labeling.models import Project

# The folds in which columns are judged are the same each time.
SEED = 0


@dataclass(frozen=True, slots=True)
class CheckedLabels:
    """What may be learned from, and what was found on the way."""

    labels: LabelSet
    findings: list[Finding]


def check_counts(*, labels: LabelSet, rules: SchemaRules, live: ModelVersion | None) -> list[Finding]:
    """What the answers alone say, without a look at the items."""
    return check_answers(
        labels.values,
        rules.labels,
        is_multilabel=rules.kind == "choices",
        learned_before=live.dataset.class_counts if live else None,
    )


def check_data(
    *,
    project: Project,
    spec: FeaturizerSpec,
    rules: SchemaRules,
    labels: LabelSet,
    audit: LabelSet,
    live: ModelVersion | None,
) -> CheckedLabels:
    """Reads each labeled item once: what it repeats, and, of up to 1,000 of them, what its columns say.

    Items that repeat an audited one are left out of what is returned.
    """
    has_columns = bool(spec.numeric_fields or spec.categorical_fields)
    looked_at = _spread(len(labels), MAX_ITEMS_FOR_COLUMNS) if has_columns else set()
    keys: list[bytes | None] = [None] * len(labels)
    seen: dict[int, RawItem] = {}
    # Both are in order of id; an item that is gone meanwhile has no key.
    place_of = {pk: place for place, pk in enumerate(labels.ids)}
    for pk, item, _ in features.raw_items(np.array(labels.ids, dtype=np.int64)):
        place = place_of[pk]
        keys[place] = content_key(item, spec)
        if place in looked_at:
            seen[place] = item
    audited = features.raw_items(np.array(audit.ids, dtype=np.int64))
    repeats = check_repeats(
        keys,
        labels.values,
        {content_key(item, spec) for _, item, _ in audited},
        are_columns_alone=not spec.text_fields and not spec.vector_dimension,
    )
    if refusal(repeats.findings):
        return CheckedLabels(labels, repeats.findings)
    kept = labels.without(repeats.in_audit) if repeats.in_audit else labels
    counts = check_counts(labels=kept, rules=rules, live=live)
    if refusal(counts):
        return CheckedLabels(kept, [*repeats.findings, *counts])
    policy = selectors.policy_of(project)
    columns = check_columns(
        list(seen.values()),
        [_as_text(labels.values[place]) for place in seen],
        spec,
        np.random.default_rng(SEED),
        trusted=policy.fields_trusted,
    )
    width = check_width(list(seen.values()), spec)
    return CheckedLabels(kept, [*columns, *repeats.findings, *width, *counts])


def _spread(n: int, most: int) -> set[int]:
    """Up to `most` of the places 0 to n - 1, evenly spread."""
    return set(range(n)) if n <= most else set(np.linspace(0, n - 1, most).astype(int).tolist())


def _as_text(value: object) -> str:
    return (
        "\0".join(str(one) for one in value)
        if isinstance(value, Sequence) and not isinstance(value, str)
        else str(value)
    )
