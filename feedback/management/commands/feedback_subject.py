import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from feedback.services.privacy import forget, kept_of
from labeling.models import Project


class Command(BaseCommand):
    help = "Prints as JSON what is kept of a user of the product; with --forget deletes it and takes its effect back."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("project", help="the project's slug")
        parser.add_argument("subject", help="the user's id, as the product's pages name it")
        parser.add_argument("--forget", action="store_true", help="delete it all")

    def handle(self, *args: Any, **options: Any) -> None:
        project = Project.objects.filter(slug=options["project"]).first()
        if project is None:
            raise CommandError(f"There is no project {options['project']}.")
        found: Any = (
            asdict(forget(project=project, subject=options["subject"], actor=None))
            if options["forget"]
            else kept_of(project=project, subject=options["subject"])
        )
        self.stdout.write(json.dumps(found, default=str, ensure_ascii=False, indent=2))
