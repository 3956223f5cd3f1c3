"""From answers to a model version: freeze the data, fit, calibrate, judge on the audit split, store, order."""

import hashlib
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import numpy as np
import structlog
from django.db import transaction
from django.db.models import Max
from numpy.typing import NDArray

from active_learning import selectors
from active_learning.core.baselines import majority_prediction, random_predictions
from active_learning.core.evaluation import compare, evaluate, is_right, macro_f1_interval
from active_learning.core.featurize import FeaturizerSpec, flatten, sides, text_of
from active_learning.core.learners import Model, pool_leads_of
from active_learning.core.loop import influence
from active_learning.core.manifest import canonical_json
from active_learning.core.material import Material
from active_learning.core.rules import parse_rules, rule_predictions
from active_learning.core.shards import write_atomically
from active_learning.core.targets import Targets, decide, encode_targets
from active_learning.core.validation import Finding, check_features, refusal
from active_learning.core.weak import WeakRows
from active_learning.models import Dataset, LearningPolicy, ModelVersion, TrainingRun
from active_learning.selectors import LabelSet
from active_learning.services import erasure, evidence, features, files, frozen, promotion, registry, validation
from active_learning.services.ablation import learn_from_what_helps
from active_learning.services.choosing import choose_learner
from active_learning.services.evaluation import Judged, detail_of, outlook_of, protected_groups
from active_learning.services.material import calibrate, inputs_of, refuse_audit
from active_learning.services.registry import Recipe
from active_learning.services.scoring import order_queue
from active_learning.services.triggers import decide_on_votes
from labeling.core.consensus import may_vote
from labeling.core.schema import SchemaRules
from labeling.models import Project
from labeling.services.jobs import RunningJob, running_job

log = structlog.get_logger(__name__)

# Items of the pool whose confidence the calibration looks at.
POOL_SAMPLE = 1_000


