"""What the commands that import files have in common."""

import itertools
import sys
import time
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandError, CommandParser

from labeling.core.errors import DomainError
from labeling.core.formats import ENCODINGS, RowError, RowReader, open_rows, sniff
from labeling.core.mapping import PREVIEW_ROWS
from labeling.models import Project
from labeling.services.batches import Intake, IntakeReport

Roles = tuple[tuple[str, str], ...]
# More columns in a row of which the same is guessed are told in one line.
MANY_COLUMNS = 5


class ImportCommand(BaseCommand):
    """Reads a file into a project. Columns are named by options, each called like the role it gives."""

    # Each option: whether it takes several columns, and what they hold.
    columns: ClassVar[dict[str, tuple[bool, str]]]
    # What to name when no row could be used.
    options_to_try: ClassVar[str]

    @abstractmethod
    def intake(self, project: Project) -> Intake[Any]:
        """How the rows come into the project."""

    @abstractmethod
    def add(self, intake: Intake[Any], drafts: Iterator[Any], path: Path) -> IntakeReport:
        """Stores the rows of the file."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("project", help="the project's slug")
        parser.add_argument("file", type=Path)
        for name, (is_list, text) in self.columns.items():
            parser.add_argument(f"--{name}", metavar="COL,..." if is_list else "COL", help=text)
        parser.add_argument("--encoding", choices=list(ENCODINGS), help="how to read the text (default: detected)")

    def handle(self, *args: Any, **options: Any) -> None:
        project = Project.objects.filter(slug=options["project"]).first()
        if project is None:
            known = ", ".join(Project.objects.order_by("slug").values_list("slug", flat=True)[:10])
            raise CommandError(f"There is no project {options['project']}. Projects: {known or 'none yet'}.")
        try:
            report = self._import(project, options["file"], options)
        except DomainError as error:
            raise CommandError(error.message) from None
        except OSError as error:
            raise CommandError(f"{options['file']}: {error.strerror}.") from None
        for row in report.errors:
            self.stderr.write(_described(row), self.style.WARNING)
        if report.n_errors > len(report.errors):
            self.stderr.write(f"and {report.n_errors - len(report.errors):,} more", self.style.WARNING)
        summary = f"{report.created:,} created, {report.duplicates:,} there already, {report.n_errors:,} left out."
        if not report.created and not report.duplicates:
            raise CommandError(
                f"{summary} No row could be used: look at the reasons above, and name the columns with "
                f"{self.options_to_try} if the guess was wrong."
            )
        self.stdout.write(self.style.SUCCESS(summary))

    def _import(self, project: Project, path: Path, options: dict[str, Any]) -> IntakeReport:
        size = path.stat().st_size
        with path.open("rb") as stream:
            file_format = sniff(stream, path.name, encoding=options["encoding"])
            intake = self.intake(project)
            roles = self._named(options) or self._guessed(intake, open_rows(stream, file_format, size=size))
            intake.columns(roles).check(intake.rules)
            reader = open_rows(stream, file_format, size=size)
            return self.add(intake, self._with_progress(intake.drafts_of(reader, roles), reader), path)

    def _named(self, options: dict[str, Any]) -> Roles:
        roles: list[tuple[str, str]] = []
        for role, (is_list, _) in self.columns.items():
            named = options[role]
            if named:
                roles += [(column.strip(), role) for column in (named.split(",") if is_list else [named])]
        return tuple(roles)

    def _guessed(self, intake: Intake[Any], reader: RowReader) -> Roles:
        first = [row for _, row in itertools.islice(reader, PREVIEW_ROWS) if not isinstance(row, RowError)]
        guesses = intake.guess(first)
        for (role, reason), alike in itertools.groupby(guesses, key=lambda guess: (guess.role, guess.reason)):
            columns = [guess.column for guess in alike]
            if len(columns) > MANY_COLUMNS:
                columns = [f"{columns[0]} to {columns[-1]} ({len(columns):,} columns)"]
            for named in columns:
                self.stdout.write(f"{named}: {role}. {reason}")
        return tuple((guess.column, guess.role) for guess in guesses)

    def _with_progress(self, drafts: Iterator[Any], reader: RowReader) -> Iterator[Any]:
        """The same drafts; on a terminal a line tells how far they are."""
        is_terminal = sys.stderr.isatty()
        started = said = time.monotonic()
        for number, draft in enumerate(drafts, start=1):
            yield draft
            now = time.monotonic()
            if is_terminal and now - said > 0.5:
                said = now
                rate = number / (now - started)
                sys.stderr.write(f"\r{100 * reader.share_read:.0f} %, {number:,} rows, {rate:,.0f} rows/s ")
        if is_terminal:
            sys.stderr.write("\r\033[K")


def _described(error: RowError) -> str:
    where = f"row {error.row}" + (f" (line {error.line})" if error.line and error.line != error.row else "")
    return f"{where}: {error.message}"
