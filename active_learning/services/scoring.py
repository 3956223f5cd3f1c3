"""The pool in order: map over the shards, reduce to the best, put them in line with random draws and audit items."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import structlog
from django.conf import settings
from numpy.typing import NDArray

from active_learning import selectors
from active_learning.core.acquisition import (
    STRATEGIES,
    Candidates,
    Search,
    Strategy,
    best_of_shard,
    geometry,
    order_candidates,
    reduce_candidates,
    strategy_at,
)
from active_learning.core.audit import audit_share_of_queue
from active_learning.core.blocks import FeatureBlock
from active_learning.core.committee import fit_committee
from active_learning.core.composition import QueuePlace, compose_queue, count_reasons, draw
from active_learning.core.diversity import CLUSTER_SAMPLE, typical_of_clusters
from active_learning.core.featurize import FeaturizerSpec, explain_words, flatten, places_of_texts, text_of
from active_learning.core.learners import Model, learner_of
from active_learning.core.manifest import ArtifactRefused
from active_learning.core.start import floor_labels, is_cold
from active_learning.core.strategies import RANDOM, RECOMMENDED
from active_learning.core.values import likeliest_value
from active_learning.core.wording import HARDLY
from active_learning.models import LearningPolicy, ModelVersion, ScoringRun
from active_learning.services import features, registry
from active_learning.services.material import what_was_learned
from labeling.core.errors import DomainError, Invalid
from labeling.core.schema import SchemaRules
from labeling.models import Item, Job, Project, QueueEntry
from labeling.services.jobs import running_job
from labeling.services.queue import QueueCandidate, replace_queue
from labeling.services.suggest import ItemSuggestion, store_suggestions

log = structlog.get_logger(__name__)

Reason = QueueEntry.Reason
# Clusters cost time: no more than people answer before the next order.
MAX_TYPICAL = 100
# Labeled items that stand for all of them where others are to differ from those: more would change little.
MAX_COVERED = 500
# Probabilities that are stored with a suggestion: of all labels, or of the likeliest where there are very many.
MAX_PROBABILITIES = 20
Says = Callable[[FeatureBlock], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class _Pool:
    """What one pass over the shards found."""

    n: int
    open_ids: NDArray[np.int64]
    open_audit_ids: NDArray[np.int64]
    candidates: Candidates | None


def score(*, job_id: str) -> None:
    """Runs an ordering job."""
    with running_job(job_id) as job:
        if job is not None:
            done = order_queue(project=job.project, job=job.job)
            job.finish({"queued": done.n_queued, "scored": done.n_scored} if done else {"queued": 0})


def order_queue(
    *, project: Project, job: Job | None = None, rng: np.random.Generator | None = None
) -> ScoringRun | None:
    """Swaps in a new order of the queue and new suggestions; None when no item has features yet.

    Ordering uses the newest version, live or not: it only decides what people are asked, never what is answered.
    """
    began = time.perf_counter()
    rng = rng or np.random.default_rng()
    policy = selectors.policy_of(project)
    spec = features.stored_spec(policy)
    if spec is None:
        return None
    _, rules = selectors.current_rules(project)
    version, model = _newest_model(project, spec, rules)
    taken = np.array(sorted(selectors.answered_or_closed_ids(project=project)), dtype=np.int64)
    search = _search_of(policy, rules, version, rng)
    says = _says(version, model, search)
    pool = _pass_over(project, spec, says, search, taken)
    if pool.n == 0:
        return None
    wanted = policy.queue_size
    streams: dict[str, list[QueuePlace]] = {
        "model": _cold_start(project, spec, policy, rules, version, pool, taken, rng)
        + _acquired(project, spec, rules, version, search, pool, taken),
        "random": draw(pool.open_ids, _n_explored(policy, pool), rng, Reason.RANDOM),
        "audit": draw(pool.open_audit_ids, wanted, rng, Reason.AUDIT),
    }
    if not streams["model"]:
        streams["model"] = draw(pool.open_ids, wanted, rng, Reason.RANDOM)
    elif len(streams["model"]) < wanted:
        streams["model"] += _fill(pool.open_ids, streams, wanted - len(streams["model"]), rng)
    audit_share = audit_share_of_queue(selectors.n_audited(project=project))
    shares = {"random": policy.exploration_share, "audit": audit_share}
    shares["model"] = max(0.0, 1.0 - policy.exploration_share - audit_share)
    line = compose_queue(streams, shares, wanted)
    run = ScoringRun(
        project=project,
        job=job,
        version=version,
        strategy=policy.strategy,
        n_scored=pool.n,
        composition=count_reasons(line),
        n_queued=0,
        seconds=0.0,
    )
    run.n_queued = replace_queue(
        project=project,
        entries=[QueueCandidate(p.item_id, p.reason, p.detail, p.propensity) for p in line],
        batch=ScoringRun.objects.filter(project=project).count() + 1,
        ordered_by=_author(version, line),
    )
    _suggest(project, spec, rules, version, model)
    run.seconds = round(time.perf_counter() - began, 3)
    run.save(force_insert=True)
    return run


def _author(version: ModelVersion | None, line: Sequence[QueuePlace]) -> str:
    if version is not None:
        return version.source
    return "cluster start" if any(place.reason == Reason.COLD_START for place in line) else "random order"


def _fill(
    open_ids: NDArray[np.int64], streams: Mapping[str, Sequence[QueuePlace]], n: int, rng: np.random.Generator
) -> list[QueuePlace]:
    """Random items for the end of the line. They were drawn from what the model left over, so no propensity is
    recorded: they say nothing about the pool as a whole."""
    chosen = np.array([place.item_id for places in streams.values() for place in places], dtype=np.int64)
    rest = open_ids[~np.isin(open_ids, chosen)]
    return [QueuePlace(place.item_id, Reason.RANDOM) for place in draw(rest, n, rng, Reason.RANDOM)]


def _n_explored(policy: LearningPolicy, pool: _Pool) -> int:
    """How many random draws fill their share of the line, which may be shorter than it could be."""
    line = min(policy.queue_size, len(pool.open_ids))
    return max(1, round(line * policy.exploration_share)) if policy.exploration_share else 0


def _newest_model(
    project: Project, spec: FeaturizerSpec, rules: SchemaRules
) -> tuple[ModelVersion | None, Model | None]:
    """The newest version that fits today's features and labels. A refused file is as good as none, and is said."""
    version = selectors.newest_version(project=project)
    if version is None or version.parameters.get("fingerprint") != spec.fingerprint:
        return None, None
    try:
        model = registry.load_model(version=version)
    except ArtifactRefused as error:
        log.error("model_refused", project=project.slug, version=version.number, error=str(error))
        return None, None
    if model.labels != rules.labels:  # the schema has changed; the next training speaks of its labels
        return None, None
    return version, model


