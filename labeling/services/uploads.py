"""Files that people bring: kept under generated names until they are imported, and swept away some days later."""

import errno
import json
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, BinaryIO, cast

from django.conf import settings
from django.core.files.base import ContentFile, File
from django.core.files.storage import default_storage
from django.utils import timezone

from labeling.core.errors import NotFound, TooLarge, Unavailable
from labeling.core.formats import size_text
from labeling.models import Job, Project

ROOT = "imports"
KEPT_DAYS = 7
_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Upload:
    """A file in storage. `name` is what its owner called it, and is never used as a path."""

    id: str
    project_id: int
    name: str
    size: int
    uploaded_by: str
    uploaded_at: str

    @property
    def folder(self) -> str:
        return f"{ROOT}/{self.project_id}/{self.id}"

    @property
    def path(self) -> str:
        return f"{self.folder}/content"

    @property
    def errors_path(self) -> str:
        """Where the rows that were left out are listed."""
        return f"{self.folder}/errors.csv"


def keep_upload(*, project: Project, user: Any, name: str, file: BinaryIO, size: int) -> Upload:
    """The stored file. Raises TooLarge above the limit and Unavailable when the disk is full; then nothing is kept."""
    check_size(size)
    upload = Upload(
        id=uuid.uuid4().hex,
        project_id=project.pk,
        name=name.replace("\\", "/").rpartition("/")[2][:200] or "file",
        size=size,
        uploaded_by=user.get_username() if user is not None else "",
        uploaded_at=timezone.now().isoformat(),
    )
    about = {"name": upload.name, "size": size, "by": upload.uploaded_by, "at": upload.uploaded_at}
    try:
        default_storage.save(upload.path, File(file))
        default_storage.save(f"{upload.folder}/about.json", ContentFile(json.dumps(about).encode()))
    except OSError as error:
        _delete_folder(upload.folder)
        raise disk_problem(error) from error
    return upload


def keep_lines(*, project: Project, user: Any, name: str, lines: Iterable[bytes]) -> Upload:
    """The same for lines that arrive one by one."""
    try:
        with tempfile.TemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR) as file:
            size = 0
            for line in lines:
                line = line.rstrip(b"\r\n") + b"\n"
                size += len(line)
                check_size(size)
                file.write(line)
            file.seek(0)
            return keep_upload(project=project, user=user, name=name, file=cast(BinaryIO, file), size=size)
    except OSError as error:
        raise disk_problem(error) from error


def size_limit() -> int:
    """The largest file that this installation takes, in bytes."""
    return int(settings.IMPORT_MAX_BYTES)


def check_size(size: int) -> None:
    """Raises TooLarge above the limit of this installation."""
    if size > size_limit():
        raise TooLarge(
            f"The file is larger than {size_text(size_limit())}, the limit here. "
            "Split it, or let the operator raise IMPORT_MAX_MB."
        )


@contextmanager
def receiving(content_length: str | None) -> Iterator[None]:
    """Around what reads a posted file: one over the limit is refused before, and a full disk is told as that."""
    check_size(int(content_length or 0))
    try:
        yield
    except OSError as error:
        raise disk_problem(error) from error


def disk_problem(error: OSError) -> Exception:
    """What to tell a person about a failed write; other errors come back as they are."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Unavailable("The server's disk is full, so the file was not kept. Free some space and send it again.")
    return error


def upload_of(*, project: Project, upload_id: str) -> Upload:
    """The project's upload. Raises NotFound when it is unknown or was swept away."""
    gone = NotFound(f"That file is not here any more: uploads are kept {KEPT_DAYS} days. Upload it again.")
    if len(upload_id) != 32 or not upload_id.isalnum():
        raise gone
    try:
        with default_storage.open(f"{ROOT}/{project.pk}/{upload_id}/about.json") as file:
            about = json.loads(file.read())
    except FileNotFoundError:
        raise gone from None
    return Upload(upload_id, project.pk, about["name"], about["size"], about["by"], about["at"])


@contextmanager
def opened(upload: Upload) -> Iterator[BinaryIO]:
    """The file for reading. Raises NotFound when it was swept away."""
    try:
        file = default_storage.open(upload.path, "rb")
    except FileNotFoundError:
        raise NotFound(f"“{upload.name}” is not here any more. Upload it again.") from None
    with file:
        # The plain stream beneath: readers ask for more of a stream than Django's File has.
        yield cast(BinaryIO, file.file)


def opened_errors(upload: Upload) -> BinaryIO:
    """The list of rows that were left out. Raises NotFound when there is none, or it was swept away."""
    try:
        return cast(BinaryIO, default_storage.open(upload.errors_path, "rb"))
    except FileNotFoundError:
        raise NotFound("There is no list of errors for this import.") from None


def sweep_uploads(*, now: datetime | None = None) -> int:
    """Deletes files that are older than KEPT_DAYS and not waiting for a worker: how many."""
    now = now or timezone.now()
    in_use = {job.params.get("upload") for job in Job.objects.filter(state__in=Job.UNDER_WAY)}
    swept = 0
    for folder in folders_below(ROOT):
        if folder.rpartition("/")[2] in in_use:
            continue
        try:
            uploaded_at = default_storage.get_modified_time(f"{folder}/about.json")
        except FileNotFoundError:
            # Still being written, or what a full disk left behind.
            try:
                uploaded_at = default_storage.get_modified_time(f"{folder}/content")
            except FileNotFoundError:
                continue
        if uploaded_at < now - timedelta(days=KEPT_DAYS):
            _delete_folder(folder)
            swept += 1
    return swept


def folders_below(root: str) -> list[str]:
    """The folders of all projects that are stored below a root: root/project/folder."""
    try:
        projects, _ = default_storage.listdir(root)
    except FileNotFoundError:
        return []
    return [
        f"{root}/{project}/{name}" for project in projects for name in default_storage.listdir(f"{root}/{project}")[0]
    ]


def _delete_folder(folder: str) -> None:
    try:
        _, files = default_storage.listdir(folder)
    except FileNotFoundError:
        return
    for name in files:
        default_storage.delete(f"{folder}/{name}")
    # FileSystemStorage removes an empty folder like a file; object storages have none.
    default_storage.delete(folder)
