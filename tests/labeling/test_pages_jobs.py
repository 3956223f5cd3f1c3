"""Jobs: the list that follows them, starting one again, and the dot in the top bar."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from labeling.core.errors import Conflict
from labeling.models import AuditEntry, Job, Project
from labeling.selectors import WORKER_ALIVE_KEY
from labeling.services.jobs import retry_job, running_job
from labeling.views.jobs import JOBS_A_PAGE
from tests.factories import make_project

URL = "/projects/tweets/jobs/"


def make_job(project: Project, **fields: Any) -> Job:
    return Job.objects.create(project=project, **({"kind": "train", "task": "labeling.sweep_jobs"} | fields))


def failed(project: Project, **fields: Any) -> Job:
    now = timezone.now()
    ended = {"state": "failed", "attempt": 2, "started_at": now, "finished_at": now, "error": "The disk is full."}
    return make_job(project, **(ended | fields))


def test_a_job_tells_what_why_who_and_how_it_ended(client: Client, project: Project, owner: Any) -> None:
    now = timezone.now()
    make_job(
        project,
        kind="import",
        state="succeeded",
        reason="tweets.csv",
        created_by=owner,
        started_at=now - timedelta(seconds=125),
        finished_at=now,
        result={"created": 1200, "errors": 3},
    )
    failed(project)
    client.force_login(owner)
    html = client.get(URL).content.decode()
    for words in ("Import", "done", "tweets.csv", "by olga", "2 min 5 s", "created 1,200 · errors 3"):
        assert words in html
    for words in ("Training", "failed", "attempt 2", "The disk is full.", "Start again"):
        assert words in html


def test_the_list_asks_again_only_while_something_happens(client: Client, project: Project, owner: Any) -> None:
    job = make_job(project)
    client.force_login(owner)
    assert 'hx-trigger="every 2s"' in client.get(URL).content.decode()
    Job.objects.filter(pk=job.pk).update(state="running", progress=0.42, message="fitting", started_at=timezone.now())
    fragment = client.get(URL + "list/").content.decode()
    assert 'hx-trigger="every 2s"' in fragment and "42 %" in fragment and "fitting" in fragment
    assert "<html" not in fragment
    Job.objects.update(state="succeeded", finished_at=timezone.now())
    assert "hx-trigger" not in client.get(URL + "list/").content.decode()


def test_says_that_no_worker_is_there_and_how_to_start_one(
    client: Client, project: Project, owner: Any, has_valkey: bool
) -> None:
    client.force_login(owner)
    html = client.get(URL).content.decode()
    assert "No worker is running." in html and "make run" in html
    beating = make_job(project, state="running", heartbeat_at=timezone.now())
    assert "No worker is running." not in client.get(URL).content.decode(), "a busy worker has no time to sweep"
    beating.delete()
    if not has_valkey:
        pytest.skip("The sign of life lives in the cache.")
    cache.set(WORKER_ALIVE_KEY, "now", 45)
    assert "No worker is running." not in client.get(URL).content.decode()


def dot(client: Client) -> str:
    html = client.get("/health/dot/").content.decode()
    assert "<html" not in html
    return html


def test_the_dot_says_what_goes_on(client: Client, project: Project, annotator: Any, owner: Any) -> None:
    client.force_login(annotator)
    assert "no worker running" in dot(client)
    make_job(make_project(owner), state="running", progress=0.3, started_at=timezone.now(), heartbeat_at=timezone.now())
    assert "worker idle" in dot(client), "another project's work is nobody's business"
    make_job(project, state="running", progress=0.42, started_at=timezone.now(), heartbeat_at=timezone.now())
    assert "training 42 %" in dot(client)


def test_a_failed_job_is_started_again(client: Client, project: Project, owner: Any) -> None:
    job = failed(project, params={"row": 7}, lane="train:1")
    client.force_login(owner)
    response = client.post(f"{URL}{job.pk}/retry/", follow=True)
    assert "Training waits in line again." in response.content.decode()
    job.refresh_from_db()
    assert (job.state, job.error, job.finished_at, job.params) == ("queued", "", None, {"row": 7})
    assert AuditEntry.objects.filter(action="job.retry").count() == 1
    with running_job(str(job.pk)) as running:
        assert running is not None
        assert running.job.attempt == 3, "attempts only rise: they fence off workers that come back"
    job.refresh_from_db()
    assert job.state == "succeeded"


@pytest.mark.parametrize("state", ["queued", "running", "succeeded"])
def test_only_a_failed_job_is_started_again(client: Client, project: Project, owner: Any, state: str) -> None:
    job = make_job(project, state=state)
    client.force_login(owner)
    response = client.post(f"{URL}{job.pk}/retry/", follow=True)
    assert "this one has not failed" in response.content.decode()
    job.refresh_from_db()
    assert job.state == state


def test_starting_again_twice_starts_once(project: Project, owner: Any) -> None:
    job = failed(project)
    retry_job(job=job, actor=owner)
    with pytest.raises(Conflict):
        retry_job(job=job, actor=owner)
    assert AuditEntry.objects.filter(action="job.retry").count() == 1


def test_a_lane_takes_no_second_job_in_line(client: Client, project: Project, owner: Any) -> None:
    job = failed(project, lane="train:1")
    make_job(project, lane="train:1")
    client.force_login(owner)
    response = client.post(f"{URL}{job.pk}/retry/", follow=True)
    assert "already waits" in response.content.decode()
    job.refresh_from_db()
    assert job.state == "failed" and job.error == "The disk is full."


def test_a_retried_job_waits_behind_the_one_that_runs_in_its_lane(project: Project, owner: Any) -> None:
    job = failed(project, lane="train:1")
    make_job(project, lane="train:1", state="running", attempt=1)
    retry_job(job=job, actor=owner)
    with running_job(str(job.pk)) as running:
        assert running is None
    job.refresh_from_db()
    assert job.state == "queued"


def test_a_job_of_another_project_is_not_found(client: Client, project: Project, owner: Any) -> None:
    job = failed(make_project(owner))
    client.force_login(owner)
    assert client.post(f"{URL}{job.pk}/retry/").status_code == 404
    job.refresh_from_db()
    assert job.state == "failed"


def test_older_jobs_are_a_page_away(client: Client, project: Project, owner: Any) -> None:
    now = timezone.now()
    for n in range(JOBS_A_PAGE + 2):
        Job.objects.filter(pk=make_job(project, state="succeeded", reason=f"no. {n}!").pk).update(
            created_at=now - timedelta(minutes=n)
        )
    client.force_login(owner)
    first = client.get(URL)
    assert len(first.context["rows"]) == JOBS_A_PAGE
    second = client.get(URL, {"before": first.context["older"]})
    assert [row["job"].reason for row in second.context["rows"]] == [f"no. {JOBS_A_PAGE}!", f"no. {JOBS_A_PAGE + 1}!"]
    assert "Latest" in second.content.decode()
    for nonsense in ("x", "2020-01-01T00:00:00", "2020-99-01T00:00:00+00:00"):
        assert len(client.get(URL, {"before": nonsense}).context["rows"]) == JOBS_A_PAGE


def test_the_list_takes_the_same_queries_for_many(
    client: Client, project: Project, owner: Any, django_assert_max_num_queries: Any
) -> None:
    for _ in range(JOBS_A_PAGE):
        failed(project, created_by=owner)
    client.force_login(owner)
    with django_assert_max_num_queries(6):  # session, user, membership, jobs, a sign of life, what waits for review
        assert client.get(URL).status_code == 200
