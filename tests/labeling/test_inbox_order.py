"""The order of the inbox, what a day holds, and what becomes of what nobody can tell."""

import re
import time
from datetime import timedelta
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.test import Client
from django.utils import timezone

from labeling.core.errors import Conflict
from labeling.core.inbox_order import WORTH
from labeling.models import Item, Project, QueueEntry, Resolution, ReviewItem
from labeling.selectors import ReviewFilter, open_reviews, review_seconds
from labeling.services.inbox import PRIORITY_OF_BLIND, open_review
from labeling.services.review import cannot_tell, decide, undo
from labeling.services.routed import Routed, route_to_review
from tests.factories import make_item, make_key
from tests.labeling.test_review import make_dispute

SAID = {"value": "neutral", "probabilities": {"neutral": 0.4}, "words": [], "source": "model 4"}


def waiting(project: Project, reason: str = "unsure", priority: float = 0.5, days: float = 0.0) -> ReviewItem:
    return open_review(
        project_id=project.pk,
        item_id=make_item(project).pk,
        reason=reason,
        evidence=SAID if reason in ("unsure", "edge") else {},
        priority=priority,
        now=timezone.now() - timedelta(days=days),
    )


def order(project: Project) -> list[int]:
    return [one.pk for one in open_reviews(project=project, wanted=ReviewFilter())]


def test_old_reviews_that_are_random_checks_too_become_blind(project: Project) -> None:
    both, ended, other = waiting(project, "complaint", 0.9), waiting(project, "complaint", 0.9), waiting(project)
    ReviewItem.objects.filter(pk__in=(both.pk, ended.pk)).update(evidence={"complaint": {"n": 3}, "explore": {}})
    ReviewItem.objects.filter(pk=ended.pk).update(state="closed", closed_at=timezone.now())
    migration = import_module("labeling.migrations.0015_blind_reviews")
    migration.make_blind(apps, SimpleNamespace(connection=connection))
    told = {
        pk: (reason, priority) for pk, reason, priority in ReviewItem.objects.values_list("pk", "reason", "priority")
    }
    blind = ("explore", PRIORITY_OF_BLIND)
    assert told == {both.pk: blind, ended.pk: ("complaint", 0.9), other.pk: ("unsure", 0.5)}
    assert [one.pk for one in open_reviews(project=project, wanted=ReviewFilter(reason="complaint"))] == []


def test_what_mends_most_a_second_comes_first(project: Project, reviewer: Any) -> None:
    unsure, old, flag = waiting(project, priority=0.5), waiting(project, priority=0.4, days=7), waiting(project, "flag")
    assert order(project) == [old.pk, unsure.pk, flag.pk]
    # Flags turn out to be fast: a second spent on them mends more.
    for _ in range(60):
        decide(review=waiting(project, "flag"), value="neutral", user=reviewer, seconds=1.5)
        decide(review=waiting(project, "unsure"), value="neutral", user=reviewer, seconds=30.0)
    seconds = review_seconds(project=project)
    assert seconds["flag"] < 5 < 20 < seconds["unsure"]
    assert order(project) == [flag.pk, old.pk, unsure.pk]


def test_every_kind_has_its_worth() -> None:
    assert set(WORTH) == set(ReviewItem.Reason.values)


def test_a_page_that_was_left_open_measures_nothing(project: Project, reviewer: Any) -> None:
    assert decide(review=waiting(project), value="neutral", user=reviewer, seconds=3_600.0).seconds is None


@pytest.fixture
def as_rae(client: Client, reviewer: Any) -> Client:
    client.force_login(reviewer)
    return client


