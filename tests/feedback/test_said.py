"""Explicit feedback through its endpoint: what is taken, what is refused, what undo takes back."""

import json
import uuid
from datetime import timedelta
from threading import Thread

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.core.signing import TimestampSigner
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from active_learning.models import Prediction
from active_learning.selectors import in_view
from feedback.core.reliability import Pairs
from feedback.core.subjects import signature_of
from feedback.models import CurrentVerdict, FeedbackEvent, WidgetKey
from feedback.selectors import MOST_HEARD, complaints_about, feedback_report, pairs
from feedback.services import keys
from feedback.services.keys import create_widget_key, revoke_widget_key, rotate_widget_key
from feedback.services.privacy import forget, kept_of
from labeling.core.inbox_order import WORTH
from labeling.models import Annotation, Assignment, Item, Resolution, ReviewItem
from labeling.selectors import ReviewFilter, open_reviews
from labeling.services import review as reviewing
from labeling.services.inbox import PRIORITY_OF_BLIND, open_review
from labeling.services.intake import add_rows
from labeling.services.routed import Routed, route_to_review
from tests.factories import make_key, make_project, make_user
from tests.feedback.conftest import PAGE, make_prediction, token_of

pytestmark = pytest.mark.django_db
URL = "/api/v1/feedback/"


def code_of(response):
    return response.json()["error"]["code"]


def test_one_click_is_recorded_and_answers_what_may_follow(send, prediction, key):
    response = send(prediction, "down")
    assert response.status_code == 201, response.json()
    body = response.json()
    assert body["feedback"]["verdict"] == "down" and body["feedback"]["revision"] == 1
    assert [choice["value"] for choice in body["choices"]] == ["negative", "neutral"], "all but what was said"
    verdict = CurrentVerdict.objects.get()
    assert (verdict.prediction, verdict.said, verdict.verdict) == (prediction.pk, "positive", "down")
    assert not verdict.is_verified


def test_every_label_may_be_what_is_right(owner):
    project = make_project(owner, config={"labels": [f"intent {n}" for n in range(120)]})
    key = create_widget_key(project=project, origins=[PAGE], actor=owner)
    prediction = make_prediction(project, "intent 0")
    body = {"key": key.key, "token": token_of(prediction), "verdict": "down", "client_id": "one"}
    choices = APIClient(headers={"Origin": PAGE}).post("/api/v1/feedback/", body).json()["choices"]
    assert [choice["value"] for choice in choices] == [f"intent {n}" for n in range(1, 120)]


def test_saying_otherwise_replaces_and_keeps_the_history(send, prediction):
    send(prediction, "down")
    send(prediction, "up")
    again = send(prediction, "down", correction="negative", reasons=["wrong"], comment="<b>No!</b>")
    assert again.json()["feedback"]["revision"] == 3
    assert list(FeedbackEvent.objects.order_by("pk").values_list("verdict", flat=True)) == ["down", "up", "down"]
    assert CurrentVerdict.objects.get().event.correction == "negative"
    with pytest.raises(Exception, match="only ever added"):
        FeedbackEvent.objects.all().update(verdict="up")


def test_the_same_act_sent_ten_times_counts_once(send, prediction):
    answers = [send(prediction, "down", client_id="once") for _ in range(10)]
    assert [answer.status_code for answer in answers] == [201] + [200] * 9
    assert all(answer.json() == answers[0].json() for answer in answers)
    assert FeedbackEvent.objects.count() == 1
    other = send(prediction, "up", client_id="once")
    assert (other.status_code, code_of(other)) == (409, "client_id_reused")


def test_undo_takes_the_complaint_out_of_the_inbox_again(send, prediction):
    send(prediction, "down", comment="wrong mood")
    review = ReviewItem.objects.get()
    assert review.reason == "complaint" and review.state == "open"
    assert review.evidence["complaint"]["comments"][0]["text"] == "wrong mood"
    assert send(prediction, "undo").status_code == 201
    review.refresh_from_db()
    assert review.state == "closed"
    assert CurrentVerdict.objects.get().verdict == "undo"


