"""Child processes that end with the test run."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from config.supervisor import die_with_parent


def start(argv: list[str], *, log: Path, env: dict[str, str] | None = None, **options) -> subprocess.Popen:
    """A process in a session of its own that ends when this one does. Its words go to `log`."""
    with log.open("ab") as stream:
        return subprocess.Popen(
            argv,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent,
            **options,
        )


def wait_until(is_so: Callable[[], object], *, seconds: float, what: str) -> None:
    """Returns once `is_so()`. Raises AssertionError naming `what` after that many seconds."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain: {what}"
        time.sleep(0.02)


def kill(process: subprocess.Popen) -> None:
    """kill -9 of the process and all its children."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
