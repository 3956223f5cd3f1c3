"""Why, through its doors: an item's page and its fragment, a version's page, the API. Who may see what, and when."""

import json
import os
import subprocess
import sys

import pytest
from django.urls import reverse

from active_learning.core.explain import log_odds
from active_learning.models import LearningPolicy, ModelVersion
from active_learning.services import explain
from labeling.core.drafts import canonical, content_hash
from labeling.models import Item
from tests.active_learning.pools import TOPICS, answer, audit_items, make_pool, pool_items, run_features, run_training
from tests.factories import make_item, make_key, make_member, make_project

pytestmark = pytest.mark.django_db


@pytest.fixture
def trained(owner):
    project = make_pool(owner, 120)
    run_features(project)
    answer(audit_items(project, 20))
    answer(pool_items(project, 40))
    run_training(project)
    return project


def hash_of(data):
    return content_hash(canonical(data, "data"), None)


def address(item, name="why"):
    return reverse(f"active_learning:{name}", args=[item.project.slug, item.pk])


def test_the_page_says_how_sure_why_and_what_is_alike(client, owner, trained):
    one = pool_items(trained, 1, offset=50)[0]
    client.force_login(owner)
    item_page = client.get(reverse("labeling:item", args=[trained.slug, one.pk])).text
    assert f'href="{address(one)}"' in item_page
    shown = client.get(address(one))
    text = shown.text
    assert shown.status_code == 200
    topic = one.meta["topic"]
    assert f"sure: {topic}." in text and f"Why {topic} rather than" in text
    assert "speaks-for" in text and "The meaning of the text as a whole speaks" in text
    assert text.count(f"called <strong>{topic}</strong>") >= 2
    assert "which people called" in text and "people called" in text
    assert f'hx-get="{address(one, "why-more")}' in text
    more = client.get(address(one, "why-more")).text
    assert "What the text hangs on" in more and "What would change the answer" in more
    assert "Without “" in more or "Nothing small" in more


def test_near_items_are_learned_pool_items_and_never_the_item_itself(trained):
    version = explain.version_to_ask(project=trained)
    explainer = explain.explainer_of(version=version)
    learned = {item.pk for item in pool_items(trained, 40)}
    for one in (pool_items(trained, 1)[0], audit_items(trained, 1)[0]):
        seen = explain.see_item(project=trained, explainer=explainer, item=one)
        near = explain.nearest_learned(
            project=trained, version=version, explainer=explainer, seen=seen, leave_out=one.pk
        )
        assert len(near) == 3 and {item.item_id for item in near} <= learned - {one.pk}
        assert [item.cosine for item in near] == sorted((item.cosine for item in near), reverse=True)
    Item.objects.filter(pk=near[0].item_id).update(state="excluded")
    again = explain.nearest_learned(project=trained, version=version, explainer=explainer, seen=seen)
    assert near[0].item_id not in {item.item_id for item in again}


def test_the_reasons_are_of_what_the_stored_features_say(trained):
    version = explain.version_to_ask(project=trained)
    explainer, names = explain.explainer_of(version=version), explain.names_of(version=version)
    seen = explain.see_item(project=trained, explainer=explainer, item=pool_items(trained, 1)[0])
    told = explain.answer(explainer=explainer, names=names, seen=seen)
    found = told.explanation
    assert sum(reason.weight for reason in found.reasons) + found.bias == pytest.approx(
        log_odds(explainer.model, seen.block, found.contrast)[0], abs=0.01
    )


def test_cheap_reasons_ask_neither_the_database_nor_an_embedding(trained, django_assert_num_queries, monkeypatch):
    version = explain.version_to_ask(project=trained)
    explainer, names = explain.explainer_of(version=version), explain.names_of(version=version)
    one = pool_items(trained, 1, offset=50)[0]
    seen = explain.see_item(project=trained, explainer=explainer, item=one)
    monkeypatch.setattr("active_learning.core.embedding.UniversalSentenceEncoder.encode", None)
    with django_assert_num_queries(0):
        reasons = explain.reasons_for(
            explainer=explainer, data=one.data, dense=seen.block.dense[0], probabilities=seen.p, name=names.short
        )
    assert len(reasons) == 3
    for reason in reasons:
        for span in reason["spans"]:
            assert one.data[span["field"]][span["start"] : span["end"]] == reason["name"]