def test_an_item_that_only_complaints_brought_leaves_with_the_last_of_them(send, project, annotator):
    def undone(text, touch=lambda item: None):
        said = make_prediction(project, text=text)
        send(said, "down", subject="ann")
        item = Item.objects.get(data__text=text)
        touch(item)
        send(said, "undo", subject="ann")
        item.refresh_from_db()
        return item.state

    def answer(item):
        Annotation.objects.create(
            project=project,
            item=item,
            user=annotator,
            value="neutral",
            client_id="a",
            schema=project.schemas.get(),
            created_at=timezone.now(),
        )

    def send_again(item):
        add_rows(project=project, rows=[(1, {"data": item.data})])

    def route(item):
        route_to_review(project=project, rows=[Routed(data=item.data, reason="unsure")], now=timezone.now())

    assert undone("gone") == "excluded"
    assert undone("judged", answer) == "open"
    assert undone("known", lambda item: Item.objects.filter(pk=item.pk).update(gold="neutral")) == "open"
    assert undone("imported", send_again) == "open"
    assert undone("unsure", route) == "open"
    # A complaint of somebody else brings the same item back, and so does its import.
    again = make_prediction(project, text="gone")
    send(again, "down", subject="bob")
    item = Item.objects.get(data__text="gone")
    assert item.state == "open" and ReviewItem.objects.filter(item=item, state="open").exists()
    forget(project=project, subject="bob", actor=None)
    item.refresh_from_db()
    assert item.state == "excluded"
    send_again(item)
    item.refresh_from_db()
    assert (item.state, item.origin) == ("open", "api")


@pytest.mark.parametrize("lease", ["expired", "released"])
def test_an_answer_that_comes_after_the_item_has_left_counts(send, project, annotator, lease):
    """Whoever had it before them labels it, and what the last complaint took away is here again."""
    said = make_prediction(project, text="late")
    send(said, "down", subject="ann")
    item, then = Item.objects.get(data__text="late"), timezone.now() - timedelta(hours=1)
    assignment = Assignment.objects.create(
        project=project, item=item, user=annotator, state=lease, reason="random", leased_at=then, expires_at=then
    )
    send(said, "undo", subject="ann")
    item.refresh_from_db()
    assert item.state == "excluded"
    client = APIClient()
    client.force_authenticate(annotator)
    body = {"value": "neutral", "client_id": f"late {lease}"}
    answered = client.post(f"/api/v1/assignments/{assignment.pk}/submit/", body, format="json")
    assert answered.status_code == 201, answered.json()
    item.refresh_from_db()
    assert item.state == "resolved"
    assert Resolution.objects.get(item=item, superseded_at=None).value == "neutral"


def test_staff_find_what_was_said_by_whole_words(client, send, project, key):
    said, other = make_prediction(project), make_prediction(project)
    send(said, "down", subject="ann")
    send(other, "down", subject="ann")
    client.force_login(make_user("stan", is_staff=True, is_superuser=True))
    digest = CurrentVerdict.objects.filter(prediction=said.pk).get().subject
    for query, n in (
        (said.pk, 1), (said.pk.hex, 1), (digest, 2), (f"{digest} {said.pk}", 1), (project.slug, 2),
        (project.slug[:-1], 0), ("no-such-id", 0), (str(said.pk)[:-1], 0), (uuid.uuid4(), 0),
    ):  # fmt: skip
        for name in ("feedbackevent", "currentverdict"):
            found = client.get(f"/admin/feedback/{name}/", {"q": str(query)})
            assert found.context["cl"].result_count == n, query
    with CaptureQueriesContext(connection) as asked:
        client.get("/admin/feedback/currentverdict/", {"q": str(said.pk)})
    assert not any("UPPER" in one["sql"] or "LIKE" in one["sql"] for one in asked)


