"""Where a version errs: its audit mistakes and those on what it learned from, in groups, with what to do about them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from active_learning import selectors
from active_learning.core.acquisition import geometry
from active_learning.core.audit import MIN_AUDITED
from active_learning.core.blocks import FeatureBlock, stack_blocks
from active_learning.core.costs import cost_table
from active_learning.core.crossfit import cross_fitted_probabilities
from active_learning.core.diagnosis import diagnose
from active_learning.core.diversity import clusters_of
from active_learning.core.error_groups import (
    CLUSTER,
    CONFUSION,
    Cases,
    Group,
    Measured,
    clearness,
    find_groups,
    listed,
    measure,
)
from active_learning.core.error_words import group_words
from active_learning.core.evaluation import is_right
from active_learning.core.featurize import FeaturizerSpec, flatten, sides, text_of, words_of
from active_learning.core.label_errors import Suspects, label_errors, several_label_errors
from active_learning.core.learners import learner_of
from active_learning.core.manifest import ArtifactRefused
from active_learning.core.stopping import stable_sample
from active_learning.core.targets import decide, encode_targets
from active_learning.core.telling import telling_words
from active_learning.models import ModelVersion
from active_learning.services import features, registry
from active_learning.services.evaluation import rounded
from active_learning.services.material import Learned, what_was_learned
from labeling.core.errors import Conflict, Invalid
from labeling.core.schema import SchemaRules
from labeling.core.shares import wilson
from labeling.models import Project
from labeling.services.jobs import RunningJob, running_job

# Of more labeled items so many are asked about, drawn at random: each costs five fits.
MOST_PICKED = 10_000
# Items of the pool that help to see its clusters.
POOL_SAMPLE = 2_000
# A cluster should hold some audit items, and a person should be able to read all clusters.
AUDIT_A_CLUSTER = 15
MOST_CLUSTERS = 12
# Pool items nearest to the middle of a cluster, by which others like it are found.
CENTRAL = 30
EXAMPLES = 3
MOST_SUSPECTS = 500
SEED = 20_260_301


def analyse_errors(*, job_id: str) -> None:
    """Runs an error analysis; its result is what the page shows. The same data and version give the same result."""
    with running_job(job_id) as job:
        if job is not None:
            job.finish(_analyse(job))


@dataclass(frozen=True, slots=True)
class _Judged:
    """Items with what they are, what a model that did not learn from them makes of them, and their features."""

    ids: list[int]
    truth: NDArray[Any]
    probabilities: NDArray[np.float32]
    block: FeatureBlock | None
    clear: NDArray[np.float64] | None = None

    @property
    def said(self) -> NDArray[Any]:
        return decide(self.probabilities, is_multilabel=self.truth.ndim == 2)


def _analyse(job: RunningJob) -> dict[str, Any]:
    project = job.project
    number = job.params.get("version")
    version = selectors.version_numbered(project=project, number=number) if number else _version(project)
    _, rules = selectors.current_rules(project)
    job.report(0.05, f"reading what {version.source} learned from")
    learned = _learned(version, rules)
    spec = learned.recipe.spec
    job.report(0.15, "asking of its labels what the others teach")
    picked = _picked(learned)
    job.report(0.6, "asking of the audit split")
    try:
        model = registry.load_model(version=version)
    except ArtifactRefused as refused:
        raise Invalid(
            f"The files of {version.source} are not in place (it may have been retired meanwhile): {refused} "
            "Look again: the live version is then looked at."
        ) from refused
    audit = _audited(project, spec, rules, model)
    is_learned_right = is_right(
        learned.material.targets.y,
        decide(model.predict_proba(learned.material.block), is_multilabel=learned.material.targets.is_multilabel),
    )
    job.report(0.75, "putting mistakes into groups")
    parts = [part for part in (audit, picked) if len(part.ids)]
    cases = Cases(
        rules.labels,
        np.concatenate([np.full(len(part.ids), part is audit) for part in parts]),
        np.concatenate([part.truth for part in parts]),
        np.concatenate([part.said for part in parts]),
        cost_table(selectors.policy_of(project).costs, rules.labels),
        None
        if audit.clear is None
        else np.concatenate([part.clear if part.clear is not None else np.ones(len(part.ids)) for part in parts]),
    )
    ids = [pk for part in parts for pk in part.ids]
    found = _groups(project, spec, cases, ids, parts)
    suspects = _suspects(picked)
    measured = measure(found.groups, cases, SEED)
    shown, hidden = listed(found.groups, measured)
    n_audit, n_wrong = int(cases.is_audit.sum()), int((cases.is_wrong & cases.is_audit).sum())
    error = wilson(n_wrong, n_audit) if n_audit >= MIN_AUDITED else None
    train = wilson(int((~is_learned_right).sum()), len(is_learned_right))
    job.report(0.9, "looking for words")
    rows = [
        _group_json(version, found, cases, ids, suspects, place, measured[place], n_labels=len(rules.labels))
        for place in shown
    ]
    worse = [place for place in shown if (one := measured[place]) and one.verdict == "worse"]
    parts_of_data = [found.groups[place] for place in worse if found.groups[place].kind != CONFUSION]
    named = {row["key"]: row for row in rows}
    n_probable = len(suspects.probable)
    causes = diagnose(
        learned=train,
        audit=error,
        n_audited=n_audit,
        worse=[group_words(named[group.key(version.number)]) for group in parts_of_data],
        n_suspects=n_probable,
        n_labels=len(picked.ids),
    )
    return rounded(
        {
            "version": version.number,
            "audit": {"n": n_audit, "n_errors": n_wrong, "min": MIN_AUDITED, "error": _json(error)},
            "picked": {"n": len(picked.ids), "n_errors": int((cases.is_wrong & ~cases.is_audit).sum())},
            "learned_error": _json(train),
            "has_costs": bool(selectors.policy_of(project).costs),
            "causes": [cause.to_json() for cause in causes],
            "groups": rows,
            "hidden": hidden,
            "n_suspects": n_probable,
            "suspects": _suspect_rows(version, picked, suspects.probable, rules, found, cases, ids, shown),
        }
    )


def _version(project: Project) -> ModelVersion:
    version = selectors.live_version(project=project) or selectors.newest_version(project=project)
    if version is None:
        raise Invalid("There is no model yet whose errors could be looked at.")
    return version


def _learned(version: ModelVersion, rules: SchemaRules) -> Learned:
    try:
        learned = what_was_learned(version=version)
    except ArtifactRefused as error:
        raise Invalid(f"The files of {version.source} cannot be read: {error}") from error
    if learned.material.targets.labels != rules.labels:
        raise Conflict(
            f"The labels have changed since {version.source} learned. Train again, then look at its errors.",
            code="labels_changed",
        )
    return learned


def _picked(learned: Learned) -> _Judged:
    """What models that did not learn from them say of the labeled items; none where nothing can be told."""
    recipe = learned.recipe
    rng = np.random.default_rng(recipe.seed)
    rows = np.sort(rng.permutation(len(learned.ids))[:MOST_PICKED])
    material = learned.material.take(rows)
    p = cross_fitted_probabilities(learner_of(recipe.parameters), material, rng)
    kept = np.flatnonzero(~np.isnan(p).any(axis=1))
    ids = [learned.ids[row] for row in rows[kept]]
    return _Judged(ids, material.targets.y[kept], p[kept], material.block.take(kept))


def _audited(project: Project, spec: FeaturizerSpec, rules: SchemaRules, model: Any) -> _Judged:
    labels = selectors.audit_labels(project=project, rules=rules)
    found = features.gather(project=project, spec=spec, ids=labels.ids)
    several = rules.kind == "choices"
    truth = encode_targets([labels.values[place] for place in found.places], rules.labels, is_multilabel=several).y
    if found.block is None:
        return _Judged([], truth, np.zeros((0, len(rules.labels)), dtype=np.float32), None)
    shares = np.array(labels.weights)[found.places] if labels.n_annotations > len(labels) else None
    return _Judged(
        [labels.ids[place] for place in found.places],
        truth,
        model.predict_proba(found.block),
        found.block,
        None if shares is None else clearness(shares),
    )


def _suspects(picked: _Judged) -> Suspects:
    if not len(picked.ids):
        return Suspects(np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.int64), np.zeros(0))
    find = several_label_errors if picked.truth.ndim == 2 else label_errors
    return find(picked.probabilities, picked.truth)


@dataclass(frozen=True, slots=True)
class _Found:
    """The groups; the words of each case; and of each cluster the pool items nearest to its middle."""

    groups: list[Group]
    words: list[set[str]]
    central: dict[int, list[int]]


def _groups(
    project: Project, spec: FeaturizerSpec, cases: Cases, ids: Sequence[int], parts: Sequence[_Judged]
) -> _Found:
    metas, data = selectors.item_metas(ids=ids), selectors.item_data(ids=ids)
    texts = [_text(data.get(pk, {}), spec) for pk in ids]
    lengths = np.array([len(text) for text in texts], dtype=np.int64) if any(texts) else None
    clusters, central = _clusters(project, spec, ids, cases, parts)
    groups = find_groups(cases, metas=[metas.get(pk, {}) for pk in ids], lengths=lengths, clusters=clusters)
    return _Found(
        [_with_centre(group, central) for group in groups],
        [{word for match in words_of(text) if (word := match.group().casefold()).isalnum()} for text in texts],
        central,
    )


def _with_centre(group: Group, central: dict[int, list[int]]) -> Group:
    if group.kind != CLUSTER:
        return group
    number = group.definition["cluster"]
    definition = {"number": number + 1, "like": central.get(number, [])}
    return Group(group.kind, definition, group.member, group.mistake, group.rest, group.rest_mistake)


def _text(data: Any, spec: FeaturizerSpec) -> str:
    if not isinstance(data, dict):
        return ""
    return "\n".join(text_of(flatten(side), spec) for side in sides(data, spec.is_pair)).strip()


def _clusters(
    project: Project, spec: FeaturizerSpec, ids: Sequence[int], cases: Cases, parts: Sequence[_Judged]
) -> tuple[NDArray[np.integer] | None, dict[int, list[int]]]:
    """The cluster of each case, and the pool items nearest to the middle of each.

    Unlabeled items of the pool stand among them, so that clusters are those of the data and not of what was picked.
    """
    n_clusters = min(MOST_CLUSTERS, max(int(cases.is_audit.sum()), len(cases) // 2) // AUDIT_A_CLUSTER)
    blocks = [part.block for part in parts if part.block is not None]
    if n_clusters < 2 or not blocks:
        return None, {}
    sample, others = _pool_sample(project, spec, set(ids))
    rows = geometry(stack_blocks(blocks if others is None else [*blocks, others]))
    found, distance = clusters_of(rows, n_clusters, np.random.default_rng(SEED))
    all_ids = np.array([*ids, *(sample if others is not None else [])], dtype=np.int64)
    is_pool = np.concatenate([~cases.is_audit, np.ones(len(all_ids) - len(ids), dtype=bool)])
    central: dict[int, list[int]] = {}
    for number in np.unique(found):
        own = np.flatnonzero((found == number) & is_pool)
        nearest = own[np.argsort(distance[own], kind="stable")[:CENTRAL]]
        central[int(number)] = sorted(all_ids[nearest].tolist())
    return found[: len(ids)], central


def _pool_sample(project: Project, spec: FeaturizerSpec, known: set[int]) -> tuple[list[int], FeatureBlock | None]:
    kept = np.zeros(0, dtype=np.int64)
    for shard in features.open_shards(project=project, fingerprint=spec.fingerprint):
        ids = np.array(shard.ids)[~shard.is_audit]
        fresh = ids[~np.isin(ids, np.array(sorted(known), dtype=np.int64))]
        kept = stable_sample(np.concatenate([kept, fresh]), POOL_SAMPLE)
    found = features.features_of(shards=features.open_shards(project=project, fingerprint=spec.fingerprint), ids=kept)
    return kept[found.places].tolist(), found.block


def _group_json(
    version: ModelVersion,
    found: _Found,
    cases: Cases,
    ids: Sequence[int],
    suspects: Suspects,
    place: int,
    measured: Measured | None,
    *,
    n_labels: int,
) -> dict[str, Any]:
    group = found.groups[place]
    # A cluster is told by all of its texts, another group by those that went wrong.
    inside = group.member if group.kind == CLUSTER else group.mistake
    words = telling_words(
        [found.words[row] for row in np.flatnonzero(inside)], [found.words[row] for row in np.flatnonzero(~inside)]
    )
    # Labeled items first: who judges audit items should not read what a model makes of them.
    wrong = np.flatnonzero(group.mistake)
    wrong = wrong[np.argsort(cases.is_audit[wrong], kind="stable")][:EXAMPLES]
    return {
        "key": group.key(version.number),
        "kind": group.kind,
        "definition": dict(group.definition),
        "audit": measured.to_json() if measured else None,
        "picked": {
            "n": int((group.member & ~cases.is_audit).sum()),
            "n_errors": int((group.mistake & ~cases.is_audit).sum()),
        },
        "words": [{"word": one.word, "n": one.n} for one in words],
        "examples": [
            {
                "item": ids[int(row)],
                "is_audit": bool(cases.is_audit[row]),
                "given": _value(cases.truth[row], cases.labels),
                "said": _value(cases.said[row], cases.labels),
            }
            for row in wrong
        ],
    }


def _suspect_rows(
    version: ModelVersion,
    picked: _Judged,
    suspects: Suspects,
    rules: SchemaRules,
    found: _Found,
    cases: Cases,
    ids: Sequence[int],
    shown: Sequence[int],
) -> list[dict[str, Any]]:
    """The probable label errors, the most probable first, each with the groups that it is in."""
    row_of = {pk: row for row, pk in enumerate(ids)}
    rows = []
    for number, said, margin in zip(
        suspects.rows[:MOST_SUSPECTS], suspects.said[:MOST_SUSPECTS], suspects.margin[:MOST_SUSPECTS], strict=True
    ):
        pk, truth, p = picked.ids[number], picked.truth[number], picked.probabilities[number]
        row = row_of[pk]
        if truth.ndim:
            better = truth.copy()
            better[said] = ~better[said]
            p_said, p_given = (p[said], 1 - p[said]) if better[said] else (1 - p[said], p[said])
        else:
            better, p_said, p_given = said, p[said], p[truth]
        rows.append(
            {
                "item": pk,
                "given": _typed(_value(truth, rules.labels), rules),
                "said": _typed(_value(better, rules.labels), rules),
                "p_given": float(p_given),
                "p_said": float(p_said),
                "margin": float(margin),
                "groups": [
                    found.groups[place].key(version.number) for place in shown if _is_in(found.groups[place], row)
                ],
            }
        )
    return rows


def _is_in(group: Group, row: int) -> bool:
    return bool((group.mistake if group.kind == CONFUSION else group.member)[row])


def _value(truth: Any, labels: Sequence[str]) -> Any:
    if np.ndim(truth):
        return sorted(label for label, has in zip(labels, truth, strict=True) if has)
    return labels[int(truth)]


def _typed(value: Any, rules: SchemaRules) -> Any:
    """The value as answers have it."""
    return int(value) if rules.kind == "rating" else value


def _json(share: Any) -> dict[str, Any] | None:
    return None if share is None else {"value": share.value, "low": share.low, "high": share.high, "n": share.n}
