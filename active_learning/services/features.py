"""The features of a project's items: computed once, kept in shards, read by every training and ordering.

Only the features job of a project writes its shards, so there is one writer; readers open what the rows name.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from django.db import transaction
from numpy.typing import NDArray

from active_learning import selectors
from active_learning.core.acquisition import random_keys, top
from active_learning.core.blocks import FeatureBlock, stack_blocks
from active_learning.core.embedding import EmbeddingUnavailable, embedder_for
from active_learning.core.featurize import Featurizer, FeaturizerSpec, RawItem, infer_spec
from active_learning.core.scaling import DenseScaling, dense_scaling
from active_learning.core.shards import (
    SHARD_SIZE,
    Shard,
    ShardCorrupt,
    ShardFile,
    join_shards,
    open_shard,
    remove_shard,
    rows_of,
    write_shard,
)
from active_learning.models import FeatureShard, LearningPolicy
from active_learning.services import files
from active_learning.services.triggers import request_features
from labeling.core.errors import Conflict
from labeling.models import Item, Project
from labeling.services.jobs import RunningJob, running_job

log = structlog.get_logger(__name__)

# What the kinds of fields are judged by.
SAMPLE_SIZE = 1_000
# Items that are turned into features at a time: progress is reported in between.
STEP = 512
# A job stops here and is asked for again, so that no task runs into its time limit.
MAX_SECONDS = 1_500.0
# Answered items without stored features are computed on the spot, up to this many.
ON_THE_SPOT = 5_000
_IDS_A_QUERY = 1_000
# Stored with the spec, and no part of it.
_BESIDE_SPEC = ("fingerprint", "left_out")


def stored_spec(policy: LearningPolicy) -> FeaturizerSpec | None:
    """The spec that the project's shards are made with, or None before the first."""
    if not policy.featurizer:
        return None
    return FeaturizerSpec.from_json({k: v for k, v in policy.featurizer.items() if k not in _BESIDE_SPEC})


def ensure_spec(*, project: Project) -> FeaturizerSpec:
    """The project's spec, inferred anew when there is none, its embedding is gone, the items have outgrown it, or other
    fields are to be left out.

    Raises Conflict for a project without items: there is nothing to look at.
    """
    policy = selectors.policy_of(project)
    spec = stored_spec(policy)
    left_out = list(policy.fields_left_out)
    is_as_set = (policy.featurizer or {}).get("left_out", []) == left_out
    if spec is not None and is_as_set and _is_usable(spec) and not _is_outgrown(project, policy):
        return spec
    sample = _sample(project)
    if not sample:
        raise Conflict("This project has no items to learn from.", code="no_items")
    schema, _ = selectors.current_rules(project)
    fresh = infer_spec(sample, is_pair=schema.kind == "pair", left_out=left_out)
    if spec is not None and _is_usable(spec) and _is_like(spec, fresh):
        fresh = spec
    policy.featurizer = fresh.to_json() | {"fingerprint": fresh.fingerprint, "left_out": left_out}
    policy.n_items_inferred_from = len(sample)
    policy.save(update_fields=["featurizer", "n_items_inferred_from"])
    return fresh


def _is_usable(spec: FeaturizerSpec) -> bool:
    if not spec.embedding:
        return True
    try:
        embedder_for(spec.embedding, spec.embedding_version)
    except EmbeddingUnavailable:
        return False
    return True


def _is_outgrown(project: Project, policy: LearningPolicy) -> bool:
    seen = policy.n_items_inferred_from
    if seen >= SAMPLE_SIZE:
        return False
    # A handful of items may not show which fields there are; four times as many are worth another look.
    return Item.objects.filter(project=project)[: 4 * seen].count() >= 4 * seen


def _is_like(one: FeaturizerSpec, other: FeaturizerSpec) -> bool:
    """Whether two specs see the same fields; how numbers are scaled may differ."""

    def fields(spec: FeaturizerSpec) -> tuple:
        numbers = tuple(field.name for field in spec.numeric_fields)
        return spec.text_fields, numbers, spec.categorical_fields, spec.vector_dimension, spec.embedding

    return fields(one) == fields(other)


def _sample(project: Project) -> list[RawItem]:
    ids = np.fromiter(selectors.item_ids(project=project), dtype=np.int64)
    ids.sort()
    chosen = ids if len(ids) <= SAMPLE_SIZE else ids[np.linspace(0, len(ids) - 1, SAMPLE_SIZE).astype(np.intp)]
    return [raw for _, raw, _ in raw_items(chosen)]


def raw_items(ids: NDArray[np.int64]) -> Iterator[tuple[int, RawItem, bool]]:
    """Id, content and whether it is in the audit split, of the named items in order of id."""
    for start in range(0, len(ids), _IDS_A_QUERY):
        part = ids[start : start + _IDS_A_QUERY].tolist()
        rows = Item.objects.filter(pk__in=part).order_by("pk").values_list("pk", "data", "features", "split")
        for pk, data, vector, split in rows:
            numbers = None if vector is None else np.frombuffer(bytes(vector), dtype="<f4")
            yield pk, RawItem(data, numbers), split == Item.Split.AUDIT