def test_undo_takes_back_what_the_complaint_moved_in_line(send, project, has_valkey):
    said = make_prediction(project, confidence=0.5)
    send(said, "down")
    review = ReviewItem.objects.get()
    where = {"project_id": project.pk, "item_id": review.item_id, "now": timezone.now(), "evidence": {}}
    open_review(**where, reason="flag", priority=0.2)
    send(make_prediction(project, confidence=0.5), "down")
    review.refresh_from_db()
    assert (review.priority, set(review.evidence)) == (0.9, {"complaint", "flag"})
    for one in Prediction.objects.all():
        send(one, "undo")
    review.refresh_from_db()
    assert (review.state, review.reason, review.priority) == ("open", "flag", 0.2)
    send(said, "down")
    review.refresh_from_db()
    assert (review.reason, review.priority) == ("complaint", 0.75)


def test_names_that_nobody_vouches_for_move_an_answer_up_the_line_once(send, project, has_valkey):
    said = make_prediction(project, confidence=0.5)
    for place in range(20):
        send(said, "down", subject=f"made up {place}")
    assert ReviewItem.objects.get().priority == 0.75, "even odds, three times: one says it, under as many names"


def test_complaints_of_the_same_content_are_one_entry(send, project):
    for place in range(3):
        said = make_prediction(project, text="The same text")
        send(said, "down", subject=f"user {place}", **({"correction": "negative"} if place else {}))
    facts = ReviewItem.objects.get().evidence["complaint"]
    assert (facts["n"], facts["n_verified"], facts["n_predictions"]) == (3, 0, 3)
    assert facts["corrections"] == [{"value": "negative", "n": 2}]
    assert Item.objects.filter(origin="complaint").count() == 1


def test_complaints_stand_in_line_by_how_likely_the_answer_is_wrong(send, project, has_valkey):
    def complain(text, confidence, *subjects, **body):
        for subject in subjects:
            send(make_prediction(project, text=text, confidence=confidence), "down", subject=subject, **body)
        return ReviewItem.objects.get(item__data__text=text)

    torn, sure = complain("torn", 0.5, "a"), complain("sure", 0.95, "a")
    crowd = complain("crowd", 0.95, "a", "b", "c", "d", comment="no", reasons=["wrong"])
    found = list(open_reviews(project=project, wanted=ReviewFilter()))
    assert [one.pk for one in found] == [crowd.pk, torn.pk, sure.pk]
    assert torn.priority == 0.75, "even odds, three times"
    facts = crowd.evidence["complaint"]
    assert {(one["text"], one["why"]) for one in facts["comments"]} == {("no", "not true")}
    for subject in "abc":
        send(
            Prediction.objects.filter(input__text="crowd").order_by("pk")["abc".index(subject)], "undo", subject=subject
        )
    crowd.refresh_from_db()
    assert crowd.priority == sure.priority, "taken back, it is as likely as before"
    # What the release before kept in the cache stops nobody who complains while it is upgraded.
    cache.set(f"feedback.ratios:{project.pk}", {"thumbs_down": 0.7}, 60)
    assert complain("surer yet", 0.95, "a").priority == sure.priority
    # Once it is known how users complain, that counts.
    cache.set(f"feedback.known:{project.pk}", {"thumbs_down": (0.0, 0.2)}, 60)
    assert complain("sure as well", 0.95, "a").priority == (pytest.approx(0.05) if has_valkey else sure.priority)


def test_a_crowd_of_claimed_names_costs_little_and_counts_as_one(send, project, prediction, key):
    send(prediction, "down", subject="a")
    alone = ReviewItem.objects.get()
    now, many = timezone.now(), 1_000
    about = {"project": project, "prediction": prediction.pk, "channel": "thumbs", "verdict": "down", "revision": 1}
    CurrentVerdict.objects.bulk_create(
        CurrentVerdict(
            **about, subject=f"{n}", said="positive", confidence=0.7, item=alone.item, created_at=now, changed_at=now
        )
        for n in range(many)
    )
    send(prediction, "down", subject="b")
    again = ReviewItem.objects.get()
    assert again.evidence["complaint"]["n"] == many + 2 and again.evidence["complaint"]["n_verified"] == 0
    assert again.priority == alone.priority
    assert len(complaints_about(item_id=alone.item_id).newest) == MOST_HEARD
    send(prediction, "down", subject="olga", subject_signature=signature_of("olga", key.secret))
    assert ReviewItem.objects.get().priority > alone.priority


