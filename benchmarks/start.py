"""Seconds from `manage.py serve` on fresh data to the first page, and memory of all processes when idle.

    python -m benchmarks.start --runs 3

Memory is the proportional set size: pages that processes share are counted once. Linux only.
"""

import argparse
import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.installation import free_port, with_children

BUDGET_SECONDS = 120


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--idle", type=float, default=20.0, help="seconds of rest before memory is read")
    options = parser.parse_args()
    for kind in ("fresh", "again"):
        with tempfile.TemporaryDirectory(prefix="touchstone-benchmark-") as first:
            runs = []
            for place in range(options.runs):
                home = first if kind == "again" else f"{first}/{place}"
                if kind == "again" and place == 0:
                    _start(home, 0.0)  # not counted: it makes the database
                runs.append(_start(home, options.idle))
        line = {
            "benchmark": "start",
            "data": kind,
            "runs": len(runs),
            "first_page_seconds": round(statistics.median(seconds for seconds, _, _ in runs), 2),
            "idle_mb": round(statistics.median(sum(parts.values()) for _, parts, _ in runs)),
            "idle_mb_by_process": runs[-1][1],
            "stop_seconds": round(statistics.median(stop for _, _, stop in runs), 2),
        }
        print(json.dumps(line), flush=True)


def _start(home: str, idle: float) -> tuple[float, dict[str, int], float]:
    port = free_port()
    env = os.environ | {"TOUCHSTONE_HOME": home, "PYTHONUNBUFFERED": "1"}
    env.pop("DATABASE_URL", None)
    env.pop("BROKER_URL", None)
    Path(home).mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    serve = subprocess.Popen(
        [sys.executable, "manage.py", "serve", "--port", str(port)],
        env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while not _answers(port):
            if time.monotonic() - started > BUDGET_SECONDS or serve.poll() is not None:
                raise SystemExit("manage.py serve did not come up")
            time.sleep(0.05)
        seconds = time.monotonic() - started
        time.sleep(idle)
        parts = {f"{pid} {_name(pid)}": _pss_mb(pid) for pid in with_children(serve.pid)}
    finally:
        stopping = time.monotonic()
        serve.send_signal(signal.SIGINT)
        serve.wait(timeout=60)
    return seconds, parts, time.monotonic() - stopping


def _answers(port: int) -> bool:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/login/")
        return connection.getresponse().status == 200
    except OSError:
        return False


def _name(pid: int) -> str:
    words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").split()
    return next(
        (part for word in words for part in ("valkey", "granian", "beat", "worker", "supervisor") if part in word), "?"
    )


def _pss_mb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return round(int(line.split()[1]) / 1024)
    return 0


if __name__ == "__main__":
    main()