# The job


def compute_features(*, job_id: str) -> None:
    """Runs a features job: every item that has no features yet gets them."""
    with running_job(job_id) as job:
        if job is not None:
            job.finish(build_shards(project=job.project, job=job))


def build_shards(*, project: Project, job: RunningJob | None = None) -> dict[str, Any]:
    """Computes what is missing: how many items were done now, how many are left for the next job, what was damaged."""
    deadline = time.monotonic() + MAX_SECONDS
    spec = ensure_spec(project=project)
    fingerprint = spec.fingerprint
    featurizer = Featurizer(spec)
    n_damaged = _drop_damaged(project, fingerprint)
    missing = _missing_ids(project, fingerprint)
    done = 0
    for start in range(0, len(missing), SHARD_SIZE):
        if time.monotonic() > deadline:
            break
        part = missing[start : start + SHARD_SIZE]
        blocks, ids, flags = [], [], []
        for step in range(0, len(part), STEP):
            raws = list(raw_items(part[step : step + STEP]))
            if raws:
                blocks.append(featurizer.transform([raw for _, raw, _ in raws]))
                ids += [pk for pk, _, _ in raws]
                flags += [is_audit for _, _, is_audit in raws]
            if job is not None:
                reached = start + step + len(raws)
                job.report(reached / len(missing), f"{reached:,} of {len(missing):,} items have features")
        if ids:
            _store_shard(project, fingerprint, np.array(ids), np.array(flags), stack_blocks(blocks))
            done += len(ids)
    _join_small(project, fingerprint)
    _drop_other_specs(project, fingerprint)
    result: dict[str, Any] = {"items": done, "left": len(missing) - done}
    if n_damaged:
        files_were = "1 damaged file was" if n_damaged == 1 else f"{n_damaged} damaged files were"
        result["outcome"] = f"{files_were} thrown away; features of {done:,} items computed"
    return result


def _missing_ids(project: Project, fingerprint: str) -> NDArray[np.int64]:
    """Items without features: new ones, and those whose transaction ended after that of later ids."""
    ids = np.fromiter(selectors.item_ids(project=project), dtype=np.int64)
    have = [shard.ids for shard in open_shards(project=project, fingerprint=fingerprint)]
    return np.setdiff1d(ids, np.concatenate(have)) if have else np.sort(ids)


def _store_shard(
    project: Project, fingerprint: str, ids: NDArray[np.int64], is_audit: NDArray[np.bool_], block: FeatureBlock
) -> None:
    number = _next_number(project, fingerprint)
    folder = files.features_folder(project.pk, fingerprint)
    shard = write_shard(folder, number=number, fingerprint=fingerprint, ids=ids, is_audit=is_audit, block=block)
    _row_of(project, shard).save(force_insert=True)


def _row_of(project: Project, shard: ShardFile) -> FeatureShard:
    return FeatureShard(
        project=project,
        fingerprint=shard.fingerprint,
        number=shard.number,
        n=shard.n,
        first_id=shard.first_id,
        last_id=shard.last_id,
        path=files.relative(Path(shard.path)),
        sha256=shard.sha256,
    )


def _next_number(project: Project, fingerprint: str) -> int:
    last = FeatureShard.objects.filter(project=project, fingerprint=fingerprint).order_by("-number").first()
    return last.number + 1 if last else 0


