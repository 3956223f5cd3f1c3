import pytest
from rest_framework.test import APIClient

from active_learning.models import TrainingRun
from active_learning.services import training
from labeling.models import Job
from tests.active_learning.pools import answer, audit_items, make_pool, pool_items, run_training
from tests.factories import make_key, make_member

pytestmark = pytest.mark.django_db


def client_of(user, **options):
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {make_key(user, **options)}")
    return client


def url(project, name):
    return f"/api/v1/projects/{project.slug}/{name}/"


def test_train_answers_the_job_that_will_do_it(owner):
    project = make_pool(owner, 80)
    answer(pool_items(project, 20))
    call = client_of(owner)
    response = call.post(url(project, "train"), {"reason": "new guidelines"})
    assert response.status_code == 202
    job = response.json()["job"]
    assert job["reason"] == "new guidelines"
    assert TrainingRun.objects.get(job_id=job["id"]).trigger == "person"
    training.train(job_id=job["id"])
    assert call.get(f"/api/v1/jobs/{job['id']}/").json()["result"]["version"] == 1


def test_a_training_that_waits_is_answered_again(owner):
    call, project = client_of(owner), make_pool(owner, 8)
    first = call.post(url(project, "train"), {}).json()["job"]["id"]
    assert call.post(url(project, "train"), {"reason": "again"}).json()["job"]["id"] == first
    assert Job.objects.filter(project=project).count() == 1


def test_models_lists_versions_with_their_evidence(owner):
    project = make_pool(owner, 160)
    call = client_of(owner, scopes=["annotate"])
    assert call.get(url(project, "models")).json() == {
        "models": [],
        "aliases": {"live": None, "candidate": None, "shadow": None},
    }
    answer(pool_items(project, 30))
    answer(audit_items(project))
    run_training(project)
    answer(pool_items(project, 20, offset=30))
    run_training(project)
    second, first = call.get(url(project, "models")).json()["models"]
    assert (second["number"], second["state"], second["n_labels"], second["parent"]) == (2, "live", 50, 1)
    assert first["state"] == "retired"
    accuracy = second["metrics"]["audit"]["accuracy"]
    assert accuracy["low"] < accuracy["value"] <= accuracy["high"]
    assert accuracy["n"] == 40
    assert second["metrics"]["baselines"]["majority"]["comparison"]["is_better"] is True
    assert len(second["sha256"]) == len(second["dataset"]["sha256"]) == 64


def test_who_may(owner, outsider):
    project = make_pool(owner, 8)
    annotator, reviewer = make_member(project), make_member(project, "reviewer")
    for user, train, models in ((owner, 202, 200), (reviewer, 202, 200), (annotator, 403, 200), (outsider, 404, 404)):
        call = client_of(user)
        assert call.post(url(project, "train"), {}).status_code == train, user
        assert call.get(url(project, "models")).status_code == models, user
    assert client_of(owner, scopes=["annotate"]).post(url(project, "train"), {}).status_code == 403
    assert APIClient().post(url(project, "train"), {}).status_code == 401
    other = make_pool(owner, 8)
    assert client_of(owner, project=other).post(url(project, "train"), {}).status_code == 404


def test_a_reason_that_is_too_long_is_refused(owner):
    project = make_pool(owner, 8)
    response = client_of(owner).post(url(project, "train"), {"reason": "x" * 201})
    assert response.status_code == 422
    assert "reason" in response.json()["error"]["fields"]


def test_a_broker_that_is_down_costs_nothing(owner, django_capture_on_commit_callbacks):
    project = make_pool(owner, 8)
    with django_capture_on_commit_callbacks(execute=True):
        response = client_of(owner).post(url(project, "train"), {})
    assert response.status_code == 202
    assert Job.objects.get(pk=response.json()["job"]["id"]).state == "queued"


def test_an_event_is_recorded_as_the_reason(owner):
    call, project = client_of(owner), make_pool(owner, 8)
    refused = call.post(url(project, "train"), {"trigger": "event"})
    assert refused.status_code == 422
    assert "reason" in refused.json()["error"]["fields"]
    assert call.post(url(project, "train"), {"trigger": "drift", "reason": "x"}).status_code == 422
    assert call.post(url(project, "train"), {"trigger": "event", "reason": "prices changed"}).status_code == 202
    run = TrainingRun.objects.get(project=project)
    assert (run.trigger, run.reason) == ("event", "prices changed")


def test_trainings_are_listed_with_what_was_found(owner):
    call, project = client_of(owner), make_pool(owner, 60)
    answer(pool_items(project, 5), "food")
    run_training(project)
    answer(pool_items(project, 20, offset=5))
    run_training(project, reason="more labels", trigger="labels")
    learned, refused = call.get(url(project, "train")).json()["runs"]
    assert (learned["version"], learned["trigger"], learned["reason"]) == (1, "labels", "more labels")
    assert refused["version"] is None
    assert refused["findings"] == [
        {"code": "one_answer", "severity": "refuse", "words": refused["outcome"], "fields": []}
    ]
    job = call.get(f"/api/v1/jobs/{refused['job']}/").json()
    assert job["result"]["findings"] == refused["findings"]
    annotator = client_of(make_member(project))
    assert annotator.get(url(project, "train")).status_code == 403
