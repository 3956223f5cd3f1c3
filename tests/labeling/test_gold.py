"""Known items: how they come, what they say of a person, and who is right when many miss one."""

import json
import re
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from labeling.core.wording import reason_words
from labeling.models import (
    Annotation,
    Assignment,
    AuditEntry,
    Item,
    Membership,
    Project,
    Resolution,
    ReviewItem,
)
from labeling.services.annotate import submit_annotation, undo_annotation
from labeling.services.gold import gold_accuracy
from labeling.services.inbox import open_review
from labeling.services.queue import lease_items
from labeling.services.review import decide, undo
from tests.factories import make_annotation, make_item, make_items, make_key, make_member, make_project

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


def test_imported_known_items_are_checks_at_once_and_a_check_settles_them_by_what_is_known(project: Any) -> None:
    project.overlap = 2
    project.gold_share = 1.0
    item = make_item(project, gold="positive")
    ann, ben = make_member(project), make_member(project)
    (first,), (second,) = (lease_items(project=project, user=user, n=1).items for user in (ann, ben))
    assert first.assignment.reason == second.assignment.reason == "gold", "everybody is checked by it"
    submit_annotation(assignment=first.assignment, value="negative", client_id="a")
    item.refresh_from_db()
    resolution = Resolution.objects.get(item=item)
    assert (item.state, resolution.value, resolution.method) == ("resolved", "positive", "known")
    submit_annotation(assignment=second.assignment, value="neutral", client_id="b")
    undo_annotation(annotation=Annotation.objects.get(client_id="a"))
    assert Resolution.objects.get(superseded_at=None).value == "positive", "what people say of it does not move it"
    share = gold_accuracy(project=project, user_id=ben.pk)
    assert share is not None and (share.value, share.n) == (0.0, 1)


def test_without_a_share_an_open_known_item_is_asked_like_any_other_and_people_settle_it() -> None:
    project = make_project(gold_share=0.0)
    item = make_item(project, gold="positive")
    (leased,) = lease_items(project=project, user=make_member(project), n=3).items
    assert leased.assignment.reason == "import_order"
    submit_annotation(assignment=leased.assignment, value="negative", client_id="a")
    assert Resolution.objects.get(item=item).value == "negative"
    assert Resolution.objects.get(item=item).method == "consensus"


def test_imported_answers_settle_known_items_by_consensus(project: Any) -> None:
    items = make_items(project, 3, gold="positive")
    rows = [{"item": f"#{item.pk}", "annotator": who, "value": "neutral"} for item in items for who in ("x", "y")]
    client = Client(headers={"authorization": f"Bearer {make_key(project.created_by)}"})
    project.overlap = 2
    project.save()
    answer = client.post(f"/api/v1/projects/{project.slug}/labels/", json.dumps(rows), content_type="application/json")
    assert answer.json()["created"] == 6
    settled = Resolution.objects.filter(superseded_at=None).values_list("value", "method")
    assert list(settled) == [("neutral", "consensus")] * 3, "or nobody could compare the two"


def test_an_item_that_waits_for_another_opinion_is_left_to_the_queue(project: Any) -> None:
    project.overlap = 2
    item = make_item(project, gold="positive")
    make_annotation(item, "positive", make_member(project))
    project.gold_share = 1.0
    (leased,) = lease_items(project=project, user=make_member(project), n=1).items
    assert leased.assignment.reason == "second_opinion"


def test_a_known_answer_that_good_people_miss_no_longer_settles_its_item(project: Any) -> None:
    make_gold(project, 6)
    people = [make_member(project) for _ in range(2)]
    for user in people:
        answer_gold(project, user, "positive", 6)
    odd = make_item(project, gold="positive")
    answer_gold(project, people[0], "neutral", 1)
    assert Resolution.objects.get(item=odd).value == "positive"
    answer_gold(project, people[1], "neutral", 1)
    current = Resolution.objects.get(item=odd, superseded_at=None)
    assert (current.value, current.method, current.n_annotations) == ("neutral", "consensus", 2)


def test_a_known_value_that_a_reviewer_overruled_stands_again_when_that_is_taken_back(project: Any) -> None:
    item = make_item(project, gold="positive")
    answer_gold(project, make_member(project), "negative", 1)
    now = timezone.now()
    open_review(project_id=project.pk, item_id=item.pk, reason="flag", evidence={}, priority=0.0, now=now)
    review = ReviewItem.objects.get()
    decide(review=review, value="neutral", user=project.created_by)
    undo(review=review, user=project.created_by)
    assert Resolution.objects.get(superseded_at=None).value == "positive"


# Nothing says that it was one


@pytest.mark.parametrize(
    "audit_share, ordered_by, code", [(0.05, "", "audit"), (0.0, "model 2", "random"), (0.0, "", "import_order")]
)
def test_a_hidden_check_looks_like_what_else_comes_without_a_suggestion(
    audit_share: float, ordered_by: str, code: str
) -> None:
    project = make_project(gold_share=0.5, audit_share=audit_share)
    project.gold_share, project.ordered_by = 1.0, ordered_by
    project.ordered_at = timezone.now() if ordered_by else None
    project.save()
    make_gold(project, 1)
    ann = make_member(project)
    client = Client(headers={"authorization": f"Bearer {make_key(ann, scopes=['annotate'])}"})
    (shown,) = next_items(client, project, 1)
    assert Assignment.objects.get(pk=shown["id"]).reason == "gold"
    assert shown["reason"] == {"code": code, "text": reason_words(code, {})}


