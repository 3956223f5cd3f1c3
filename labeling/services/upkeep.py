"""Small chores that keep one installation healthy."""

import structlog
from django.db import DataError, OperationalError, connection
from django.db.migrations.executor import MigrationExecutor

from labeling.core.errors import Malformed, Unavailable

log = structlog.get_logger(__name__)


def checkpoint_database() -> None:
    """Folds SQLite's write-ahead log back into the database: under constant readers it only grows. Else nothing."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def n_missing_migrations() -> int:
    """How many migrations the database has not had yet. Raises DatabaseError when it cannot be reached."""
    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def database_problem(error: OperationalError) -> Unavailable:
    """What to tell people when the database could not do its work: its transaction is undone. The log has the cause."""
    log.error("database_unavailable", error=str(error), exc_info=error)
    text = str(error).lower()
    if "disk is full" in text or "no space left" in text:
        return Unavailable(
            "The server's disk is full. Nothing was stored; send it again when whoever runs this server has made room.",
            code="disk_full",
        )
    return Unavailable("The database did not answer. Nothing was stored; send it again.", code="database_unavailable")


def garbled_text(error: DataError) -> Malformed | None:
    """What to tell whoever sent a text that PostgreSQL does not store, wherever it stood; None for other errors."""
    if any(sign in str(error) for sign in ("NUL", "0x00", "\\u0000")):
        return Malformed("A NUL character is no text: take it out and send it again.")
    return None
