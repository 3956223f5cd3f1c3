import re

import pytest

from active_learning.models import Prediction
from active_learning.services import serving
from labeling.models import Item, ReviewItem
from tests.active_learning.pools import answer, audit_items, make_pool, pool_items, run_training
from tests.factories import make_member

pytestmark = pytest.mark.django_db


def words(response):
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def test_an_input_is_answered_and_nothing_is_kept(client, owner):
    serving.forget_models()
    project = make_pool(owner, 120)
    url = f"/projects/{project.slug}/live/"
    client.force_login(owner)
    assert "rules" in words(client.post(url, {"text": "a stew"}))
    answer(pool_items(project, 60))
    answer(audit_items(project))
    run_training(project)
    item, n = pool_items(project, 1, offset=80)[0], Item.objects.count()
    assert 'href="/projects/' in client.get(url).content.decode()
    response = client.post(url, {"text": item.data["text"]})
    said = words(response)
    assert item.meta["topic"] in said
    assert "model 1" in said
    assert "What the text hangs on" in said and '<mark class="speaks-for' in response.content.decode()
    assert re.search(r"It would (stand alone|be taken, and watched)|A person would decide", said)
    assert client.post(url, {"text": ""}).status_code == 422
    assert client.post(url, {"text": "a\0b"}).status_code in (400, 422)
    assert (Prediction.objects.count(), ReviewItem.objects.count(), Item.objects.count()) == (0, 0, n)


def test_who_may_try_it(client, owner, outsider):
    project = make_pool(owner, 4)
    url = f"/projects/{project.slug}/live/"
    assert client.get(url).status_code == 302
    for user, status in (
        (owner, 200),
        (make_member(project, "reviewer"), 200),
        (make_member(project), 403),
        (outsider, 404),
    ):
        client.force_login(user)
        assert client.get(url).status_code == status
