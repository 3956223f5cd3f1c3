from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from active_learning.core.manifest import ArtifactRefused
from active_learning.models import ModelVersion
from labeling.core.errors import DomainError
from labeling.models import Project

SHOWN = 16  # characters of a digest: enough to tell two apart


class Command(BaseCommand):
    help = (
        "Makes a model version again from its manifest, its data set and the items, and compares the digests. Ends "
        "with status 1 when they differ, and says which files do and what has changed since: code, libraries."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("project", help="the project's slug")
        parser.add_argument("number", type=int, help="the version's number")

    def handle(self, *args: Any, **options: Any) -> None:
        project = Project.objects.filter(slug=options["project"]).first()
        if project is None:
            raise CommandError(f"There is no project {options['project']}.")
        versions = ModelVersion.objects.select_related("project", "dataset").filter(project=project)
        version = versions.filter(number=options["number"]).first()
        if version is None:
            newest = versions.order_by("-number").values_list("number", flat=True).first()
            known = f"Its versions are 1 to {newest}." if newest else "It has no version yet."
            raise CommandError(f"{project.slug} has no model {options['number']}. {known}")
        # Imported late: the numeric libraries take seconds, and a wrong name should be told at once.
        from active_learning.services.reproduce import rebuild_version

        try:
            rebuilt = rebuild_version(version=version)
        except ArtifactRefused as error:
            raise CommandError(f"Model {version.number} is refused: {error}") from None
        except DomainError as error:
            raise CommandError(error.message) from None
        if rebuilt.is_same:
            self.stdout.write(self.style.SUCCESS(f"The same: {rebuilt.sha256}"))
            return
        self.stdout.write(f"stored  {rebuilt.expected}")
        self.stdout.write(f"rebuilt {rebuilt.sha256}")
        for name, found in (("file", rebuilt.files), ("since then", rebuilt.circumstances)):
            for difference in found:
                self.stdout.write(f"{name}: {difference.what} {difference.then[:SHOWN]} -> {difference.now[:SHOWN]}")
        if not rebuilt.files:
            raise CommandError(
                "Each file is the same to the bit. The digest differs because it covers the versions of code and "
                "libraries too."
            )
        raise CommandError(
            "The model differs."
            if rebuilt.circumstances
            else "The model differs although code and libraries are the same: an item's content has changed, or its "
            "features were made on another kind of processor."
        )
