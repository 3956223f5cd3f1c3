import re
from xml.etree import ElementTree

import pytest
from django.core.cache import cache
from django.utils import timezone

from active_learning import selectors
from active_learning.models import ModelVersion
from active_learning.services.triggers import request_training
from labeling.models import AuditEntry, Job
from labeling.selectors import WORKER_ALIVE_KEY
from tests.active_learning.pools import answer, audit_items, make_pool, pool_items, run_features, run_training
from tests.active_learning.remembered import remembered
from tests.factories import make_member

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def worker():
    cache.set(WORKER_ALIVE_KEY, timezone.now().isoformat(), 60)


@pytest.fixture
def trained(owner, storage):
    return remembered(storage, owner, two_versions)


def two_versions(owner):
    project = make_pool(owner, 200)
    run_features(project)
    answer(pool_items(project, 30))
    answer(audit_items(project))
    run_training(project, reason="20 new labels")
    answer(pool_items(project, 20, offset=30))
    run_training(project)
    return project


def page(client, project, user, part=""):
    client.force_login(user)
    return client.get(f"/projects/{project.slug}/model/{part}")


def words(response):
    text = re.sub(r"<(script|style).*?</\1>", " ", response.content.decode(), flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def test_the_page_shows_what_was_learned(client, owner, trained):
    response = page(client, trained, owner)
    said = words(response)
    assert response.status_code == 200
    assert "Model 2" in said
    assert "live" in said
    assert "retired" in said
    assert "points over" in said
    assert "put in order by model 2" in said
    assert "The model is torn" in said
    assert "20 new labels" in said
    assert "model 1: live, beats every baseline on 50 audit items" in said
    assert "Label 20 more" in said
    assert "No worker is running" not in said
    assert re.search(r"Macro-F1 [01]\.\d\d , model 2 [01]\.\d\d to [01]\.\d\d, n 50", said)
    assert re.search(r"\+\d+\.\d points over (majority|random) \d+\.\d to \d+\.\d, p &lt; 0\.001", said)


def test_the_curve_is_a_picture_with_words(client, owner, trained):
    content = page(client, trained, owner).content.decode()
    svg = ElementTree.fromstring(re.search(r"(<svg class=\"chart.*?</svg>)\s*<p", content, re.DOTALL)[1])
    assert svg.get("role") == "img"
    named = {svg.find(tag).get("id") for tag in ("title", "desc")}
    assert set(svg.get("aria-labelledby").split()) == named
    assert "Majority" in svg.find("desc").text
    # Only the box of line and band is stretched, and no text stands in it.
    boxes = [node for node in svg.iter() if node.get("viewBox")]
    assert len(boxes) == 1
    assert not [node for node in boxes[0].iter() if node.text and node.text.strip()]
    assert "50 audit items" in svg.find("desc").text
    classes = [node.get("class") for node in svg.iter() if node.get("class")]
    assert classes.count("baseline") == 2
    assert {"line", "band", "whisker", "today"} <= set(classes)
    assert not [node for node in svg.iter() if node.get("style") or node.get("fill") or node.get("stroke")]


def test_too_few_audit_items_are_no_accuracy(client, owner):
    project = make_pool(owner, 120)
    answer(pool_items(project, 20))
    answer(audit_items(project, 7))
    run_training(project)
    response = page(client, project, owner)
    said = words(response)
    assert b'<svg class="chart' not in response.content
    assert "Insufficient data" in said
    assert "7 of 20 audit items" in said
    assert "13 more" in said
    assert "insufficient data, n 7" in said
    assert "Macro-F1" not in said
    answer(audit_items(project)[7:])
    said = words(page(client, project, owner))
    assert "Model 1 was measured on 7 audit items, 20 are needed. 30 are answered now" in said


def test_before_anything_the_page_says_what_it_waits_for(client, owner):
    project = make_pool(owner, 20)
    said = words(page(client, project, owner))
    assert "No model yet" in said
    assert "Label 20 more" in said
    assert "Nothing stands in line" in said


def test_without_a_worker_it_says_so(client, owner):
    cache.delete(WORKER_ALIVE_KEY)
    project = make_pool(owner, 8)
    request_training(project=project, reason="now")
    assert "No worker is running" in words(page(client, project, owner))
    assert "No worker is running" in words(page(client, project, owner, "now/"))


def test_a_failed_training_says_so_and_when_it_is_tried_again(client, owner):
    project = make_pool(owner, 40)
    answer(pool_items(project, 3))
    job = request_training(project=project, reason="now")
    Job.objects.filter(pk=job.pk).update(state="failed", error="OSError: no space left", finished_at=timezone.now())
    said = words(page(client, project, owner))
    assert "The last training failed" in said
    assert "OSError: no space left" in said
    assert "Label 17 more" in said
    answer(pool_items(project, 20, offset=3))
    assert "it learns five minutes after the failure" in words(page(client, project, owner, "now/"))


def test_the_part_that_changes_asks_for_itself_faster_while_something_runs(client, owner, trained):
    assert b'hx-trigger="every 10s"' in page(client, trained, owner, "now/").content
    job = request_training(project=trained, reason="again")
    Job.objects.filter(pk=job.pk).update(state="running", progress=0.5, message="learning from 50 items")
    response = page(client, trained, owner, "now/")
    assert b'hx-trigger="every 2s"' in response.content
    assert "learning from 50 items" in words(response)
    client.logout()
    assert client.get(f"/projects/{trained.slug}/model/now/").status_code == 401


def test_who_sees_what(client, owner, trained, outsider):
    annotator, reviewer = make_member(trained), make_member(trained, "reviewer")
    for user, may_train, may_set in ((owner, True, True), (reviewer, True, False), (annotator, False, False)):
        content = page(client, trained, user).content
        assert (b"Train now" in content) is may_train
        assert (b"How it learns" in content) is may_set
    assert page(client, trained, outsider).status_code == 404
    for user, train, save in ((reviewer, 302, 403), (annotator, 403, 403), (outsider, 404, 404)):
        client.force_login(user)
        assert client.post(f"/projects/{trained.slug}/model/train/").status_code == train
        assert client.post(f"/projects/{trained.slug}/model/settings/", {}).status_code == save
    client.logout()
    assert client.get(f"/projects/{trained.slug}/model/").status_code == 302


def test_train_now_asks_once_and_keeps_the_reason(client, owner):
    project = make_pool(owner, 8)
    client.force_login(owner)
    address = f"/projects/{project.slug}/model/train/"
    assert client.get(address).status_code == 405
    for _ in range(2):
        assert client.post(address, {"reason": "labels were corrected"}).url == f"/projects/{project.slug}/model/"
    job = Job.objects.get(project=project)
    assert (job.reason, job.created_by) == ("labels were corrected", owner)


def test_the_owner_sets_how_it_learns(client, owner):
    project = make_pool(owner, 8)
    client.force_login(owner)
    address = f"/projects/{project.slug}/model/settings/"
    settings = {
        "is_enabled": "on", "strategy": "modal:entropy_sampling", "exploration_percent": "25", "retrain_after": "50",
        "rules": "goal, match => sport\nbank => money",
    }  # fmt: skip
    assert client.post(address, settings).status_code == 302
    policy = selectors.policy_of(project)
    assert (policy.strategy, policy.exploration_share, policy.retrain_after) == ("modal:entropy_sampling", 0.25, 50)
    assert policy.rules[0] == {"contains": ["goal", "match"], "value": "sport"}
    entry = AuditEntry.objects.get(action="learning.change")
    assert entry.detail["retrain_after"] == [20, 50]
    assert b"goal, match =&gt; sport" in page(client, project, owner).content


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"strategy": "modal:max_score"}, "not one of the available choices"),
        ({"exploration_percent": "101"}, "less than or equal to 100"),
        ({"retrain_after": "0"}, "greater than or equal to 1"),
        ({"rules": "goal sport"}, "Line 1"),
        ({"rules": "goal => chess"}, "not in the schema"),
    ],
)
def test_settings_that_make_no_sense_are_explained_and_not_kept(client, owner, wrong, complaint):
    project = make_pool(owner, 8)
    client.force_login(owner)
    good = {"strategy": "margin", "exploration_percent": "10", "retrain_after": "20", "rules": ""}
    response = client.post(f"/projects/{project.slug}/model/settings/", good | wrong)
    assert response.status_code == 422
    assert complaint in words(response)
    assert selectors.policy_of(project).strategy == "recommended"


