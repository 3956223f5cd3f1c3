"""`manage.py serve` as a whole, on a data folder of its own."""

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from django.conf import settings

from tests.services.processes import wait_until


class Served:
    def __init__(self, home: Path, port: int, **env: str) -> None:
        self.home, self.port = home, port
        self.log = home.parent / f"serve-{port}.log"
        with self.log.open("wb") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "serve", "--port", str(port)],
                cwd=settings.BASE_DIR,
                env=environment(home) | env,
                stdout=stream,
                stderr=subprocess.STDOUT,
            )

    @property
    def words(self) -> str:
        return self.log.read_text()

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def wait_until_ready(self) -> None:
        wait_until(lambda: "Touchstone is at" in self.words, seconds=60, what=self.words)
        wait_until(lambda: self.get("/readyz")[0] == 200, seconds=60, what=f"{self.get('/readyz')} {self.words}")

    def descendants(self) -> list[int]:
        """The processes of all parts."""
        lines = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True).stdout.splitlines()
        pairs = [tuple(map(int, line.split())) for line in lines]
        found = [self.process.pid]
        for parent in found:
            found += [pid for pid, of in pairs if of == parent]
        return found[1:]

    def pids_of(self, word: str) -> list[int]:
        """The processes of the part whose command line has the word."""
        return [pid for pid in self.descendants() if word in _command(pid)]

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _command(pid: int) -> str:
    return subprocess.run(["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True).stdout


def environment(home: Path) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "DJANGO_SETTINGS_MODULE")}
    return ours | {"TOUCHSTONE_HOME": str(home)}
