"""The predict door: what comes in, what is answered, who decides."""

import json
import time
from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from active_learning.core.wording import SOMEWHAT
from active_learning.models import ModelVersion, Prediction
from active_learning.services import files, serving
from active_learning.services.serving_policy import change_serving
from active_learning.services.tokens import read_feedback_token, subject_digest
from labeling.core.errors import Invalid
from labeling.core.schema import rules_of
from labeling.models import LabelSchema
from labeling.services.projects import change_schema
from tests.active_learning.pools import make_pool, pool_items, taught
from tests.active_learning.remembered import remembered
from tests.factories import make_key, make_member

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_in_memory():
    serving.forget_models()


@pytest.fixture
def trained(owner, storage):
    return remembered(storage, owner, taught)


def client_of(user, **options):
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {make_key(user, **{'scopes': ['predict'], **options})}")
    return client


def url(project, name="predict"):
    return f"/api/v1/projects/{project.slug}/{name}/"


def texts_of(project, n=3):
    return [item.data["text"] for item in pool_items(project, n, offset=80)]


def test_a_batch_is_answered_in_order_and_logged(owner, trained):
    texts = texts_of(trained)
    response = client_of(owner).post(url(trained), {"items": [{"text": text} for text in texts]})
    assert response.status_code == 200, response.json()
    body = response.json()
    assert (body["model"], body["source"], body["notice"], body["input"]["n"]) == (1, "model", "", 3)
    for item, said in zip(pool_items(trained, 3, offset=80), body["predictions"], strict=True):
        assert said["value"] == item.meta["topic"]
        assert sum(said["probabilities"].values()) == pytest.approx(1, abs=1e-3)
        assert said["confidence"] == said["certainty"]["banded"] == max(said["probabilities"].values())
        assert said["certainty"]["scale"] == "probability"
        assert said["decision"] in ("auto", "monitor", "review")
        assert said["value"] in said["wording"]
        assert 1 <= len(said["reasons"]) <= 3
        for reason in said["reasons"]:
            assert reason["name"] in reason["text"]
            for span in reason["spans"]:
                assert item.data["text"][span["start"] : span["end"]].lower() == reason["name"].lower()
        row = Prediction.objects.get(pk=said["id"])
        assert (row.version.number, row.value, row.decision) == (1, said["value"], said["decision"])
        assert (row.input, row.propensity) == (item.data, 0.05)
        claim = read_feedback_token(token=said["token"])
        assert (claim.prediction_id, claim.project_id, claim.subject) == (row.pk, trained.pk, "")
        marked = [item.data["text"][word["start"] : word["end"]].lower() for word in row.words]
        words = [reason for reason in said["reasons"] if reason["kind"] == "word"]
        spoke = {word["name"].lower() for word in words if word["log_odds"] >= SOMEWHAT}
        assert set(marked) == spoke, "what is marked for a reviewer weighs something"


def test_one_input_answers_the_score_that_the_project_names(owner, trained):
    manage = client_of(owner, scopes=["manage"])
    change = {"score_field": "clarity_score", "score_label": "food"}
    assert manage.patch(url(trained, "serving"), change).status_code == 200
    said = client_of(owner).post(url(trained), {"text": texts_of(trained)[0]}).json()
    assert said["clarity_score"] == said["probabilities"]["food"]
    assert said["id"] and said["token"] and said["model"] == 1


def test_bands_decide_and_change_without_training(owner, trained):
    call, manage = client_of(owner), client_of(owner, scopes=["manage"])
    body = {"text": texts_of(trained)[0]}
    for bands, expected in (((0.0, 0.01), "auto"), ((0.0, 1.0), "monitor"), ((1.0, 1.0), "review")):
        manage.patch(url(trained, "serving"), {"review_below": bands[0], "auto_above": bands[1]})
        assert call.post(url(trained), body).json()["decision"] == expected
    value = call.post(url(trained), body).json()["value"]
    manage.patch(url(trained, "serving"), {"review_below": 0.0, "auto_above": 0.01, "person_labels": [value]})
    said = call.post(url(trained), body).json()
    assert (said["decision"], said["why"]) == ("review", "person")


