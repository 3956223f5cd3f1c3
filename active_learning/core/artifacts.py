"""Model files: a signed manifest, plain arrays and JSON. Never a pickle, so reading one cannot run code.

A model is a folder named by its SHA-256. The same content gives the same bytes, hence the same name: nothing in it
tells the time. The digest covers the manifest without its signature, and the manifest names the digest of each file.
"""

import hashlib
import hmac
import io
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ARRAYS = "arrays.npz"
MANIFEST = "manifest.json"
FORMAT = 1


class ArtifactRefused(ValueError):
    """The files are missing, altered, or were not written by this deployment."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """What a model folder holds: `about` as it was given, arrays, and JSON documents by name."""

    sha256: str
    about: dict[str, Any]
    arrays: dict[str, NDArray[Any]]
    documents: dict[str, Any]


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
    unsigned = {
        "format": FORMAT,
        "about": dict(about),
        "files": {
            name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
            for name, content in files.items()
        },
    }
    sha256 = hashlib.sha256(canonical_json(unsigned)).hexdigest()
    signed = unsigned | {"signature": _signature(unsigned, key)}
    folder = root / sha256[:2] / sha256
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".tmp-"))
    try:
        for name, content in (files | {MANIFEST: canonical_json(signed)}).items():
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
                read_artifact(folder, sha256=sha256, keys=[key])
            except ArtifactRefused:
                shutil.rmtree(folder)
                os.rename(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return sha256, folder


def read_artifact(folder: Path, *, sha256: str, keys: Sequence[bytes]) -> Artifact:
    """The model in `folder`. Raises ArtifactRefused unless signature, digest and every file are as they were written.

    `keys` are those whose signatures count: the present one and older ones that are still accepted.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        signature = manifest.pop("signature")
        names = dict(manifest["files"])
        about = manifest["about"]
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise ArtifactRefused(f"The model's manifest cannot be read: {error}") from error
    if not any(hmac.compare_digest(_signature(manifest, key), str(signature)) for key in keys):
        raise ArtifactRefused("The model's manifest is not signed by this deployment.")
    if hashlib.sha256(canonical_json(manifest)).hexdigest() != sha256:
        raise ArtifactRefused("This is another model than the one on record.")
    contents: dict[str, bytes] = {}
    for name, entry in names.items():
        try:
            content = (folder / Path(name).name).read_bytes()
        except OSError as error:
            raise ArtifactRefused(f"{name} of the model is missing.") from error
        if hashlib.sha256(content).hexdigest() != entry["sha256"]:
            raise ArtifactRefused(f"{name} of the model was altered.")
        contents[name] = content
    arrays = unpack_arrays(contents.pop(ARRAYS))
    documents = {name.removesuffix(".json"): json.loads(content) for name, content in contents.items()}
    return Artifact(sha256, about, arrays, documents)


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


def canonical_json(content: Any) -> bytes:
    """One spelling for one content. Raises ValueError for NaN, which JSON has no word for."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _signature(unsigned: Mapping[str, Any], key: bytes) -> str:
    return hmac.new(key, canonical_json(unsigned), hashlib.sha256).hexdigest()
