"""A real Chromium: CHROMIUM, one on PATH, or one unpacked from its npm package and kept in the user's cache."""

import base64
import hashlib
import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

PACKAGE = "@sparticuz/chromium"
VERSION = "153.0.0"
INTEGRITY = "jiGWqSvPMdu4+P9TilYqAR7yEGPEHINx+lCvE/NqNO/EHYzF/x1hUiI5T6ioVIt7dEy7n88byyT0vk+dnsgQwA=="
NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")


class NoChromium(Exception):
    """There is no browser, with what to do about it."""


@dataclass(frozen=True)
class Chromium:
    path: str
    env: dict[str, str] = field(default_factory=dict)


def find() -> Chromium:
    """The browser of this machine. Fetches and unpacks one (70 MB, once) where there is none. Raises NoChromium."""
    given = os.environ.get("CHROMIUM", "")
    if given:
        if not os.access(given, os.X_OK):
            raise NoChromium(f"CHROMIUM={given} cannot be run.")
        return Chromium(given)
    for name in NAMES:
        if found := shutil.which(name):
            return Chromium(found)
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise NoChromium("There is no Chromium here: install one, or set CHROMIUM to its path.")
    folder = _cache() / f"chromium-{VERSION}"
    if not (folder / "chromium").exists():
        _unpack(_package(), folder)
    return Chromium(
        str(folder / "chromium"),
        {"LD_LIBRARY_PATH": str(folder / "al2023" / "lib"), "FONTCONFIG_FILE": str(folder / "fonts.conf")},
    )


def _cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(root) / "touchstone"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _package() -> bytes:
    """The package's tarball, checked against the hash written here."""
    npm = shutil.which("npm")
    if npm is None:
        raise NoChromium("There is no Chromium here and no npm to fetch one: install either, or set CHROMIUM.")
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--silent", "--pack-destination", folder]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        files = list(Path(folder).glob("*.tgz"))
        if done.returncode != 0 or not files:
            raise NoChromium(f"There is no Chromium here and npm could not fetch one:\n{done.stderr.strip()}")
        data = files[0].read_bytes()
    if base64.b64encode(hashlib.sha512(data).digest()).decode() != INTEGRITY:
        raise NoChromium(f"{PACKAGE} {VERSION} is not the package that was checked.")
    return data


def _unpack(package: bytes, folder: Path) -> None:
    """Makes the folder whole or not at all, so that a run that was cut off leaves nothing half-made."""
    import brotli

    fresh = Path(tempfile.mkdtemp(dir=folder.parent))
    try:
        with tarfile.open(fileobj=io.BytesIO(package)) as tar:
            packed = {Path(name).name: name for name in tar.getnames() if name.endswith(".br")}
            for name, member in packed.items():
                stream = tar.extractfile(member)
                assert stream is not None
                data = brotli.decompress(stream.read())
                if name.endswith(".tar.br"):
                    with tarfile.open(fileobj=io.BytesIO(data)) as inner:
                        inner.extractall(
                            fresh / name.removesuffix(".tar.br").replace("swiftshader", "."), filter="data"
                        )
                else:
                    (fresh / name.removesuffix(".br")).write_bytes(data)
        (fresh / "chromium").chmod(0o755)
        fonts = next((path.parent for path in fresh.rglob("*.ttf")), fresh / "fonts")
        (fresh / "fonts.conf").write_text(
            f'<?xml version="1.0"?><fontconfig><dir>{folder / fonts.relative_to(fresh)}</dir>'
            f"<cachedir>{folder / 'fontconfig'}</cachedir></fontconfig>"
        )
        try:
            fresh.rename(folder)
        except OSError:
            if not (folder / "chromium").exists():  # else another run was faster
                raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
