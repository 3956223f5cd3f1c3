"""Small chores that keep one installation healthy."""

from django.db import connection


def checkpoint_database() -> None:
    """Folds SQLite's write-ahead log back into the database: under constant readers it only grows. Else nothing."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