def test_what_people_typed_is_not_markup(client, owner):
    project = make_pool(owner, 8)
    request_training(project=project, reason="<script>alert(1)</script>")
    assert b"<script>alert" not in page(client, project, owner).content


def test_a_long_history_costs_no_more_than_a_short_one(client, owner, trained, django_assert_max_num_queries):
    first = ModelVersion.objects.get(project=trained, number=1)
    for number in range(3, 300):
        first.pk, first.number, first.sha256, first.state = None, number, f"{number:064x}", "retired"
        first._state.adding = True
        first.save()
    client.force_login(owner)
    with django_assert_max_num_queries(32):
        response = client.get(f"/projects/{trained.slug}/model/")
    assert len(response.content) < 120_000
    assert 190 < response.content.count(b'class="point"') <= 200
    assert "The newest 12 of 299" in words(response)


def test_labels_that_are_hardly_known_are_named_with_a_way_to_find_some(client, owner):
    project = make_pool(owner, 60, config={"labels": ["food", "money", "sport", {"value": "art", "name": "Fine art"}]})
    for topic, n in (("food", 8), ("money", 5), ("sport", 2)):
        answer(list(project.items.filter(split="pool", meta__topic=topic)[:n]))
    run_training(project)
    said = words(page(client, project, owner, "now/"))
    assert "2 labels had fewer than 5 examples when model 1 learned: Fine art 0 sport 2" in said
    content = page(client, project, owner).text
    assert f'href="/projects/{project.slug}/items/?state=open&amp;split=pool#id_words"' in content
    annotator = make_member(project)
    assert "Find some by their words" not in page(client, project, annotator).text


