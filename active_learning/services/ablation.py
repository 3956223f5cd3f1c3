"""A model learned with and without weak labels: they stay only where they are shown to help on the audit split."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from active_learning import selectors
from active_learning.core.ablation import Ablation, ablate
from active_learning.core.featurize import FeaturizerSpec, content_key
from active_learning.core.learners import Model, learner_of
from active_learning.core.material import Material
from active_learning.core.targets import decide, encode_targets
from active_learning.core.weak import WeakLabel, WeakRows, classes_of, rows_of
from active_learning.selectors import LabelSet
from active_learning.services import features
from active_learning.services.material import with_weak_rows
from labeling.core.schema import SchemaRules
from labeling.models import Project


@dataclass(frozen=True, slots=True)
class Taught:
    """The uncalibrated model, all that it learned from, and which rows of that are weak.

    `found` says what came of the comparison, as it is kept in the version's metrics; empty where nobody offered any.
    """

    model: Model
    material: Material
    weak: WeakRows
    found: dict[str, Any]


def learn_from_what_helps(
    *,
    project: Project,
    spec: FeaturizerSpec,
    rules: SchemaRules,
    parameters: dict[str, Any],
    material: Material,
    labels: LabelSet,
    audit: LabelSet,
    seed: int,
) -> Taught:
    """The model that people's answers (`material`) make, or, where that is shown to be better, weak labels too."""
    learner = learner_of(parameters)
    plain = learner.fit(material)
    # Read first: what is weighed anew from here on is newer than this says.
    heard_until = selectors.weighed_at(project=project)
    offered = _offered(project, spec, rules, labels, audit)
    rows = rows_of(offered, _weight_of_each(labels))
    if not len(rows):
        return Taught(plain, material, rows, {})
    whole = with_weak_rows(project=project, spec=spec, labels=rules.labels, material=material, weak=rows)
    both = learner.fit(whole)
    found = _compare(project, spec, rules, (both, plain), audit, seed)
    weight = sum(rows.weights)
    told = {
        "n_items": len(set(rows.ids)),
        "n_subjects": len({subject for one in offered.values() for subject, _ in one.backers}),
        "weight": round(weight, 3),
        "share": round(weight / (weight + float(material.weights.sum())), 4),
        "heard_until": heard_until.isoformat() if heard_until else None,
    } | found.to_json()
    if not found.is_kept:
        return Taught(plain, material, WeakRows(), told)
    return Taught(both, whole, rows, told)


def _offered(
    project: Project, spec: FeaturizerSpec, rules: SchemaRules, labels: LabelSet, audit: LabelSet
) -> dict[int, WeakLabel]:
    """The weak labels of items that no person has judged, without those that repeat an audit item."""
    if not selectors.policy_of(project).uses_weak_labels:
        return {}
    found = selectors.weak_labels(project=project, rules=rules)
    for pk in labels.ids:
        found.pop(pk, None)
    if not found:
        return {}
    asked = {content_key(item, spec) for _, item, _ in features.raw_items(np.array(audit.ids, dtype=np.int64))}
    own = features.raw_items(np.array(sorted(found), dtype=np.int64))
    return {pk: found[pk] for pk, item, _ in own if content_key(item, spec) not in asked}


def _weight_of_each(labels: LabelSet) -> dict[str, float]:
    """What people's answers weigh, by label."""
    found: dict[str, float] = {}
    for value, weight in zip(labels.values, labels.weights, strict=True):
        for name in classes_of(value):
            found[name] = found.get(name, 0.0) + weight
    return found


def _compare(
    project: Project, spec: FeaturizerSpec, rules: SchemaRules, models: tuple[Model, Model], audit: LabelSet, seed: int
) -> Ablation:
    several = rules.kind == "choices"
    found = features.gather(project=project, spec=spec, ids=audit.ids)
    truth = encode_targets([audit.values[place] for place in found.places], rules.labels, is_multilabel=several).y
    block = found.block
    if block is None:
        return ablate(truth, truth, truth, len(rules.labels), np.random.default_rng(seed))
    first, second = (decide(model.predict_proba(block), is_multilabel=several) for model in models)
    return ablate(truth, first, second, len(rules.labels), np.random.default_rng(seed))