def _search_of(
    policy: LearningPolicy, rules: SchemaRules, version: ModelVersion | None, rng: np.random.Generator
) -> Search:
    counts = _label_counts(version, rules)
    return Search(
        strategy=strategy_of(policy.strategy),
        n=policy.queue_size,
        is_multilabel=rules.kind == "choices",
        seed=int(rng.integers(2**31)),
        batch=min(max(policy.retrain_after, 10), 100),
        n_labels=version.dataset.n_items if version else 0,
        floor_labels=floor_labels(counts) if policy.strategy == RECOMMENDED else (),
    )


def strategy_of(name: str) -> Strategy:
    """The strategy that an owner chose. Raises Invalid when it was the operator's own and is not there any more."""
    if name in STRATEGIES:
        return STRATEGIES[name]
    if name not in settings.QUERY_STRATEGIES:
        raise Invalid(f"There is no strategy {name} here any more. An owner chooses another one under Model.")
    try:
        return strategy_at(name)
    except ImportError as error:
        raise Invalid(f"The strategy {name} could not be imported by the worker: {error}.") from error


def _label_counts(version: ModelVersion | None, rules: SchemaRules) -> list[int]:
    counts = version.dataset.class_counts if version else {}
    return [int(counts.get(label, 0)) for label in rules.labels]