def test_a_day_holds_so_many_and_the_rest_waits_for_tomorrow(as_rae: Client, project: Project, owner: Any) -> None:
    Project.objects.filter(pk=project.pk).update(reviews_a_day=2)
    reviews = [waiting(project, priority=priority) for priority in (0.9, 0.8, 0.7, 0.6)]
    page = as_rae.get("/review/tweets/").content.decode()
    assert re.search(r"<strong>2</strong> waiting for tomorrow", page)
    assert page.index(f"at={reviews[1].pk}") < page.index("Waiting for tomorrow") < page.index(f"at={reviews[2].pk}")
    url = f"/review/tweets/{reviews[0].pk}/decide/"
    assert as_rae.post(url, {"value": '"neutral"', "shown_at": str(time.time() - 7)}).status_code == 302
    assert 6 < (ReviewItem.objects.get(pk=reviews[0].pk).seconds or 0) < 20
    cannot_tell(review=reviews[1], user=owner)
    shown = as_rae.get("/review/tweets/")
    assert shown.context.get("current") is None
    assert "Today's are done" in shown.content.decode()
    # Nothing is lost, and whoever has time goes on.
    assert [row["review"].pk for row in shown.context["rows"]] == [reviews[2].pk, reviews[3].pk]
    assert as_rae.get(f"/review/tweets/?at={reviews[2].pk}").context["current"] == reviews[2]
    answer = as_rae.get("/api/v1/projects/tweets/review/").json()
    assert answer["today"] == {"decided": 2, "capacity": 2, "left": 0, "for_tomorrow": 2}
    assert answer["items"][0]["standing"]["chance"] == 0.7


def test_each_prediction_is_confirmed_corrected_or_left_by_one_key(as_rae: Client, project: Project) -> None:
    waiting(project)
    page = as_rae.get("/review/tweets/").content.decode()
    for key in ("1", "2", "3", "m", "t"):
        assert f'data-key="{key}"' in page and re.search(rf"<kbd[^>]*>{key}</kbd>", page)
    assert "Confirm: the model is right" in page


def test_a_rule_says_why_it_wants_a_person(as_rae: Client, project: Project) -> None:
    evidence = SAID | {"detail": "large order of a new customer"}
    route_to_review(
        project=project, rows=[Routed(data={"text": "x"}, reason="edge", evidence=evidence)], now=timezone.now()
    )
    assert "large order of a new customer" in as_rae.get("/review/tweets/").content.decode()


def test_a_random_check_is_judged_blind(as_rae: Client, project: Project) -> None:
    row = Routed(data={"text": "blind"}, reason="explore", evidence=SAID, is_blind=True)
    route_to_review(project=project, rows=[row], now=timezone.now())
    page = as_rae.get("/review/tweets/").content.decode()
    assert "model 4" not in page and 'data-key="m"' not in page and "decided blind" in page
    assert 'data-key="t"' in page


def test_what_nobody_can_tell_is_excluded_and_comes_back_as_it_was(
    project: Project, reviewer: Any, owner: Any, annotator: Any, annotator2: Any
) -> None:
    project.overlap = 2
    project.save()
    review = make_dispute(project, "positive", "negative", users=[annotator, annotator2])
    ended = cannot_tell(review=review, user=reviewer, note="half a sentence", seconds=4.0)
    assert (ended.state, ended.note, ended.seconds) == ("unclear", "half a sentence", 4.0)
    assert Item.objects.get(pk=review.item_id).state == "excluded"
    assert not Resolution.objects.exists() and not QueueEntry.objects.exists()
    assert cannot_tell(review=review, user=reviewer).pk == review.pk
    with pytest.raises(Conflict, match="rae has said meanwhile that nobody can tell"):
        decide(review=review, value="neutral", user=owner)
    assert undo(review=review, user=reviewer).state == "open"
    assert Item.objects.get(pk=review.item_id).state == "disputed"
    decided = decide(review=review, value="neutral", user=owner)
    with pytest.raises(Conflict):
        cannot_tell(review=decided, user=reviewer)


def test_cannot_tell_by_api(client: Client, project: Project, reviewer: Any) -> None:
    review = waiting(project)
    headers = {"Authorization": f"Bearer {make_key(reviewer, project, ['annotate'])}"}
    url = f"/api/v1/review/{review.pk}/cannot-tell/"
    answer = client.post(url, {"note": "cut off"}, content_type="application/json", headers=headers)
    assert answer.status_code == 200
    assert answer.json()["review"] == {"id": review.pk, "state": "unclear", "note": "cut off"}
    assert answer.json()["item"]["state"] == "excluded"
