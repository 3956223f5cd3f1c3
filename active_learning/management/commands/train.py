import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from active_learning.models import TrainingRun
from active_learning.services.triggers import request_training
from labeling.models import Job, Project
from labeling.selectors import worker_alive

LOOK_EVERY_SECONDS = 0.2


class Command(BaseCommand):
    help = "Asks for a training of a project's model. With --wait it stays until the training has ended."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("project", help="the project's slug")
        parser.add_argument("--reason", default="manage.py train", help="what the job's row says")
        parser.add_argument(
            "--wait", action="store_true", help="wait for the end; where no worker is running, train in this process"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        project = Project.objects.filter(slug=options["project"]).first()
        if project is None:
            known = ", ".join(Project.objects.order_by("slug").values_list("slug", flat=True)[:10])
            raise CommandError(f"There is no project {options['project']}. Projects: {known or 'none yet'}.")
        job = request_training(project=project, reason=options["reason"], trigger=TrainingRun.Trigger.COMMAND)
        if not options["wait"]:
            self.stdout.write(f"Training of {project.slug} waits in line as job {job.pk}.")
            if not worker_alive():
                self.stdout.write(self.style.WARNING("No worker is running: start one with manage.py serve."))
            return
        self._see_through(job)
        if job.state == Job.State.FAILED:
            raise CommandError(job.error)
        seconds = job.duration_seconds or 0.0
        self.stdout.write(self.style.SUCCESS(f"{(job.result or {}).get('outcome', 'done')} ({seconds:.1f} s)"))

    def _see_through(self, job: Job) -> None:
        while job.state in (Job.State.QUEUED, Job.State.RUNNING):
            if job.state == Job.State.QUEUED and not worker_alive():
                self._train_here(job)
            job.refresh_from_db()
            if job.state in (Job.State.QUEUED, Job.State.RUNNING):
                time.sleep(LOOK_EVERY_SECONDS)

    def _train_here(self, job: Job) -> None:
        # Imported late: the numeric libraries take seconds, and a worker has them already.
        from active_learning.services.training import train

        self.stdout.write("No worker is running: training in this process.")
        train(job_id=str(job.pk))
