from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from active_learning.core.manifest import ArtifactRefused
from active_learning.models import ModelVersion
from labeling.core.errors import DomainError
from labeling.models import Project

if TYPE_CHECKING:
    from active_learning.services.reproduce import Rebuilt

SHOWN = 20  # characters of a digest: enough to tell two apart
CIRCUMSTANCES = {"code": "the code that learns", "python": "Python", "embedding": "the sentence encoder"}


class Command(BaseCommand):
    help = (
        "Makes a model version again from its manifest, its data set and the items, and compares the digests. Ends "
        "with status 1 when they differ, and says which files do, why (other code or libraries, or changed data), and "
        "how far the answers are apart."
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
        raise CommandError(why_not_same(version.number, rebuilt))


def why_not_same(number: int, rebuilt: "Rebuilt") -> str:
    """Why another digest came out, in words, and whether the model is another one."""
    changed = ", ".join(CIRCUMSTANCES.get(one.what, one.what) for one in rebuilt.circumstances)
    if not rebuilt.files:
        return (
            "Each file is the same to the bit. The digest differs because it covers the versions of code and libraries "
            f"too, and since model {number} was made there is another version of {changed}."
        )
    apart = ""
    if rebuilt.off_by is not None:
        apart = f" The one made again answers the known inputs of model {number} with probabilities that are off by "
        apart += "less than 0.0001." if rebuilt.off_by < 0.0001 else f"at most {rebuilt.off_by:.4f}."
    if changed:
        return (
            f"The model differs, as is to be expected: since model {number} was made there is another version of "
            f"{changed}. Only where the one of then runs can be told whether the same comes out.{apart}"
        )
    return (
        "The model differs although code and libraries are the same: an item's content has changed, or its features "
        f"were made on another kind of processor.{apart}"
    )