class Stopwatch:
    """Seconds that each named part took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - began, 3)


def train(*, job_id: str) -> None:
    """Runs a training job to its end: a new version, or the reason why there is none; then orders the queue."""
    with running_job(job_id) as job:
        if job is not None:
            _train(job)


def _train(job: RunningJob) -> None:
    project = job.project
    run, _ = TrainingRun.objects.get_or_create(
        job=job.job,
        defaults={
            "project": project,
            "trigger": job.params.get("trigger", TrainingRun.Trigger.PERSON),
            "reason": job.job.reason,
        },
    )
    watch = Stopwatch()
    job.report(0.05, "reading the answers")
    # Before the answers are read: one that comes in between counts as new for the next training.
    run.last_annotation_id = selectors.last_annotation_id(project=project)
    version = _learn(project, run, job, watch)
    job.report(0.7, "putting the queue in order")
    with watch.part("order"):
        scoring = order_queue(project=project, job=job.job)
    run.seconds = watch.seconds
    run.save()
    if version is not None:
        decide_on_votes(project=project, version=version)
    result: dict[str, Any] = {"outcome": run.outcome, "labels": run.n_labels_at_start, "findings": run.findings}
    if version is not None:
        result |= {"version": version.number, "state": version.state}
    if scoring is not None:
        result |= {"queued": scoring.n_queued}
    job.finish(result)


def _learn(project: Project, run: TrainingRun, job: RunningJob, watch: Stopwatch) -> ModelVersion | None:
    schema, rules = selectors.current_rules(project)
    with watch.part("labels"):
        labels = selectors.training_labels(project=project, rules=rules)
        audit = selectors.audit_labels(project=project, rules=rules)
    run.n_labels_at_start = len(labels)
    live = selectors.live_version(project=project)
    if _is_refused(run, validation.check_counts(labels=labels, rules=rules, live=live)):
        return None
    with watch.part("features"):
        spec = features.ensure_spec(project=project)
    with watch.part("validate"):
        checked = validation.check_data(project=project, spec=spec, rules=rules, labels=labels, audit=audit, live=live)
    if _is_refused(run, checked.findings):
        return None
    labels = checked.labels
    job.report(0.15, f"learning from {len(labels):,} items")
    with watch.part("features"):
        material = _material(project, spec, rules, labels)
    if _is_refused(run, [*checked.findings, *check_features(material.block, spec)]):
        return None
    seed = seed_of(digest_of(dataset_content(rules=rules, labels=labels, weak=WeakRows())))
    with watch.part("search"):
        parameters, search = choose_learner(project=project, spec=spec, rules=rules, material=material, seed=seed)
    with watch.part("fit"):
        taught = learn_from_what_helps(
            project=project,
            spec=spec,
            rules=rules,
            parameters=parameters,
            material=material,
            labels=labels,
            audit=audit,
            seed=seed,
        )
    content = dataset_content(rules=rules, labels=labels, weak=taught.weak)
    dataset = freeze_dataset(project=project, schema_version=schema.version, content=content, labels=labels)
    run.dataset = dataset
    recipe = Recipe(dataset.sha256, spec, parameters, seed_of(dataset.sha256))
    with watch.part("fit"):
        pool_leads = _leads_in_pool(project, recipe, taught.model, labels.ids)
        model = calibrate(recipe=recipe, model=taught.model, material=taught.material, pool_leads=pool_leads)
    job.report(0.5, "measuring on the audit split")
    with watch.part("evaluate"):
        policy = selectors.policy_of(project)
        metrics = _measure(project, spec, rules, policy, model, material.targets, audit, recipe.seed)
    metrics |= {
        "n_labels": len(material),
        "temperature": round(model.temperature, 4),
        "search": search,
        "weak": taught.found,
        "loop": influence(
            _kept_weights(labels), selectors.in_view(project=project, ids=labels.ids), taught.weak.weights
        ),
        "audit_sample": selectors.audit_sample_number(project=project),
    }
    with watch.part("outlook"):
        metrics |= outlook_of(
            project=project,
            spec=spec,
            rules=rules,
            model=model,
            class_counts=dataset.class_counts,
            metrics=metrics,
            seed=recipe.seed,
        )
    with watch.part("compare"):
        found = evidence.collect(
            project=project,
            spec=spec,
            rules=rules,
            model=model,
            labels=labels,
            audit=audit,
            seed=recipe.seed,
            segments=protected_groups(policy=policy, ids=audit.ids),
        )
    with watch.part("store"):
        sha256, folder = registry.store_model(
            recipe=recipe,
            model=model,
            material=taught.material,
            pool_leads=pool_leads,
            inputs=inputs_of(spec=spec, ids=labels.ids),
        )
        version = registry.register_version(
            project=project,
            dataset=dataset,
            sha256=sha256,
            path=files.relative(folder),
            recipe=recipe,
            metrics=metrics,
            report_path=found.report_path,
        )
        # Whoever was forgotten while this was learning: before the version can become live.
        run.version = version
        run.save(update_fields=["version"])
        erasure.mark_all(project=project)
        measured = found.measured | registry.try_loading(version=version)
        version = promotion.judge_version(version=version, evidence=found.evidence, measured=measured)
    run.outcome = _outcome(version, labels, taught.found)
    return version


def _is_refused(run: TrainingRun, findings: list[Finding]) -> bool:
    """Writes down what was found; whether it forbids to learn. A refusal is what came of the run."""
    run.findings = [finding.to_json() for finding in findings]
    run.outcome = refusal(findings)[:300]
    return bool(run.outcome)


def _outcome(version: ModelVersion, labels: LabelSet, weak: Mapping[str, Any]) -> str:
    text = f"model {version.number}: {version.state}"
    if version.state_reason:
        text += f", {version.state_reason}"
    if labels.n_dropped:
        text += f"; {labels.n_dropped} item{'s' if labels.n_dropped != 1 else ''} left out: answers tied or outdated"
    if weak and not weak["is_kept"]:
        # A version that was there before keeps its figures: this run alone tells what became of them.
        text += f"; users' words on {weak['n_items']} items left out: {weak['why']}"
    return text[:300]


def seed_of(sha256: str) -> int:
    """The same data draws the same dice."""
    return int(sha256[:8], 16)


def dataset_content(*, rules: SchemaRules, labels: LabelSet, weak: WeakRows) -> bytes:
    """Exactly these items, values and weights: what people say, and apart from it what rests on users' words."""
    rows = [list(row) for row in zip(labels.ids, labels.values, _kept_weights(labels), strict=True)]
    said = [list(row) for row in zip(weak.ids, weak.values, weak.weights, strict=True)]
    content = {"kind": rules.kind, "labels": list(rules.labels), "rows": rows}
    return canonical_json(content | ({"weak": said} if said else {}))


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def freeze_dataset(*, project: Project, schema_version: int, content: bytes, labels: LabelSet) -> Dataset:
    """The stored data set of this content (dataset_content), `labels` being what people say; the same one when nothing
    has changed."""
    sha256 = digest_of(content)
    same = Dataset.objects.filter(project=project, sha256=sha256).first()
    if same is not None and files.absolute(same.path).exists():
        return same
    path = files.datasets_folder(project.pk) / f"{sha256}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content)
    if same is not None:
        return same
    counts: dict[str, int] = {}
    for value in labels.values:
        for label in value if isinstance(value, list) else [value]:
            counts[str(label)] = counts.get(str(label), 0) + 1
    with transaction.atomic():
        Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        last = Dataset.objects.filter(project=project).aggregate(last=Max("number"))["last"] or 0
        return Dataset.objects.get_or_create(
            project=project,
            sha256=sha256,
            defaults={
                "number": last + 1,
                "path": files.relative(path),
                "n_items": len(labels),
                "class_counts": counts,
                "schema_version": schema_version,
            },
        )[0]


