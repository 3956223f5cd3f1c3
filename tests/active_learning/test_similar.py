"""More like this, through its doors: the item's page, the job, the list, asking about them next."""

import re

import pytest
from django.core.cache import cache
from django.urls import reverse

from active_learning.services import features, similar
from labeling.models import Item, Job
from labeling.selectors import WORKER_ALIVE_KEY
from tests.active_learning.pools import answer, audit_items, make_pool, pool_items, run_features
from tests.factories import make_item, make_member, make_project

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_worker():
    cache.delete(WORKER_ALIVE_KEY)


@pytest.fixture
def pool(owner):
    project = make_pool(owner, 120)
    run_features(project)
    return project


def address(item, name="similar"):
    return reverse(f"active_learning:{name}", args=[item.project.slug, item.pk])


def look(client, item):
    """Asks, and lets the job run."""
    assert client.post(address(item)).status_code == 302
    job = Job.objects.filter(kind="similar", state="queued").get()
    similar.find_similar(job_id=str(job.pk))
    job.refresh_from_db()
    return job


def test_finds_open_pool_items_of_the_same_kind(client, owner, pool):
    one, *others = pool_items(pool, 60)
    answer(others[:20])
    excluded = others[21]
    Item.objects.filter(pk=excluded.pk).update(state="excluded")
    client.force_login(owner)
    job = look(client, one)
    assert job.state == "succeeded", job.error
    ids = [pk for pk, _ in job.result["found"]]
    cosines = [cosine for _, cosine in job.result["found"]]
    assert job.result["looked_at"] == len(ids) == 90 - 1 - 20 - 1
    assert cosines == sorted(cosines, reverse=True)
    never = {one.pk, excluded.pk, *(item.pk for item in [*others[:20], *audit_items(pool)])}
    assert not never & set(ids)
    topics = [pool.items.get(pk=pk).meta["topic"] for pk in ids[:5]]
    assert topics.count(one.meta["topic"]) >= 4


def test_the_list_does_not_depend_on_the_shards_and_is_bounded(owner, pool, monkeypatch):
    one = pool_items(pool, 1)[0]
    whole = similar.similar_items(project=pool, item_id=one.pk)
    monkeypatch.setattr(features, "SHARD_SIZE", 16)
    monkeypatch.setattr(similar, "MOST_FOUND", 10)
    cut = make_pool(owner, 120)
    run_features(cut)
    found = similar.similar_items(project=cut, item_id=pool_items(cut, 1)[0].pk)["found"]
    assert [cosine for _, cosine in found] == [cosine for _, cosine in whole["found"][:10]]


def test_the_page_waits_shows_and_asks(client, owner, pool):
    one = pool_items(pool, 1)[0]
    client.force_login(owner)
    detail = client.get(reverse("labeling:item", args=[pool.slug, one.pk])).text
    assert f'action="{address(one)}"' in detail and "More like this" in detail
    assert "Look for similar items" in client.get(address(one)).text
    client.post(address(one))
    client.post(address(one))
    assert Job.objects.filter(kind="similar").count() == 1
    waiting = client.get(address(one)).text
    assert "no worker is running" in waiting and 'hx-trigger="every 1s"' in waiting
    assert "HX-Refresh" not in client.get(address(one, "similar-now"))
    similar.find_similar(job_id=str(Job.objects.get(kind="similar").pk))
    assert client.get(address(one, "similar-now"))["HX-Refresh"] == "true"
    shown = client.get(address(one)).text
    assert "The 89 nearest of 89" in shown
    first = [int(pk) for pk in re.findall(r'name="items" value="(\d+)"', shown)[:2]]
    body = {"items": first, "like": one.pk, "back": address(one)}
    shown = client.post(reverse("labeling:ask-next", args=[pool.slug]), body, follow=True).text
    assert "2 items stand in front of the queue now." in shown
    assert f"like item #{one.pk}: <span" in shown and "Ask about all 87 next" in shown
    assert sorted(pool.queue.filter(reason="search").values_list("item_id", flat=True)) == sorted(first)
    body = {"like": one.pk, "back": address(one)}
    shown = client.post(reverse("labeling:take-out", args=[pool.slug]), body, follow=True).text
    assert "2 items were taken out again." in shown and not pool.queue.exists()


def test_what_changed_since_is_shown_as_it_is_now(client, owner, pool):
    one, other = pool_items(pool, 2)
    client.force_login(owner)
    look(client, one)
    Item.objects.filter(pk=other.pk).update(state="resolved")
    assert f'name="items" value="{other.pk}"' not in client.get(address(one)).text


def test_an_item_that_came_after_the_features_is_compared_at_once(client, owner, pool):
    fresh = make_item(pool, pool_items(pool, 1)[0].data["text"] + " again")
    client.force_login(owner)
    assert look(client, fresh).result["found"][0][0] == pool_items(pool, 1)[0].pk


def test_what_cannot_be_compared_says_why(client, owner):
    early = make_pool(owner, 4)
    client.force_login(owner)
    job = look(client, pool_items(early, 1)[0])
    assert job.state == "failed" and "No item of this project has features yet" in job.error
    assert "has features yet" in client.get(address(pool_items(early, 1)[0])).text
    pairs = make_project(owner, kind="pair", config={"tie": True})
    differing = make_item(pairs, data={"a": "one thing", "b": "quite another"})
    equal = make_item(pairs, data={"a": "the same", "b": "the same"})
    run_features(pairs)
    assert "nothing that it could be compared by" in look(client, equal).error
    assert "Look again" in client.get(address(equal)).text
    assert look(client, differing).result["found"] == [[equal.pk, 0.0]]


def test_when_all_is_judged_nothing_is_left(client, owner, pool):
    one = pool_items(pool, 1)[0]
    answer(pool_items(pool, 90))
    client.force_login(owner)
    look(client, one)
    assert "Nothing left to compare" in client.get(address(one)).text


def test_who_may(client, owner, outsider, pool):
    one = pool_items(pool, 1)[0]
    for user, get, post in (
        (make_member(pool, "reviewer"), 200, 302), (make_member(pool), 403, 403), (outsider, 404, 404),
    ):  # fmt: skip
        client.force_login(user)
        assert client.get(address(one)).status_code == get
        assert client.post(address(one)).status_code == post
        assert client.get(address(one, "similar-now")).status_code == get
    client.force_login(owner)
    foreign = make_pool(outsider, 4)
    mine = reverse("active_learning:similar", args=[pool.slug, pool_items(foreign, 1)[0].pk])
    assert client.get(mine).status_code == client.post(mine).status_code == 404
    client.logout()
    assert client.get(address(one, "similar-now")).status_code == 401
    detail = reverse("labeling:item", args=[pool.slug, one.pk])
    client.force_login(make_member(pool))
    assert "More like this" not in client.get(detail).text
