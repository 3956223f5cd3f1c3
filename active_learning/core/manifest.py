"""Which files make a model, and whether they are as they were written. Needs no numeric library: web pages ask too.

A model is a folder named by its SHA-256. The digest covers the manifest without its signature, and the manifest names
the digest of each file.
"""

import hashlib
import hmac
import json
import os
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"
FORMAT = 1
# What a killed writer left behind is cleared away after this long: by then nobody writes it any more.
LEFT_BEHIND_SECONDS = 3_600


class ArtifactRefused(ValueError):
    """The files are missing, altered, or were not written by this deployment."""


@dataclass(frozen=True, slots=True)
class SealedFiles:
    """The checked files of a model: `about` as it was given, and the content of each file by its name."""

    sha256: str
    about: dict[str, Any]
    contents: dict[str, bytes]
    sha256_of: dict[str, str]


def seal(contents: Mapping[str, bytes], about: Mapping[str, Any], key: bytes) -> tuple[str, bytes]:
    """The digest of a model made of these files, and its signed manifest."""
    unsigned = {
        "format": FORMAT,
        "about": dict(about),
        "files": {
            name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
            for name, content in contents.items()
        },
    }
    sha256 = hashlib.sha256(canonical_json(unsigned)).hexdigest()
    return sha256, canonical_json(unsigned | {"signature": _signature(unsigned, key)})


def read_sealed(folder: Path, *, sha256: str, keys: Sequence[bytes]) -> SealedFiles:
    """The files in `folder`. Raises ArtifactRefused unless signature, digest and every file are as they were written.

    `keys` are those whose signatures count: the present one and older ones that are still accepted.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        signature = manifest.pop("signature")
        names = dict(manifest["files"])
        about = manifest["about"]
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        # Whoever asks the model reads this: not where its files lie.
        why = getattr(error, "strerror", None) or error
        raise ArtifactRefused(f"The model's manifest cannot be read: {why}") from error
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
    return SealedFiles(sha256, about, contents, {name: entry["sha256"] for name, entry in names.items()})


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


def canonical_json(content: Any) -> bytes:
    """One spelling for one content. Raises ValueError for NaN, which JSON has no word for."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _signature(unsigned: Mapping[str, Any], key: bytes) -> str:
    return hmac.new(key, canonical_json(unsigned), hashlib.sha256).hexdigest()
