"""Known items: how they come, what they say of a person, and who is right when many miss one."""

from typing import Any

import pytest
from django.test import Client

from labeling.models import AuditEntry, Item, Membership, Resolution
from labeling.services.annotate import submit_annotation
from labeling.services.gold import gold_accuracy
from labeling.services.queue import lease_items
from tests.factories import LABELS, make_item, make_items, make_key, make_member, make_project

pytestmark = pytest.mark.django_db


def make_gold(project: Any, n: int, value: str = "positive") -> list[Item]:
    """Settled items with a known answer."""
    items = make_items(project, n, gold=value, state="resolved")
    for item in items:
        facts = {"method": "adjudicated", "n_annotations": 2, "created_at": item.created_at}
        Resolution.objects.create(project=project, item=item, value=value, **facts)
    return items


@pytest.fixture
def project() -> Any:
    return make_project(gold_share=0.5)


def answer_gold(project: Any, user: Any, value: str, n: int) -> int:
    """Answers known items until `n` have come: how many did."""
    project.gold_share = 1.0  # of this object only: each item that is handed out is a known one
    answered = 0
    for _ in range(n):
        leased = [one for one in lease_items(project=project, user=user, n=1).items if one.assignment.reason == "gold"]
        for one in leased:
            submit_annotation(assignment=one.assignment, value=value, client_id=f"gold-{one.assignment.pk}")
            answered += 1
    return answered


def test_known_items_come_hidden_among_the_others_and_each_once(project: Any) -> None:
    make_gold(project, 6)
    make_items(project, 40)
    ann = make_member(project)
    seen: list[int] = []
    reasons: set[str] = set()
    client = Client(headers={"authorization": f"Bearer {make_key(ann, scopes=['annotate'])}"})
    for _ in range(3):
        answer = client.post(f"/api/v1/projects/{project.slug}/next/", {"n": 10}, content_type="application/json")
        for assignment in answer.json()["assignments"]:
            seen.append(assignment["item"]["id"])
            reasons.add(assignment["reason"]["code"])
    assert len(seen) == len(set(seen))
    known = set(Item.objects.filter(gold__isnull=False).values_list("pk", flat=True))
    assert known & set(seen)
    assert "gold" not in reasons


def test_without_a_share_no_known_item_comes() -> None:
    project = make_project(gold_share=0.0)
    make_gold(project, 3)
    assert lease_items(project=project, user=make_member(project), n=5).items == []


def test_rare_labels_are_checked_as_often_as_common_ones(project: Any) -> None:
    make_gold(project, 60, "positive")
    rare = {item.pk for item in make_gold(project, 20, "negative")}
    project.gold_share = 1.0
    drawn = [one.assignment.item_id for one in lease_items(project=project, user=make_member(project), n=20).items]
    assert len(drawn) == 20
    assert 3 <= len(rare & set(drawn)) <= 17  # ten are expected; fewer than three by chance once in 5,000


def test_an_answer_to_a_known_item_says_something_of_the_person_and_not_of_the_item(project: Any) -> None:
    (item,) = make_gold(project, 1)
    ann = make_member(project)
    assert answer_gold(project, ann, "negative", 1) == 1
    item.refresh_from_db()
    assert item.state == "resolved"
    assert Resolution.objects.filter(item=item).count() == 1
    share = gold_accuracy(project=project, user_id=ann.pk)
    assert share is not None and (share.value, share.n) == (0.0, 1)


def test_a_person_is_paused_only_when_it_is_sure_and_an_owner_lifts_it(project: Any, client: Client) -> None:
    make_gold(project, 20)
    owner, ann, ben = project.created_by, make_member(project), make_member(project)
    answer_gold(project, ann, "negative", 4)
    member = Membership.objects.get(user=ann)
    assert member.paused_at is None, "four are too few to look at"
    answer_gold(project, ann, "negative", 1)
    member.refresh_from_db()
    assert member.paused_at is not None
    assert "0 of 5 known items were right" in member.pause_reason
    empty = lease_items(project=project, user=ann, n=1).empty
    assert empty is not None and empty.why == "paused" and "known items" in empty.message
    assert answer_gold(project, ben, "positive", 5) == 5
    assert Membership.objects.get(user=ben).paused_at is None

    client.force_login(owner)
    page = client.get(f"/projects/{project.slug}/members/").content.decode()
    assert "Let them go on" in page and "0 %" in page
    response = client.post(f"/projects/{project.slug}/members/{member.pk}/resume/")
    assert response.status_code == 302
    member.refresh_from_db()
    assert member.paused_at is None
    assert AuditEntry.objects.filter(action="member.resume").exists()
    answer_gold(project, ann, "negative", 1)
    member.refresh_from_db()
    assert member.paused_at is None, "what was answered before the owner's word does not pause again"
    assert client.post(f"/projects/{project.slug}/members/{member.pk}/resume/").status_code == 409


def test_only_an_owner_lifts_a_pause(project: Any, client: Client) -> None:
    ann = make_member(project)
    member = Membership.objects.get(user=ann)
    client.force_login(make_member(project, role="reviewer"))
    assert client.post(f"/projects/{project.slug}/members/{member.pk}/resume/").status_code == 403
    client.force_login(ann)
    assert client.post(f"/projects/{project.slug}/members/{member.pk}/resume/").status_code == 403


def test_a_known_item_that_good_people_miss_is_retired(project: Any) -> None:
    make_gold(project, 6)
    people = [make_member(project) for _ in range(2)]
    for user in people:
        answer_gold(project, user, "positive", 6)
    (odd,) = make_gold(project, 1)
    answer_gold(project, people[0], "neutral", 1)
    odd.refresh_from_db()
    assert odd.gold_retired_at is None
    answer_gold(project, people[1], "neutral", 1)
    odd.refresh_from_db()
    assert odd.gold_retired_at is not None
    share = gold_accuracy(project=project, user_id=people[1].pk)
    assert share is not None and (share.value, share.n) == (1.0, 6), "it counts against nobody"
    assert Membership.objects.filter(paused_at__isnull=False).count() == 0


def test_my_results_show_my_own_known_items(project: Any, client: Client) -> None:
    make_gold(project, 4)
    ann = make_member(project)
    answer_gold(project, ann, "positive", 4)
    client.force_login(ann)
    page = client.get(f"/projects/{project.slug}/mine/").content.decode()
    assert "Known items right" in page and "n = 4" in page


def test_an_open_known_item_is_asked_like_any_other(project: Any) -> None:
    make_item(project, gold=LABELS[0])
    leased = lease_items(project=project, user=make_member(project), n=3).items
    assert [one.assignment.reason for one in leased] == ["import_order"]
