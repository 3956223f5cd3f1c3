"""Implicit events through their endpoint: batches, beacons, repeats, and browsers that ask not to be watched."""

import json
import multiprocessing
import os
import signal
import uuid
from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone
from rest_framework.test import APIClient

from active_learning.models import Prediction
from feedback.models import ImplicitEvent
from tests.feedback.conftest import PAGE, make_prediction, token_of

pytestmark = pytest.mark.django_db
URL = "/api/v1/events/"


@pytest.fixture
def beacon(key):
    """Sends as a beacon does: a text, with the cookies of whoever is logged in."""

    def post(events, content_type="text/plain;charset=UTF-8", **headers):
        client = APIClient(enforce_csrf_checks=True, headers={"Origin": PAGE} | headers)
        body = json.dumps({"key": key.key, "events": events})
        return client.post(URL, body, content_type=content_type)

    return post


def test_a_beacon_is_taken_and_each_event_counts_once(beacon, prediction):
    token = token_of(prediction)
    now = timezone.now()
    batch = [
        {"token": token, "name": "shown", "at": int(now.timestamp() * 1000), "client_id": "a"},
        {"token": token, "name": "edited", "value": 0.4, "at": now.isoformat(), "client_id": "b"},
        {"token": token, "name": "dwell", "value": 3.5, "client_id": "c"},
        {"token": token, "name": "accepted"},
    ]
    answers = [beacon(batch) for _ in range(10)]
    assert [answer.status_code for answer in answers] == [202] * 10
    assert answers[0].json() == {"accepted": 4, "duplicates": 0, "refused": 0, "ignored": 0, "errors": []}
    assert answers[9].json()["duplicates"] == 4
    assert ImplicitEvent.objects.count() == 4
    assert ImplicitEvent.objects.get(name="edited").value == 0.4
    assert answers[0]["Access-Control-Allow-Origin"] == PAGE
    assert beacon(batch[:1] * 5, "application/json").json()["duplicates"] == 5
    # The same client_id for something else, sent before or beside it.
    other = {"token": token, "name": "copied", "client_id": "a"}
    beside = [other | {"client_id": "d"}, other | {"client_id": "d", "name": "undone"}]
    answer = beacon([other, *beside]).json()
    assert [(error["row"], error["code"]) for error in answer["errors"]] == [
        (0, "client_id_reused"),
        (2, "client_id_reused"),
    ]
    assert (answer["accepted"], answer["duplicates"], answer["refused"]) == (1, 0, 2)


def test_a_bad_event_keeps_no_good_one_out(beacon, prediction, other_project):
    token = token_of(prediction)
    gone = make_prediction(prediction.project, id=uuid.UUID(int=prediction.pk.int - (60_000 << 80)))
    Prediction.objects.filter(pk=gone.pk).delete()
    bad = [
        ({"token": token, "name": "exploded"}, "unknown_event"),
        ({"token": token, "name": ["shown"]}, "unknown_event"),
        ({"token": "x", "name": "shown"}, "bad_token"),
        ({"token": 5, "name": "shown"}, "bad_token"),
        ({"token": token_of(make_prediction(other_project)), "name": "shown"}, "foreign_token"),
        ({"token": token, "name": "edited", "value": 7}, "bad_value"),
        ({"token": token, "name": "shown", "value": 1}, "bad_value"),
        ({"token": token, "name": "edited", "value": True}, "bad_value"),
        ({"token": token, "name": "shown", "client_id": "a b"}, "bad_client_id"),
        ({"token": token, "name": "shown", "colour": 1}, "unknown_field"),
        ({"token": token, "name": "shown", "subject": "x" * 10_000}, "invalid"),
        ({"token": token_of(gone), "name": "shown"}, "prediction_gone"),
        ({"token": token, "name": "shown", "subject": "a", "subject_signature": "b"}, "bad_signature"),
        ({"token": token, "name": "dwell", "value": 10**400}, "bad_value"),
        ({"token": token, "name": "shown", "subject": "\ud800"}, "bad_token"),
        ({"token": token, "name": "shown", "\ud800": 1}, "unknown_field"),
        ("shown", "not_an_object"),
    ]
    answer = beacon([row for row, _ in bad] + [{"token": token, "name": "shown"}]).json()
    assert (answer["accepted"], answer["refused"]) == (1, len(bad))
    assert [error["code"] for error in answer["errors"]] == [code for _, code in bad]
    assert [error["row"] for error in answer["errors"]] == list(range(len(bad)))


