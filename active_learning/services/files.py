"""Where the files of learning are, and the key that signs models."""

import hashlib
import json
from pathlib import Path
from typing import Any

from django.conf import settings


def storage_root() -> Path:
    return Path(settings.STORAGE_ROOT)


def features_folder(project_id: int, fingerprint: str) -> Path:
    return storage_root() / "features" / str(project_id) / fingerprint[:16]


def datasets_folder(project_id: int) -> Path:
    return storage_root() / "datasets" / str(project_id)


def learned_folder(project_id: int, fingerprint: str) -> Path:
    return datasets_folder(project_id) / f"features-{fingerprint[:16]}"


def models_folder() -> Path:
    return storage_root() / "models"


def reports_folder(project_id: int) -> Path:
    return storage_root() / "reports" / str(project_id)


def archive_path(sha256: str) -> Path:
    return storage_root() / "archive" / "models" / f"{sha256}.zip"


def relative(path: Path) -> str:
    """A path as it is stored: below the storage folder, which may move."""
    return path.relative_to(storage_root()).as_posix()


def absolute(stored: str) -> Path:
    return storage_root() / stored


def signing_keys() -> list[bytes]:
    """The key that signs models, then older ones whose signatures still count."""
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return [hashlib.sha256(b"touchstone.model\0" + str(secret).encode()).digest() for secret in secrets]


def read_report(stored: str) -> dict[str, Any]:
    """A version's answers on the audit split and its words; nothing of either where the file is missing or broken."""
    try:
        found: dict[str, Any] = json.loads(absolute(stored).read_bytes()) if stored else {}
    except (OSError, ValueError):
        found = {}
    return {"labels": [], "words": {}} | found