def _kept_weights(labels: LabelSet) -> list[float]:
    """The weights as the data set keeps them. Learned from are these, or no model could be made again from its data."""
    return [round(weight, 6) for weight in labels.weights]


def _material(project: Project, spec: FeaturizerSpec, rules: SchemaRules, labels: LabelSet) -> Material:
    found = frozen.learned_features(project=project, spec=spec, ids=labels.ids)
    refuse_audit(labels.ids, found)
    assert found.block is not None  # there are labels, and what is not stored is computed
    targets = encode_targets(
        [labels.values[place] for place in found.places], rules.labels, is_multilabel=rules.kind == "choices"
    )
    weights = np.array(_kept_weights(labels), dtype=np.float64)[found.places]
    scaling = features.pool_scaling(project=project, spec=spec, fallback=found.block)
    return Material(found.block, targets, weights, scaling)


def _leads_in_pool(project: Project, recipe: Recipe, model: Model, ids: list[int]) -> tuple[float, ...]:
    """How far the first label of this uncalibrated model leads in the pool: what was labeled is harder than that.

    Of the labeled items themselves, `ids`, it is surer than of any other: it has seen them.
    """
    if model.is_multilabel:
        return ()
    pool = features.pool_sample(project=project, spec=recipe.spec, n=POOL_SAMPLE, seed=recipe.seed, without=ids)
    return () if pool is None else pool_leads_of(model, pool)


def _measure(
    project: Project,
    spec: FeaturizerSpec,
    rules: SchemaRules,
    policy: LearningPolicy,
    model: Model,
    learned: Targets,
    audit: LabelSet,
    seed: int,
) -> dict[str, Any]:
    """What the audit split says about the model and the baselines."""
    several = rules.kind == "choices"
    if not len(audit):
        return {"n_audited": 0, "audit": None, "baselines": {}}
    found_features = features.gather(project=project, spec=spec, ids=audit.ids)
    places, block = found_features.places, found_features.block
    assert block is not None
    values = [audit.values[place] for place in places]
    truth = encode_targets(values, rules.labels, is_multilabel=several)
    n = len(truth)
    probabilities = model.predict_proba(block)
    said = decide(probabilities, is_multilabel=several)
    right = is_right(truth.y, said)
    ids = [audit.ids[place] for place in places]
    majority = majority_prediction(learned)
    baselines: dict[str, NDArray[Any]] = {
        "majority": np.broadcast_to(majority, (n, *majority.shape)),
        "random": random_predictions(learned, n, np.random.default_rng(seed)),
    }
    if policy.rules:
        baselines["rules"] = _by_rules(policy, spec, rules, ids, majority)
    judged = evaluate(truth.y, said, rules.labels)
    metrics: dict[str, Any] = {"n_audited": n, "audit": judged.to_json(), "baselines": {}}
    if judged.macro_f1 is not None:
        metrics["audit"]["macro_f1_interval"] = macro_f1_interval(
            truth.y, said, len(rules.labels), np.random.default_rng(seed)
        )
    for name, predicted in baselines.items():
        found = evaluate(truth.y, predicted, rules.labels)
        metrics["baselines"][name] = {
            "accuracy": asdict(found.accuracy) if found.accuracy else None,
            "macro_f1": found.macro_f1,
            "comparison": compare(right, is_right(truth.y, predicted)).to_json(),
        }
    if not several:
        metrics["vote"] = {
            "may_vote": may_vote(said, truth.y),
            "n": n,
            "n_right": int(right.sum()),
            "n_common": int(np.bincount(truth.y).max()),
        }
    judged_items = Judged(ids, truth.y, probabilities, said, baselines)
    return metrics | detail_of(
        policy=policy, rules=rules, judged=judged_items, temperature=model.temperature, seed=seed
    )


def _by_rules(
    policy: LearningPolicy, spec: FeaturizerSpec, rules: SchemaRules, ids: list[int], majority: NDArray[Any]
) -> NDArray[Any]:
    data = selectors.item_data(ids=ids)
    texts = ["\n".join(text_of(flatten(side), spec) for side in sides(data[pk], spec.is_pair)) for pk in ids]
    several = rules.kind == "choices"
    otherwise: object
    if several:
        otherwise = [label for label, usual in zip(rules.labels, majority, strict=True) if usual]
    else:
        otherwise = rules.labels[int(majority)]
    said = rule_predictions(parse_rules(policy.rules), texts, otherwise)
    return encode_targets(said, rules.labels, is_multilabel=several).y
