"""What becomes of a prediction after it was answered: the log, and the reviewers' inbox."""

import multiprocessing
import threading
import time

import pytest
from django.db import OperationalError, connection, connections
from django.utils import timezone
from rest_framework.test import APIClient

from active_learning import selectors
from active_learning.core.ids import time_ordered_id
from active_learning.models import Dataset, ModelVersion, Prediction, ServingPolicy
from active_learning.services import prediction_log, serving
from labeling.core.drafts import canonical, content_hash
from labeling.models import Item, Project, ReviewItem
from labeling.services import review as reviewing
from tests.active_learning.pools import audit_items, make_pool, pool_items, taught
from tests.active_learning.remembered import remembered
from tests.factories import make_key


@pytest.fixture(autouse=True)
def _nothing_in_memory():
    serving.forget_models()


@pytest.fixture
def trained(owner, storage):
    """The project with a policy; asked again, the same project with another one."""
    project = remembered(storage, owner, taught)

    def with_policy(**policy) -> Project:
        ServingPolicy.objects.filter(project=project).delete()
        ServingPolicy.objects.create(project=project, **({"exploration_share": 0.0} | policy))
        return project

    return with_policy


def by_content(item, **changes):
    """The item as an import would have stored it: found by its content."""
    hashed = content_hash(canonical(item.data, "data"), None)
    Item.objects.filter(pk=item.pk).update(content_hash=hashed, **changes)
    return item


def predict(owner, project, items):
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {make_key(owner, scopes=['predict'])}")
    response = client.post(f"/api/v1/projects/{project.slug}/predict/", {"items": items})
    assert response.status_code == 200, response.json()
    return response.json()["predictions"]


@pytest.mark.django_db
def test_what_the_model_is_unsure_of_waits_in_the_inbox_and_teaches_once_decided(client, owner, trained):
    project = trained(review_below=1.0, auto_above=1.0, segment_field="channel")
    texts = [{"text": "a stew of unknown things", "channel": "mail"}, {"text": "a goal for the bank"}]
    said = predict(owner, project, [*texts, texts[0]])
    reviews = ReviewItem.objects.filter(project=project, reason="unsure").order_by("pk")
    assert len(reviews) == 2, "the same content twice is one thing to judge"
    item = reviews[0].item
    assert (item.split, item.meta, item.data) == ("pool", {"channel": "mail"}, texts[0])
    assert list(item.predictions.values_list("pk", flat=True)) != []
    client.force_login(owner)
    page = client.get(f"/review/{project.slug}/?at={reviews[0].pk}").content.decode()
    assert "the model is not sure of its answer" in page
    assert "model 1" in page
    listed = client.get(f"/api/v1/projects/{project.slug}/review/").json()["items"]
    evidence = next(one["evidence"]["unsure"] for one in listed if one["item"]["id"] == item.pk)
    assert evidence["value"] == said[0]["value"]
    assert evidence["prediction"] in {said[0]["id"], said[2]["id"]}
    other = "sport" if said[0]["value"] != "sport" else "food"
    reviewing.decide(review=reviews[0], value=other, user=owner)
    _, rules = selectors.current_rules(project)
    learned = selectors.training_labels(project=project, rules=rules)
    assert dict(zip(learned.ids, learned.values, strict=True))[item.pk] == other
    predict(owner, project, [texts[0]])
    assert not ReviewItem.objects.filter(item=item, state="open").exists(), "what is settled is not asked again"


@pytest.mark.django_db
def test_without_a_model_a_day_holds_what_it_holds_and_the_worst_comes_first(client, owner, trained):
    """All of the traffic goes to people then; it must not push away what is more likely wrong."""
    project = trained(edge_rules=[{"when": 'text == "urgent"', "why": "always"}])
    Project.objects.filter(pk=project.pk).update(reviews_a_day=2)
    Dataset.objects.filter(project=project).update(class_counts={"food": 80, "sport": 15, "money": 5})
    ModelVersion.objects.filter(project=project).update(state="retired")
    said = predict(owner, project, [{"text": f"case {i}"} for i in range(5)] + [{"text": "urgent"}])
    assert {(one["value"], one["decision"], one["source"]) for one in said} == {("food", "review", "rules")}
    waiting = ReviewItem.objects.filter(project=project, reason="unsure")
    assert list(waiting.values_list("priority", flat=True)) == [pytest.approx(0.2)] * 5
    client.force_login(owner)
    inbox = client.get(f"/api/v1/projects/{project.slug}/review/").json()
    assert inbox["items"][0]["item"]["data"]["text"] == "urgent"
    assert (inbox["total"], inbox["today"]) == (6, {"decided": 0, "capacity": 2, "left": 2, "for_tomorrow": 4})


@pytest.mark.django_db
def test_the_random_share_is_judged_blind_and_never_trained_on(client, owner, trained):
    project = trained(exploration_share=1.0, review_below=1.0, auto_above=1.0)
    fresh, old = {"text": "a stew of unknown things"}, by_content(pool_items(project, 1, offset=80)[0])
    audited = by_content(audit_items(project, 1)[0], state="open")
    said = predict(owner, project, [fresh, old.data, audited.data])
    rows = Prediction.objects.in_bulk([one["id"] for one in said], field_name="pk")
    assert {(row.is_explored, row.propensity) for row in rows.values()} == {(True, 1.0)}
    assert set(ReviewItem.objects.filter(project=project).values_list("reason", "priority")) == {("explore", 0.5)}
    assert ReviewItem.objects.filter(project=project).first().evidence == {"explore": {}}
    item = Item.objects.get(project=project, origin="prediction")
    assert item.split == "audit"
    client.force_login(owner)
    for one in client.get(f"/api/v1/projects/{project.slug}/review/").json()["items"]:
        assert one["suggestion"] is None
    reviewing.decide(review=ReviewItem.objects.get(item=item), value="food", user=owner)
    _, rules = selectors.current_rules(project)
    assert item.pk not in selectors.training_labels(project=project, rules=rules).ids


