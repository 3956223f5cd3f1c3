"""Rows come in, whatever they hold: in short transactions, each counted once, the bad ones listed and left out."""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from django.db import OperationalError, connection, transaction

from labeling.core.errors import Unavailable
from labeling.core.formats import RowError, RowReader
from labeling.core.mapping import ColumnGuess, Columns
from labeling.core.schema import rules_of
from labeling.models import LabelSchema, Project

# One transaction each: long enough to be fast, short enough not to hold up people who are labeling on SQLite.
BATCH_SIZE = 1_000
# More errors than this are counted and not listed.
MAX_ERRORS_KEPT = 10_000

# A row that was checked and not yet stored.
D = TypeVar("D")


@dataclass(slots=True)
class IntakeReport:
    """What became of the rows. `errors` lists the first MAX_ERRORS_KEPT of the `n_errors` rows left out."""

    created: int = 0
    duplicates: int = 0
    n_errors: int = 0
    errors: list[RowError] = field(default_factory=list)

    def leave_out(self, errors: Iterable[RowError]) -> None:
        for error in errors:
            self.n_errors += 1
            if len(self.errors) < MAX_ERRORS_KEPT:
                self.errors.append(error)

    @property
    def n_rows(self) -> int:
        return self.created + self.duplicates + self.n_errors


@dataclass(frozen=True, slots=True)
class SortedOut(Generic[D]):
    """What becomes of some rows: the new ones, how many are there already, and which contradict what is stored."""

    fresh: list[D]
    n_known: int
    errors: list[RowError]


class Intake(ABC, Generic[D]):
    """How one kind of row comes into one project. The schema is the one that was current when it began."""

    # What the project's rows are called in parameters: "items" or "labels".
    contents: ClassVar[str]

    def __init__(self, project: Project) -> None:
        self.project = project
        self.schema = LabelSchema.objects.current(project.pk)
        self.rules = rules_of(self.schema.kind, self.schema.config)

    @abstractmethod
    def guess(self, rows: Sequence[dict[str, Any]]) -> list[ColumnGuess]:
        """What each column of a file seems to be."""

    @abstractmethod
    def columns(self, roles: Iterable[Sequence[str]]) -> Columns[D]:
        """The step from a row to a draft, by the (column, role) pairs."""

    @abstractmethod
    def draft_from_api(self, row: int, values: object) -> D | RowError:
        """What one element of an API request describes, or what is wrong with it."""

    @abstractmethod
    def sort_out(self, drafts: list[D]) -> SortedOut[D]:
        """Compares drafts with what is stored and with each other. Stores nothing."""

    @abstractmethod
    def store(self, drafts: list[D]) -> None:
        """Stores what sort_out() found to be new, in the caller's transaction."""

    def recognize(self, drafts: list[D]) -> None:
        """Some of these are there already, and are brought again. In the caller's transaction."""

    def add(self, drafts: Iterable[D | RowError]) -> IntakeReport:
        """Stores what is new, in batches: how many were created, were there already, or are wrong and why.

        Takes drafts and errors mixed, so that a report keeps the order of the rows.
        """
        report = IntakeReport()
        with full_disk_explained():
            for batch in in_batches(drafts):
                self.add_batch(batch, report)
        report.errors.sort(key=lambda error: error.row)
        return report

    def add_rows(self, rows: Iterable[tuple[int, object]]) -> IntakeReport:
        """The same for numbered rows in the API's form. An exception in place of a row says why it was unreadable."""
        return self.add(self._draft_or_error(row, value) for row, value in rows)

    def _draft_or_error(self, row: int, value: object) -> D | RowError:
        if isinstance(value, RecursionError):
            return RowError(row, "Its objects are nested too deeply to be read.")
        if isinstance(value, UnicodeDecodeError):
            return RowError(row, "It is not UTF-8.")
        if isinstance(value, Exception):
            return RowError(row, f"It is not JSON: {value}.")
        return self.draft_from_api(row, value)

    def drafts_of(self, reader: RowReader, roles: Iterable[Sequence[str]] | None) -> Iterator[D | RowError]:
        """The rows of a file as drafts or errors. Without roles they are in the API's form."""
        columns = None if roles is None else self.columns(roles)
        for number, values in reader:
            if isinstance(values, RowError):
                yield values
            elif columns is None:
                yield self.draft_from_api(number, values)
            else:
                yield columns.draft(number, values, self.rules, reader.line)

    def add_batch(
        self, batch: list[D | RowError], report: IntakeReport, remember: Callable[[], None] | None = None
    ) -> None:
        """Stores one batch. `remember` is called inside its transaction: both are kept, or neither."""
        drafts, errors = told_apart(batch)
        report.leave_out(errors)
        with transaction.atomic():
            # Two imports into one project take turns, so that what is looked up stays true until it is stored. On
            # SQLite the transaction itself is the only writer.
            Project.objects.select_for_update(no_key=True).filter(pk=self.project.pk).get()
            found = self.sort_out(drafts)
            self.store(found.fresh)
            if found.n_known:
                self.recognize(drafts)
            report.created += len(found.fresh)
            report.duplicates += found.n_known
            report.leave_out(found.errors)
            if remember is not None:
                remember()


def told_apart(batch: Iterable[D | RowError]) -> tuple[list[D], list[RowError]]:
    """The drafts and the errors of a batch."""
    drafts: list[D] = []
    errors: list[RowError] = []
    for row in batch:
        if isinstance(row, RowError):
            errors.append(row)
        else:
            drafts.append(row)
    return drafts, errors


def in_batches(rows: Iterable[D]) -> Iterator[list[D]]:
    """The rows, BATCH_SIZE at a time."""
    iterator = iter(rows)
    while batch := list(itertools.islice(iterator, BATCH_SIZE)):
        yield batch


def in_parts(values: Sequence[D], n_other: int = 1) -> Iterator[Sequence[D]]:
    """The values in parts that fit into one query beside `n_other` further parameters."""
    size = (connection.features.max_query_params or BATCH_SIZE + n_other) - n_other
    for start in range(0, len(values), size):
        yield values[start : start + size]


def insert_rows(table: str, columns: str, rows: list[tuple[Any, ...]]) -> None:
    """Inserts rows by hand, because building model objects took more time than everything else together."""
    if not rows:
        return
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
        else:
            places = ", ".join(["%s"] * len(rows[0]))
            cursor.executemany(f"INSERT INTO {table} ({columns}) VALUES ({places})", rows)


@contextmanager
def full_disk_explained() -> Iterator[None]:
    """Turns the error of a full disk into one that says what to do."""
    try:
        yield
    except (OperationalError, OSError) as error:
        text = str(error).lower()
        if "disk is full" in text or "no space left" in text:
            raise Unavailable(
                "The disk is full. The rows stored so far are kept; free some space and import again: what is there "
                "already is counted as a duplicate."
            ) from error
        raise
