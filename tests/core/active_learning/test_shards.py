import json
import os
from pathlib import Path

import numpy as np
import pytest

from active_learning.core.shards import ShardCorrupt, join_shards, open_shard, remove_shard, rows_of, write_shard
from tests.core.active_learning.synthetic import block_of, topic_texts


def make_shard(folder, ids, number=0, seed=0):
    texts, _ = topic_texts(len(ids), np.random.default_rng(seed))
    block = block_of(texts)
    flags = np.array([i % 5 == 0 for i in ids])
    shard = write_shard(
        folder, number=number, fingerprint="f" * 64, ids=np.array(ids, dtype=np.int64), is_audit=flags, block=block
    )
    return shard, block


def test_what_was_written_is_read(tmp_path):
    written, block = make_shard(tmp_path, [3, 5, 8, 13])
    shard = open_shard(written.path, written.sha256)
    assert shard.ids.tolist() == [3, 5, 8, 13]
    assert shard.is_audit.tolist() == [False, True, False, False]
    assert np.allclose(shard.block().sparse.toarray(), block.sparse.toarray(), atol=1e-3)
    assert shard.block(np.array([2, 0])).sparse.shape[0] == 2
    assert (written.n, written.first_id, written.last_id) == (4, 3, 13)
    manifest = json.loads(next(tmp_path.glob("*.json")).read_text())
    assert manifest["sha256"] == written.sha256
    assert not list(tmp_path.glob(".tmp-*"))


@pytest.mark.parametrize("damage", ["flip", "shorten", "empty", "remove"])
def test_a_damaged_shard_is_noticed(tmp_path, damage):
    written, _ = make_shard(tmp_path, [1, 2, 3])
    open_shard(written.path, written.sha256)
    content = bytearray(Path(written.path).read_bytes())
    if damage == "flip":
        content[-200] ^= 1
    os.unlink(written.path)
    if damage != "remove":
        Path(written.path).write_bytes({"flip": content, "shorten": content[:100], "empty": b""}[damage])
    with pytest.raises(ShardCorrupt):
        open_shard(written.path, written.sha256)


def test_rows_are_found_across_shards_and_missing_ids_left_out(tmp_path):
    shards = [
        open_shard(s.path, s.sha256) for s, _ in (make_shard(tmp_path, [1, 4, 9], 0), make_shard(tmp_path, [2, 7], 1))
    ]
    wanted = np.array([7, 1, 99, 9], dtype=np.int64)
    found = {}
    for position, rows, places in rows_of(shards, wanted):
        for row, place in zip(rows, places, strict=True):
            found[int(wanted[place])] = (position, int(row))
    assert found == {7: (1, 1), 1: (0, 0), 9: (0, 2)}
    assert list(rows_of(shards, np.zeros(0, dtype=np.int64))) == []


def test_small_shards_join_in_order_of_id(tmp_path):
    written = [make_shard(tmp_path, ids, number, number)[0] for number, ids in enumerate(([10, 30], [20], [5, 40]))]
    shards = [open_shard(s.path, s.sha256) for s in written]
    ids, flags, block = join_shards(shards)
    assert ids.tolist() == [5, 10, 20, 30, 40]
    assert flags.tolist() == [True] * 5
    assert np.allclose(block.sparse[2].toarray(), shards[1].block().sparse.toarray(), atol=1e-3)


def test_a_removed_shard_is_still_readable_where_it_is_open(tmp_path):
    written, _ = make_shard(tmp_path, [1, 2, 3])
    shard = open_shard(written.path, written.sha256)
    remove_shard(written.path)
    assert shard.block().sparse.sum() > 0
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        make_shard(tmp_path, [1, 2])
    assert list(tmp_path.iterdir()) == []
