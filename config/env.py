"""Typed reading of environment variables. A bad value stops the start and names its variable."""

import os
import secrets
import tempfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}
_PLACEHOLDERS = (
    "changeme",
    "change-me",
    "change me",
    "secret",
    "password",
    "insecure",
    "example",
    "placeholder",
    "xxx",
)
_SECRET_LENGTH = 32


def env_text(name: str, default: str = "") -> str:
    """The variable without surrounding spaces; an empty one counts as unset."""
    return os.environ.get(name, "").strip() or default


def env_bool(name: str, default: bool) -> bool:
    text = env_text(name).lower()
    if not text:
        return default
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ImproperlyConfigured(f"{name} must be true or false, not {text!r}.")


def env_int(name: str, default: int, *, low: int, high: int) -> int:
    text = env_text(name)
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
        raise ImproperlyConfigured(f"{name} must be a whole number from {low} to {high}, not {text!r}.")
    return int(text)


def env_list(name: str, default: list[str]) -> list[str]:
    """The comma-separated parts."""
    parts = [part.strip() for part in env_text(name).split(",")]
    return [part for part in parts if part] or default


def env_choice(name: str, default: str, choices: tuple[str, ...]) -> str:
    text = env_text(name, default).lower()
    if text not in choices:
        raise ImproperlyConfigured(f"{name} must be one of {', '.join(choices)}, not {text!r}.")
    return text


def env_folder(name: str, default: Path) -> Path:
    """The folder as an absolute path, made when it is missing."""
    folder = Path(env_text(name, str(default))).expanduser().absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # what people wrote is nobody else's business
    except OSError as error:
        raise ImproperlyConfigured(f"{name} must be a folder that can be written: {error}") from error
    return folder


def env_secret(name: str, file: Path) -> str:
    """The secret from the environment or, where it is unset, from `file`, which is made on first use (mode 0600)."""
    secret = env_text(name)
    if not secret:
        return _kept_secret(file)
    if _is_weak(secret):
        raise ImproperlyConfigured(
            f"{name} looks like a placeholder or is shorter than {_SECRET_LENGTH} characters. Unset it (one is made "
            f"and kept in {file}) or make one: python3 -c 'import secrets; print(secrets.token_urlsafe(50))'"
        )
    return secret


def env_former_secrets(name: str) -> list[str]:
    """Secrets that were in use before, the latest first. What could never have been one is refused."""
    secrets_before = env_list(name, [])
    if any(_is_weak(secret) for secret in secrets_before):
        raise ImproperlyConfigured(
            f"{name} must be former secret keys with commas between, of {_SECRET_LENGTH} characters or more each."
        )
    return secrets_before


def _is_weak(secret: str) -> bool:
    return len(secret) < _SECRET_LENGTH or any(word in secret.lower() for word in _PLACEHOLDERS)


def _kept_secret(file: Path) -> str:
    try:
        kept = file.read_text().strip()
    except FileNotFoundError:
        kept = ""
    if len(kept) >= _SECRET_LENGTH:
        return kept
    # Several processes may start at once: whoever links first wins, and all of them read the winner's.
    handle, fresh = tempfile.mkstemp(dir=file.parent, prefix=file.name)  # mkstemp makes it 0600
    with os.fdopen(handle, "w") as stream:
        stream.write(secrets.token_urlsafe(50))
    try:
        if kept or (file.exists() and not kept):
            os.replace(fresh, file)  # an empty or torn file of a crash
        else:
            os.link(fresh, file)
    except FileExistsError:
        pass
    finally:
        Path(fresh).unlink(missing_ok=True)
    return file.read_text().strip()


def env_storage_folder(name: str, default: Path) -> Path:
    """The folder behind a path or a file:// address; other kinds of storage are refused."""
    text = env_text(name)
    if not text:
        return env_folder(name, default)
    parts = urlsplit(text)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        folder = Path(unquote(parts.path))
    elif "://" not in text:
        folder = Path(text).expanduser()
    else:
        raise ImproperlyConfigured(
            f"{name} must be a folder or a file:// address, not {text!r}. Several machines can share a mounted folder."
        )
    folder = folder.absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # what people wrote is nobody else's business
    except OSError as error:
        raise ImproperlyConfigured(f"{name} must be a folder that can be written: {error}") from error
    return folder
