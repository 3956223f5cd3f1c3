import pytest
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.utils import timezone

from labeling.models import Job
from labeling.selectors import WORKER_ALIVE_KEY
from tests.active_learning.pools import answer, make_pool, pool_items

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_worker():
    cache.delete(WORKER_ALIVE_KEY)


def test_train_asks_and_says_that_nobody_works(owner, capsys):
    project = make_pool(owner, 8)
    call_command("train", project.slug, reason="nightly")
    said = capsys.readouterr().out
    assert "waits in line" in said
    assert "No worker is running" in said
    job = Job.objects.get(project=project)
    assert (job.state, job.reason, job.training_run.trigger) == ("queued", "nightly", "command")


def test_train_and_wait_trains_here_where_no_worker_is(owner, capsys):
    project = make_pool(owner, 40)
    answer(pool_items(project, 15))
    call_command("train", project.slug, wait=True)
    assert "model 1: candidate, insufficient data" in capsys.readouterr().out
    assert project.model_versions.count() == 1


def test_a_failed_training_ends_the_command_with_its_error(owner, monkeypatch):
    from active_learning.services import training

    def broken(*args, **options):
        raise RuntimeError("no more memory")

    monkeypatch.setattr(training, "_learn", broken)
    with pytest.raises(CommandError, match="no more memory"):
        call_command("train", make_pool(owner, 8).slug, wait=True)


def test_waiting_for_a_worker_looks_until_the_end(owner, monkeypatch, capsys):
    from active_learning.management import waiting

    project = make_pool(owner, 8)
    monkeypatch.setattr(waiting, "worker_alive", lambda: True)

    def worked_elsewhere(_):
        now = timezone.now()
        Job.objects.filter(project=project).update(
            state="succeeded", result={"outcome": "model 3: live"}, started_at=now, finished_at=now
        )

    monkeypatch.setattr(waiting.time, "sleep", worked_elsewhere)
    call_command("train", project.slug, wait=True)
    assert "model 3: live (0.0 s)" in capsys.readouterr().out


def test_an_unknown_project_is_named_with_those_there_are(owner):
    project = make_pool(owner, 8)
    with pytest.raises(CommandError, match=f"no project nope. Projects: {project.slug}"):
        call_command("train", "nope")
