"""Looks whether the live model still gets as much right as when it became live, and asks for a training if not."""

from typing import Any

import numpy as np

from active_learning import selectors
from active_learning.core.decline import Decline, decline
from active_learning.core.featurize import FeaturizerSpec
from active_learning.core.targets import decide
from active_learning.models import ModelVersion, TrainingRun
from active_learning.services import features, registry
from active_learning.services.triggers import request_training
from labeling.core.shares import Share, wilson
from labeling.models import Project
from labeling.services.jobs import running_job

# The newest audit items that the live model is measured on, at most: what came long ago is not what comes now.
MAX_NEWEST = 200


def check_accuracy(*, job_id: str) -> None:
    """Runs an accuracy check to its end. A model that lost too much asks for a training."""
    with running_job(job_id) as job:
        if job is not None:
            job.finish(_check(job.project))


def _check(project: Project) -> dict[str, Any]:
    live = selectors.live_version(project=project)
    since = selectors.last_seen_by(live) if live else None
    if live is None or since is None:
        return {"outcome": "No model is live."}
    newest = selectors.newly_audited_ids(project=project, since_id=since)
    now = _accuracy(live, newest[-MAX_NEWEST:])
    policy = selectors.policy_of(project)
    found = decline(Share(**live.metrics["audit"]["accuracy"]), now, limit=policy.retrain_drop)
    result: dict[str, Any] = {"version": live.number, "n_new": len(newest), "decline": None}
    if found is None:
        return result | {"outcome": f"insufficient data: {now.n if now else 0} new audit items"}
    if found.is_lost and policy.retrain_drop:
        request_training(project=project, reason=_words(live, found), trigger=TrainingRun.Trigger.PERFORMANCE)
    return result | {"outcome": _words(live, found), "decline": found.to_json()}


def _accuracy(version: ModelVersion, ids: list[int]) -> Share | None:
    """The share of the named audit items that the version gets right; None where none of them is settled."""
    _, rules = selectors.current_rules(version.project)
    audit = selectors.audit_labels(project=version.project, rules=rules)
    wanted = set(ids)
    audit = audit.without([place for place, pk in enumerate(audit.ids) if pk not in wanted])
    if not len(audit):
        return None
    artifact = registry.load_artifact(version=version)
    spec = FeaturizerSpec.from_json(artifact.documents["featurizer"])
    model = registry.load_model(version=version)
    found = features.gather(project=version.project, spec=spec, ids=audit.ids)
    if found.block is None:
        return None
    said = decide(model.predict_proba(found.block), is_multilabel=model.is_multilabel)
    # By name: the schema may have other labels by now.
    right = [
        _named(model.labels, row) == _given(audit.values[place]) for row, place in zip(said, found.places, strict=True)
    ]
    return wilson(sum(right), len(right))


def _named(labels: tuple[str, ...], row: Any) -> set[str]:
    return {labels[place] for place in (np.flatnonzero(row) if np.ndim(row) else [row])}


def _given(value: object) -> set[str]:
    return {str(one) for one in value} if isinstance(value, list) else {str(value)}


def _words(version: ModelVersion, found: Decline) -> str:
    now = f"{100 * found.now.value:.0f} % of the {found.now.n:,} newest audit items"
    then = f"{100 * found.then.value:.0f} % of {found.then.n:,} when it learned"
    start = f"{version.source} gets {now} right, {then}"
    ends = {
        "unsure": f"{found.points:.1f} points less, which may be chance",
        "lost": f"{found.points:.1f} points lost",
        "critical": f"{found.points:.1f} points lost: critical",
    }
    return f"{start}; {ends[found.verdict]}" if found.verdict in ends else start