def _join_small(project: Project, fingerprint: str) -> None:
    """Joins small shards, which items that trickle in leave behind, into larger ones."""
    rows = FeatureShard.objects.filter(project=project, fingerprint=fingerprint, n__lt=SHARD_SIZE // 2)
    group: list[FeatureShard] = []
    for row in rows.order_by("number"):
        if sum(one.n for one in group) + row.n > SHARD_SIZE:
            break
        group.append(row)
    if len(group) < 2:
        return
    ids, is_audit, block = join_shards([open_shard(files.absolute(row.path), row.sha256) for row in group])
    number = _next_number(project, fingerprint)
    folder = files.features_folder(project.pk, fingerprint)
    shard = write_shard(folder, number=number, fingerprint=fingerprint, ids=ids, is_audit=is_audit, block=block)
    with transaction.atomic():
        FeatureShard.objects.filter(pk__in=[row.pk for row in group]).delete()
        _row_of(project, shard).save(force_insert=True)
    # After the commit: a reader that still has the old rows finds no file and looks again.
    for row in group:
        remove_shard(files.absolute(row.path))


def _drop_damaged(project: Project, fingerprint: str) -> int:
    """Forgets shards whose files are not as they were written; how many."""
    n = 0
    for row in FeatureShard.objects.filter(project=project, fingerprint=fingerprint):
        try:
            open_shard(files.absolute(row.path), row.sha256)
        except ShardCorrupt as error:
            log.warning("shard_dropped", shard=row.number, project=project.slug, error=str(error))
            row.delete()
            remove_shard(files.absolute(row.path))
            n += 1
    return n


def _drop_other_specs(project: Project, fingerprint: str) -> None:
    """Forgets shards of a spec that is no longer used, once the new ones are there."""
    for row in FeatureShard.objects.filter(project=project).exclude(fingerprint=fingerprint):
        row.delete()
        remove_shard(files.absolute(row.path))


# Reading


def open_shards(*, project: Project, fingerprint: str) -> Iterator[Shard]:
    """The project's shards one after another. A damaged one is left out, and a job that mends it is asked for."""
    for attempt in (1, 2):
        rows = list(FeatureShard.objects.filter(project=project, fingerprint=fingerprint).order_by("number"))
        gone = [row for row in rows if not files.absolute(row.path).exists()]
        if not gone or attempt == 2:
            break
    for row in rows:
        try:
            shard = open_shard(files.absolute(row.path), row.sha256)
        except ShardCorrupt as error:
            log.warning("shard_unreadable", shard=row.number, project=project.slug, error=str(error))
            # Without its row the items count as missing, and the features job computes them again. Its reason tells.
            if FeatureShard.objects.filter(pk=row.pk).delete()[0]:
                request_features(
                    project=project, reason=f"a damaged file of features: those of {row.n:,} items are lost"
                )
            continue
        yield shard


@dataclass(frozen=True, slots=True)
class FoundFeatures:
    """Features of some items: `places` are the positions, in the ids asked for, of the rows of `block`."""

    places: NDArray[np.intp]
    block: FeatureBlock | None
    audit_places: frozenset[int]


def features_of(*, shards: Iterable[Shard], ids: NDArray[np.int64]) -> FoundFeatures:
    """The stored features of the named items, as far as they are there, in the order asked for."""
    blocks: list[FeatureBlock] = []
    places: list[NDArray[np.intp]] = []
    audited: set[int] = set()
    for shard in shards:
        for _, rows, found in rows_of([shard], ids):
            blocks.append(shard.block(rows))
            places.append(found)
            audited.update(found[shard.is_audit[rows]].tolist())
    if not blocks:
        return FoundFeatures(np.zeros(0, dtype=np.intp), None, frozenset())
    merged = np.concatenate(places)
    order = np.argsort(merged, kind="stable")
    return FoundFeatures(merged[order], stack_blocks(blocks).take(order), frozenset(audited))


def gather(*, project: Project, spec: FeaturizerSpec, ids: Sequence[int]) -> FoundFeatures:
    """Features of the named items: the stored ones, and up to ON_THE_SPOT others computed now."""
    wanted = np.array(ids, dtype=np.int64)
    stored = features_of(shards=open_shards(project=project, fingerprint=spec.fingerprint), ids=wanted)
    have = np.zeros(len(wanted), dtype=bool)
    have[stored.places] = True
    missing = np.flatnonzero(~have)[:ON_THE_SPOT]
    if not len(missing):
        return stored
    place_of = {int(wanted[place]): int(place) for place in missing}
    raws = list(raw_items(np.sort(wanted[missing])))
    if not raws:
        return stored
    computed = Featurizer(spec).transform([raw for _, raw, _ in raws])
    places = np.concatenate([stored.places, [place_of[pk] for pk, _, _ in raws]]).astype(np.intp)
    order = np.argsort(places, kind="stable")
    return FoundFeatures(
        places[order],
        stack_blocks([part for part in (stored.block, computed) if part is not None]).take(order),
        stored.audit_places | {place_of[pk] for pk, _, is_audit in raws if is_audit},
    )


def pool_sample(
    *, project: Project, spec: FeaturizerSpec, n: int, seed: int, without: Sequence[int]
) -> FeatureBlock | None:
    """The features of at most `n` items drawn at random from the pool `without` some; None where there are none."""
    left_out = np.array(without, dtype=np.int64)
    found: FeatureBlock | None = None
    keys = np.zeros(0)
    for shard in open_shards(project=project, fingerprint=spec.fingerprint):
        rows = np.flatnonzero(~shard.is_audit & ~np.isin(shard.ids, left_out))
        own = random_keys(shard.ids[rows], seed)
        drawn = top(-own, n)
        if len(keys) == n:
            drawn = drawn[own[drawn] < keys.max()]
        if not len(drawn):
            continue
        block = shard.block(rows[drawn])
        found = block if found is None else stack_blocks([found, block])
        keys = np.concatenate([keys, own[drawn]])
        kept = top(-keys, n)
        found, keys = found.take(kept), keys[kept]
    return found


def pool_scaling(*, project: Project, spec: FeaturizerSpec, fallback: FeatureBlock) -> DenseScaling:
    """How dense columns are scaled: from all items with features; before there are any, from `fallback`."""
    n = 0
    total = np.zeros(spec.dense_dimension)
    squares = np.zeros(spec.dense_dimension)
    for shard in open_shards(project=project, fingerprint=spec.fingerprint):
        n += len(shard)
        total += shard.dense_sum
        squares += shard.dense_squares
    if n == 0:
        dense = fallback.dense.astype(np.float64)
        n, total, squares = len(dense), dense.sum(axis=0), np.square(dense).sum(axis=0)
    return dense_scaling(spec.dense_parts, n, total, squares)