def test_clocks_that_are_years_off_are_not_believed(beacon, prediction):
    now = timezone.now()
    for at in ("1970-01-01T00:00:00Z", (now + timedelta(days=4000)).isoformat(), -5, 10**30, "yesterday", None, [1]):
        assert beacon([{"token": token_of(prediction), "name": "shown", "at": at}]).json()["accepted"] == 1
    assert all(abs(event.at - event.received_at) < timedelta(seconds=1) for event in ImplicitEvent.objects.all())


@pytest.mark.parametrize("header", ["Sec-GPC", "DNT"])
def test_a_browser_that_asks_not_to_be_watched_is_not(beacon, prediction, header):
    answer = beacon([{"token": token_of(prediction), "name": "shown"}], **{header: "1"})
    assert answer.json() == {"accepted": 0, "duplicates": 0, "refused": 0, "ignored": 1, "errors": []}
    assert not ImplicitEvent.objects.exists()


def test_what_is_no_batch_is_refused(beacon, key):
    assert beacon("x").status_code == 422
    assert beacon([{}] * 501).status_code == 413
    assert beacon([{"token": "x" * 100, "name": "shown"}] * 10_000).status_code == 413
    post = APIClient().post
    assert post(URL, "{", content_type="text/plain").status_code == 400
    assert post(URL, "{}", content_type="text/plain").status_code == 401
    assert post(URL, json.dumps({"key": key.key}), content_type="application/xml").status_code == 415


@pytest.mark.django_db(transaction=True)
def test_what_was_answered_is_there_after_the_process_is_killed_and_counts_once_however_often_it_is_sent(
    beacon, prediction
):
    token = token_of(prediction)
    batches = [[{"token": token, "name": "copied", "client_id": f"{n}-{i}"} for i in range(2)] for n in range(100)]
    answered, tell = multiprocessing.Pipe(duplex=False)
    connections.close_all()  # a connection must not be shared with the child

    def take() -> None:
        for place, batch in enumerate(batches):
            if beacon(batch).status_code == 202:
                tell.send(place)

    process = multiprocessing.get_context("fork").Process(target=take)
    process.start()
    known = [answered.recv() for _ in range(20)]
    os.kill(process.pid, signal.SIGKILL)
    process.join(30)
    while answered.poll():
        known.append(answered.recv())
    stored = set(ImplicitEvent.objects.values_list("client_id", flat=True))
    assert stored >= {event["client_id"] for place in known for event in batches[place]}
    assert len(stored) % 2 == 0, "a batch is there as a whole or not at all"
    for _ in range(10):
        assert beacon(batches[0]).json()["duplicates"] == 2
    assert ImplicitEvent.objects.filter(client_id__in=["0-0", "0-1"]).count() == 2


def test_whoever_sends_too_much_keeps_nobody_else_out(beacon, project, prediction, settings, has_valkey, still_minute):
    if not has_valkey:
        pytest.skip("limits need the shared cache")
    settings.FEEDBACK_PER_MINUTE = settings.FEEDBACK_PER_MINUTE | {"subject_events": 3, "prediction_events": 5}
    made = iter(range(100))

    def events(n, of=prediction, **who):
        return [{"token": token_of(of), "name": "copied", "client_id": f"e{next(made)}"} | who for _ in range(n)]

    other = make_prediction(project)
    answer = beacon(events(4, subject="noisy") + events(1, of=other, subject="quiet"))
    assert (answer.status_code, answer.json()["accepted"], answer.json()["refused"]) == (202, 1, 4)
    assert {error["code"] for error in answer.json()["errors"]} == {"throttled"}
    assert beacon(events(1, subject="quiet")).status_code == 202, "five of this prediction by now"
    assert beacon(events(1)).status_code == 429, "a sixth, by whomever"
    refused = beacon(events(1, of=other, subject="noisy"))
    assert refused.status_code == 429 and 1 <= int(refused["Retry-After"]) <= 61
    assert ImplicitEvent.objects.count() == 2
    for counted in ("key", "network"):
        settings.FEEDBACK_PER_MINUTE = settings.FEEDBACK_PER_MINUTE | {counted: 1}
        assert beacon(events(1, of=make_prediction(project))).status_code == 429, counted
        settings.FEEDBACK_PER_MINUTE = settings.FEEDBACK_PER_MINUTE | {counted: 10**6}


def test_a_session_has_no_authority_here(owner, prediction):
    client = APIClient()
    client.force_login(owner)
    response = client.post(URL, {"events": [{"token": token_of(prediction), "name": "shown"}]}, format="json")
    assert response.status_code == 401
