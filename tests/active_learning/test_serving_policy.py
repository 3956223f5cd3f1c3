"""Rules, promises and previews: what an owner may set, and what production says about it."""

import random
from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from active_learning.core.ids import time_ordered_id
from active_learning.models import ModelVersion, Prediction
from active_learning.selectors import judged_predictions
from active_learning.services import serving
from active_learning.services.certificates import recheck, recheck_promises
from labeling.models import AuditEntry, Item, Resolution, ReviewItem
from tests.active_learning.pools import answer, pool_items, run_training, taught
from tests.active_learning.remembered import remembered
from tests.factories import make_item, make_key

pytestmark = pytest.mark.django_db


@pytest.fixture
def trained(owner, storage):
    serving.forget_models()
    return remembered(storage, owner, taught)


def manage(owner):
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {make_key(owner)}")
    return client


def url(project, name="serving"):
    return f"/api/v1/projects/{project.slug}/{name}/"


def draw(project, n, share_right, *, certainty=0.99, value="food", channel=""):
    """Random draws of the live version that people have judged: so many of them right."""
    version, now = ModelVersion.objects.get(project=project, state="live"), timezone.now()
    later = now + timedelta(minutes=1)
    other = "money" if value == "food" else "food"
    items = [settled(project, value if place < share_right * n else other, later) for place in range(n)]
    Prediction.objects.bulk_create(
        Prediction(
            id=time_ordered_id(),
            project=project,
            version=version,
            value=value,
            certainty=certainty,
            confidence=certainty,
            decision="auto",
            reason="sure",
            is_explored=True,
            propensity=0.05,
            input={"amount": place, "text": "x", "channel": channel},
            item=items[place],
            latency_ms=1.0,
            created_at=now + timedelta(microseconds=place),
        )
        for place in range(n)
    )


def settled(project, value, at):
    item = make_item(project, state="resolved", split="audit", content_hash=uuid4().hex)
    Resolution.objects.create(
        project=project, item=item, value=value, method="adjudicated", n_annotations=1, created_at=at
    )
    return item


def test_a_rule_gives_inputs_to_a_person_and_is_tried_on_past_traffic_first(owner, trained):
    call = manage(owner)
    call.patch(url(trained), {"review_below": 0.0, "auto_above": 0.0, "exploration_share": 0.0})
    for amount in (10, 2000, 3000, None):
        call.post(url(trained, "predict"), {"text": f"a stew for {amount}", "amount": amount})
    rule = {"edge_rules": [{"when": "amount > 1000", "why": "large amounts"}]}
    shown = call.post(url(trained, "serving/preview"), rule).json()
    assert (shown["n"], shown["moved"]) == (4, 2)
    assert (shown["now"]["auto"], shown["then"]) == (4, {"auto": 2, "monitor": 0, "review": 2})
    assert [(one["taken"], one["unknown"], len(one["examples"])) for one in shown["edge_rules"]] == [(2, 1, 2)]
    assert shown["error_then"] is None
    assert not ReviewItem.objects.exists()
    assert call.get(url(trained)).json()["edge_rules"] == []
    assert call.patch(url(trained), rule).status_code == 200
    said = call.post(url(trained, "predict"), {"text": "a stew", "amount": 5000}).json()
    assert (said["decision"], said["why"]) == ("review", "edge")
    found = ReviewItem.objects.get(project=trained)
    assert (found.reason, found.evidence["edge"]["detail"]) == ("edge", "large amounts")
    refused = call.patch(url(trained), {"edge_rules": [{"when": "amount >> 3"}]})
    assert refused.status_code == 422
    assert "At character 1" in refused.json()["error"]["fields"]["edge_rules[0].when"]


