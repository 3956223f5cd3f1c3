"""What else is told of a version when it is measured: by label, calibration, costs, segments, outlook.

All of it is stored with the version and read by pages and API; nothing is measured when somebody looks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from active_learning import selectors
from active_learning.core.auc import area, mean_area
from active_learning.core.audit import MIN_AUDITED
from active_learning.core.calibration import calibration, undo_temperature
from active_learning.core.costs import cost_report
from active_learning.core.evaluation import confusion, f1_intervals, indicators, is_right
from active_learning.core.featurize import FeaturizerSpec
from active_learning.core.forecast import Measured, forecast
from active_learning.core.learners import Model
from active_learning.core.manifest import ArtifactRefused
from active_learning.core.paired import macro_f1_difference
from active_learning.core.rating import rating_figures
from active_learning.core.segments import groups_of, keys_of, segment
from active_learning.core.stopping import (
    N_PAIRS,
    SAMPLE_SIZE,
    advice,
    covers_labels,
    is_precise,
    is_stable,
    kappa,
    stable_sample,
)
from active_learning.core.targets import decide
from active_learning.models import LearningPolicy, ModelVersion
from active_learning.services import features, registry
from labeling.core.schema import SchemaRules
from labeling.core.shares import Share
from labeling.models import Project

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Judged:
    """The audit items with what they are, what the model makes of them, and what each baseline says."""

    ids: list[int]
    truth: NDArray[Any]
    probabilities: NDArray[np.float32]
    said: NDArray[Any]
    baselines: Mapping[str, NDArray[Any]]


def detail_of(
    *, policy: LearningPolicy, rules: SchemaRules, judged: Judged, temperature: float, seed: int
) -> dict[str, Any]:
    """By label (F1 intervals and areas, in the order of the schema), confusion, calibration, costs, segments.

    Empty on fewer than MIN_AUDITED items: nothing of it would mean anything.
    """
    truth, p = judged.truth, judged.probabilities
    if len(truth) < MIN_AUDITED:
        return {}
    several = truth.ndim == 2
    true = indicators(truth, len(rules.labels))
    _, intervals = f1_intervals(truth, judged.said, len(rules.labels), np.random.default_rng(seed))
    areas = [area(p[:, label], true[:, label]) for label in range(len(rules.labels))]
    mean = mean_area(p, true)
    raw = undo_temperature(p, temperature, is_multilabel=several)
    before = calibration(raw, truth, np.random.default_rng(seed))
    after = calibration(p, truth, np.random.default_rng(seed))
    found: dict[str, Any] = {
        "by_label": [
            {"f1_interval": interval, "auc": asdict(one) if one else None}
            for interval, one in zip(intervals, areas, strict=True)
        ],
        "mean_auc": asdict(mean) | {"n_labels": sum(one is not None for one in areas)} if mean else None,
        "confusion": None if several else asdict(confusion(truth, judged.said, rules.labels)),
        "calibration": {"before": before.to_json(), "after": after.to_json()} if before and after else None,
        "segments": _segments(policy, rules, judged),
        "f1_gains": {
            name: asdict(gain)
            for name, said in judged.baselines.items()
            if (gain := macro_f1_difference(truth, judged.said, said, len(rules.labels), np.random.default_rng(seed)))
        },
    }
    if rules.kind == "rating":
        found["rating"] = rating_figures(truth, judged.said, np.random.default_rng(seed))
    if policy.costs:
        found["cost"] = cost_report(truth, judged.said, judged.baselines, policy.costs, rules.labels, seed)
    return rounded(found)


def _segments(policy: LearningPolicy, rules: SchemaRules, judged: Judged) -> dict[str, Any]:
    metas = selectors.item_metas(ids=judged.ids)
    rows = [metas[pk] for pk in judged.ids]
    right = is_right(judged.truth, judged.said)
    favourable = None
    if policy.favourable in rules.labels:
        place = rules.labels.index(policy.favourable)
        both = (indicators(values, len(rules.labels))[:, place] for values in (judged.truth, judged.said))
        favourable = (next(both), next(both))
    keys = [
        {
            "key": key,
            "is_protected": key in policy.protected,
            "groups": [
                group.to_json() for group in segment(key, rows, right, favourable if key in policy.protected else None)
            ],
        }
        for key in keys_of(rows, always=policy.protected)
    ]
    return {"keys": keys, "favourable": policy.favourable if favourable else None}


def protected_groups(*, policy: LearningPolicy, ids: Sequence[int]) -> dict[str, list[int]]:
    """The places in `ids` of the items of each protected group; none where the owner protects nothing."""
    if not policy.protected:
        return {}
    metas = selectors.item_metas(ids=ids)
    return groups_of(policy.protected, [metas[pk] for pk in ids])


def outlook_of(
    *,
    project: Project,
    spec: FeaturizerSpec,
    rules: SchemaRules,
    model: Model,
    class_counts: Mapping[str, int],
    metrics: Mapping[str, Any],
    seed: int,
) -> dict[str, Any]:
    """How far it agrees with the version before it, the forecast of its learning curve, and whether to stop."""
    accuracy = (metrics.get("audit") or {}).get("accuracy")
    share = Share(**accuracy) if accuracy and accuracy["n"] >= MIN_AUDITED else None
    earlier = selectors.measured_before(project=project, labels=rules.labels, seed=seed)
    points = [Measured(one.n_labels, one.accuracy, one.low, one.high) for one in earlier]
    if share is not None:
        points.append(Measured(metrics["n_labels"], share.value, share.low, share.high))
    ahead = forecast(points, np.random.default_rng(seed)) if share is not None else "too few audit items"
    stability, n_said = _against_the_last(project, spec, rules, model, seed)
    previous = selectors.last_kappas(project=project, n=N_PAIRS - 1, seed=seed) if stability else []
    kappas = [stability["kappa"], *previous] if stability else []
    n_learned = {label: int(class_counts.get(label, 0)) for label in rules.labels}
    found = {
        "stability": stability,
        "forecast": {"why": ahead} if isinstance(ahead, str) else ahead.to_json(),
        "stop": advice([is_stable(kappas, metrics["n_labels"]), covers_labels(n_learned, n_said), is_precise(share)]),
    }
    return rounded(found)


def _against_the_last(
    project: Project, spec: FeaturizerSpec, rules: SchemaRules, model: Model, seed: int
) -> tuple[dict[str, Any] | None, dict[str, int]]:
    """Kappa with the version before that learned from other data, on a fixed sample of unlabeled items (None for the
    first version), and how often each label is said there. `seed` was drawn from the data of this one."""
    sample = _unlabeled_sample(project, spec)
    found = features.features_of(shards=features.open_shards(project=project, fingerprint=spec.fingerprint), ids=sample)
    said: NDArray[Any] | None = None
    n_said: dict[str, int] = {}
    if found.block is not None:
        said = decide(model.predict_proba(found.block), is_multilabel=model.is_multilabel)
        counts = said.sum(axis=0) if model.is_multilabel else np.bincount(said, minlength=len(rules.labels))
        n_said = dict(zip(rules.labels, counts.tolist(), strict=True))
    last = selectors.version_of_other_data(project=project, seed=seed)
    if last is None:
        return None, n_said
    stability: dict[str, Any] = {"kappa": None, "n": len(found.places), "previous": last.number}
    before = _comparable(last, spec, model)
    if before is not None and found.block is not None and said is not None:
        others = decide(before.predict_proba(found.block), is_multilabel=model.is_multilabel)
        stability["kappa"] = kappa(said, others)
    return stability, n_said


def _comparable(version: ModelVersion, spec: FeaturizerSpec, model: Model) -> Model | None:
    """The version's model, if it speaks of the same features and labels."""
    if version.parameters.get("fingerprint") != spec.fingerprint:
        return None
    try:
        before = registry.load_model(version=version)
    except ArtifactRefused as error:
        log.error("model_refused", version=version.number, error=str(error))
        return None
    return before if before.labels == model.labels and before.is_multilabel == model.is_multilabel else None


def _unlabeled_sample(project: Project, spec: FeaturizerSpec) -> NDArray[np.int64]:
    """Up to SAMPLE_SIZE open items of the pool, as far as possible the same ones each time.

    The smallest hashes of all shards are the smallest of each shard's smallest, so memory holds one shard's ids.
    """
    taken = np.array(sorted(selectors.answered_or_closed_ids(project=project)), dtype=np.int64)
    kept = np.zeros(0, dtype=np.int64)
    for shard in features.open_shards(project=project, fingerprint=spec.fingerprint):
        ids = np.array(shard.ids)[~shard.is_audit]
        kept = stable_sample(np.concatenate([kept, np.setdiff1d(ids, taken, assume_unique=True)]), SAMPLE_SIZE)
    return kept


def rounded(found: Any, digits: int = 5) -> Any:
    """The same with every fraction rounded: metrics are kept with each version and read on each page."""
    if isinstance(found, float):
        return round(found, digits)
    if isinstance(found, Mapping):
        return {key: rounded(value, digits) for key, value in found.items()}
    if isinstance(found, Sequence) and not isinstance(found, str):
        return [rounded(value, digits) for value in found]
    return found