def _says(version: ModelVersion | None, model: Model | None, search: Search) -> Says | None:
    """What speaks of the pool's items: the model's probabilities, or the votes of a committee that learned as it did.

    Where what the version learned from is gone, its own probabilities.
    """
    if version is None or model is None:
        return None
    if not search.strategy.asks_committee:
        return model.predict_proba
    try:
        learned = what_was_learned(version=version)
    except (ArtifactRefused, DomainError) as error:
        log.error("no_committee", project=version.project.slug, version=version.number, error=str(error))
        return model.predict_proba
    learner = learner_of(learned.recipe.parameters)
    return fit_committee(learner, learned.material, np.random.default_rng(search.seed)).vote_shares


def _pass_over(
    project: Project, spec: FeaturizerSpec, says: Says | None, search: Search, taken: NDArray[np.int64]
) -> _Pool:
    """One pass over all shards. Memory holds one of them, the ids, and the best candidates so far."""
    n = 0
    open_ids: list[NDArray[np.int64]] = []
    open_audit_ids: list[NDArray[np.int64]] = []
    kept: Candidates | None = None
    for shard in features.open_shards(project=project, fingerprint=spec.fingerprint):
        n += len(shard)
        ids = np.array(shard.ids)
        is_open = ~_contains(taken, ids)
        eligible = is_open & ~shard.is_audit
        open_ids.append(ids[eligible])
        open_audit_ids.append(ids[is_open & shard.is_audit])
        if says is not None and eligible.any():
            block = shard.block()
            kept = reduce_candidates(search, kept, best_of_shard(search, block, ids, says(block), eligible))
    nothing = np.zeros(0, dtype=np.int64)
    return _Pool(
        n,
        np.concatenate([nothing, *open_ids]),
        np.concatenate([nothing, *open_audit_ids]),
        kept,
    )


def _contains(sorted_ids: NDArray[np.int64], ids: NDArray[np.int64]) -> NDArray[np.bool_]:
    if not len(sorted_ids):
        return np.zeros(len(ids), dtype=bool)
    place = np.searchsorted(sorted_ids, ids).clip(max=len(sorted_ids) - 1)
    return sorted_ids[place] == ids


def _cold_start(
    project: Project,
    spec: FeaturizerSpec,
    policy: LearningPolicy,
    rules: SchemaRules,
    version: ModelVersion | None,
    pool: _Pool,
    taken: NDArray[np.int64],
    rng: np.random.Generator,
) -> list[QueuePlace]:
    """Typical items of groups that nobody has judged yet, while too little is known for the model to be torn."""
    if policy.strategy != RECOMMENDED or not len(pool.open_ids):
        return []
    if version and not is_cold(_label_counts(version, rules), version.dataset.n_items):
        return []
    size = min(CLUSTER_SAMPLE, len(pool.open_ids))
    sample = np.sort(rng.choice(pool.open_ids, size=size, replace=False))
    covered = taken if len(taken) <= MAX_COVERED else rng.choice(taken, size=MAX_COVERED, replace=False)
    ids = np.concatenate([sample, covered])
    found = features.features_of(shards=features.open_shards(project=project, fingerprint=spec.fingerprint), ids=ids)
    if found.block is None:
        return []
    is_covered = found.places >= len(sample)
    # Enough for the labels that come in before the next order, with room for several people.
    n = min(3 * policy.retrain_after, MAX_TYPICAL)
    typical = typical_of_clusters(geometry(found.block), n, rng, covered=is_covered)
    return [QueuePlace(int(ids[found.places[t.row]]), Reason.COLD_START, {"group": t.group_size}) for t in typical]


