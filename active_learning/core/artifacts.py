"""Model files: a signed manifest, plain arrays and JSON. Never a pickle, so reading one cannot run code.

The same content gives the same bytes, hence the same name: nothing in a model's folder tells the time.
"""

import io
import json
import os
import shutil
import tempfile
import time
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from active_learning.core.manifest import MANIFEST, ArtifactRefused, canonical_json, read_sealed, seal

ARRAYS = "arrays.npz"
# What a killed writer left behind is cleared away after this long: by then nobody writes it any more.
LEFT_BEHIND_SECONDS = 3_600


@dataclass(frozen=True, slots=True)
class Artifact:
    """What a model folder holds: `about` as it was given, arrays, JSON documents, and the digest of each file."""

    sha256: str
    about: dict[str, Any]
    arrays: dict[str, NDArray[Any]]
    documents: dict[str, Any]
    sha256_of: dict[str, str]


def write_artifact(
    root: Path,
    *,
    about: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
    documents: Mapping[str, Any],
    key: bytes,
) -> tuple[str, Path]:
    """Stores a model under `root`: its SHA-256 and folder. Storing the same model again changes nothing."""
    files = {ARRAYS: pack_arrays(arrays)}
    files |= {f"{name}.json": canonical_json(content) for name, content in documents.items()}
    sha256, manifest = seal(files, about, key)
    folder = root / sha256[:2] / sha256
    folder.parent.mkdir(parents=True, exist_ok=True)
    put_folder(folder, files | {MANIFEST: manifest}, sha256=sha256, keys=[key])
    return sha256, folder


def put_folder(folder: Path, contents: Mapping[str, bytes], *, sha256: str, keys: Sequence[bytes]) -> None:
    """The files under `folder`, all of them or none, whenever the process dies."""
    _clear_left_behind(folder.parent)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".tmp-"))
    try:
        for name, content in contents.items():
            with open(temporary / name, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        try:
            os.rename(temporary, folder)
        except OSError:
            if not folder.is_dir():
                raise
            # It is there already. A damaged or foreign copy is replaced, or it could never be mended.
            try:
                read_sealed(folder, sha256=sha256, keys=keys)
            except ArtifactRefused:
                shutil.rmtree(folder)
                os.rename(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _clear_left_behind(parent: Path) -> None:
    for folder in parent.glob(".tmp-*"):
        with suppress(OSError):  # somebody else clears it away just now
            if time.time() - folder.stat().st_mtime > LEFT_BEHIND_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


def read_artifact(folder: Path, *, sha256: str, keys: Sequence[bytes]) -> Artifact:
    """The model in `folder`. Raises ArtifactRefused like read_sealed."""
    sealed = read_sealed(folder, sha256=sha256, keys=keys)
    contents = dict(sealed.contents)
    arrays = unpack_arrays(contents.pop(ARRAYS))
    documents = {name.removesuffix(".json"): json.loads(content) for name, content in contents.items()}
    return Artifact(sha256, sealed.about, arrays, documents, sealed.sha256_of)


def pack_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """An .npz whose bytes depend on the arrays alone. Raises ValueError for arrays of objects."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(arrays):
            member = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            member.compress_type = zipfile.ZIP_DEFLATED
            content = io.BytesIO()
            np.lib.format.write_array(content, np.ascontiguousarray(arrays[name]), allow_pickle=False)
            archive.writestr(member, content.getvalue(), compresslevel=1)
    return buffer.getvalue()


def unpack_arrays(content: bytes) -> dict[str, NDArray[Any]]:
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}
