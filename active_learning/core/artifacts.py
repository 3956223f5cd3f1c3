"""Model files: a signed manifest, plain arrays and JSON. Never a pickle, so reading one cannot run code.

The same content gives the same bytes, hence the same name: nothing in a model's folder tells the time.
"""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from active_learning.core.manifest import MANIFEST, canonical_json, put_folder, read_sealed, seal

ARRAYS = "arrays.npz"


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
