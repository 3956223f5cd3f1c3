"""Open items of the pool that are like a group of errors, put in front of the queue. Never audit items."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from active_learning import selectors
from active_learning.core.cost_lines import ABSENT
from active_learning.core.diversity import near_duplicates
from active_learning.core.error_groups import CLUSTER, CONFUSION, LENGTH
from active_learning.core.featurize import FeaturizerSpec, flatten, sides, text_of
from active_learning.core.manifest import ArtifactRefused
from active_learning.core.segments import UNKNOWN, group_name
from active_learning.core.similar import NONE, likeness_to_middle, merge_nearest, nearest
from active_learning.services import features, registry
from active_learning.services.error_work import slice_detail
from labeling.core.errors import Invalid
from labeling.models import Project
from labeling.services.ask_next import ask_next
from labeling.services.jobs import RunningJob, running_job

# Items whose meta or text is read for a slice: a group so rare is looked for among so many drawn at random.
MOST_READ = 100_000
_AT_ONCE = 1_000
# So many times as many as are wanted, of which repeats are then dropped.
SPARE = 3


def fill_slice(*, job_id: str) -> None:
    """Runs the job of a slice: finds items like the group and asks about them next. Twice does no harm."""
    with running_job(job_id) as job:
        if job is not None:
            job.finish(_fill(job))


def _fill(job: RunningJob) -> dict[str, Any]:
    project, row, n = job.project, job.params["row"], job.params["n"]
    job.report(0.1, "looking through the pool")
    taken = np.array(sorted(selectors.answered_or_closed_ids(project=project)), dtype=np.int64)
    if row["kind"] in (CONFUSION, CLUSTER):
        found = _by_features(project, job.params["version"], row, taken, n)
    else:
        found = _by_content(project, job, row, taken, n)
    if not found:
        return {"queued": 0, "group": row["key"]}
    detail = slice_detail(version=job.params["version"], row=row)
    asked = ask_next(project=project, item_ids=found, detail=detail, actor=job.job.created_by)
    return {"queued": len(asked.queued), "group": row["key"]}


def _by_features(project: Project, number: int, row: dict[str, Any], taken: NDArray[np.int64], n: int) -> list[int]:
    """For a confusion the items between whose two labels the version is most torn; for a cluster the nearest to its
    middle. One pass over the shards; near repeats are left out."""
    version = selectors.version_numbered(project=project, number=number)
    try:
        artifact = registry.load_artifact(version=version)
        spec = FeaturizerSpec.from_json(artifact.documents["featurizer"])
        model = registry.load_model(version=version) if row["kind"] == CONFUSION else None
    except ArtifactRefused as error:
        raise Invalid(f"The files of {version.source} are not in place: {error} Look at the errors again.") from error
    like = None
    if model is None:
        middle = features.gather(project=project, spec=spec, ids=row["definition"]["like"])
        like = None if middle.block is None else likeness_to_middle(spec, middle.block)
        if like is None:
            raise Invalid("The items that this cluster was known by are gone. Look at the errors again.")
    best, n_seen = NONE, 0
    for shard in features.open_shards(project=project, fingerprint=spec.fingerprint):
        n_seen += len(shard)
        ids = np.array(shard.ids)
        rows = np.flatnonzero(~shard.is_audit & ~np.isin(ids, taken, assume_unique=True))
        if not len(rows):
            continue
        block = shard.block(rows)
        if like is not None:
            closeness = like.of(block)
        else:
            assert model is not None
            closeness = _torn(model.predict_proba(block), model.labels, row["definition"])
        best = merge_nearest(best, nearest(ids[rows], closeness, SPARE * n), SPARE * n)
    if not n_seen:
        raise Invalid(
            f"The features of the items have changed since {version.source} learned. Train again, and look again."
        )
    return _without_repeats(project, spec, best.ids, n)


def _torn(p: NDArray[np.floating], labels: tuple[str, ...], definition: dict[str, str]) -> NDArray[np.float32]:
    """How torn the model is between two labels: the lesser of their probabilities. Of one label that is there or not:
    how near to a half."""
    sides_of_it = [labels.index(label) for label in (definition["true"], definition["said"]) if label != ABSENT]
    if len(sides_of_it) == 2:
        return p[:, sides_of_it].min(axis=1).astype(np.float32)
    own = p[:, sides_of_it[0]]
    return np.minimum(own, 1 - own).astype(np.float32)


def _without_repeats(project: Project, spec: FeaturizerSpec, ids: NDArray[np.int64], n: int) -> list[int]:
    """The first `n` that do not nearly repeat an earlier one; repeats only where nothing else is left."""
    found = features.gather(project=project, spec=spec, ids=ids.tolist())
    if found.block is None:
        return []
    kept = ids[found.places]
    order = np.arange(len(kept))
    repeats = near_duplicates(found.block, order)
    ordered = np.concatenate([np.setdiff1d(order, repeats), repeats])
    return [int(pk) for pk in kept[ordered[:n]]]


def _by_content(project: Project, job: RunningJob, row: dict[str, Any], taken: NDArray[np.int64], n: int) -> list[int]:
    """The first `n` items of the group among open ones of the pool, read in an order drawn at random."""
    ids = np.setdiff1d(np.fromiter(selectors.pool_ids(project=project), dtype=np.int64), taken)
    # The same group draws the same order, so that asking twice asks about the same items.
    order = np.random.default_rng(int(row["key"].rsplit("-", 1)[1], 16)).permutation(ids)[:MOST_READ]
    spec = features.stored_spec(selectors.policy_of(project))
    found: list[int] = []
    for start in range(0, len(order), _AT_ONCE):
        job.report(0.1 + 0.8 * start / len(order), f"{len(found)} of {n} items found")
        found += _fitting(order[start : start + _AT_ONCE].tolist(), row, spec)
        if len(found) >= n:
            break
    return found[:n]


def _fitting(ids: list[int], row: dict[str, Any], spec: FeaturizerSpec | None) -> Iterator[int]:
    definition = row["definition"]
    if row["kind"] == LENGTH:
        data = selectors.item_data(ids=ids)
        for pk in ids:
            length = _length(data.get(pk), spec)
            if length >= definition["from"] and (definition["to"] is None or length <= definition["to"]):
                yield pk
        return
    metas = selectors.item_metas(ids=ids)
    for pk in ids:
        if (group_name(metas.get(pk, {}).get(definition["key"])) or UNKNOWN) == definition["group"]:
            yield pk


def _length(data: Any, spec: FeaturizerSpec | None) -> int:
    if spec is None or not isinstance(data, dict):
        return 0
    return len("\n".join(text_of(flatten(side), spec) for side in sides(data, spec.is_pair)).strip())
