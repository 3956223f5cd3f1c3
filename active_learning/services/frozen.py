"""Features of what models learned from, kept as they were.

The feature shards are a cache: they may be computed again, and the last bit of an embedding depends on which other
texts stood in its batch. A model that is to be made again to the same digest needs the very numbers that it learned
from, so each item's row is kept when it is first learned from, once for all versions.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray

from active_learning.core.blocks import stack_blocks
from active_learning.core.featurize import FeaturizerSpec
from active_learning.core.shards import (
    SHARD_SIZE,
    Shard,
    ShardCorrupt,
    as_stored,
    join_shards,
    open_shard,
    remove_shard,
    rows_of,
    sha256_of_shard,
    write_shard,
)
from active_learning.services import features, files
from active_learning.services.features import FoundFeatures
from labeling.models import Project

log = structlog.get_logger(__name__)

# So many small files are joined into one.
JOIN_AT = 8


def learned_features(*, project: Project, spec: FeaturizerSpec, ids: Sequence[int], keep: bool = True) -> FoundFeatures:
    """The features of the named items: as they were when first learned from, else as they are now.

    With `keep` the latter are kept from now on. Items that are gone are left out.
    """
    folder = files.learned_folder(project.pk, spec.fingerprint)
    wanted = np.array(ids, dtype=np.int64)
    place_of = {pk: place for place, pk in enumerate(ids)}
    blocks, places = [], []
    have = np.zeros(len(wanted), dtype=bool)
    for shard in _shards(folder):
        for _, rows, found in rows_of([shard], wanted):
            new = ~have[found]  # a row that stands in two files, after a crash between joining and removing, is one
            if new.any():
                blocks.append(shard.block(rows[new]))
                places.append(found[new])
                have[found[new]] = True
    audited: set[int] = set()
    missing = wanted[~have]
    for start in range(0, len(missing), features.ON_THE_SPOT):
        part = missing[start : start + features.ON_THE_SPOT]
        now = features.gather(project=project, spec=spec, ids=part.tolist())
        if now.block is None:
            continue
        audited |= {place_of[int(part[place])] for place in now.audit_places}
        blocks.append(as_stored(now.block))
        places.append(np.array([place_of[int(part[place])] for place in now.places], dtype=np.intp))
        if keep and not now.audit_places:
            _keep(folder, spec.fingerprint, part[now.places], now)
    if not blocks:
        return FoundFeatures(np.zeros(0, dtype=np.intp), None, frozenset())
    merged = np.concatenate(places)
    order = np.argsort(merged, kind="stable")
    return FoundFeatures(merged[order], stack_blocks(blocks).take(order), frozenset(audited))


def learned_shards(*, project: Project, spec: FeaturizerSpec) -> list[Shard]:
    """All that models of this project learned from with these features, in files; an item may stand in two."""
    return _shards(files.learned_folder(project.pk, spec.fingerprint))


def _shards(folder: Path) -> list[Shard]:
    found = []
    for path in sorted(folder.glob("shard-*.bin")):
        try:
            found.append(open_shard(path, sha256_of_shard(path)))
        except ShardCorrupt as error:
            log.warning("learned_features_unreadable", path=str(path), error=str(error))
    return found


def _keep(folder: Path, fingerprint: str, ids: NDArray[np.int64], found: FoundFeatures) -> None:
    assert found.block is not None
    number = _next_number(folder)
    for start in range(0, len(ids), SHARD_SIZE):
        rows = np.arange(start, min(start + SHARD_SIZE, len(ids)))
        nobody = np.zeros(len(rows), dtype=bool)
        block = found.block.take(rows)
        write_shard(folder, number=number, fingerprint=fingerprint, ids=ids[rows], is_audit=nobody, block=block)
        number += 1
    _join_small(folder, fingerprint)


def _join_small(folder: Path, fingerprint: str) -> None:
    small: list[tuple[Path, Shard]] = []
    n = 0
    for path in sorted(folder.glob("shard-*.bin")):
        try:
            shard = open_shard(path, sha256_of_shard(path))
        except ShardCorrupt:
            continue
        if len(shard) < SHARD_SIZE // 2 and n + len(shard) <= SHARD_SIZE:
            small.append((path, shard))
            n += len(shard)
    if len(small) < JOIN_AT:
        return
    ids, is_audit, block = join_shards([shard for _, shard in small])
    number = _next_number(folder)
    write_shard(folder, number=number, fingerprint=fingerprint, ids=ids, is_audit=is_audit, block=block)
    for path, _ in small:
        remove_shard(path)


def _next_number(folder: Path) -> int:
    numbers = [int(path.name.split("-")[1]) for path in folder.glob("shard-*.bin")]
    return max(numbers, default=-1) + 1