def test_a_reviewer_decides_and_later_complaints_ask_nobody_again(send, project, prediction, owner):
    send(prediction, "down", correction="negative")
    review = ReviewItem.objects.get()
    reviewing.decide(review=review, value="negative", user=owner)
    send(make_prediction(project, text="I like it"), "down")
    assert not ReviewItem.objects.filter(state="open").exists()
    assert CurrentVerdict.objects.filter(item_id=review.item_id).count() == 2


def test_the_product_hears_what_became_of_a_complaint(send, project, prediction, owner, client):
    auth = {"Authorization": f"Bearer {make_key(owner, project, ['predict'])}"}

    def state(of=prediction):
        return client.get(f"/api/v1/projects/{project.slug}/predictions/{of.pk}/", headers=auth).json()["state"]

    def told():
        page = client.get(f"/api/v1/projects/{project.slug}/decisions/", headers=auth).json()
        return [(one["prediction"], one["outcome"], one["value"]) for one in page["decisions"]]

    assert state() == "stands"
    send(prediction, "down")
    assert state() == "waiting"
    send(prediction, "undo")
    assert (state(), told()) == ("stands", [])
    send(prediction, "down", correction="negative")
    reviewing.decide(review=ReviewItem.objects.get(state="open"), value="negative", user=owner)
    assert state() == "settled"
    assert told() == [(str(prediction.pk), "settled", "negative")], "what webhooks are made of"
    # Somebody complains of an answer that people have settled before.
    later = make_prediction(project)
    send(later, "down")
    assert told()[1:] == [(str(later.pk), "settled", "negative")]
    assert pairs(project=project)["thumbs_down"] == Pairs(), "only what was given to people whatever users say"


def test_what_is_judged_blind_stays_blind(send, project):
    item = Item.objects.create(project=project, content_hash="e" * 32, data={"text": "drawn"}, split="audit")
    send(make_prediction(project, text="drawn", is_explored=True, item=item), "down", comment="it is wrong")
    assert not ReviewItem.objects.filter(evidence__has_key="complaint").exists()
    assert CurrentVerdict.objects.get().item_id == item.pk


def test_an_item_of_the_pool_that_was_drawn_is_judged_blind_too(send, project, owner, client):
    send(make_prediction(project), "down", correction="negative", comment="plainly wrong")
    assert len(feedback_report(project=project).grievances) == 1
    drawn = Routed(data={"text": "I like it"}, reason="explore", is_blind=True)
    route_to_review(project=project, rows=[drawn], now=timezone.now())
    waits = ReviewItem.objects.get()
    assert waits.item.split == "pool" and set(waits.evidence) == {"explore", "complaint"}
    client.force_login(owner)
    page = client.get(f"/review/{project.slug}/").content.decode()
    assert "decided blind" in page and "What users say of" not in page and "plainly wrong" not in page
    [told] = client.get(f"/api/v1/projects/{project.slug}/review/").json()["items"]
    assert (told["reason"], told["reasons"], told["evidence"]) == ("explore", ["explore"], {"explore": {}})
    assert "users say it is wrong" not in page and told["priority"] == PRIORITY_OF_BLIND
    assert told["standing"]["worth"] == WORTH["explore"], "its place is that of any random check"
    send(make_prediction(project), "down", subject="somebody else")
    for reason, n in (("complaint", 0), ("explore", 1)):
        asked = client.get(f"/api/v1/projects/{project.slug}/review/?reason={reason}").json()
        assert (asked["total"], len(asked["items"])) == (n, n)
    assert feedback_report(project=project).complaints.n_waiting == 0
    waits.refresh_from_db()
    assert (waits.reason, waits.priority, waits.evidence["complaint"]["n"]) == ("explore", PRIORITY_OF_BLIND, 2)
    assert feedback_report(project=project).grievances == []
    reviewing.decide(review=waits, value="negative", user=owner)
    assert in_view(project=project, ids=[waits.item_id]) == [0.0]
    assert len(feedback_report(project=project).grievances) == 1