@pytest.mark.parametrize("overlap, state", [(1, "resolved"), (2, "open")])
def test_nothing_on_the_wire_or_the_pages_tells_a_hidden_check(overlap: int, state: str) -> None:
    project = make_project(gold_share=0.5, overlap=overlap)
    project.gold_share = 1.0
    project.save()
    (item,) = make_gold(project, 1)
    ReviewItem.objects.create(
        project=project, item=item, reason="dispute", state="decided", opened_at=item.created_at,
        closed_at=item.created_at, resolution=Resolution.objects.get(item=item), note="irony",
    )  # fmt: skip
    ann = make_member(project)
    client = Client(headers={"authorization": f"Bearer {make_key(ann, scopes=['annotate'])}"})
    browser = Client()
    browser.force_login(ann)
    (shown,) = next_items(client, project, 1)
    for url in (f"/projects/{project.slug}/items/", f"/projects/{project.slug}/items/{item.pk}/"):
        assert not re.search("resolved|settled|known", browser.get(url).content.decode(), re.IGNORECASE), url
    assert browser.get(f"/projects/{project.slug}/items/?state=open").context["rows"], "its state filters nothing"
    answer = submit(client, shown["id"], "negative")
    assert answer.json()["item"]["state"] == state
    assert answer.json()["feedback"] is None
    mine = browser.get(f"/projects/{project.slug}/mine/").content.decode()
    assert "irony" not in mine, "a decision on it would tell"
    again = client.post(f"/api/v1/annotations/{answer.json()['annotation']['id']}/undo/").json()["assignment"]
    assert again["state"] == "leased", "as any item that nobody has taken meanwhile"


# What is said afterwards


def make_known_with_note(project: Any) -> Item:
    (item,) = make_gold(project, 1)
    Resolution.objects.update(note="The praise is ironic.")
    return item


@pytest.mark.parametrize("mode, is_told", [("never", False), ("practice", False), ("always", True)])
def test_people_are_told_the_known_answer_when_the_project_says_so(mode: str, is_told: bool) -> None:
    project = make_project(gold_share=0.5, gold_feedback=mode)
    make_known_with_note(project)
    ann = make_member(project)
    client = Client(headers={"authorization": f"Bearer {make_key(ann, scopes=['annotate'])}"})
    Project.objects.update(gold_share=1.0)
    (shown,) = next_items(client, project, 1)
    told = {"value": "positive", "is_right": False, "note": "The praise is ironic."} if is_told else None
    first = submit(client, shown["id"], "negative")
    assert (first.status_code, first.json()["feedback"]) == (201, told)
    replay = submit(client, shown["id"], "negative")
    assert (replay.status_code, replay.json()) == (200, first.json()), "a lost receipt loses nothing"
    undone = client.post(f"/api/v1/annotations/{first.json()['annotation']['id']}/undo/")
    assert undone.status_code == (409 if is_told else 200)
    history = client.get(f"/api/v1/projects/{project.slug}/history/").json()["annotations"]
    assert [one["stands"] for one in history] == ([True] if is_told else [])


def test_an_answer_that_was_followed_by_the_known_one_stands() -> None:
    project = make_project(gold_share=0.5, gold_feedback="always")
    make_known_with_note(project)
    ann = make_member(project)
    client = Client(headers={"authorization": f"Bearer {make_key(ann, scopes=['annotate'])}"})
    Project.objects.update(gold_share=1.0)
    (shown,) = next_items(client, project, 1)
    first = submit(client, shown["id"], "negative").json()["annotation"]
    Project.objects.update(gold_feedback="never")
    for refused in (
        client.post(f"/api/v1/annotations/{first['id']}/undo/"),
        submit(client, shown["id"], "positive", "b"),
    ):
        assert refused.status_code == 409
        assert refused.json()["error"]["code"] == "answer_shown"
        assert "stands" in refused.json()["error"]["message"]
    assert [a.value for a in Annotation.objects.live()] == ["negative"]


def test_an_open_known_item_of_the_queue_is_told_too_and_a_retired_one_is_not() -> None:
    project = make_project(gold_share=0.0, gold_feedback="always")
    make_item(project, gold="positive")
    make_item(project, gold="positive", gold_retired_at=timezone.now())
    make_item(project)
    client = Client(headers={"authorization": f"Bearer {make_key(make_member(project), scopes=['annotate'])}"})
    told = [submit(client, one["id"], "positive").json()["feedback"] for one in next_items(client, project, 3)]
    assert told == [{"value": "positive", "is_right": True, "note": ""}, None, None]


def next_items(client: Client, project: Any, n: int) -> list[dict[str, Any]]:
    answer = client.post(f"/api/v1/projects/{project.slug}/next/", {"n": n}, content_type="application/json")
    assigned: list[dict[str, Any]] = answer.json()["assignments"]
    return assigned


def submit(client: Client, assignment: int, value: str, client_id: str = "a") -> Any:
    body = {"value": value, "client_id": f"{client_id}{assignment}"}
    return client.post(f"/api/v1/assignments/{assignment}/submit/", body, content_type="application/json")