IMPOSSIBLE_SETTINGS = [
    ({"auto_above": 0.4}, "auto_above"),
    ({"review_below": 0.95}, "auto_above"),
    ({"label_bands": {"positive": [0.9, 0.2]}}, "label_bands"),
    ({"label_bands": {"art": [0.2, 0.9]}}, "label_bands"),
    ({"segment_bands": {"de": [0.2, 0.9]}}, "segment_field"),
    ({"score_field": "token"}, "score_field"),
    ({"log_fields": {"text": "burn"}}, "log_fields.text"),
    ({"colour": "red"}, "colour"),
]


def test_settings_that_cannot_be_are_refused(owner, project):
    call = client_of(owner, scopes=["manage"])
    for change, field in IMPOSSIBLE_SETTINGS:
        response = call.patch(url(project, "serving"), change)
        assert response.status_code == 422, change
        assert field in response.json()["error"]["fields"], change


UNREADABLE = [
    ({"items": [{"text": "fine"}, {"text": None}]}, 422, "items[1].text"),
    ({"items": [{"text": "fine"}, {"other": "x"}]}, 422, "items[1].text"),
    ({"items": [{"text": 5}]}, 422, "items[0].text"),
    ({"items": [{"text": {"a": "b"}}]}, 422, "items[0].text"),
    ({"items": [{"text": ["a", 5]}]}, 422, "items[0].text"),
    ({"items": [{"text": "x" * 100_001}]}, 422, "items[0].text"),
    ({"items": [{"text": "x" * 1_100_000}]}, 422, "items[0]"),
    ({"items": [{"text": "a\0b"}]}, 422, "items[0]"),
    ({"items": [{"text": "\ud800"}]}, 422, "items[0]"),
    ({"items": ["text"]}, 422, "items[0]"),
    ({"items": []}, 422, "items"),
    ({"items": [{"text": "x"}], "more": 1}, 422, "more"),
    ({"items": [{"text": "x"}] * 10_001}, 413, None),
    ([{"text": "x"}], 422, ""),
    ({}, 422, "text"),
    ({"text": ""}, 422, "text"),
    ({"text": " \n\t\u3000"}, 422, "text"),
]


def test_what_no_model_can_read_is_refused_by_row_and_field(owner, trained):
    call = client_of(owner)
    for body, status, field in UNREADABLE:
        # As a client would send it that escapes everything: half a character does not survive otherwise.
        response = call.post(url(trained), json.dumps(body), content_type="application/json")
        assert response.status_code == status, response.json()
        error = response.json()["error"]
        assert error["message"]
        assert field is None or field in error["fields"], (error, field)
    assert not Prediction.objects.exists()


def test_other_scripts_and_fields_nobody_knows_are_answered(owner, trained):
    items = [{"text": text, "colour": "red"} for text in ("面白い本", "كرة القدم", "спорт", "😀", "a" * 90_000)]
    response = client_of(owner).post(url(trained), {"items": items})
    assert response.status_code == 200
    assert len(response.json()["predictions"]) == 5


def test_without_a_live_model_the_rules_answer_and_say_so(owner):
    project = make_pool(owner, 20)
    project.learning_policy.rules = [{"contains": ["invoice"], "value": "money"}]
    project.learning_policy.save()
    said = client_of(owner).post(url(project), {"items": [{"text": "An INVOICE"}, {"text": "x"}]}).json()
    assert (said["source"], said["model"], said["notice"]) == ("rules", None, "no model is live")
    assert [one["value"] for one in said["predictions"]] == ["money", "food"]
    assert {one["decision"] for one in said["predictions"]} == {"review"}
    assert said["predictions"][0]["confidence"] is None


