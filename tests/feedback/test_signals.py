"""Implicit events through their endpoint: batches, beacons, repeats, and browsers that ask not to be watched."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

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


def test_a_bad_event_keeps_no_good_one_out(beacon, prediction, other_project):
    token = token_of(prediction)
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
        ({"token": token, "name": "shown", "subject": "x" * 201}, "invalid"),
        ({"token": token, "name": "shown", "subject": "a", "subject_signature": "b"}, "bad_signature"),
        ({"token": token, "name": "dwell", "value": 10**400}, "bad_value"),
        ({"token": token, "name": "shown", "subject": "\ud800"}, "bad_token"),
        ({"token": token, "name": "shown", "\ud800": 1}, "unknown_field"),
        ("shown", "not_an_object"),
    ]
    answer = beacon([row for row, _ in bad] + [{"token": token, "name": "shown"}]).json()
    assert (answer["accepted"], answer["refused"]) == (1, len(bad))
    assert [error["code"] for error in answer["errors"]] == [code for _, code in bad]


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


def test_a_session_has_no_authority_here(owner, prediction):
    client = APIClient()
    client.force_login(owner)
    response = client.post(URL, {"events": [{"token": token_of(prediction), "name": "shown"}]}, format="json")
    assert response.status_code == 401
