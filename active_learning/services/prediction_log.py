"""The log of predictions: written without slowing the answer, and without losing what a person has to look at.

What goes to a person is written before the answer, together with its item and its place in the inbox. The rest waits in
the memory of the process for at most settings.PREDICTION_LOG_SECONDS and is written in batches. A process that is
killed outright loses at most what waited; one that ends properly writes it first. Nothing is dropped while the database
is away: when the buffer is full, requests write for themselves, and fail with it.
"""

import os
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.util import Finalize
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError, IntegrityError, close_old_connections, connections, transaction
from django.utils import timezone

from active_learning.models import Prediction
from active_learning.services.decisions import log_settled_before
from labeling.models import Project, ReviewItem
from labeling.services.routed import Routed, route_to_review

log = structlog.get_logger(__name__)

# What may wait: rows, and bytes of the inputs in them.
MAX_WAITING = 5_000
MAX_WAITING_BYTES = 16_000_000
ROWS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Logged:
    """A row to write. `for_person` is what a person is shown, where one has to look; `n_bytes` about what it holds of
    its input."""

    row: Prediction
    for_person: Routed | None = None
    n_bytes: int = 0


def reason_for(row: Prediction) -> str:
    """Why a person looks at it, as the inbox says it."""
    if row.is_explored:
        return ReviewItem.Reason.EXPLORE.value
    return (ReviewItem.Reason.EDGE if row.reason in ("edge", "person") else ReviewItem.Reason.UNSURE).value


def record(*, project: Project, entries: Sequence[Logged]) -> None:
    """Logs the predictions of one request. When it returns, those for a person are in the inbox, for good."""
    behind = [entry for entry in entries if entry.for_person is None] if settings.PREDICTION_LOG_SECONDS else []
    at_once = [entry for entry in entries if entry.for_person is not None] if behind else entries
    if at_once:
        _write_with_items(project, at_once)
    if behind:
        _buffer.add(behind)


def flush() -> None:
    """Writes what waits in this process."""
    _buffer.flush()


def _write_with_items(project: Project, entries: Sequence[Logged]) -> None:
    chosen = [entry for entry in entries if entry.for_person is not None]
    with transaction.atomic():
        if chosen:
            shown: list[Any] = [entry.for_person for entry in chosen]
            items = route_to_review(project=project, rows=shown, now=timezone.now())
            for entry, item_id in zip(chosen, items, strict=True):
                entry.row.item_id = item_id
                if item_id is None:  # what may be kept of it is nothing that could be judged
                    log.warning("prediction_without_item", project=project.slug, prediction=str(entry.row.pk))
        Prediction.objects.bulk_create([entry.row for entry in entries], batch_size=ROWS_AT_ONCE)
        # What people have settled before is not asked again: the product hears at once what they said.
        log_settled_before(project=project, rows=[entry.row for entry in chosen])


class _Buffer:
    """Rows that wait to be written by a thread of this process."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._waiting: deque[Logged] = deque()
        self._n_bytes = 0
        self._lock = threading.Lock()
        # Only one writes at a time, so that nothing is written twice.
        self._writing = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()

    def add(self, entries: Sequence[Logged]) -> None:
        if self._pid != os.getpid():  # a fork: what its parent has waiting is the parent's
            self._reset()
        n_bytes = sum(entry.n_bytes for entry in entries)
        with self._lock:
            rows, size = len(self._waiting) + len(entries), self._n_bytes + n_bytes
            if is_full := rows > MAX_WAITING or size > MAX_WAITING_BYTES:
                self._wake.set()
            else:
                self._waiting.extend(entries)
                self._n_bytes = size
                self._start()
                if rows >= ROWS_AT_ONCE or size > MAX_WAITING_BYTES / 2:
                    self._wake.set()
        if is_full:
            Prediction.objects.bulk_create([entry.row for entry in entries], batch_size=ROWS_AT_ONCE)

    def flush(self) -> None:
        with self._writing:
            while entries := self._taken():
                try:
                    _insert([entry.row for entry in entries])
                except BaseException:
                    with self._lock:
                        self._waiting.extendleft(reversed(entries))
                        self._n_bytes += sum(entry.n_bytes for entry in entries)
                    raise

    def _taken(self) -> list[Logged]:
        with self._lock:
            found = [self._waiting.popleft() for _ in range(min(ROWS_AT_ONCE, len(self._waiting)))]
            self._n_bytes -= sum(entry.n_bytes for entry in found)
            return found

    def _start(self) -> None:
        if self._thread is None:
            # Not atexit: web servers run their workers by multiprocessing, whose children end without it.
            Finalize(None, self._write_the_rest, exitpriority=10)
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            # Never 0, which would not wait at all.
            self._wake.wait(settings.PREDICTION_LOG_SECONDS or 1.0)
            self._wake.clear()
            if not self._waiting:
                continue
            try:
                close_old_connections()
                self.flush()
            except DatabaseError as error:
                log.warning("prediction_log_waits", rows=len(self._waiting), error=str(error))
                connections.close_all()

    def _write_the_rest(self) -> None:
        try:
            self.flush()
        except Exception as error:
            log.error("predictions_lost", rows=len(self._waiting), error=str(error))


def _insert(rows: list[Prediction]) -> None:
    try:
        Prediction.objects.bulk_create(rows)
    except IntegrityError:
        # The project of one has been deleted since: its rows go with it. Or they are in already, and the word that they
        # are was lost on its way.
        there = set(Project.objects.filter(pk__in={row.project_id for row in rows}).values_list("pk", flat=True))
        Prediction.objects.bulk_create([row for row in rows if row.project_id in there], ignore_conflicts=True)


_buffer = _Buffer()