@pytest.mark.django_db
def test_an_audit_item_is_not_shown_with_what_the_model_said(owner, trained):
    project = trained(review_below=1.0, auto_above=1.0)
    audited = by_content(audit_items(project, 1)[0], state="open")
    predict(owner, project, [audited.data])
    found = ReviewItem.objects.get(item=audited)
    assert (found.reason, found.evidence) == ("explore", {"explore": {}})


@pytest.mark.django_db
def test_what_may_not_be_kept_does_not_reach_the_inbox_either(client, owner, trained):
    bands = {"review_below": 1.0, "auto_above": 1.0}
    project = trained(**bands, log_fields={"mail": "mask", "channel": "never"}, segment_field="channel")
    predict(owner, project, [{"text": "a stew", "mail": "a@b.c", "channel": "phone"}])
    item = Item.objects.get(project=project, origin="prediction")
    assert (item.data, item.meta) == ({"text": "a stew", "mail": "masked:5"}, {})
    assert item.predictions.get().segment == ""
    # What models learn from is hidden: two texts of one length are not one thing to judge, and nobody could judge them.
    hiding = trained(**bands, log_fields={"text": "mask", "channel": "mask"}, segment_field="channel")
    said = predict(owner, hiding, [{"text": text, "channel": "phone"} for text in ("a goal", "a bank")])
    assert [one["decision"] for one in said] == ["review", "review"]
    rows = Prediction.objects.filter(pk__in=[one["id"] for one in said])
    assert {(row.item, row.is_whole, row.segment) for row in rows} == {(None, False, "masked:5")}
    assert list(Item.objects.filter(project=project, origin="prediction")) == [item]
    client.force_login(owner)
    page = client.get(f"/projects/{project.slug}/live/settings/").content.decode()
    assert "Nobody is asked about an input of which text is hidden" in page


@pytest.mark.django_db(transaction=True)
def test_the_rest_is_written_soon_and_waits_for_the_database(owner, settings, monkeypatch, trained):
    settings.PREDICTION_LOG_SECONDS = 0.05
    project = trained(review_below=0.0, auto_above=0.0)
    n_failed = 3
    insert = prediction_log._insert

    def fail_at_first(rows):
        nonlocal n_failed
        if n_failed:
            n_failed -= 1
            raise OperationalError("database is locked")
        insert(rows)

    monkeypatch.setattr(prediction_log, "_insert", fail_at_first)
    said = predict(owner, project, [{"text": f"a stew {i}"} for i in range(30)])
    assert {one["decision"] for one in said} == {"auto"}
    threads = [threading.Thread(target=predict, args=(owner, project, [{"text": f"{i}"}])) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until = time.monotonic() + 10
    while Prediction.objects.count() < 33 and time.monotonic() < until:
        time.sleep(0.05)
    assert set(Prediction.objects.values_list("version__number", flat=True)) == {1}
    assert Prediction.objects.count() == 33
    # A full buffer does not drop: the request writes for itself.
    monkeypatch.setattr(prediction_log, "MAX_WAITING", 0)
    predict(owner, project, [{"text": "one more"}])
    assert Prediction.objects.count() == 34
    monkeypatch.undo()
    settings.PREDICTION_LOG_SECONDS = 60
    monkeypatch.setattr(prediction_log, "MAX_WAITING_BYTES", 1_000)
    predict(owner, project, [{"text": "short"}])
    assert Prediction.objects.count() == 34
    predict(owner, project, [{"text": "long " * 200}])
    assert Prediction.objects.filter(input__text__startswith="long").exists(), "its input is more than may wait"
    prediction_log.flush()
    assert Prediction.objects.count() == 36


@pytest.mark.django_db(transaction=True)
def test_a_process_that_ends_properly_writes_what_waits(owner, settings):
    settings.PREDICTION_LOG_SECONDS = 60
    project = make_pool(owner, 4)
    connections.close_all()  # a connection must not be shared with the child

    def serve_and_end():
        rows = [
            Prediction(
                id=time_ordered_id(),
                project=project,
                value="food",
                decision="auto",
                reason="sure",
                propensity=0.0,
                content_hash="",
                latency_ms=1.0,
                created_at=timezone.now(),
            )
            for _ in range(3)
        ]
        prediction_log.record(project=project, entries=[prediction_log.Logged(row) for row in rows])

    child = multiprocessing.get_context("fork").Process(target=serve_and_end)
    child.start()
    child.join(30)
    assert child.exitcode == 0
    assert Prediction.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_the_same_content_from_several_at_once_is_one_item(owner, trained):
    project = trained(review_below=1.0, auto_above=1.0)
    said, failed = [], []

    def ask(turn):
        try:
            # The same two in either order: they must not wait for each other.
            items = [{"text": "a stew of unknown things"}, {"text": "a goal for the bank"}]
            said.extend(predict(owner, project, items[:: 1 if turn % 2 else -1]))
        except Exception as error:
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=ask, args=(turn,)) for turn in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert len(said) == Prediction.objects.count() == 12
    assert Item.objects.filter(project=project, origin="prediction").count() == 2
    assert ReviewItem.objects.filter(project=project, state="open").count() == 2
