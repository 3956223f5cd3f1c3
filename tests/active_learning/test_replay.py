"""A replay through its doors: the command, the page, the job."""

import pytest
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.urls import reverse

from active_learning.services import replay
from labeling.models import Job
from labeling.selectors import WORKER_ALIVE_KEY
from tests.active_learning.pools import answer, audit_items, make_pool, pool_items
from tests.factories import make_member

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_worker():
    cache.delete(WORKER_ALIVE_KEY)


@pytest.fixture
def labeled(owner):
    project = make_pool(owner, 240)
    answer(pool_items(project, 150))
    return project


def test_the_command_compares_and_advises(labeled, capsys):
    call_command("replay", labeled.slug, strategies=["recommended", "random"], seeds=2)
    said = capsys.readouterr().out
    assert "2 campaigns each, to 64 of 112 labeled items, judged on 38 items kept apart." in said
    assert "Take recommended" in said or "Take random" in said
    assert Job.objects.get(project=labeled).state == "succeeded"
    # Nothing was learned, queued or answered by it.
    assert labeled.model_versions.count() == labeled.queue.count() == 0


def test_the_audit_split_is_the_exam_where_it_is_large_enough(labeled):
    answer(audit_items(labeled))
    call_command("replay", labeled.slug, strategies=["random", "margin"], seeds=1)
    result = Job.objects.get(project=labeled).result
    assert (result["exam"], result["n_exam"], result["n_pool"]) == ("audit", 60, 150)


def test_bad_requests_say_what_to_do(owner, labeled):
    with pytest.raises(CommandError, match="Choose from: recommended, margin"):
        call_command("replay", labeled.slug, strategies=["magic"])
    with pytest.raises(CommandError, match="Between 1 and 50 seeds"):
        call_command("replay", labeled.slug, seeds=0)
    with pytest.raises(CommandError, match="no project nowhere"):
        call_command("replay", "nowhere")
    small = make_pool(owner, 40)
    with pytest.raises(CommandError, match="no labels to replay"):
        call_command("replay", small.slug)
    answer(pool_items(small, 20))
    with pytest.raises(CommandError, match="15 labeled items are too few"):
        call_command("replay", small.slug)


def test_the_page_asks_shows_progress_and_result(client, owner, labeled):
    client.force_login(owner)
    address = reverse("active_learning:replay", args=[labeled.slug])
    assert "Nothing replayed yet" in client.get(address).text
    assert client.post(address).status_code == 302
    waiting = client.get(address).text
    assert "no worker is running" in waiting
    job = Job.objects.get(project=labeled)
    job.params["seeds"] = 2
    job.save()
    replay.replay(job_id=str(job.pk))
    fragment = client.get(reverse("active_learning:replay-now", args=[labeled.slug]))
    assert fragment["HX-Refresh"] == "true"
    shown = client.get(address).text
    assert "Take <span" in shown and ">uncertainty</th>" in shown and "to 64 labels" in shown


def test_a_failed_replay_says_why(client, owner):
    project = make_pool(owner, 8)
    client.force_login(owner)
    address = reverse("active_learning:replay", args=[project.slug])
    client.post(address)
    replay.replay(job_id=str(Job.objects.get(project=project).pk))
    assert "There are no labels to replay yet" in client.get(address).text


def test_annotators_see_it_and_do_not_ask(client, labeled):
    client.force_login(make_member(labeled))
    address = reverse("active_learning:replay", args=[labeled.slug])
    assert "Replay on today" not in client.get(address).text
    assert client.post(address).status_code == 403
