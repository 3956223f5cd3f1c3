import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from active_learning.core.strategies import TITLES
from active_learning.management.waiting import project_named, see_through
from active_learning.services.triggers import SEEDS, request_replay
from labeling.core.errors import Invalid
from labeling.models import Job


class Command(BaseCommand):
    help = (
        "Replays labeling campaigns on a project's own labels, compares query strategies over seeds and says which to "
        "take. It changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("project", help="the project's slug")
        parser.add_argument(
            "--strategies",
            nargs="+",
            default=[],
            metavar="NAME",
            help=f"by default the usual ones; {', '.join(TITLES)}",
        )
        parser.add_argument("--seeds", type=int, default=SEEDS, help="campaigns of each strategy")
        parser.add_argument("--json", action="store_true", help="the whole result, with the curves")

    def handle(self, *args: Any, **options: Any) -> None:
        project = project_named(options["project"])
        try:
            job = request_replay(
                project=project, strategies=options["strategies"], seeds=options["seeds"], reason="manage.py replay"
            )
        except Invalid as error:
            raise CommandError(error.message) from None
        see_through(job, lambda: _replay_here(job))
        result = job.result or {}
        self.stdout.write(json.dumps(result) if options["json"] else _table(job, result))


def _replay_here(job: Job) -> None:
    # Imported late: the numeric libraries take seconds, and a worker has them already.
    from active_learning.services.replay import replay

    replay(job_id=str(job.pk))


def _table(job: Job, result: dict[str, Any]) -> str:
    exam = "audit items" if result["exam"] == "audit" else "items kept apart"
    lines = [
        f"{result['seeds']} campaigns each, to {result['sizes'][-1]:,} of {result['n_pool']:,} labeled items, judged "
        f"on {result['n_exam']:,} {exam}.",
        f"{'strategy':36}{'mean macro-F1':>14}   against random order, points (95 % interval)",
    ]
    for row in result["strategies"]:
        gain = row["against_random"]
        words = ""
        if gain:
            words = f"{100 * gain['value']:+.1f}"
            if gain["low"] is not None:
                words += f" ({100 * gain['low']:+.1f} to {100 * gain['high']:+.1f})"
        lines.append(f"{row['strategy']:36}{100 * row['area']:13.1f} %   {words}")
    advice = result["advice"]
    lines.append(f"Take {advice['strategy']}: {advice['why']}.")
    if advice["strategy"] != result["in_use"]:
        lines.append(f"In use is {result['in_use']}; change it under Model.")
    return "\n".join(lines)