def test_without_its_input_a_complaint_is_counted_and_not_judged(send, project):
    assert send(make_prediction(project, input=None), "down").status_code == 201
    assert send(make_prediction(project, text="masked:9", is_whole=False), "down").status_code == 201
    assert not ReviewItem.objects.exists()


WRONG = [
    ({"verdict": ""}, 422, "verdict"),
    ({"verdict": "maybe"}, 422, "verdict"),
    ({"verdict": "down", "correction": "happy"}, 422, "correction"),
    ({"verdict": "down", "correction": "positive"}, 422, "correction"),
    ({"verdict": "down", "correction": {"a": [1]}}, 422, "correction"),
    ({"verdict": "up", "correction": "negative"}, 422, "correction"),
    ({"verdict": "down", "comment": "x" * 1_001}, 422, "comment"),
    ({"verdict": "down", "comment": "a\0b"}, 422, ""),
    ({"verdict": "down", "comment": "\ud800"}, 422, ""),
    ({"verdict": "down", "reasons": ["evil"]}, 422, "reasons"),
    ({"verdict": "down", "subject": "x" * 201}, 422, "subject"),
    ({"verdict": "down", "subject": "x" * 10_000}, 413, None),
    ({"verdict": "down", "comment": "x" * 70_000}, 413, None),
    ({"verdict": "down", "client_id": ""}, 422, "client_id"),
    ({"verdict": "down", "client_id": "a b"}, 422, "client_id"),
    ({"verdict": "down", "colour": "red"}, 422, "colour"),
    ({"verdict": "up", "channel": "flag"}, 422, "verdict"),
    ({"verdict": "down", "rating": 2}, 422, "rating"),
    ({"channel": "rating"}, 422, "rating"),
    ({"channel": "rating", "rating": 9}, 422, "rating"),
    ({"verdict": "undo", "comment": "sorry"}, 422, "verdict"),
]


def test_what_cannot_be_meant_is_refused_and_changes_nothing(send, prediction, key):
    for body, status, field in WRONG:
        said = {"key": key.key, "token": token_of(prediction), "client_id": uuid.uuid4().hex} | body
        response = APIClient().post(URL, json.dumps(said), content_type="application/json")
        assert response.status_code == status, (body, response.json())
        fields = response.json()["error"]["fields"]
        assert field is None or any(field in name for name in fields), (body, fields)
    for raw in ("[1]", '"x"', "{", "[" * 3_000):
        assert APIClient().post(URL, raw, content_type="application/json").status_code in (400, 422)
    assert not FeedbackEvent.objects.exists()


def test_ratings_and_flags_are_channels_of_their_own(send, prediction):
    for rating, verdict in ((1, "down"), (3, "neutral"), (5, "up")):
        assert send(prediction, channel="rating", rating=rating).json()["feedback"]["verdict"] == verdict
    assert send(prediction, channel="flag").json()["feedback"]["verdict"] == "down"
    assert CurrentVerdict.objects.count() == 2


def test_each_bad_token_has_its_own_code(send, prediction, other_project, monkeypatch):
    good = token_of(prediction)
    tampered = send(prediction, "down", token=good[:-2] + ("AA" if good[-2:] != "AA" else "BB"))
    assert (tampered.status_code, code_of(tampered)) == (422, "bad_token")
    foreign = send(make_prediction(other_project), "down")
    assert (foreign.status_code, code_of(foreign)) == (403, "foreign_token")
    gone = make_prediction(prediction.project, id=uuid.UUID(int=prediction.pk.int - (60_000 << 80)))
    type(gone).objects.filter(pk=gone.pk).delete()
    deleted = send(gone, "down")
    assert (deleted.status_code, code_of(deleted)) == (410, "prediction_gone")
    monkeypatch.setattr(TimestampSigner, "timestamp", lambda self: "1tXXXX")
    old = token_of(prediction)
    monkeypatch.undo()
    expired = send(prediction, "down", token=old)
    assert (expired.status_code, code_of(expired)) == (422, "token_expired")
    assert not FeedbackEvent.objects.exists()


