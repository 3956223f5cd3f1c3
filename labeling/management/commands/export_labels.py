import os
import sys
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import BaseCommand, CommandError, CommandParser

from labeling.core.exports import FORMATS, KINDS
from labeling.models import Project
from labeling.services.export import stream_labels


class Command(BaseCommand):
    help = "Writes the labels of a project, one row per annotation or per resolved item."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("project", help="the project's slug")
        parser.add_argument("--format", choices=list(FORMATS), default="jsonl")
        parser.add_argument("--kind", choices=list(KINDS), default="annotations")
        parser.add_argument("--output", type=Path, help="the file to write (default: standard output)")

    def handle(self, *args: Any, **options: Any) -> None:
        project = Project.objects.filter(slug=options["project"]).first()
        if project is None:
            raise CommandError(f"There is no project {options['project']}.")
        pieces = stream_labels(project=project, kind=options["kind"], format=options["format"])
        path: Path | None = options["output"]
        if path is None:
            if options["format"] == "parquet" and sys.stdout.isatty():
                raise CommandError("Parquet is binary: name a file with --output.")
            try:
                _write(pieces, sys.stdout.buffer)
            except BrokenPipeError:
                # Whoever read has had enough. Python would complain once more while it closes the stream.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return
        # Written beside and moved, so that an interrupted export never looks like a whole one.
        part = path.with_name(path.name + ".part")
        try:
            with part.open("wb") as file:
                size = _write(pieces, file)
            part.replace(path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise CommandError(f"{path}: {error.strerror}. Nothing was written.") from None
        self.stdout.write(self.style.SUCCESS(f"{path}: {size:,} bytes."))


def _write(pieces: Any, file: BinaryIO) -> int:
    size = 0
    for piece in pieces:
        size += file.write(piece)
    file.flush()
    return size
