"""The model as one more voter: what it says of items that it did not learn from, handed down to the consensus."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from active_learning import selectors
from active_learning.core.crossfit import cross_fitted
from active_learning.core.learners import learner_of
from active_learning.core.targets import decide
from active_learning.models import ModelVersion
from active_learning.services import features, registry
from active_learning.services.material import Learned, what_was_learned
from labeling.core.schema import SchemaRules, Value
from labeling.models import Project
from labeling.services.jobs import RunningJob, running_job
from labeling.services.votes import store_model_votes, withhold_model_votes


def vote(*, job_id: str) -> None:
    """Runs a voting job. Done again with the same version it finds the same votes."""
    with running_job(job_id) as job:
        if job is not None:
            job.finish(_vote(job))


def _vote(job: RunningJob) -> dict[str, Any]:
    project = job.project
    version = selectors.newest_version(project=project)
    if version is None:
        return {"votes": 0, "why": "there is no model"}
    _, rules = selectors.current_rules(project)
    why = selectors.why_no_vote(project=project, version=version)
    if not why:
        learned = what_was_learned(version=version)
        if learned.material.targets.labels != rules.labels:
            why = "the labels have changed since it learned"
    source, evidence = version.source, selectors.vote_evidence(version)
    if why or evidence is None:
        withhold_model_votes(project=project, source=source, why=why, evidence=evidence)
        return {"votes": 0, "why": why}
    job.report(0.1, f"asking of {len(learned.ids):,} items what the others teach")
    votes = _of_learned(learned, rules)
    job.report(0.8, "asking of the others")
    votes |= _of_others(project, version, learned, rules)
    if selectors.newest_version(project=project) != version:
        # The training that made the newer one has decided anew.
        return {"votes": 0, "why": "a newer model has come meanwhile"}
    return {
        "votes": store_model_votes(project=project, votes=votes, source=source, evidence=evidence),
        "version": version.number,
    }


def _of_learned(learned: Learned, rules: SchemaRules) -> dict[int, Value]:
    """Of each item that the version learned from: what a model of the same recipe says that did not."""
    recipe = learned.recipe
    said = cross_fitted(learner_of(recipe.parameters), learned.material, np.random.default_rng(recipe.seed))
    return _values(np.array(learned.ids, dtype=np.int64), said, rules)


def _of_others(project: Project, version: ModelVersion, learned: Learned, rules: SchemaRules) -> dict[int, Value]:
    """Of the items with answers, and of those in line for some, that the version did not learn from: what it says.

    Neither of those of which users had told it something: that would be their voice.
    """
    model = registry.load_model(version=version)
    wanted = selectors.items_to_vote_on(project=project) - set(learned.ids) - set(learned.weak.ids)
    ids = np.array(sorted(wanted), dtype=np.int64)
    votes: dict[int, Value] = {}
    for shard in features.open_shards(project=project, fingerprint=learned.recipe.spec.fingerprint):
        rows = np.flatnonzero(np.isin(shard.ids, ids) & ~shard.is_audit)
        if len(rows):
            said = decide(model.predict_proba(shard.block(rows)), is_multilabel=False)
            votes |= _values(np.array(shard.ids)[rows], said, rules)
    return votes


def _values(ids: NDArray[np.int64], said: NDArray[np.int64], rules: SchemaRules) -> dict[int, Value]:
    values: list[Value] = [int(label) if rules.kind == "rating" else label for label in rules.labels]
    return {pk: values[label] for pk, label in zip(ids.tolist(), said.tolist(), strict=True) if label >= 0}