def test_an_audit_item_has_reasons_once_it_is_settled(client, owner, trained):
    settled, blind = audit_items(trained, 21)[0], audit_items(trained, 21)[20]
    settled.refresh_from_db()
    assert settled.state == "resolved" and blind.state == "open"
    client.force_login(owner)
    assert "sure:" in client.get(address(settled)).text
    page, more = client.get(address(blind)).text, client.get(address(blind, "why-more")).text
    assert "people judge it blind" in page
    for text in (page, more):
        assert "sure:" not in text and "speaks" not in text
    refused = client.post(
        reverse("active_learning:api-explain", args=[trained.slug]), {"ids": [blind.pk]}, "application/json"
    )
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "blind")
    same = make_item(trained, data={"text": "once more"}, split="audit", content_hash=hash_of({"text": "once more"}))
    for data, status in ((same.data, 409), ({"text": "another"}, 200)):
        api = reverse("active_learning:api-explain", args=[trained.slug])
        assert client.post(api, {"items": [data]}, "application/json").status_code == status


def test_who_may(client, owner, outsider, trained):
    one = pool_items(trained, 1)[0]
    api = reverse("active_learning:api-explain", args=[trained.slug])
    whole = reverse("active_learning:version-why", args=[trained.slug, 1])
    cast = [(make_member(trained, "reviewer"), 200, 200), (make_member(trained), 403, 200), (outsider, 404, 404)]
    for user, of_item, of_version in [(owner, 200, 200), *cast]:
        client.force_login(user)
        assert client.get(address(one)).status_code == of_item
        assert client.get(address(one, "why-more")).status_code == of_item
        assert client.post(api, {"items": [one.data]}, "application/json").status_code == of_item
        assert client.get(whole).status_code == of_version
    foreign = make_pool(outsider, 4)
    client.force_login(owner)
    mine = reverse("active_learning:why", args=[trained.slug, pool_items(foreign, 1)[0].pk])
    assert client.get(mine).status_code == 404
    client.logout()
    assert client.get(address(one, "why-more")).status_code == 401
    assert client.get(address(one)).status_code == client.get(whole).status_code == 302
    for scope, status in (("predict", 200), ("manage", 200), ("annotate", 403)):
        key = make_key(owner, trained, scopes=[scope])
        headers = {"Authorization": f"Bearer {key}"}
        assert client.post(api, {"items": [{"text": "x"}]}, "application/json", headers=headers).status_code == status


def test_the_api_explains_what_is_stored_and_what_is_not(client, owner, trained):
    client.force_login(owner)
    one = pool_items(trained, 1, offset=50)[0]
    api = reverse("active_learning:api-explain", args=[trained.slug])

    def ask(**body):
        return client.post(api, json.dumps(body), "application/json")

    found = ask(ids=[one.pk], items=[one.data], more=True).json()
    assert found["model"] == 1
    stored, sent = found["explanations"]
    assert (stored["item"], sent["item"]) == (one.pk, None)
    assert stored["value"] == sent["value"] == one.meta["topic"]
    assert len(sent["reasons"]) == 3 and sent["wording"].split(" sure")[0].endswith("%")
    assert sent["confidence"]["p"] == max(sent["probabilities"].values())
    assert len(stored["more"]["nearest"]) == 3 and stored["more"]["passages"]
    other = next(topic for topic in TOPICS if topic != one.meta["topic"])
    against = ask(items=[one.data], label=other).json()["explanations"][0]
    assert against["value"] == one.meta["topic"] and any(r["direction"] == "against" for r in against["reasons"])
    for body, status in (
        ({}, 422), ({"items": [{}] * 21}, 422), ({"items": "x"}, 422), ({"items": [3]}, 422), ({"ids": [10**19]}, 422),
        ({"items": [{"text": "\ud800"}]}, 422), ({"items": [{"text": "\0"}]}, 422),
        ({"ids": [999_999]}, 404), ({"items": [{}], "version": 99}, 404), ({"items": [{}], "label": "nope"}, 422),
    ):  # fmt: skip
        assert ask(**body).status_code == status, body


BAD = [
    {},
    {"text": ""},
    {"text": "qwxz vbnm"},
    {"text": None},
    {"text": 7},
    {"text": ["a", "list"]},
    {"text": "日本語の文章です。Ελληνικά, العربية, עברית."},
    {"text": "🙂" * 300},
    {"other": {"deep": [1, {"x": None}]}},
    {"text": "match " * 10_000},
]