def test_the_host_vouches_for_its_users(send, prediction, key):
    signature = signature_of("alice", key.secret)
    good = send(prediction, "down", subject="alice", subject_signature=signature)
    assert good.json()["feedback"]["is_verified"]
    forged = send(prediction, "up", subject="bob", subject_signature=signature)
    assert (forged.status_code, code_of(forged)) == (403, "bad_signature")
    # Whoever only says that they are Alice is somebody else.
    claimed = send(prediction, "up", subject="alice")
    assert not claimed.json()["feedback"]["is_verified"]
    assert CurrentVerdict.objects.count() == 2
    assert CurrentVerdict.objects.get(is_verified=True).verdict == "down"
    assert "alice" not in str(list(FeedbackEvent.objects.values_list("subject", flat=True)))
    named = send(prediction, "up", token=token_of(prediction, "carol"), subject="dave")
    assert code_of(named) == "foreign_subject"


def test_a_user_is_told_what_they_said_and_nobody_else(send, prediction, key):
    def standing(**said):
        body = {"key": key.key, "token": token_of(prediction)} | said
        return APIClient(headers={"Origin": PAGE}).post(f"{URL}standing/", body)

    alice = {"subject": "alice", "subject_signature": signature_of("alice", key.secret)}
    assert standing(**alice).json() == {"verdict": "", "used": None}
    send(prediction, "down", correction="negative", comment="mine", **alice)
    answer = standing(**alice)
    assert answer.json() == {"verdict": "down", "used": None}, "no model has learned it, and no words come back"
    assert answer["Access-Control-Allow-Origin"] == PAGE
    # A token that names her is hers alone, and she is the same one.
    assert standing(token=token_of(prediction, "alice")).json()["verdict"] == "down"
    assert standing(subject="alice").json()["verdict"] == standing().json()["verdict"] == ""
    assert code_of(standing(token=token_of(prediction, "alice"), subject="bob")) == "foreign_subject"
    send(prediction, "undo", **alice)
    assert standing(**alice).json()["verdict"] == ""
    assert standing(colour="red").status_code == standing(token="x").status_code == 422


def test_only_listed_pages_may_use_a_key(send, prediction, key):
    good = send(prediction, "up")
    assert good["Access-Control-Allow-Origin"] == PAGE
    assert "Origin" in good["Vary"]
    assert "Access-Control-Allow-Credentials" not in good
    for origin in ("https://evil.example", "null", "http://shop.example", "https://shop.example.evil.example"):
        refused = send(prediction, "up", origin=origin)
        assert (refused.status_code, code_of(refused)) == (403, "origin_not_allowed")
        assert "Access-Control-Allow-Origin" not in refused
    assert send(prediction, "up", origin=None).status_code == 201, "a server is no page"
    unreadable = send(prediction, "up", token="x")
    assert unreadable["Access-Control-Allow-Origin"] == PAGE, "a page must be able to read why"


