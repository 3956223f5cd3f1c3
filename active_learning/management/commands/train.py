from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from active_learning.management.waiting import project_named, see_through
from active_learning.models import TrainingRun
from active_learning.services.triggers import request_training
from labeling.models import Job
from labeling.selectors import worker_alive


class Command(BaseCommand):
    help = "Asks for a training of a project's model. With --wait it stays until the training has ended."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("project", help="the project's slug")
        parser.add_argument("--reason", default="manage.py train", help="what the job's row says")
        parser.add_argument(
            "--wait", action="store_true", help="wait for the end; where no worker is running, train in this process"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        project = project_named(options["project"])
        job = request_training(project=project, reason=options["reason"], trigger=TrainingRun.Trigger.COMMAND)
        if not options["wait"]:
            self.stdout.write(f"Training of {project.slug} waits in line as job {job.pk}.")
            if not worker_alive():
                self.stdout.write(self.style.WARNING("No worker is running: start one with manage.py serve."))
            return
        see_through(job, lambda: self._train_here(job))
        seconds = job.duration_seconds or 0.0
        self.stdout.write(self.style.SUCCESS(f"{(job.result or {}).get('outcome', 'done')} ({seconds:.1f} s)"))

    def _train_here(self, job: Job) -> None:
        # Imported late: the numeric libraries take seconds, and a worker has them already.
        from active_learning.services.training import train

        self.stdout.write("No worker is running: training in this process.")
        train(job_id=str(job.pk))
