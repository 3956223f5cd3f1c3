from collections.abc import Iterator
from pathlib import Path
from typing import Any

from labeling.management.importing import ImportCommand
from labeling.models import Project
from labeling.services.answers import AnswerIntake, add_answers
from labeling.services.batches import Intake, IntakeReport


class Command(ImportCommand):
    help = (
        "Imports answers that people gave elsewhere, about items that are there already, from a CSV, TSV, JSON, JSON "
        "Lines or Parquet file. Without options the columns are guessed; with any, only the named ones are used. Rows "
        "that are left out are listed on standard error."
    )
    columns = {
        "item": (False, "the column with the item: your id, or its number as #123"),
        "annotator": (False, "the column that says who answered"),
        "value": (False, "the column with the answer"),
        "time": (False, "the column that says when: ISO 8601 or epoch seconds"),
        "seconds": (False, "the column with the seconds that the answer took"),
    }
    options_to_try = "--item, --annotator, --value"

    def intake(self, project: Project) -> AnswerIntake:
        return AnswerIntake(project)

    def add(self, intake: Intake[Any], drafts: Iterator[Any], path: Path) -> IntakeReport:
        return add_answers(project=intake.project, drafts=drafts, source=path.name)
