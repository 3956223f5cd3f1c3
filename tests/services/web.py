"""A real web server on the test's database, data folder and cache."""

import os
import sys
from typing import Any, Self

from django.conf import settings

from config.supervisor import answers_http
from tests.services import processes
from tests.services.ports import free_port
from tests.services.worker import database_url


class Web:
    """One process of the server that `manage.py serve` runs; several stand beside each other as on several machines."""

    def __init__(self) -> None:
        self.port = free_port()
        self.log = settings.TOUCHSTONE_HOME / f"web-{self.port}.log"
        env = os.environ | {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DATABASE_URL": database_url(),
            "OMP_NUM_THREADS": "1",
        }
        env.pop("DJANGO_ALLOW_ASYNC_UNSAFE", None)
        self._process = processes.start(
            [sys.executable, "-m", "granian", "--interface", "wsgi", "--port", str(self.port), "--workers", "1",
             "--blocking-threads", "4", "--log-level", "warning", "config.wsgi:application"],
            log=self.log, env=env, cwd=settings.BASE_DIR,
        )  # fmt: skip

    def __enter__(self) -> Self:
        try:
            processes.wait_until(lambda: answers_http("127.0.0.1", self.port), seconds=60, what=str(self.log))
        except AssertionError:
            self.stop()
            raise
        return self

    def __exit__(self, *error: Any) -> None:
        self.stop()

    def stop(self) -> None:
        processes.kill(self._process)

    @property
    def words(self) -> str:
        return self.log.read_text(errors="replace")
