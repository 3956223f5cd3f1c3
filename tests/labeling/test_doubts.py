"""Doubtful settled items: sent to a reviewer in one click, decided, asked again, taken back."""

import re
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from labeling.core.errors import NotFound
from labeling.models import AuditEntry, Item, Project, QueueEntry, Resolution, ReviewItem
from labeling.selectors import ReviewFilter, open_reviews
from labeling.services import annotate, queue
from labeling.services.doubts import send_doubts
from labeling.services.inbox import open_review
from labeling.services.resolve import settle_items
from labeling.services.review import decide, requeue, undo
from tests.factories import make_annotation, make_item, make_key, make_member, make_project
from tests.labeling.test_agreement import measured

ANYTHING = ReviewFilter()


@pytest.fixture
def doubtful(project: Project) -> list[Item]:
    """Settled items, those with a dissenter the most doubtful: three of five."""
    project.overlap = 3
    project.save()
    items = [make_item(project, f"text {n}") for n in range(5)]
    people = [make_member(project) for _ in range(3)]
    for place, item in enumerate(items):
        for number, user in enumerate(people):
            is_other = number == 2 and place < 3
            make_annotation(item, "negative" if is_other else "positive", user)
    settle_items(project=project, item_ids=[item.pk for item in items])
    measured(project)
    assert {item.state for item in Item.objects.filter(project=project)} == {"resolved"}
    return items


def waiting(project: Project) -> list[ReviewItem]:
    return open_reviews(project=project, wanted=ANYTHING)


def stands(item: Item) -> tuple[str, str] | None:
    found = Resolution.objects.filter(item=item, superseded_at=None).first()
    return (found.value, found.method) if found else None


def test_all_are_sent_the_least_sure_first_with_what_is_known(
    project: Project, doubtful: list[Item], reviewer: Any
) -> None:
    sent = send_doubts(project=project, user=reviewer)
    assert (len(sent.opened), sent.left) == (5, {})
    assert sent.opened == waiting(project)
    assert {review.item_id for review in sent.opened[:3]} == {item.pk for item in doubtful[:3]}
    evidence = sent.opened[0].evidence["doubt"]
    assert (evidence["value"], evidence["by"], evidence["n"], evidence["place"]) == ("positive", "posterior", 3, 1)
    assert 0.5 < evidence["posterior"] < 1 and evidence["n_settled"] == 5
    # The value counts until somebody decides.
    assert stands(doubtful[0]) == ("positive", "consensus")
    entries = AuditEntry.objects.filter(action="review.open", actor=reviewer)
    assert entries.count() == 5 and entries[0].detail["reason"] == "doubt"


def test_sending_twice_does_no_harm(project: Project, doubtful: list[Item], reviewer: Any, owner: Any) -> None:
    send_doubts(project=project, user=reviewer, item_ids=[doubtful[0].pk])
    again = send_doubts(project=project, user=owner, item_ids=[doubtful[0].pk])
    assert (again.opened, list(again.left.values())) == ([], ["It waits in the review inbox already."])
    assert ReviewItem.objects.count() == AuditEntry.objects.filter(action="review.open").count() == 1


def test_what_changed_since_is_left(project: Project, doubtful: list[Item], reviewer: Any) -> None:
    Item.objects.filter(pk=doubtful[0].pk).update(state="excluded")
    for _ in range(5):
        make_annotation(doubtful[1], "negative", make_member(project))
    settle_items(project=project, item_ids=[doubtful[1].pk])
    foreign = make_item(make_project())
    sent = send_doubts(
        project=project, user=reviewer, item_ids=[doubtful[0].pk, doubtful[1].pk, doubtful[2].pk, foreign.pk]
    )
    assert [review.item_id for review in sent.opened] == [doubtful[2].pk]
    assert sent.left == {
        doubtful[0].pk: "It is not settled as it was when it was measured.",
        doubtful[1].pk: "It is not settled as it was when it was measured.",
        foreign.pk: "It is not among the doubtful items of the last measurement.",
    }


def test_nothing_is_doubtful_before_it_was_measured(project: Project, reviewer: Any) -> None:
    with pytest.raises(NotFound, match="not been measured"):
        send_doubts(project=project, user=reviewer)


def test_a_flag_and_a_doubt_are_one_review(project: Project, doubtful: list[Item], reviewer: Any) -> None:
    item = doubtful[0]
    open_review(
        project_id=project.pk, item_id=item.pk, reason="flag", evidence={"n": 1}, priority=0.0, now=timezone.now()
    )
    send_doubts(project=project, user=reviewer)
    first = waiting(project)[0]
    assert (first.item_id, first.reason, set(first.evidence)) == (item.pk, "flag", {"flag", "doubt"})


@pytest.mark.parametrize("value", ["positive", "neutral"])
def test_a_decision_confirms_or_changes_and_can_be_taken_back(
    project: Project, doubtful: list[Item], reviewer: Any, value: str
) -> None:
    (review,) = send_doubts(project=project, user=reviewer, item_ids=[doubtful[0].pk]).opened
    decide(review=review, value=value, user=reviewer)
    assert stands(doubtful[0]) == (value, "adjudicated")
    assert waiting(project) == []
    undo(review=review, user=reviewer)
    assert stands(doubtful[0]) == ("positive", "consensus")
    assert [one.pk for one in waiting(project)] == [review.pk]
    assert Item.objects.get(pk=doubtful[0].pk).state == "resolved"
    decide(review=review, value=value, user=reviewer)
    # What somebody has decided is no longer doubtful, nor is it sent again.
    left = send_doubts(project=project, user=reviewer, item_ids=[doubtful[0].pk]).left
    assert list(left.values()) == ["It is not settled as it was when it was measured."]
    assert doubtful[0].pk not in {row["item"] for row in measured(project)["doubtful"]["items"]}


