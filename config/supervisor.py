"""Runs the parts of one machine together: broker, web, worker and beat, and the demo's product where it is.

`manage.py serve` prepares everything and then becomes this script. It imports the standard library alone, so that what
stays in memory for the whole time is small.
"""

import ctypes
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, Any

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
# A part that lived this long was well: its next failure starts with the short pause again.
WELL_AFTER_SECONDS = 60.0
# How long beat, web and broker may take to end; a worker with a running task has all the time it needs.
STOP_SECONDS = 10.0
STOP_ORDER = (("beat", "web", "demo"), ("worker",), ("broker",))

_PR_SET_PDEATHSIG = 1
_libc: Any = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with_parent(signal_number: int = signal.SIGKILL) -> None:
    """Asks Linux to end this process when its parent ends, however that happens. Elsewhere it does nothing."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, int(signal_number))


def answers_ping(socket_path: str) -> bool:
    """Whether a Valkey listens there and has loaded its data."""
    return _ask(socket_path, b"PING\r\n").startswith(b"+PONG")


def stop_leftover(socket_path: str) -> None:
    """Ends a Valkey that an earlier supervisor left behind. The caller holds the data folder's lock."""
    for _ in range(100):
        if not _ask(socket_path, b"SHUTDOWN\r\n"):
            return
        time.sleep(0.1)


def _ask(socket_path: str, command: bytes) -> bytes:
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(0.5)
            line.connect(socket_path)
            line.sendall(command)
            return line.recv(64)
    except OSError:
        return b""


def answers_http(host: str, port: int) -> bool:
    """Whether something speaks HTTP there; a refusal is an answer too."""
    connection = http.client.HTTPConnection(host, port, timeout=2)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@dataclass
class Part:
    """One child process. It starts when the parts named in `after` are ready, and again when it ends by itself."""

    name: str
    argv: list[str]
    env: dict[str, str] = field(default_factory=dict)
    after: list[str] = field(default_factory=list)
    # Data on disk is safe whatever the signal; only the broker writes its file better when asked politely.
    dies_by: int = signal.SIGKILL
    ready: Callable[[], bool] | None = None
    is_ready: bool = False
    process: subprocess.Popen[bytes] | None = None
    pump: threading.Thread | None = None
    started_at: float = 0.0
    start_again_at: float = 0.0
    pause_seconds: float = FIRST_PAUSE_SECONDS

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None


class Supervisor:
    """Starts the parts in order, starts again what ends, and stops all of them in the order that loses no work."""

    def __init__(self, parts: list[Part], welcome: list[str], out: IO[bytes] | None = None) -> None:
        self.parts = {part.name: part for part in parts}
        self.welcome = welcome
        self.n_stop_requests = 0
        self._out = out or sys.stdout.buffer
        self._out_lock = threading.Lock()

    def say(self, name: str, text: str) -> None:
        self._write(name, text.encode())

    def _write(self, name: str, line: bytes) -> None:
        with self._out_lock:
            try:
                self._out.write(name.ljust(6).encode() + b" | " + line.rstrip(b"\r\n") + b"\n")
                self._out.flush()
            except OSError:
                pass  # the terminal is gone; the parts must still be drained, or they would block

    def run(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_stop)
        while not self.n_stop_requests:
            self._start_due()
            self._note_ready()
            self._note_ended()
            time.sleep(0.1 if self.welcome else 0.5)
        self._stop_all()

    def _on_stop(self, number: int, frame: Any) -> None:
        self.n_stop_requests += 1

    def _start_due(self) -> None:
        # From the main thread only: Linux ties "die with the parent" to the thread that started the child.
        for part in self.parts.values():
            waits = any(not self.parts[name].is_ready for name in part.after if name in self.parts)
            if part.process is None and not waits and time.monotonic() >= part.start_again_at:
                self._start(part)

    def _start(self, part: Part) -> None:
        me = os.getpid()

        def before_exec() -> None:
            die_with_parent(part.dies_by)
            if os.getppid() != me:  # the supervisor ended between the fork and this line
                os._exit(1)

        part.started_at = time.monotonic()
        part.process = subprocess.Popen(
            part.argv,
            env=os.environ | part.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # the terminal's Ctrl-C reaches the supervisor alone
            preexec_fn=before_exec,
        )
        assert part.process.stdout is not None
        part.is_ready = part.ready is None
        part.pump = threading.Thread(target=self._pump, args=(part.name, part.process.stdout), daemon=True)
        part.pump.start()

    def _pump(self, name: str, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                self._write(name, line)

    def _note_ready(self) -> None:
        for part in self.parts.values():
            if part.is_running and not part.is_ready and part.ready is not None and part.ready():
                part.is_ready = True
                if part.name == "web" and self.welcome:
                    for line in self.welcome:
                        self.say("serve", line)
                    self.welcome = []

    def _note_ended(self) -> None:
        for part in self.parts.values():
            if part.process is None or part.is_running:
                continue
            code = part.process.returncode
            _end_group(part.process)
            if time.monotonic() - part.started_at > WELL_AFTER_SECONDS:
                part.pause_seconds = FIRST_PAUSE_SECONDS
            self.say("serve", f"{part.name} ended ({_ending(code)}), starting it again in {part.pause_seconds:.0f} s")
            part.start_again_at = time.monotonic() + part.pause_seconds
            part.pause_seconds = min(part.pause_seconds * 2, LONGEST_PAUSE_SECONDS)
            part.process, part.is_ready = None, False

    def _stop_all(self) -> None:
        self.say("serve", "Stopping. A running task may finish; press Ctrl-C again to stop at once.")
        for names in STOP_ORDER:
            group = [self.parts[name] for name in names if name in self.parts and self.parts[name].process]
            for part in group:
                _signal(part.process, signal.SIGTERM)
            deadline = None if "worker" in names else time.monotonic() + STOP_SECONDS
            reminder = time.monotonic() + 5
            while any(part.is_running for part in group):
                is_forced = self.n_stop_requests > 1 and "broker" not in names
                if is_forced or (deadline is not None and time.monotonic() > deadline):
                    break
                if time.monotonic() > reminder:
                    running = ", ".join(part.name for part in group if part.is_running)
                    self.say("serve", f"Waiting for {running}. Press Ctrl-C again to stop at once; the work is redone.")
                    reminder = time.monotonic() + 15
                time.sleep(0.05)
            for part in group:
                assert part.process is not None
                _end_group(part.process)  # whatever of it is left, its children included
                part.process.wait()
                if part.pump is not None:
                    part.pump.join(timeout=2)
        self.say("serve", "Stopped.")


def _signal(process: subprocess.Popen[bytes] | None, number: int) -> None:
    # To the main process alone: signalling its children would end a task in the middle.
    if process is not None and process.poll() is None:
        process.send_signal(number)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass  # nothing is left of it


def _ending(code: int) -> str:
    if code >= 0:
        return f"code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def main(plan: dict[str, Any]) -> None:
    """Runs a plan that `manage.py serve` made."""
    os.environ["TOUCHSTONE_SUPERVISED"] = "1"
    parts = [Part(**part) for part in plan["parts"]]
    for part in parts:
        if part.name == "broker":
            stop_leftover(plan["socket"])
            part.dies_by = signal.SIGTERM
            part.ready = lambda: answers_ping(plan["socket"])
        elif part.name == "web":
            part.ready = lambda: answers_http(plan["host"], plan["port"])
    Supervisor(parts, plan["welcome"]).run()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