def test_a_preflight_is_answered_for_listed_pages(key, monkeypatch, django_assert_num_queries):
    def ask(origin):
        return APIClient(headers={"Origin": origin}).options(
            URL, headers={"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
        )

    answer = ask(PAGE)
    assert answer.status_code == 204
    assert answer["Access-Control-Allow-Origin"] == PAGE
    assert answer["Access-Control-Allow-Headers"] == "Content-Type"
    assert "Access-Control-Allow-Origin" not in ask("https://evil.example")
    with django_assert_num_queries(0):  # whoever asks often costs nothing
        assert ask(PAGE)["Access-Control-Allow-Origin"] == PAGE
        assert "Access-Control-Allow-Origin" not in ask("https://other.example")
    monkeypatch.setattr(keys, "ASKED_AGAIN_AFTER", 0.0)
    WidgetKey.objects.filter(pk=key.pk).update(origins=["https://other.example"])  # in another process
    assert ask("https://other.example")["Access-Control-Allow-Origin"] == "https://other.example"


def test_keys_are_replaced_and_revoked(send, prediction, key, owner):
    fresh = rotate_widget_key(key=key, actor=owner)
    assert fresh.key != key.key and fresh.secret != key.secret and fresh.origins == key.origins
    assert send(prediction, "up").status_code == 201, "the old one has its grace"
    WidgetKey.objects.filter(pk=key.pk).update(expires_at=key.created_at - timedelta(days=1))
    assert send(prediction, "up").status_code == 401
    assert send(prediction, "up", key=fresh.key).status_code == 201
    revoke_widget_key(key=fresh, actor=owner)
    refused = send(prediction, "up", key=fresh.key)
    assert code_of(refused) == "unknown_key" and refused["WWW-Authenticate"].startswith("Key ")
    for wrong in ("", None, 5, "sk_x", "pk_\0", {"a": 1}):
        assert send(prediction, "up", key=wrong).status_code == 401


def test_a_change_of_the_secret_key_makes_nobody_a_stranger(send, prediction, key, settings):
    old, token = settings.SECRET_KEY, token_of(prediction, "alice")
    signed = {"subject": "alice", "subject_signature": signature_of("alice", key.secret)}
    assert send(prediction, "down", token=token, **signed).status_code == 201
    settings.SECRET_KEY = "another-key-" + "k" * 40
    assert code_of(send(prediction, "up", token=token)) == "bad_token", "the old key is not kept"
    settings.SECRET_KEY_FALLBACKS = [old]
    assert send(prediction, "up", token=token, **signed).status_code == 201
    assert send(prediction, "down", token=token_of(prediction, "alice"), **signed).status_code == 201
    assert send(prediction, "up", **signed).status_code == 201
    assert CurrentVerdict.objects.get().revision == 4, "one subject, as before"
    assert len(kept_of(project=key.project, subject="alice")["feedback"]) == 4


def test_a_publishable_key_opens_nothing_else(key, project):
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {key.key}")
    assert client.get(f"/api/v1/projects/{project.slug}/").status_code == 401


def test_too_much_is_answered_when_to_come_back(send, prediction, settings, has_valkey, still_minute):
    if not has_valkey:
        pytest.skip("limits need the shared cache")
    settings.FEEDBACK_PER_MINUTE = settings.FEEDBACK_PER_MINUTE | {"prediction": 2}
    assert [send(prediction, "down").status_code for _ in range(3)] == [201, 201, 429]
    refused = send(prediction, "down")
    assert 1 <= int(refused["Retry-After"]) <= 61
    assert refused["Access-Control-Allow-Origin"] == PAGE
    assert send(make_prediction(prediction.project), "down").status_code == 201
    settings.FEEDBACK_PER_MINUTE = settings.FEEDBACK_PER_MINUTE | {"key": 1}
    assert code_of(send(prediction, "down")) == "throttled"


def test_the_command_prints_the_key_alone(project, capsys):
    call_command("create_key", user="olga", project=project.slug, scope=["widget"])
    printed = capsys.readouterr().out.strip()
    made = WidgetKey.objects.get(key=printed)
    assert printed.startswith("pk_") and made.origins == ["http://localhost:*", "http://127.0.0.1:*"]
    call_command("create_key", user="olga", project=project.slug, scope=["manage"])
    assert capsys.readouterr().out.startswith("sk_")


@pytest.mark.django_db(transaction=True)
def test_a_double_click_leaves_one_verdict(send, prediction):
    answers = []

    def click(place):
        try:
            answers.append(send(prediction, "down", client_id=f"click-{place % 2}").status_code)
        finally:
            connections.close_all()

    threads = [Thread(target=click, args=(place,)) for place in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200, 200, 200, 200, 201, 201]
    assert CurrentVerdict.objects.count() == 1
    assert FeedbackEvent.objects.count() == 2