def test_bad_input_is_answered_and_breaks_nothing(client, owner, trained):
    client.force_login(owner)
    api = reverse("active_learning:api-explain", args=[trained.slug])
    answered = client.post(api, json.dumps({"items": BAD, "more": True}), "application/json")
    assert answered.status_code == 200, answered.text
    for one in answered.json()["explanations"]:
        assert one["value"] in TOPICS and one["more"] is not None


def test_markup_and_long_texts_are_only_text_on_the_page(client, owner, trained):
    client.force_login(owner)
    nasty = make_item(
        trained, "<script>alert(1)</script> goal \" match' <img src=x onerror=alert(2)> " + "team " * 9_000
    )
    for name in ("why", "why-more"):
        shown = client.get(address(nasty, name))
        assert shown.status_code == 200
        assert "<script>alert" not in shown.text and "<img src=x" not in shown.text


def test_without_a_model_the_page_says_so(client, owner):
    early = make_pool(owner, 4, audit_every=0)
    client.force_login(owner)
    shown = client.get(address(pool_items(early, 1)[0]))
    assert shown.status_code == 404 and "no model yet" in shown.text


def test_several_labels_and_pairs_are_explained(client, owner):
    client.force_login(owner)
    several = make_pool(owner, 60, kind="choices", config={"labels": TOPICS}, audit_every=0)
    run_features(several)
    for item in pool_items(several, 40):
        answer([item], [item.meta["topic"]])
    run_training(several)
    one = pool_items(several, 1, offset=50)[0]
    text = client.get(address(one)).text
    assert f"Why {one.meta['topic']}" in text and "rather than" not in text
    assert client.get(address(one) + "?label=sport").status_code == 200
    assert "What would change" in client.get(address(one, "why-more")).text
    pairs = make_project(owner, slug="pairs", kind="pair", config={"tie": False})
    LearningPolicy.objects.create(project=pairs, promotion="automatic")
    things = [make_item(pairs, data={"a": f"goal match {i}", "b": f"bank loan {i}"}) for i in range(12)]
    things += [make_item(pairs, data={"a": f"tax share {i}", "b": f"team coach {i}"}) for i in range(12)]
    run_features(pairs)
    answer(things[:12], "a")
    answer(things[12:], "b")
    run_training(pairs)
    text = client.get(address(things[0])).text
    assert "sure: A is better." in text and "Why A rather than B" in text
    assert "<strong>A</strong>" in text and "<strong>B</strong>" in text
    # Two equal sides say nothing, whatever stood on the left in most pairs.
    assert "Before it reads anything" not in text


def test_the_page_of_a_version_shows_what_drives_it_and_what_stands_for_a_segment(client, owner, trained):
    LearningPolicy.objects.filter(project=trained).update(protected=["topic"])
    client.force_login(owner)
    assert "/model/1/why/" in client.get(reverse("active_learning:version", args=[trained.slug, 1])).text
    shown = client.get(reverse("active_learning:version-why", args=[trained.slug, 1]))
    assert shown.status_code == 200
    text = shown.text
    assert "What drives model 1" in text and "<rect" in text and "Speaks against it" in text
    assert "may stand for a protected segment" in text and "goes with <strong>topic</strong>" in text
    assert 'style="' not in text
    assert "of what moves its answers is the meaning of whole texts" in text
    version = ModelVersion.objects.get(project=trained)
    assert explain.overview(project=trained, version=version) == json.loads(
        json.dumps(explain.overview(project=trained, version=version))
    )
    assert client.get(reverse("active_learning:version-why", args=[trained.slug, 9])).status_code == 404
    ModelVersion.objects.filter(pk=version.pk).update(archived_at=version.created_at)
    archived = client.get(address(pool_items(trained, 1)[0]))
    assert archived.status_code == 409 and "archived" in archived.text


def test_the_web_process_loads_no_numeric_library_at_its_start():
    code = "import django; django.setup(); import config.urls, sys; print('numpy' in sys.modules)"
    env = {"DJANGO_SETTINGS_MODULE": "tests.settings"}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | env)
    assert found.stdout.strip() == "False", found.stderr[-500:]