def _acquired(
    project: Project,
    spec: FeaturizerSpec,
    rules: SchemaRules,
    version: ModelVersion | None,
    search: Search,
    pool: _Pool,
    taken: NDArray[np.int64],
) -> list[QueuePlace]:
    """What the strategy wants, best first, each with the two labels between which the model is torn."""
    if version is None or pool.candidates is None:
        return []
    labeled: Any = None
    if search.strategy.sees_labeled:
        shards = features.open_shards(project=project, fingerprint=spec.fingerprint)
        seen = np.random.default_rng(search.seed).permutation(taken)[:MAX_COVERED]
        found = features.features_of(shards=shards, ids=np.sort(seen))
        labeled = None if found.block is None else geometry(found.block)
    ordered = order_candidates(search, pool.candidates, labeled)
    if search.strategy.name == RANDOM:
        share = len(ordered) / len(pool.open_ids)
        detail = {"drawn": len(ordered), "of": len(pool.open_ids)}
        return [QueuePlace(int(pk), Reason.RANDOM, detail, share) for pk in ordered.ids]
    return [
        QueuePlace(int(pk), Reason.ACQUISITION, {"p": _torn_between(p, rules), "version": version.number})
        for pk, p in zip(ordered.ids, ordered.probabilities, strict=True)
    ]


def _torn_between(p: NDArray[np.float32], rules: SchemaRules) -> list[list[Any]]:
    if rules.kind == "choices":
        label = int(np.abs(p - 0.5).argmin())
        share = round(float(p[label]), 4)
        return [[rules.labels[label], share], [f"not {rules.labels[label]}", round(1 - share, 4)]]
    top = np.argsort(-p, kind="stable")[:2]
    return [[rules.labels[i], round(float(p[i]), 4)] for i in top]


# Suggestions


def _suggest(
    project: Project, spec: FeaturizerSpec, rules: SchemaRules, version: ModelVersion | None, model: Model | None
) -> None:
    """Proposes a value for every queued item of the pool. Audit items are judged blind, so they get none."""
    if version is None or model is None:
        return
    queued = QueueEntry.objects.filter(project=project, item__split=Item.Split.POOL).order_by("rank", "id")
    ids = list(queued.values_list("item_id", flat=True))
    shards = features.open_shards(project=project, fingerprint=spec.fingerprint)
    found = features.features_of(shards=shards, ids=np.array(ids, dtype=np.int64))
    if found.block is None:
        return
    known = [ids[place] for place in found.places]
    probabilities = model.predict_proba(found.block)
    explained = _explained(spec, model, known, probabilities)
    suggestions = [
        ItemSuggestion(
            item_id=pk,
            value=likeliest_value(p, rules),
            probabilities=_shown_probabilities(p, rules),
            source=version.source,
            words=words,
        )
        for pk, p, words in zip(known, probabilities, explained, strict=True)
    ]
    store_suggestions(project=project, suggestions=suggestions)


def _shown_probabilities(p: NDArray[np.float32], rules: SchemaRules) -> dict[str, float]:
    order = np.argsort(-p, kind="stable")[:MAX_PROBABILITIES]
    return {rules.labels[i]: round(float(p[i]), 4) for i in order}


def _explained(
    spec: FeaturizerSpec, model: Model, ids: Sequence[int], probabilities: NDArray[np.float32]
) -> Iterator[list[dict[str, Any]]]:
    """The words that speak for each suggestion, as places in the item's own text fields; none in the two things of a
    pair."""
    linear = model.linear_part
    if linear is None or spec.is_pair or not spec.text_fields:
        yield from ([] for _ in ids)
        return
    data = selectors.item_data(ids=ids)
    weights: dict[int, dict[int, float]] = {}
    for pk, p in zip(ids, probabilities, strict=True):
        label = int(p.argmax())
        if label not in weights:
            weights[label] = linear.word_weights(label)
        row = flatten(data[pk])
        places = [place for place in places_of_texts(row, spec) if isinstance(data[pk].get(place[0]), str)]
        yield [
            {
                "field": field,
                "start": word.start - start,
                "end": word.end - start,
                "weight": round(word.weight, 4),
            }
            for word in explain_words(text_of(row, spec), weights[label], spec)
            for field, start, end in places
            if word.weight >= HARDLY and start <= word.start and word.end <= end
        ]