def test_labels_that_are_known_well_are_not_listed(client, owner, trained):
    assert "Hardly known" not in page(client, trained, owner).text


def test_a_refusal_and_warnings_stand_on_the_page(client, owner):
    project = make_pool(owner, 60)
    answer(pool_items(project, 5), "food")
    run_training(project)
    said = words(page(client, project, owner))
    assert "The last training learned nothing. All 5 labels say food" in said
    answer(pool_items(project, 3, offset=5), "money")
    run_training(project)
    said = words(page(client, project, owner))
    assert "learned nothing" not in said
    assert "Fewer than 2 examples of sport (0)" in said


def test_something_that_happened_is_an_event_with_its_reason(client, owner):
    project = make_pool(owner, 8)
    client.force_login(owner)
    address = f"/projects/{project.slug}/model/train/"
    said = words(client.post(address, {"event": "on"}, follow=True))
    assert "Say what has happened" in said
    assert not Job.objects.filter(project=project).exists()
    said = words(client.post(address, {"event": "on", "reason": "prices changed"}, follow=True))
    assert "prices changed A business event" in said
    assert Job.objects.get(project=project).training_run.trigger == "event"


def test_when_it_learns_is_set_on_the_page(client, owner):
    project = make_pool(owner, 40)
    run_features(project)
    client.force_login(owner)
    form = {
        "is_enabled": "on", "strategy": "margin", "exploration_percent": "10", "retrain_after": "50",
        "retrain_days": "30", "retrain_drop": "7", "fields_left_out": " text ,", "fields_trusted": "", "rules": "",
    }  # fmt: skip
    address = f"/projects/{project.slug}/model/settings/"
    assert client.post(address, form).status_code == 302
    policy = selectors.policy_of(project)
    assert (policy.retrain_days, policy.retrain_drop, policy.fields_left_out) == (30, 7, ["text"])
    refused = client.post(address, form | {"fields_trusted": "colour"})
    assert refused.status_code == 422
    assert "No field is called colour. There are: text." in words(refused)
    assert client.post(address, form | {"retrain_days": "400"}).status_code == 422


def test_how_the_live_model_does_on_the_newest_audit_items(client, owner, trained):
    decline = {
        "then": {"value": 0.96, "low": 0.9, "high": 0.99, "n": 50},
        "now": {"value": 0.8, "low": 0.65, "high": 0.9, "n": 40},
        "points": 16.04, "low": 2.5, "high": 30.0, "verdict": "critical",
    }  # fmt: skip
    job = Job.objects.create(
        project=trained, kind="accuracy_check", task="active_learning.run_accuracy_check", state="succeeded",
        finished_at=timezone.now(), result={"version": 2, "n_new": 40, "decline": decline, "outcome": "x"},
    )  # fmt: skip
    said = words(page(client, trained, owner))
    assert (
        "80 % of the newest audit items 65 % to 90 %, n 40 , 16.0 points less than when it learned 2.5 to 30.0" in said
    )
    job.result["version"] = 1
    job.save()
    assert "of the newest audit items" not in words(page(client, trained, owner))
