"""Computed features on disk: a shard is one immutable file of at most SHARD_SIZE items, read memory-mapped.

Layout: MAGIC, the length of the header (8 bytes, little-endian), the header (JSON: what the arrays are and where),
then the arrays, each aligned to 64 bytes. The file appears under its name only when it is whole (written aside,
synced, renamed), and a small manifest beside it names its SHA-256.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from active_learning.core.blocks import FeatureBlock

SHARD_SIZE = 8_192
COLUMNS_AT_ONCE = 1_024
MAGIC = b"TSSHARD1"
_ALIGN = 64


class ShardCorrupt(ValueError):
    """The file is not what its manifest says: it must be computed again."""


@dataclass(frozen=True, slots=True)
class ShardFile:
    """What the manifest of one shard says."""

    path: str
    sha256: str
    fingerprint: str
    number: int
    n: int
    first_id: int
    last_id: int


class Shard:
    """An open shard. Its arrays are views of the file; nothing is read until it is used."""

    def __init__(self, arrays: dict[str, NDArray[Any]], n_columns: int) -> None:
        self._arrays = arrays
        self._n_columns = n_columns

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def ids(self) -> NDArray[np.int64]:
        return self._arrays["ids"]

    @property
    def is_audit(self) -> NDArray[np.bool_]:
        return self._arrays["is_audit"].view(np.bool_)

    @property
    def dense(self) -> NDArray[np.float16]:
        return self._arrays["dense"]

    @property
    def dense_sum(self) -> NDArray[np.float64]:
        """Sum of every dense column, and below its sum of squares."""
        return self._arrays["dense_moments"][0]

    @property
    def dense_squares(self) -> NDArray[np.float64]:
        return self._arrays["dense_moments"][1]

    def block(self, rows: NDArray[np.integer] | NDArray[np.bool_] | None = None) -> FeatureBlock:
        """The features of all rows, or of `rows` (indices or mask) in that order."""
        sparse = sp.csr_matrix(
            (self._arrays["values"].astype(np.float32), self._arrays["indices"], self._arrays["indptr"]),
            shape=(len(self), self._n_columns),
            copy=False,
        )
        if rows is None:
            return FeatureBlock(sparse, self.dense)
        return FeatureBlock(sparse[rows], self.dense[rows])


def write_shard(
    folder: Path,
    *,
    number: int,
    fingerprint: str,
    ids: NDArray[np.int64],
    is_audit: NDArray[np.bool_],
    block: FeatureBlock,
) -> ShardFile:
    """Stores one shard and its manifest. After a crash either both are there or the shard does not count.

    Raises OSError when the disk is full; nothing half-written keeps the final name.
    """
    if not (len(ids) == len(is_audit) == len(block) > 0):
        raise ValueError("ids, flags and features of a shard go together, and it is not empty")
    dense = np.ascontiguousarray(block.dense, dtype=np.float16)
    content = _encode(
        {
            "ids": np.ascontiguousarray(ids, dtype=np.int64),
            "is_audit": np.ascontiguousarray(is_audit, dtype=np.uint8),
            "indptr": block.sparse.indptr.astype(np.int32),
            "indices": block.sparse.indices.astype(np.int32),
            "values": block.sparse.data.astype(np.float16),
            "dense": dense,
            "dense_moments": _moments(dense),
        },
        {"fingerprint": fingerprint, "n_columns": int(block.sparse.shape[1])},
    )
    digest = hashlib.sha256(content).hexdigest()
    path = folder / f"shard-{number:06d}-{digest[:12]}.bin"
    shard = ShardFile(str(path), digest, fingerprint, number, len(ids), int(np.min(ids)), int(np.max(ids)))
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content)
    manifest = {field: getattr(shard, field) for field in ShardFile.__slots__ if field != "path"}
    write_atomically(path.with_suffix(".json"), json.dumps(manifest, sort_keys=True).encode())
    return shard


def _moments(dense: NDArray[np.float16]) -> NDArray[np.float64]:
    """The sum of each column, and of its squares. Some columns at a time: wide vectors as float64 are a gigabyte."""
    found = np.zeros((2, dense.shape[1]))
    for start in range(0, dense.shape[1], COLUMNS_AT_ONCE):
        part = dense[:, start : start + COLUMNS_AT_ONCE].astype(np.float64)
        found[:, start : start + COLUMNS_AT_ONCE] = part.sum(axis=0), np.square(part).sum(axis=0)
    return found


def as_stored(block: FeatureBlock) -> FeatureBlock:
    """The block as it would come out of a shard: so that it makes no difference whether a row was stored yet."""
    sparse = block.sparse.copy()
    sparse.data = sparse.data.astype(np.float16).astype(np.float32)
    return FeatureBlock(sparse, block.dense.astype(np.float16))


def open_shard(path: str | Path, sha256: str) -> Shard:
    """The shard at `path`, checked against its digest once per process and file.

    Raises ShardCorrupt when it is missing, short or altered.
    """
    path = Path(path)
    try:
        status = path.stat()
    except OSError as error:
        raise ShardCorrupt(f"{path.name}: {error.strerror}") from error
    _check_digest(str(path), sha256, status.st_ino, status.st_size, status.st_mtime_ns)
    return _decode(path)


def sha256_of_shard(path: str | Path) -> str:
    """The digest in the shard's own manifest. Raises ShardCorrupt without one."""
    path = Path(path)
    try:
        return str(json.loads(path.with_suffix(".json").read_bytes())["sha256"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ShardCorrupt(f"{path.name} has no manifest: {error}") from error


def remove_shard(path: str | Path) -> None:
    """Forgets a shard file. Those who have it mapped keep reading it."""
    path = Path(path)
    path.with_suffix(".json").unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def join_shards(shards: Sequence[Shard]) -> tuple[NDArray[np.int64], NDArray[np.bool_], FeatureBlock]:
    """Ids, flags and features of several shards as one, in order of id: small ones grow into a large one."""
    ids = np.concatenate([shard.ids for shard in shards])
    order = np.argsort(ids, kind="stable")
    sparse = sp.csr_matrix(sp.vstack([shard.block().sparse for shard in shards], format="csr"))
    dense = np.concatenate([shard.dense for shard in shards])
    is_audit = np.concatenate([shard.is_audit for shard in shards])
    return ids[order], is_audit[order], FeatureBlock(sparse[order], dense[order])


def rows_of(
    shards: Sequence[Shard], ids: NDArray[np.int64]
) -> Iterator[tuple[int, NDArray[np.intp], NDArray[np.intp]]]:
    """For each shard that holds some of `ids`: its position, those rows, and where their ids stand in `ids`.

    Ids that no shard holds are left out.
    """
    order = np.argsort(ids, kind="stable")
    wanted = ids[order]
    for position, shard in enumerate(shards):
        own = shard.ids
        places = np.searchsorted(wanted, own)
        places[places == len(wanted)] = 0
        hit = np.flatnonzero(wanted[places] == own) if len(wanted) else np.zeros(0, dtype=np.intp)
        if len(hit):
            yield position, hit, order[places[hit]]


def write_atomically(path: Path, content: bytes) -> None:
    """Puts a file in place whole or not at all, and on disk before it returns."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".tmp-", suffix=path.suffix)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _encode(arrays: dict[str, NDArray[Any]], about: dict[str, Any]) -> bytes:
    places, offset = {}, 0
    for name, array in arrays.items():
        places[name] = {"dtype": array.dtype.str, "shape": list(array.shape), "offset": offset}
        offset += -(-array.nbytes // _ALIGN) * _ALIGN
    header = json.dumps(about | {"arrays": places}, sort_keys=True).encode()
    start = len(MAGIC) + 8 + len(header)
    padding = -start % _ALIGN
    parts = [MAGIC, (len(header) + padding).to_bytes(8, "little"), header, b" " * padding]
    for array in arrays.values():
        parts += [array.tobytes(), b"\0" * (-array.nbytes % _ALIGN)]
    return b"".join(parts)


def _decode(path: Path) -> Shard:
    try:
        mapped = np.memmap(path, dtype=np.uint8, mode="r")
        if bytes(mapped[: len(MAGIC)]) != MAGIC:
            raise ShardCorrupt(f"{path.name} is not a shard")
        start = len(MAGIC) + 8
        body = start + int.from_bytes(bytes(mapped[len(MAGIC) : start]), "little")
        header = json.loads(bytes(mapped[start:body]))
        arrays = {}
        for name, place in header["arrays"].items():
            dtype = np.dtype(place["dtype"])
            size = int(np.prod(place["shape"], dtype=np.int64)) * dtype.itemsize
            begin = body + place["offset"]
            if begin + size > len(mapped):
                raise ShardCorrupt(f"{path.name} ends early")
            arrays[name] = mapped[begin : begin + size].view(dtype).reshape(place["shape"])
        return Shard(arrays, header["n_columns"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ShardCorrupt(f"{path.name} cannot be read: {error}") from error


@lru_cache(maxsize=4_096)
def _check_digest(path: str, sha256: str, inode: int, size: int, modified_ns: int) -> None:
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise ShardCorrupt(f"{Path(path).name} is damaged: its content does not match its manifest")
