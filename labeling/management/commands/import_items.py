from collections.abc import Iterator
from pathlib import Path
from typing import Any

from labeling.management.importing import ImportCommand
from labeling.models import Project
from labeling.services.batches import Intake, IntakeReport
from labeling.services.intake import ItemIntake


class Command(ImportCommand):
    help = (
        "Imports items from a CSV, TSV, JSON, JSON Lines or Parquet file. Without options the columns are guessed; "
        "with any, only the named ones are used. Rows that are left out are listed on standard error."
    )
    columns = {
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
    options_to_try = "--text, --id, --meta"

    def intake(self, project: Project) -> ItemIntake:
        return ItemIntake(project)

    def add(self, intake: Intake[Any], drafts: Iterator[Any], path: Path) -> IntakeReport:
        return intake.add(drafts)