def test_a_version_whose_files_are_gone_or_that_fails_is_stood_in_for(owner, trained, monkeypatch):
    call, body = client_of(owner), {"text": texts_of(trained)[0]}
    folder = files.absolute(ModelVersion.objects.get(project=trained).path)
    away = folder.with_name("away")
    folder.rename(away)
    said = call.post(url(trained), body).json()
    assert (said["source"], said["model"]) == ("rules", None)
    assert "model 1 cannot answer" in said["notice"] and str(folder.parent) not in said["notice"]
    away.rename(folder)
    monkeypatch.setattr(serving, "RETRY_SECONDS", 0.0)
    assert call.post(url(trained), body).json()["source"] == "model"

    def fail(*args):
        raise ZeroDivisionError("a secret of the machine")

    monkeypatch.setattr(serving.ServedModel, "answer", fail)
    said = call.post(url(trained), body).json()
    assert (said["source"], said["notice"]) == ("rules", "model 1 failed")


def test_a_clock_that_jumps_takes_nothing_along(owner, trained, monkeypatch):
    """A day back, then two years ahead: answers, tokens, log, decisions and the inbox go on."""
    manage = client_of(owner, scopes=["manage"])
    manage.patch(url(trained, "serving"), {"review_below": 1.0, "auto_above": 1.0, "exploration_share": 0.0})
    call, time_now, now = client_of(owner), time.time, timezone.now
    said = []
    for place, days in enumerate((0, -1, 730, 0)):
        monkeypatch.setattr(time, "time", lambda days=days: time_now() + 86_400 * days)
        monkeypatch.setattr(timezone, "now", lambda days=days: now() + timedelta(days=days))
        answer = call.post(url(trained), {"text": f"a stew of unknown things {place}"})
        assert (answer.status_code, answer.json()["decision"]) == (200, "review")
        said.append(answer.json())
        read_feedback_token(token=answer.json()["token"])
        inbox = manage.get(url(trained, "review")).json()
        assert inbox["total"] == place + 1
        assert all(one["standing"]["score"] > 0 for one in inbox["items"])
        for one in said:
            assert call.get(url(trained, f"predictions/{one['id']}")).status_code == 200
    assert len({one["id"] for one in said}) == Prediction.objects.count() == 4
    for one in inbox["items"]:  # some of them came in what is now the future
        assert manage.post(f"/api/v1/review/{one['id']}/resolve/", {"value": "food"}).status_code == 200
    decisions = call.get(url(trained, "decisions")).json()["decisions"]
    assert {one["prediction"] for one in decisions} == {one["id"] for one in said}
    assert read_feedback_token(token=said[1]["token"]).project_id == trained.pk, "made by a clock that was late"
    with pytest.raises(Invalid, match="expired"):
        monkeypatch.setattr(time, "time", lambda: time_now() + 86_400 * 730)
        read_feedback_token(token=said[0]["token"])


def test_what_must_not_be_logged_is_not(owner, trained):
    manage = client_of(owner, scopes=["manage"])
    manage.patch(url(trained, "serving"), {"log_fields": {"mail": "never", "name": "hash", "text": "mask"}})
    text = texts_of(trained)[0]
    body = {"text": text, "mail": "a@b.c", "name": "Ann", "city": "Bonn"}
    said = client_of(owner).post(url(trained), body).json()
    kept = Prediction.objects.get(pk=said["id"]).input
    assert set(kept) == {"text", "name", "city"}
    assert (kept["text"], kept["city"]) == (f"masked:{len(text)}", "Bonn")
    assert kept["name"].startswith("hash:")
    manage.patch(url(trained, "serving"), {"keeps_input": False})
    said = client_of(owner).post(url(trained), body).json()
    assert Prediction.objects.get(pk=said["id"]).input is None


def test_a_token_counts_for_its_purpose_and_time_only(owner, trained, monkeypatch):
    from django.core import signing

    token = client_of(owner).post(url(trained), {"text": "a ball"}).json()["token"]
    for wrong in (
        token[:-1] + "-",
        "",
        "a.b.c",
        signing.dumps({"p": "x"}),
        signing.dumps({"p": 1}, salt="feedback.v1"),
    ):
        with pytest.raises(Invalid):
            read_feedback_token(token=wrong)
    monkeypatch.setattr("active_learning.services.tokens.MAX_AGE_SECONDS", -1)
    with pytest.raises(Invalid, match="expired"):
        read_feedback_token(token=token)


