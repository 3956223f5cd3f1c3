"""The scripts for other people's pages, read and packed once a process."""

import gzip
from dataclasses import dataclass
from functools import lru_cache

from django.conf import settings

from feedback.core.embed import SCRIPTS, integrity, without_comments
from labeling.core.errors import NotFound


@dataclass(frozen=True, slots=True)
class Script:
    body: bytes
    packed: bytes
    integrity: str


@lru_cache(maxsize=16)
def script(file: str) -> Script:
    """The script as it is served. Raises NotFound for a version that never was."""
    try:
        source = (settings.BASE_DIR / "static" / "embed" / "v1" / file).read_text()
    except FileNotFoundError:
        raise NotFound("There is no such version of the widget.") from None
    body = without_comments(source)
    return Script(body, gzip.compress(body, 9, mtime=0), integrity(body))


def newest(name: str) -> tuple[str, Script]:
    """The file of the newest version, and what it holds."""
    file = f"{name}-{SCRIPTS[name]}.js"
    return file, script(file)
