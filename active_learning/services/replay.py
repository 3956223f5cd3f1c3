"""Campaigns replayed on a project's own labels: which strategy would have learned fastest from them."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from active_learning import selectors
from active_learning.core.campaign import Known, Round, play
from active_learning.core.featurize import FeaturizerSpec
from active_learning.core.linear import LinearLearner
from active_learning.core.replay import LEAST_LABELS, SHARE_PLAYED, advise, looks_of, summarize, to_json
from active_learning.core.scaling import DenseScaling
from active_learning.core.targets import encode_targets
from active_learning.selectors import LabelSet
from active_learning.services import features
from active_learning.services.scoring import strategy_of
from labeling.core.errors import Invalid
from labeling.core.schema import SchemaRules
from labeling.models import Project
from labeling.services.jobs import RunningJob, running_job

# So many audited items are an exam of their own; with fewer a quarter of the labeled items is kept apart.
LEAST_EXAM = 50
HELD_OUT = 0.25


def replay(*, job_id: str) -> None:
    """Runs a replay job. The same labels and seeds give the same result."""
    with running_job(job_id) as job:
        if job is not None:
            job.finish(_replay(job))


@dataclass(frozen=True, slots=True)
class _Stage:
    """What every campaign of a replay is played on."""

    pool: Known
    exam: Known
    scaling: DenseScaling
    is_audit: bool


def _replay(job: RunningJob) -> dict[str, Any]:
    project, names, seeds = job.project, job.params["strategies"], job.params["seeds"]
    job.report(0.02, "reading the answers")
    stage = _stage(project)
    policy = selectors.policy_of(project)
    sizes = looks_of(len(stage.pool), policy.retrain_after)
    if not sizes:
        needed = round(LEAST_LABELS / SHARE_PLAYED)
        raise Invalid(
            f"{len(stage.pool)} labeled items are too few to replay a campaign: at least {needed} are needed, beside "
            "the exam."
        )
    campaigns: dict[str, list[list[Round]]] = {name: [] for name in names}
    n_done, n_all = 0, len(names) * seeds
    for name in names:
        for seed in range(seeds):
            job.report(0.05 + 0.95 * n_done / n_all, f"{name}, campaign {seed + 1} of {seeds}")
            rounds = play(
                pool=stage.pool,
                exam=stage.exam,
                strategy=strategy_of(name),
                learner=LinearLearner(),
                scaling=stage.scaling,
                sizes=sizes,
                seed=seed,
            )
            campaigns[name].append(list(rounds))
            n_done += 1
    played = summarize(campaigns)
    advice = advise(played)
    return {
        "sizes": list(sizes),
        "strategies": to_json(played),
        "seeds": seeds,
        "n_pool": len(stage.pool),
        "n_exam": len(stage.exam),
        "exam": "audit" if stage.is_audit else "held out",
        "in_use": policy.strategy,
        "advice": {"strategy": advice.strategy, "why": advice.why, "is_clear": advice.is_clear},
    }


def _stage(project: Project) -> _Stage:
    _, rules = selectors.current_rules(project)
    spec = features.ensure_spec(project=project)
    pool = _known(project, spec, rules, selectors.training_labels(project=project, rules=rules))
    exam = _known(project, spec, rules, selectors.audit_labels(project=project, rules=rules))
    if pool is None:
        raise Invalid("There are no labels to replay yet.")
    scaling = features.pool_scaling(project=project, spec=spec, fallback=pool.block)
    if exam is not None and len(exam) >= LEAST_EXAM:
        return _Stage(pool, exam, scaling, is_audit=True)
    rows = np.random.default_rng(0).permutation(len(pool))
    n_exam = round(HELD_OUT * len(pool))
    kept, apart = np.sort(rows[n_exam:]), np.sort(rows[:n_exam])
    return _Stage(_take(pool, kept), _take(pool, apart), scaling, is_audit=False)


def _known(project: Project, spec: FeaturizerSpec, rules: SchemaRules, labels: LabelSet) -> Known | None:
    found = features.gather(project=project, spec=spec, ids=labels.ids)
    if found.block is None:
        return None
    values = [labels.values[place] for place in found.places]
    return Known(found.block, encode_targets(values, rules.labels, is_multilabel=rules.kind == "choices"))


def _take(known: Known, rows: Any) -> Known:
    return Known(known.block.take(rows), known.targets.take(rows))
