"""Who decides, as a form: what is wrong says where, what it would do is seen first, and what production says."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from active_learning.models import Prediction, ServingPolicy
from active_learning.services.certificates import recheck
from tests.active_learning.pools import make_pool
from tests.active_learning.test_serving_policy import draw, trained  # noqa: F401
from tests.factories import make_member

pytestmark = pytest.mark.django_db


def words(response):
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def typed(**changes):
    return {
        "review_below": "50",
        "auto_above": "90",
        "exploration_share": "5",
        "score_field": "score",
        "keeps_input": "on",
        "keep_days": "30",
    } | changes


def test_without_a_model_the_page_says_what_to_do_and_mistakes_say_where(client, owner):
    project = make_pool(owner, 4)
    url = f"/projects/{project.slug}/live/settings/"
    client.force_login(owner)
    assert "No model is live" in words(client.get(url))
    wrong = typed(
        review_below="90",
        auto_above="60",
        edge_rules='amount > 10 => large\namount > => "odd" <b>',
        label_bands="nobody => 60",
        log_fields="mail => away",
        action="save",
    )
    refused = client.post(url, wrong)
    said = words(refused)
    assert refused.status_code == 422
    assert "The bands overlap: below 90 % a person decides" in said
    assert "Line 2, character 9" in said
    assert "Line 1 does not read" in said
    assert "never or hash or mask" in said
    assert "amount &gt; =&gt; &quot;odd&quot; &lt;b&gt;" in refused.content.decode()  # what was typed is still there
    assert not ServingPolicy.objects.exists()
    assert "is not a label of this project" in words(client.post(url, typed(label_bands="nobody => 60, 90")))
    assert "Say which field holds the segment" in words(client.post(url, typed(segment_bands="de => 60, 90")))
    client.post(
        url,
        typed(edge_rules="amount > 10 => large", segment_field="country", segment_bands="de => 40, 85", action="save"),
    )
    policy = ServingPolicy.objects.get()
    assert policy.edge_rules == [{"when": "amount > 10", "why": "large"}]
    assert policy.segment_bands == {"de": [0.4, 0.85]}
    assert "amount &gt; 10 =&gt; large" in client.get(url).content.decode()


def test_a_preview_shows_what_moves_and_saves_nothing(client, owner, trained):  # noqa: F811
    draw(trained, 100, 0.9)
    url = f"/projects/{trained.slug}/live/settings/"
    client.force_login(owner)
    said = words(client.get(url))
    assert "90 %" in said
    assert "n 100" in said
    seen = client.post(url, typed(auto_above="99.5", edge_rules="amount < 10 => small", action="preview"))
    said = words(seen)
    assert "100 would go elsewhere" in said
    assert "90: the model alone → taken and watched" in said
    assert "10: the model alone → a person decides" in said
    assert re.search(r"10 % 6 % to 17 %, n 100", said)
    assert "takes 10 of 100" in said
    assert not ServingPolicy.objects.exists()
    # New rules are shown before they are saved, and what was shown is what is saved.
    rules = typed(edge_rules="amount < 20 => small", action="save")
    first = client.post(url, rules)
    assert "Save once more keeps them" in words(first) and not ServingPolicy.objects.exists()
    tried = re.search(r'name="tried" value="(\w+)"', first.content.decode())[1]
    assert "Save once more" in words(client.post(url, rules | {"tried": tried, "edge_rules": "amount < 30"}))
    assert client.post(url, rules | {"tried": tried}).status_code == 302
    assert ServingPolicy.objects.get().edge_rules == [{"when": "amount < 20", "why": "small"}]
    assert client.post(url, typed(edge_rules="amount < 20 => small", auto_above="80", action="save")).status_code == 302
    client.force_login(make_member(trained, "reviewer"))
    assert client.post(url, typed()).status_code == 200
    assert client.post(url, typed(action="save")).status_code == 403


def test_a_promise_is_earned_or_says_what_it_takes_or_is_revoked(client, owner, trained):  # noqa: F811
    url = f"/projects/{trained.slug}/live/settings/"
    client.force_login(owner)
    draw(trained, 20, 1.0)
    client.post(url, typed(max_wrong="5", action="save"))
    said = words(client.get(url))
    assert "not earned" in said
    assert re.search(r"It needs about \d+ more random labels", said)
    assert "10 more give a first figure" in said
    draw(trained, 200, 1.0)
    recheck(project=trained)
    assert "earned Model 1 decides alone above" in words(client.get(url))
    Prediction.objects.filter(project=trained).update(created_at=timezone.now() - timedelta(days=1))
    draw(trained, 100, 0.5)
    recheck(project=trained)
    assert "revoked" in words(client.get(url))


def test_who_may_see_it(client, owner, outsider):
    project = make_pool(owner, 4)
    url = f"/projects/{project.slug}/live/settings/"
    assert client.get(url).status_code == 302
    for user, status in (
        (owner, 200),
        (make_member(project, "reviewer"), 200),
        (make_member(project), 403),
        (outsider, 404),
    ):
        client.force_login(user)
        assert client.get(url).status_code == status