def test_the_mistakes_to_expect_follow_each_boundary_that_is_edited(client, owner, trained):
    """Random draws: "food" 90 % right, at 0.85 and by mail; "money" 60 % right, at 0.95 and by phone."""
    call = manage(owner)
    call.patch(url(trained), {"review_below": 0.5, "auto_above": 0.9, "segment_field": "channel"})
    draw(trained, 50, 0.9, certainty=0.85, channel="mail")
    draw(trained, 40, 0.6, certainty=0.95, value="money", channel="phone")
    changes = {"label_bands": {"money": [0.5, 0.99]}, "segment_bands": {"mail": [0.5, 0.8]}}
    shown = call.post(url(trained, "serving/preview"), changes).json()
    assert (shown["error_now"]["value"], shown["error_now"]["n"]) == (pytest.approx(0.4), 40)
    assert (shown["error_then"]["value"], shown["error_then"]["n"]) == (pytest.approx(0.1), 50)
    assert shown["error_then"]["low"] < 0.1 < shown["error_then"]["high"]
    of = {(one["kind"], one["name"]): (one["now"], one["then"]) for one in shown["errors_of"]}
    assert of.keys() == {("label", "money"), ("segment", "mail")}
    assert (of["label", "money"][0]["n"], of["label", "money"][1]) == (40, None)
    assert (of["segment", "mail"][0], of["segment", "mail"][1]["n"]) == (None, 50)
    # What a rule gives to a person stands alone no more.
    ruled = call.post(url(trained, "serving/preview"), {"edge_rules": [{"when": "amount < 20"}]}).json()
    assert (ruled["error_now"]["n"], ruled["error_then"]["n"]) == (40, 20)


def test_settings_as_they_were_read_may_be_sent_back(owner, trained):
    call = manage(owner)
    assert call.patch(url(trained), call.get(url(trained)).json()).status_code == 200
    for name, value in (("log_fields", {"a\0b": "never"}), ("segment_bands", {"\0": [0.1, 0.9]})):
        assert name in call.patch(url(trained), {name: value}).json()["error"]["fields"]
    assert not AuditEntry.objects.filter(project=trained, action="serving.change").exists()


def test_a_promise_is_earned_by_random_labels_and_revoked_by_newer_ones(owner, trained):
    call = manage(owner)
    body = {"text": pool_items(trained, 1, offset=80)[0].data["text"]}
    bands = {"review_below": 0.0, "auto_above": 0.0, "exploration_share": 0.0}
    call.patch(url(trained), bands)
    assert call.post(url(trained, "predict"), body).json()["decision"] == "auto"
    told = call.patch(url(trained), {"max_wrong": 0.02}).json()["certificate"]
    assert (told["threshold"], told["n_labels"]) == (None, 0)
    assert told["n_more"] > 100
    assert call.post(url(trained, "predict"), body).json()["decision"] == "monitor", "nothing has been earned yet"
    draw(trained, 600, 0.997)
    assert recheck_promises() == {"changed": 1}
    told = call.get(url(trained)).json()
    assert told["certificate"]["threshold"] is not None
    assert told["certificate"]["error_at_most"] <= 0.02
    assert told["accuracy"]["low"] < told["accuracy"]["value"] == pytest.approx(0.997, abs=0.002)
    assert call.post(url(trained, "predict"), body).json()["decision"] == "auto"
    assert not recheck(project=trained), "the same labels say the same"
    draw(trained, 200, 0.8)
    assert recheck(project=trained)
    told = call.get(url(trained)).json()["certificate"]
    assert (told["threshold"], told["n_labels"]) == (None, 0)
    assert told["revoked_at"]
    assert call.post(url(trained, "predict"), body).json()["decision"] == "monitor"
    actions = AuditEntry.objects.filter(project=trained, action__in=("serving.earned", "serving.revoked"))
    assert list(actions.order_by("pk").values_list("action", flat=True)) == ["serving.earned", "serving.revoked"]


def test_what_was_known_before_or_is_asked_again_earns_nothing(trained):
    draw(trained, 50, 1.0)
    assert len(judged_predictions(project=trained)) == 50
    again = Prediction.objects.filter(project=trained)[0]
    again.pk = time_ordered_id()
    again.save(force_insert=True)
    assert len(judged_predictions(project=trained)) == 50, "one input is one judgement"
    Resolution.objects.filter(item=again.item).update(created_at=again.created_at - timedelta(days=1))
    assert len(judged_predictions(project=trained)) == 49, "it was settled before the model was asked"
    Item.objects.filter(project=trained, split="audit").update(split="pool")
    assert judged_predictions(project=trained) == [], "models learn from these"


def test_what_was_earned_is_of_one_version(owner, trained):
    call = manage(owner)
    call.patch(url(trained), {"review_below": 0.0, "max_wrong": 0.02, "exploration_share": 0.0})
    draw(trained, 600, 1.0)
    recheck(project=trained)
    answer(pool_items(trained, 20, offset=60))
    run_training(trained)
    assert ModelVersion.objects.get(project=trained, state="live").number == 2
    item = random.choice(list(Item.objects.filter(project=trained, split="pool")))
    said = call.post(url(trained, "predict"), {"text": item.data["text"]}).json()
    assert (said["model"], said["decision"]) == (2, "monitor")
