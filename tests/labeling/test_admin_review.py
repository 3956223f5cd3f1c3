"""Staff put reviews back or close them, in bulk and with a reason; nothing else is changed there."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from labeling.core.errors import Conflict
from labeling.models import AuditEntry, Item, Project, ReviewItem
from labeling.services.inbox import open_review
from labeling.services.review import cannot_tell, decide
from tests.factories import make_item, make_member, make_user

URL = "/admin/labeling/reviewitem/"


@pytest.fixture
def as_stan(client: Client, db: None) -> Client:
    client.force_login(make_user("stan", is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def reviews(project: Project) -> list[ReviewItem]:
    return [
        open_review(
            project_id=project.pk,
            item_id=make_item(project, external_id=f"case-{place}").pk,
            reason="flag",
            evidence={},
            priority=0.0,
            now=timezone.now(),
        )
        for place in range(4)
    ]


def act(client: Client, action: str, reviews: list[ReviewItem], **body: Any) -> str:
    chosen = {"action": action, "_selected_action": [one.pk for one in reviews], "agreed": "yes"} | body
    return client.post(URL, chosen, follow=True).content.decode()


def states(reviews: list[ReviewItem]) -> list[str]:
    by_pk = dict(ReviewItem.objects.values_list("pk", "state"))
    return [by_pk[one.pk] for one in reviews]


def test_rows_are_found_by_what_they_are_about(as_stan: Client, reviews: list[ReviewItem]) -> None:
    for query, n in (("?q=case-2", 1), ("?q=tweets", 4), ("?state__exact=open", 4), ("?reason__exact=edge", 0)):
        page = as_stan.get(URL + query)
        assert page.status_code == 200 and page.context["cl"].result_count == n
    assert as_stan.post(f"{URL}{reviews[0].pk}/change/", {}).status_code == 403


def test_closing_wants_a_reason_and_keeps_it(as_stan: Client, reviews: list[ReviewItem], owner: Any) -> None:
    assert "Say why" in act(as_stan, "close", reviews)
    assert states(reviews) == ["open"] * 4
    decide(review=reviews[3], value="neutral", user=owner)
    assert "3 closed" in act(as_stan, "close", reviews, reason="a test of the shop")
    assert states(reviews) == ["closed"] * 3 + ["decided"]
    assert set(ReviewItem.objects.filter(state="closed").values_list("note", flat=True)) == {"a test of the shop"}
    assert set(Item.objects.filter(review_items__state="closed").values_list("state", flat=True)) == {"open"}
    assert AuditEntry.objects.filter(action="review.close", actor__username="stan").count() == 3
    with pytest.raises(Conflict, match="stan has closed this one without a decision: a test of the shop"):
        decide(review=reviews[0], value="neutral", user=owner)


def test_what_was_decided_is_put_back_and_what_was_built_on_is_left(
    as_stan: Client, reviews: list[ReviewItem], project: Project, owner: Any
) -> None:
    decide(review=reviews[0], value="neutral", user=owner)
    cannot_tell(review=reviews[1], user=owner)
    decide(review=reviews[2], value="neutral", user=owner)
    later = open_review(
        project_id=project.pk, item_id=reviews[2].item_id, reason="flag", evidence={}, priority=0.0, now=timezone.now()
    )
    decide(review=later, value="positive", user=owner)
    page = act(as_stan, "put_back", reviews)
    assert "2 put back." in page and f"Review {reviews[2].pk} was left: A later decision" in page
    assert states(reviews) == ["open", "open", "decided", "open"]


def test_what_an_action_does_is_said_before_it_is_done(
    as_stan: Client, reviews: list[ReviewItem], project: Project, owner: Any, monkeypatch: Any
) -> None:
    decide(review=reviews[3], value="neutral", user=owner)
    page = act(as_stan, "close", reviews, reason="<b>shop</b>", agreed="")
    assert "Close: 3 review items." in page and f"{project.slug}: 3" in page and "&lt;b&gt;shop" in page
    assert "Put back: 1 review item." in act(as_stan, "put_back", reviews, agreed="")
    assert "suits no row" in act(as_stan, "put_back", reviews[:3], agreed="")
    monkeypatch.setattr("labeling.staff.MOST_AT_ONCE", 2)
    for agreed in ("", "yes"):
        assert "3 rows are too many" in act(as_stan, "close", reviews, reason="x", agreed=agreed)
    assert states(reviews) == ["open"] * 3 + ["decided"]


def test_more_reviews_take_no_more_queries(as_stan: Client, reviews: list[ReviewItem], owner: Any) -> None:
    def n_queries() -> int:
        with CaptureQueriesContext(connection) as queries:
            as_stan.get(URL)
        return len(queries)

    decide(review=reviews[0], value="neutral", user=owner)
    ReviewItem.objects.filter(pk=reviews[1].pk).delete()
    with_three = n_queries()
    for review in reviews[2:]:
        decide(review=review, value="neutral", user=make_member(review.project, "reviewer"))
        open_review(
            project_id=review.project_id, item_id=review.item_id, reason="flag", evidence={}, priority=0.0,
            now=timezone.now(),
        )  # fmt: skip
    assert n_queries() == with_three


def test_whoever_only_looks_has_no_such_actions(client: Client, reviews: list[ReviewItem]) -> None:
    looker = make_user("lou", is_staff=True)
    looker.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client.force_login(looker)
    act(client, "close", reviews, reason="because")
    assert states(reviews) == ["open"] * 4