def test_a_product_asks_for_one_of_its_users(owner, trained):
    def ask(client, subject):
        return client.post(url(trained), {"items": [{"text": "a ball"}, {"text": "a bank"}], "subject": subject})

    said = ask(client_of(owner), "user-17 ä").json()["predictions"]
    mine = subject_digest(project_id=trained.pk, subject="user-17 ä", is_verified=True)
    assert [read_feedback_token(token=one["token"]).subject for one in said] == [mine, mine]
    for wrong in ("", "x" * 201, 17, None, ["a"], "a\0b"):
        assert ask(client_of(owner), wrong).status_code in (400, 422), wrong
    assert "subject" not in client_of(owner).post(url(trained), {"text": "a ball", "subject": "spam?"}).json()

    def ask_of_one(body, header, client=None):
        headers = {"Touchstone-Subject": header.encode().decode("latin-1")}  # as a server reads its bytes
        return (client or client_of(owner)).post(url(trained), body, headers=headers)

    alone = ask_of_one({"text": "a ball", "subject": "spam?"}, "user-17 ä").json()
    assert read_feedback_token(token=alone["token"]).subject == mine
    batch = {"items": [{"text": "a ball"}]}
    (one,) = ask_of_one(batch, "user-17 ä").json()["predictions"]
    assert read_feedback_token(token=one["token"]).subject == mine
    assert ask_of_one(batch | {"subject": "somebody else"}, "user-17 ä").status_code == 422
    for wrong in ("", "x" * 201):
        assert ask_of_one({"text": "a ball"}, wrong).status_code == 422
    bytes_of_none = client_of(owner).post(url(trained), {"text": "a ball"}, headers={"Touchstone-Subject": "\xe4"})
    assert bytes_of_none.status_code == 422
    # Whoever may hear the model as a person does not speak for the product.
    reviewer = make_member(trained, "reviewer")
    by_hand = client_of(reviewer, scopes=["manage"])
    assert ask(by_hand, "somebody").status_code == ask_of_one({"text": "a"}, "somebody", by_hand).status_code == 403
    assert by_hand.post(url(trained), {"items": [{"text": "a ball"}]}).status_code == 200


def test_who_may(owner, trained, outsider):
    annotator, reviewer = make_member(trained), make_member(trained, "reviewer")
    body = {"text": "a ball"}
    rights = {owner: (200, 200, 200), reviewer: (200, 200, 403), annotator: (200, 403, 403), outsider: (404, 404, 404)}
    for user, (by_key, by_session, settings) in rights.items():
        assert client_of(user).post(url(trained), body).status_code == by_key, user
        browser = APIClient()
        browser.force_login(user)
        assert browser.post(url(trained), body).status_code == by_session, user
        manages = client_of(user, scopes=["manage"])
        assert manages.patch(url(trained, "serving"), {}).status_code == settings, user
        # A key that anybody may make for themselves tells no more than a browser would.
        assert manages.post(url(trained), body).status_code == by_session, user
    assert client_of(owner, scopes=["annotate"]).post(url(trained), body).status_code == 403
    assert APIClient().post(url(trained), body).status_code == 401
    assert client_of(owner).post("/api/v1/projects/nowhere/predict/", body).status_code == 404


def test_what_people_can_no_longer_say_is_not_said_alone(owner, trained):
    item = pool_items(trained, 1, offset=80)[0]
    client, body = client_of(owner), {"items": [{"text": item.data["text"]}]}
    change_serving(project=trained, actor=owner, review_below=0.0, auto_above=0.1, exploration_share=0.0)
    topic = item.meta["topic"]
    (said,) = client.post(url(trained), body).json()["predictions"]
    assert (said["value"], said["decision"]) == (topic, "auto")
    schema = LabelSchema.objects.current(trained.pk)
    others = [label for label in rules_of(schema.kind, schema.config).labels if label != topic]
    change_schema(project=trained, actor=owner, config={"labels": others})
    (said,) = client.post(url(trained), body).json()["predictions"]
    assert (said["value"], said["decision"]) == (topic, "review")
