"""The demo's own product, served as `manage.py serve` does."""

import json
from pathlib import Path
from typing import Any

from config import demo_host
from config.supervisor import answers_http
from tests.services import processes
from tests.services.ports import free_port


class Product:
    """Inkwell, asking the Touchstone of this address."""

    def __init__(self, home: Path, touchstone: str, keys: dict[str, Any] | None = None) -> None:
        if keys is not None:
            demo_host.keys_file(home).write_text(json.dumps(keys))
        self.port = free_port()
        self.url = f"http://localhost:{self.port}/"
        log = home / "product.log"
        argv = demo_host.command(home=home, port=self.port, touchstone=touchstone)
        self._process = processes.start(argv, log=log)
        processes.wait_until(lambda: answers_http("127.0.0.1", self.port), seconds=10, what=str(log))

    def stop(self) -> None:
        processes.kill(self._process)
