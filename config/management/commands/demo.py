import logging
import time
from argparse import ArgumentTypeError
from collections import Counter
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser

from active_learning.models import LearningPolicy, ModelVersion
from active_learning.selectors import n_featurized, policy_of
from active_learning.services import features, training, triggers
from active_learning.services.policy import change_policy
from config import demo_host
from labeling.core.errors import DomainError
from labeling.core.vader import DOMAINS, RatedText, read_distribution
from labeling.models import AgreementReport, Item, Job, Project
from labeling.services import agreement, demo
from labeling.services.upkeep import n_missing_migrations

# Labels in the pool before each training: enough for a learning curve with three points.
LABELS_AT_TRAINING = (50, 100, 200)
# More texts than this get their features from the worker: the demo should be ready within a minute.
FEATURIZED_AT_ONCE = 8_000


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
        self.n_changes = 0
        # `make run` starts the broker after this: bells that ring in vain are no news here.
        logging.getLogger("labeling.services.jobs").setLevel(logging.ERROR)
        if n_missing_migrations():
            raise CommandError("The database is not ready for it. Type: manage.py migrate (serve and make run do it)")
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
        self.n_changes += is_new + report.created
        if is_new:
            # A first look should find a live model: nobody has to approve one here.
            change_policy(project=project, actor=self._olga(), promotion=LearningPolicy.Promotion.AUTOMATIC)
        without = sum(not text.ratings for text in texts)
        if without:
            self._say(f"the source's two files disagree about {without:,} texts: those get no recorded answers")
        self._answer(project, texts, Item.Split.AUDIT, demo.AUDIT_ANSWERS, None)
        if counts.total() == self._n_featurized(project):
            pass
        elif counts.total() <= FEATURIZED_AT_ONCE:
            job = self._run(triggers.request_features(project=project, reason="demo"), features.compute_features)
            self._say(f"features of {(job.result or {}).get('items', 0):,} texts computed")
        else:
            self._say(f"the worker will compute the features of {counts.total():,} texts, once it runs")
        for number, n_labels in enumerate(LABELS_AT_TRAINING, start=1):
            self._answer(project, texts, Item.Split.POOL, demo.POOL_ANSWERS, n_labels)
            if ModelVersion.objects.filter(project=project).count() < number:
                self._learn(project, n_labels)
        if not AgreementReport.objects.filter(project=project).exists():
            self._measure(project)
        if demo_host.give_keys(project=project, owner=self._olga(), home=settings.TOUCHSTONE_HOME):
            self.n_changes += 1
            self._say(
                "keys for Inkwell, a made-up product that asks the model; `manage.py serve` starts it beside the web"
            )
        if not self.n_changes:
            self._say("everything was there already: nothing was changed")

    def _answer(self, project: Project, texts: list[RatedText], split: str, n_each: int, n_items: int | None) -> None:
        n_answered, n_answers = demo.add_recorded_answers(
            project=project, texts=texts, split=split, n_each=n_each, n_items=n_items
        )
        if n_answered:
            self.n_changes += 1
            self._say(
                f"{n_answers:,} recorded answers for {n_answered:,} {split} items: real ratings by anonymous people, "
                f"{n_each} a text, drawn by chance"
            )

    def _n_featurized(self, project: Project) -> int:
        fingerprint = (policy_of(project).featurizer or {}).get("fingerprint", "")
        return n_featurized(project=project, fingerprint=fingerprint) if fingerprint else 0

    def _learn(self, project: Project, n_labels: int) -> None:
        wanted = triggers.request_training(
            project=project, reason=f"demo: {n_labels} labeled items", actor=self._olga()
        )
        job = self._run(wanted, training.train)
        if job.state == Job.State.FAILED:
            raise CommandError(f"The training failed: {job.error}")
        version = ModelVersion.objects.filter(project=project).order_by("-number").first()
        accuracy = ((version.metrics.get("audit") or {}).get("accuracy") or {}) if version else {}
        if version is not None and accuracy:
            why = f" ({version.state_reason})" if version.state_reason else ""
            self._say(
                f"model {version.number} learned: {100 * accuracy['value']:.0f} % right on {accuracy['n']} audit items "
                f"(95 % interval {100 * accuracy['low']:.0f} to {100 * accuracy['high']:.0f}), {version.state}{why}"
            )
        else:
            self._say(str((job.result or {}).get("outcome", "")))

    def _measure(self, project: Project) -> None:
        wanted = agreement.request_agreement(project=project, reason="demo")
        job = self._run(wanted, lambda job_id: agreement.measure_agreement(job_id=job_id))
        report = AgreementReport.objects.filter(project=project).first()
        if report is None:
            raise CommandError(f"The agreement could not be measured: {job.error}")
        alpha: dict[str, Any] = next(
            (one for one in report.result["overall"] if one["title"] == report.result["headline"]), {}
        )
        interval = alpha.get("this_team")
        if not interval:
            self._say(f"agreement: {alpha.get('reason') or report.result['why'] or 'not enough answers yet'}")
            return
        self._say(
            f"people agree with an alpha of {alpha['value']:.2f} (95 % interval {interval['low']:.2f} to "
            f"{interval['high']:.2f}) on {alpha['n']['items']:,} items"
        )

    def _olga(self) -> Any:
        return get_user_model().objects.get(username="olga")

    def _run(self, job: Job, work: Callable[..., None]) -> Job:
        """The job when it has ended. Done here, or by a worker that was faster."""
        self.n_changes += 1
        work(job_id=str(job.pk))
        while True:
            job.refresh_from_db()
            if job.state in (Job.State.SUCCEEDED, Job.State.FAILED):
                return job
            time.sleep(0.5)

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
