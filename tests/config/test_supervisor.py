"""The supervisor over parts that are small scripts: real processes, real signals."""

import io
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from config.supervisor import Part, Supervisor
from tests.services.processes import wait_until

PLAN = """
import json, sys
from config import supervisor
from config.supervisor import Part, Supervisor
parts = [Part(**part) for part in json.loads(sys.argv[1])]
Supervisor(parts, []).run()
"""
IDLE = "import time, os; print('up', os.getpid(), flush=True); time.sleep(600)"
# As a worker does: SIGTERM lets the running task end.
BUSY = """
import signal, time
stop = []
signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
print('working', flush=True)
while not stop: time.sleep(0.02)
time.sleep(1)
print('task finished', flush=True)
"""
# Starts a child of its own, as granian and celery do, and keeps it from hearing signals.
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])
print('child', child.pid, flush=True)
time.sleep(600)
"""


class Run:
    """A supervisor in a process of its own."""

    def __init__(self, log, scripts: dict[str, str]) -> None:
        import json

        parts = [{"name": name, "argv": [sys.executable, "-c", text]} for name, text in scripts.items()]
        self.log = log
        with log.open("wb") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-c", PLAN, json.dumps(parts)], stdout=stream, stderr=subprocess.STDOUT
            )

    @property
    def words(self) -> str:
        return self.log.read_text()

    def wait_for(self, text: str, seconds: float = 15) -> None:
        wait_until(lambda: text in self.words, seconds=seconds, what=f"{text!r} in\n{self.words}")

    def end(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=20)


@pytest.fixture
def supervise(tmp_path):
    runs = []

    def start(**scripts: str) -> Run:
        runs.append(Run(tmp_path / "log", scripts))
        return runs[-1]

    yield start
    for run in runs:
        run.process.kill()
        run.process.wait()


def is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:  # a zombie is dead, only not yet buried
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def number_after(word: str, text: str) -> int:
    return int(text.split(word, 1)[1].split()[0])


def test_each_line_names_its_part(supervise):
    run = supervise(web=IDLE, worker=BUSY)
    run.wait_for("web    | up")
    run.wait_for("worker | working")
    assert run.end() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_running_task_may_finish(supervise, number):
    run = supervise(worker=BUSY, web=IDLE)
    run.wait_for("working")
    assert run.end(number) == 0
    assert "worker | task finished" in run.words
    assert run.words.rstrip().endswith("Stopped.")


def test_a_second_ctrl_c_does_not_wait(supervise):
    run = supervise(worker=BUSY.replace("time.sleep(1)", "time.sleep(60)"))
    run.wait_for("working")
    run.process.send_signal(signal.SIGINT)
    run.wait_for("Stopping")
    assert run.end() == 0
    assert "task finished" not in run.words


def test_nothing_is_left_of_a_part_that_is_stopped(supervise):
    run = supervise(web=PARENT)
    run.wait_for("child")
    child = number_after("child", run.words)
    assert run.end() == 0
    wait_until(lambda: not is_alive(child), seconds=5, what="the child's end")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_kill_9_leaves_nothing_behind(supervise):
    run = supervise(web=IDLE)
    run.wait_for("up")
    child = number_after("up", run.words)
    run.process.kill()
    run.process.wait()
    wait_until(lambda: not is_alive(child), seconds=5, what="the part's end")


def test_a_part_that_ends_is_started_again(supervise):
    run = supervise(beat="print('tick', flush=True); raise SystemExit(3)")
    run.wait_for("beat ended (code 3), starting it again in 1 s")
    run.wait_for("starting it again in 2 s")
    assert run.end() == 0
    assert run.words.count("beat   | tick") >= 2


def test_a_part_waits_for_those_it_needs(tmp_path):
    flag = tmp_path / "ready"
    out = io.BytesIO()
    first = Part("broker", [sys.executable, "-c", f"open({str(flag)!r}, 'w'); import time; time.sleep(60)"])
    first.ready = flag.exists
    second = Part("web", [sys.executable, "-c", textwrap.dedent(IDLE)], after=["broker"])
    supervisor = Supervisor([first, second], [], out)
    try:
        supervisor._start_due()
        assert second.process is None
        wait_until(flag.exists, seconds=10, what="the first part")
        supervisor._note_ready()
        supervisor._start_due()
        assert second.is_running
        assert os.getsid(second.process.pid) == second.process.pid
    finally:
        supervisor._stop_all()
    assert not first.is_running
    assert not second.is_running


def test_pauses_grow_and_start_short_again_after_a_good_time():
    part = Part("web", [sys.executable, "-c", "pass"])
    supervisor = Supervisor([part], [], io.BytesIO())
    pauses = []
    for _ in range(7):
        supervisor._start(part)
        part.process.wait()
        pauses.append(part.pause_seconds)
        supervisor._note_ended()
    assert pauses == [1, 2, 4, 8, 16, 30, 30]
    supervisor._start(part)
    part.process.wait()
    part.started_at = time.monotonic() - 100
    supervisor._note_ended()
    assert part.pause_seconds == 2
