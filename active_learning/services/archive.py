"""Files of versions that are out of use: one archive each, out of which they come back as they were."""

import os
import shutil
import tempfile
import zipfile
from pathlib import Path

from active_learning.core.manifest import MANIFEST, ArtifactRefused, put_folder, read_sealed
from active_learning.models import ModelVersion
from active_learning.services import files


def pack(*, version: ModelVersion) -> Path:
    """The archive of the version's files, which stay where they are. Raises ArtifactRefused for altered ones."""
    folder = files.absolute(version.path)
    sealed = read_sealed(folder, sha256=version.sha256, keys=files.signing_keys())
    path = files.archive_path(version.sha256)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".tmp-", delete=False) as file:
        try:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
                for name, content in (sealed.contents | {MANIFEST: (folder / MANIFEST).read_bytes()}).items():
                    packed.writestr(name, content)
            file.flush()
            os.fsync(file.fileno())
            os.replace(file.name, path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
    return path


def drop_folder(*, version: ModelVersion) -> None:
    """Removes the version's files where they are in an archive too."""
    if files.archive_path(version.sha256).exists():
        shutil.rmtree(files.absolute(version.path), ignore_errors=True)


def restore(*, version: ModelVersion, folder: Path | None = None) -> None:
    """The version's files back in their place, or in `folder`. The archive stays. Raises ArtifactRefused without it."""
    folder = folder or files.absolute(version.path)
    try:
        with zipfile.ZipFile(files.archive_path(version.sha256)) as packed:
            contents = {Path(name).name: packed.read(name) for name in packed.namelist()}
    except (OSError, zipfile.BadZipFile) as error:
        why = getattr(error, "strerror", None) or error
        raise ArtifactRefused(f"The archive of model {version.number} cannot be read: {why}") from error
    folder.parent.mkdir(parents=True, exist_ok=True)
    put_folder(folder, contents, sha256=version.sha256, keys=files.signing_keys())
