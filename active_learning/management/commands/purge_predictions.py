from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from active_learning.services.prediction_archive import purge_predictions
from labeling.models import Project


class Command(BaseCommand):
    help = "Deletes the logged predictions of days before a date, in the database and in the archive."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("project", help="the project's slug")
        parser.add_argument("--before", required=True, type=date.fromisoformat, help="such as 2026-01-31 (UTC)")

    def handle(self, *args: Any, **options: Any) -> None:
        project = Project.objects.filter(slug=options["project"]).first()
        if project is None:
            raise CommandError(f"There is no project {options['project']}.")
        gone = purge_predictions(project=project, before=options["before"])
        self.stdout.write(f"{gone['rows']:,} rows and {gone['files']:,} files are gone.")
