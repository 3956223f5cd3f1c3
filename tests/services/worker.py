"""A real Celery worker on the test's database, broker and data folder."""

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import redis
from django.conf import settings
from django.db import connection

from tests.services import processes


class Worker:
    """`manage.py serve` runs the same command. Kill it as you like; `stop` takes what is left."""

    def __init__(self, *, children: int = 1) -> None:
        self.log: Path = settings.TOUCHSTONE_HOME / "worker.log"
        self.log.write_bytes(b"")
        env = os.environ | {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DATABASE_URL": database_url(),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        env.pop("DJANGO_ALLOW_ASYNC_UNSAFE", None)
        self.process: subprocess.Popen = processes.start(
            [sys.executable, "-m", "celery", "--quiet", "-A", "config", "worker", "-P", "prefork", "-c", str(children),
             "-Q", "default,train", "-l", "info", "--without-mingle", "--without-gossip"],
            log=self.log, env=env, cwd=settings.BASE_DIR,
        )  # fmt: skip
        try:
            processes.wait_until(lambda: b"ready." in self.log.read_bytes(), seconds=60, what=f"worker: {self.words}")
        except AssertionError:
            self.stop()
            raise

    @property
    def words(self) -> str:
        return self.log.read_text(errors="replace")

    def children(self) -> list[int]:
        """The processes that run tasks."""
        found = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True).stdout
        pairs = [tuple(map(int, line.split())) for line in found.splitlines()]
        return [pid for pid, parent in pairs if parent == self.process.pid]

    def kill(self) -> None:
        """kill -9 of the worker and its children, as a machine that loses its power does."""
        processes.kill(self.process)

    def stop(self) -> None:
        processes.kill(self.process)

    def wait_until_idle(self, seconds: float = 30) -> None:
        """Returns when no message waits or is being worked on (late acknowledgement: until then it is `unacked`)."""
        broker = redis.Redis(unix_socket_path=str(settings.VALKEY_SOCKET), db=0)
        queues = ("default", "train", "unacked")
        try:
            processes.wait_until(
                lambda: not any(broker.exists(name) for name in queues), seconds=seconds, what=f"idle: {self.words}"
            )
        finally:
            broker.close()


def database_url() -> str:
    """The address of the database that this test runs on."""
    of = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{of['NAME']}"
    host = str(of["HOST"])
    person = quote(of["USER"], safe="") + (f":{quote(of['PASSWORD'], safe='')}" if of["PASSWORD"] else "")
    if host.startswith("/"):
        return f"postgres://{person}@/{host}/{of['NAME']}"
    return f"postgres://{person}@{host}:{of['PORT'] or 5432}/{of['NAME']}"
