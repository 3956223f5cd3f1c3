import itertools
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from labeling.core.errors import DomainError
from labeling.core.formats import ENCODINGS, RowError, RowReader, open_rows, sniff
from labeling.core.mapping import PREVIEW_ROWS, Mapping, guess_mapping
from labeling.core.schema import SchemaRules
from labeling.models import Project
from labeling.services import intake

# How each option names columns: its role, and whether it takes several.
_OPTIONS = {
    "text": (False, "the column with the text to judge"),
    "a": (False, "the first of two to compare"),
    "b": (False, "the second of two to compare"),
    "image": (False, "the column with https addresses of pictures"),
    "field": (True, "further columns to show, separated by commas"),
    "id": (False, "the column with your own id"),
    "meta": (True, "columns with segments such as language or channel, separated by commas"),
    "features": (True, "the column with a vector, or the columns with one number each, separated by commas"),
    "gold": (False, "the column with the known answer"),
}


class Command(BaseCommand):
    help = (
        "Imports items from a CSV, TSV, JSON, JSON Lines or Parquet file. Without options the columns are guessed; "
        "with any, only the named ones are used. Rows that are left out are listed on standard error."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("project", help="the project's slug")
        parser.add_argument("file", type=Path)
        for name, (is_list, text) in _OPTIONS.items():
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
                f"{summary} No row could be used: look at the reasons above, and name the columns with --text, --id, "
                "--meta if the guess was wrong."
            )
        self.stdout.write(self.style.SUCCESS(summary))

    def _import(self, project: Project, path: Path, options: dict[str, Any]) -> intake.IntakeReport:
        size = path.stat().st_size
        with path.open("rb") as stream:
            file_format = sniff(stream, path.name, encoding=options["encoding"])
            rules = intake.rules_for(project)
            mapping = _named_columns(options) or self._guess(open_rows(stream, file_format, size=size), rules)
            mapping.check(rules)
            reader = open_rows(stream, file_format, size=size)
            drafts = intake.drafts_of(reader, mapping.roles, rules)
            return intake.add_items(project=project, drafts=self._with_progress(drafts, reader))

    def _guess(self, reader: RowReader, rules: SchemaRules) -> Mapping:
        first = [row for _, row in itertools.islice(reader, PREVIEW_ROWS) if not isinstance(row, RowError)]
        guesses = guess_mapping(first, rules)
        if not first:
            return Mapping(())
        for guess in guesses:
            self.stdout.write(f"{guess.column}: {guess.role}. {guess.reason}")
        return Mapping(tuple((guess.column, guess.role) for guess in guesses))

    def _with_progress(self, drafts: Iterator[intake.Draft], reader: RowReader) -> Iterator[intake.Draft]:
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


def _named_columns(options: dict[str, Any]) -> Mapping | None:
    roles: list[tuple[str, str]] = []
    for role, (is_list, _) in _OPTIONS.items():
        named = options[role]
        if named:
            roles += [(column.strip(), role) for column in (named.split(",") if is_list else [named])]
    return Mapping(tuple(roles)) if roles else None


def _described(error: RowError) -> str:
    where = f"row {error.row}" + (f" (line {error.line})" if error.line and error.line != error.row else "")
    return f"{where}: {error.message}"