def test_a_settled_item_is_asked_again_until_the_answer_comes(
    project: Project, doubtful: list[Item], reviewer: Any, annotator: Any
) -> None:
    item = doubtful[0]
    (review,) = send_doubts(project=project, user=reviewer, item_ids=[item.pk]).opened
    make_item(project)
    requeue(review=review, user=reviewer)
    assert stands(item) is None and Item.objects.get(pk=item.pk).state == "open"
    # Counting the answers that the reviewer has seen says nothing new.
    settle_items(project=project, item_ids=[item.pk])
    assert Item.objects.get(pk=item.pk).state == "open" and QueueEntry.objects.filter(item=item).exists()
    (leased,) = queue.lease_items(project=project, user=annotator, n=1).items
    assert leased.assignment.item_id == item.pk
    annotate.submit_annotation(assignment=leased.assignment, value="positive", client_id="1")
    assert stands(item) == ("positive", "consensus") and Item.objects.get(pk=item.pk).state == "resolved"
    assert waiting(project) == []


def test_asking_again_can_be_taken_back(project: Project, doubtful: list[Item], reviewer: Any, annotator: Any) -> None:
    item = doubtful[0]
    (review,) = send_doubts(project=project, user=reviewer, item_ids=[item.pk]).opened
    requeue(review=review, user=reviewer)
    undo(review=review, user=reviewer)
    assert stands(item) == ("positive", "consensus") and Item.objects.get(pk=item.pk).state == "resolved"
    assert not QueueEntry.objects.filter(item=item).exists()
    assert [one.pk for one in waiting(project)] == [review.pk]


# The page


def words(response: Any) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def test_one_click_sends_and_the_rows_say_what_became_of_them(
    client: Client, project: Project, doubtful: list[Item], reviewer: Any, annotator: Any
) -> None:
    client.force_login(reviewer)
    address = f"/projects/{project.slug}/agreement/"
    before = client.get(address)
    assert "Send all 5 to review" in words(before) and before.content.count(b"Send to review:") == 5
    after = client.post(f"{address}doubtful/", {"item": doubtful[0].pk})
    review = ReviewItem.objects.get()
    assert "1 sent to review. Review it now" in words(after)
    assert f"/review/{project.slug}/?reason=doubt&amp;at={review.pk}" in after.content.decode()
    assert "waits there" in words(after) and "Send all 4 to review" in words(after)
    assert "waits in the review inbox already" in words(client.post(f"{address}doubtful/", {"item": doubtful[0].pk}))

    shown = client.get(f"/review/{project.slug}/?reason=doubt")
    assert re.search(r"Settled as positive from 3 answers with a posterior of 0\.\d\d", words(shown))
    assert "number 1 of 5 settled items to check first" in words(shown) and "Let it stand" in words(shown)
    client.post(f"/review/{project.slug}/{review.pk}/decide/", {"value": '"positive"'})
    send_doubts(project=project, user=reviewer, item_ids=[doubtful[1].pk, doubtful[2].pk])
    second, third = waiting(project)
    decide(review=second, value="neutral", user=reviewer)
    requeue(review=third, user=reviewer)
    for _ in range(5):
        make_annotation(doubtful[3], "negative", make_member(project))
    settle_items(project=project, item_ids=[doubtful[3].pk])
    said = words(client.get(address))
    for state in (
        "decided: it stands",
        "decided: neutral",
        "one more person is asked",
        "changed since it was measured",
    ):
        assert state in said
    assert "Send all" not in said and "of them wait" not in said


def test_a_click_that_says_nothing_is_refused(client: Client, project: Project, reviewer: Any) -> None:
    client.force_login(reviewer)
    response = client.post(f"/projects/{project.slug}/agreement/doubtful/", {"item": ["", "x", "-1"]})
    assert response.status_code == 422
    assert client.post(f"/projects/{project.slug}/agreement/doubtful/", {"item": "5"}).status_code == 404


# The API


def test_programs_send_them_too(client: Client, project: Project, doubtful: list[Item], reviewer: Any) -> None:
    address = f"/api/v1/projects/{project.slug}/agreement/doubtful/"
    key = {"headers": {"Authorization": f"Bearer {make_key(reviewer)}"}, "content_type": "application/json"}
    body = client.post(address, {"items": [doubtful[0].pk, 999_999]}, **key).json()
    review = ReviewItem.objects.get()
    assert body["opened"] == [{"id": review.pk, "item": doubtful[0].pk}]
    assert [row["item"] for row in body["left"]] == [999_999]
    assert len(client.post(address, {}, **key).json()["opened"]) == 4
    listed = client.get(f"/api/v1/projects/{project.slug}/review/?reason=doubt", **key).json()
    assert listed["total"] == 5 and listed["items"][0]["evidence"]["doubt"]["place"] == 1
    assert client.post(address, {"items": "all"}, **key).status_code == 422
    annotator = {"headers": {"Authorization": f"Bearer {make_key(make_member(project))}"}}
    assert client.post(address, {}, content_type="application/json", **annotator).status_code == 403
    stranger = {"headers": {"Authorization": f"Bearer {make_key(make_project().created_by)}"}}
    assert client.post(address, {}, content_type="application/json", **stranger).status_code == 404
