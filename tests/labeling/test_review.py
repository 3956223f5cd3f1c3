"""What a reviewer does: decide, take the majority, ask one more, take it back. By service and by API."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from labeling.core.errors import Conflict, Invalid
from labeling.core.sides import clear_majority, sides_of
from labeling.models import Annotation, AuditEntry, Comment, Item, Project, QueueEntry, Resolution, ReviewItem
from labeling.selectors import ReviewFilter, open_reviews, own_results, reviews_with_majority
from labeling.services import annotate, queue
from labeling.services.inbox import awaiting_one_more, open_review
from labeling.services.resolve import settle_items
from labeling.services.review import decide, requeue, take_majorities, undo, undo_together
from tests.factories import make_annotation, make_item, make_key, make_member, make_project, make_user

ANYTHING = ReviewFilter()


@pytest.fixture
def two_opinions(project: Project) -> Project:
    project.overlap = 2
    project.save()
    return project


def make_dispute(project: Project, *values: Any, users: list[Any] | None = None, **item: Any) -> ReviewItem:
    """An item whose answers differ, counted as a submit would count them."""
    made = make_item(project, **item)
    people = users or [make_member(project) for _ in values]
    for value, user in zip(values, people, strict=True):
        make_annotation(made, value, user)
    settle_items(project=project, item_ids=[made.pk])
    return ReviewItem.objects.get(item=made)


@pytest.fixture
def dispute(two_opinions: Project, annotator: Any, annotator2: Any) -> ReviewItem:
    return make_dispute(two_opinions, "positive", "negative", users=[annotator, annotator2])


def current(item_id: int) -> Resolution | None:
    return Resolution.objects.filter(item_id=item_id, superseded_at__isnull=True).first()


def state_of(review: ReviewItem) -> str:
    return Item.objects.get(pk=review.item_id).state


# Deciding


def test_a_dispute_is_opened_by_the_answers(dispute: ReviewItem) -> None:
    assert (dispute.state, dispute.reason, state_of(dispute)) == ("open", "dispute", "disputed")


def test_a_decision_settles_the_item_and_leaves_the_answers(dispute: ReviewItem, reviewer: Any) -> None:
    before = list(Annotation.objects.order_by("pk").values())
    done = decide(review=dispute, value="neutral", note="  both at once ", user=reviewer)
    assert (done.state, done.closed_by, done.note) == ("decided", reviewer, "both at once")
    stands = current(dispute.item_id)
    assert stands is not None and stands == done.resolution
    assert (stands.value, stands.method, stands.user, stands.note, stands.n_annotations) == (
        "neutral",
        "adjudicated",
        reviewer,
        "both at once",
        2,
    )
    assert state_of(dispute) == "resolved"
    assert not QueueEntry.objects.filter(item_id=dispute.item_id).exists()
    assert list(Annotation.objects.order_by("pk").values()) == before
    entry = AuditEntry.objects.get(action="review.decide")
    assert (entry.actor, entry.detail["value"]) == (reviewer, "neutral")


def test_the_same_decision_again_changes_nothing(dispute: ReviewItem, reviewer: Any) -> None:
    first = decide(review=dispute, value="neutral", user=reviewer)
    again = decide(review=dispute, value="neutral", user=reviewer)
    assert again.resolution == first.resolution
    assert Resolution.objects.count() == AuditEntry.objects.filter(action="review.decide").count() == 1


def test_the_second_reviewer_learns_who_was_faster(dispute: ReviewItem, reviewer: Any, owner: Any) -> None:
    decide(review=dispute, value="positive", user=reviewer)
    for value in ("negative", "positive"):
        with pytest.raises(Conflict, match="rae has decided this one already: positive") as refused:
            decide(review=dispute, value=value, user=owner)
        assert refused.value.code == "already_decided"
    stands = current(dispute.item_id)
    assert stands is not None and stands.value == "positive"


def test_a_value_outside_the_schema_is_refused(dispute: ReviewItem, reviewer: Any) -> None:
    with pytest.raises(Invalid, match="not in the schema"):
        decide(review=dispute, value="angry", user=reviewer)
    dispute.refresh_from_db()
    assert dispute.state == "open"


def test_a_decision_becomes_the_known_answer_once(two_opinions: Project, dispute: ReviewItem, reviewer: Any) -> None:
    decide(review=dispute, value="neutral", user=reviewer, as_gold=True)
    assert Item.objects.get(pk=dispute.item_id).gold == "neutral"
    known = make_dispute(two_opinions, "positive", "negative", gold="positive")
    decide(review=known, value="neutral", user=reviewer, as_gold=True)
    assert Item.objects.get(pk=known.item_id).gold == "positive"
    for review in (dispute, known):
        undo(review=review, user=reviewer)
    assert Item.objects.get(pk=dispute.item_id).gold is None
    assert Item.objects.get(pk=known.item_id).gold == "positive"


def test_an_excluded_item_is_left_alone(dispute: ReviewItem, reviewer: Any) -> None:
    Item.objects.filter(pk=dispute.item_id).update(state="excluded")
    with pytest.raises(Conflict, match="excluded"):
        decide(review=dispute, value="positive", user=reviewer)
    assert state_of(dispute) == "excluded"


def test_later_answers_do_not_move_a_decision(two_opinions: Project, dispute: ReviewItem, reviewer: Any) -> None:
    decide(review=dispute, value="neutral", user=reviewer)
    item = Item.objects.get(pk=dispute.item_id)
    for _ in range(5):
        make_annotation(item, "positive", make_member(two_opinions))
    settle_items(project=two_opinions, item_ids=[item.pk])
    stands = current(item.pk)
    assert stands is not None and stands.value == "neutral"


# Taking back


def test_a_decision_taken_back_leaves_what_was(dispute: ReviewItem, reviewer: Any, owner: Any) -> None:
    decide(review=dispute, value="neutral", note="hm", user=reviewer)
    back = undo(review=dispute, user=owner)
    assert (back.state, back.closed_at, back.resolution, back.note) == ("open", None, None, "")
    assert set(back.evidence) == {"dispute"}
    assert current(dispute.item_id) is None and state_of(dispute) == "disputed"
    assert undo(review=dispute, user=owner).state == "open"
    assert AuditEntry.objects.filter(action="review.undo").count() == 1
    decide(review=dispute, value="positive", user=owner)
    assert ReviewItem.objects.count() == 1


def test_taken_back_after_the_answers_have_come_to_agree(
    two_opinions: Project, dispute: ReviewItem, reviewer: Any
) -> None:
    decide(review=dispute, value="negative", user=reviewer)
    item = Item.objects.get(pk=dispute.item_id)
    for _ in range(4):
        make_annotation(item, "positive", make_member(two_opinions))
    back = undo(review=dispute, user=reviewer)
    stands = current(item.pk)
    assert stands is not None and (stands.value, stands.method) == ("positive", "consensus")
    assert (back.state, state_of(dispute)) == ("closed", "resolved")
    with pytest.raises(Conflict, match="without a reviewer"):
        undo(review=dispute, user=reviewer)


def test_undoing_an_answer_does_not_undo_the_decision(two_opinions: Project, reviewer: Any, annotator: Any) -> None:
    item = make_item(two_opinions)
    make_annotation(item, "negative", make_member(two_opinions))
    assignment = queue.lease_items(project=two_opinions, user=annotator, n=1).items[0].assignment
    said = annotate.submit_annotation(assignment=assignment, value="positive", client_id="1")
    review = ReviewItem.objects.get()
    decide(review=review, value="positive", user=reviewer)
    annotate.undo_annotation(annotation=said.annotation)
    stands = current(item.pk)
    assert stands is not None and stands.method == "adjudicated"
    undo(review=review, user=reviewer)
    # One answer is left where two are wanted: nothing to review, one to ask.
    review.refresh_from_db()
    assert (review.state, state_of(review)) == ("closed", "open")
    assert QueueEntry.objects.get(item=item).needed == 1


def test_only_the_latest_decision_can_be_taken_back(dispute: ReviewItem, reviewer: Any) -> None:
    decide(review=dispute, value="neutral", user=reviewer)
    item = Item.objects.get(pk=dispute.item_id)
    flagged = open_review(
        project_id=item.project_id, item_id=item.pk, reason="flag", evidence={"n": 1}, priority=0.0, now=timezone.now()
    )
    decide(review=flagged, value="positive", user=reviewer)
    with pytest.raises(Conflict, match="later decision"):
        undo(review=dispute, user=reviewer)
    undo(review=flagged, user=reviewer)
    # The earlier word stands again.
    stands = current(item.pk)
    assert stands is not None and (stands.value, stands.method) == ("neutral", "adjudicated")
    assert state_of(dispute) == "resolved"


def test_a_review_opened_since_joins_the_one_that_is_taken_back(dispute: ReviewItem, reviewer: Any) -> None:
    decide(review=dispute, value="neutral", user=reviewer)
    item = dispute.item
    open_review(
        project_id=item.project_id, item_id=item.pk, reason="flag", evidence={"n": 1}, priority=0.0, now=timezone.now()
    )
    back = undo(review=dispute, user=reviewer)
    assert set(back.evidence) == {"dispute", "flag"}
    assert ReviewItem.objects.get() == back


# One more opinion


def test_one_more_opinion_comes_first_and_settles_it(two_opinions: Project, dispute: ReviewItem, reviewer: Any) -> None:
    make_item(two_opinions)
    helper = make_member(two_opinions)
    queue.lease_items(project=two_opinions, user=make_member(two_opinions), n=1)
    put = requeue(review=dispute, note="ask a native speaker", user=reviewer)
    assert (put.state, state_of(dispute)) == ("requeued", "open")
    assert awaiting_one_more(item_ids=[dispute.item_id]) == {dispute.item_id}
    assert requeue(review=dispute, user=reviewer).state == "requeued"
    entry = QueueEntry.objects.get(item_id=dispute.item_id)
    assert (entry.needed, entry.reason) == (1, "second_opinion")
    leased = queue.lease_items(project=two_opinions, user=helper, n=1).items[0].assignment
    assert leased.item_id == dispute.item_id
    done = annotate.submit_annotation(assignment=leased, value="positive", client_id="1")
    assert done.item_state == "resolved"
    assert awaiting_one_more(item_ids=[dispute.item_id]) == set()
    with pytest.raises(Conflict, match="further opinion has come"):
        undo(review=dispute, user=reviewer)


def test_counting_the_same_answers_again_does_not_end_the_wait(
    two_opinions: Project, dispute: ReviewItem, reviewer: Any
) -> None:
    requeue(review=dispute, user=reviewer)
    before = QueueEntry.objects.values().get(item_id=dispute.item_id)
    settle_items(project=two_opinions, item_ids=[dispute.item_id])
    assert QueueEntry.objects.values().get(item_id=dispute.item_id) == before
    assert state_of(dispute) == "open"
    # An imported answer counts from when it came, whenever it was given.
    long_ago = timezone.now() - timedelta(days=400)
    make_annotation(dispute.item, "neutral", None, rater="outside", created_at=long_ago)
    settle_items(project=two_opinions, item_ids=[dispute.item_id])
    assert state_of(dispute) == "disputed"


def test_a_new_order_leaves_it_in_front(two_opinions: Project, dispute: ReviewItem, reviewer: Any) -> None:
    others = [make_item(two_opinions) for _ in range(3)]
    requeue(review=dispute, user=reviewer)
    candidates = [queue.QueueCandidate(item.pk, "random") for item in others]
    # Whatever stands in front now, a half-answered item too.
    make_annotation(others[0], "positive", make_member(two_opinions))
    for batch in (1, 2):
        queue.replace_queue(project=two_opinions, entries=candidates, batch=batch, ordered_by="model 1")
    leased = queue.lease_items(project=two_opinions, user=make_member(two_opinions), n=4).items
    assert [one.assignment.item_id for one in leased][0] == dispute.item_id
    assert len(leased) == 4


def test_when_they_differ_still_it_comes_back(two_opinions: Project, dispute: ReviewItem, reviewer: Any) -> None:
    helper = make_member(two_opinions)
    requeue(review=dispute, user=reviewer)
    leased = queue.lease_items(project=two_opinions, user=helper, n=1).items[0].assignment
    annotate.submit_annotation(assignment=leased, value="neutral", client_id="1")
    again = ReviewItem.objects.get(item_id=dispute.item_id, state="open")
    assert again.pk != dispute.pk and state_of(again) == "disputed"


def test_a_requeue_taken_back(dispute: ReviewItem, reviewer: Any, owner: Any) -> None:
    requeue(review=dispute, user=reviewer)
    with pytest.raises(Conflict, match="rae has asked one more person"):
        decide(review=dispute, value="positive", user=owner)
    assert undo(review=dispute, user=reviewer).state == "open"
    assert state_of(dispute) == "disputed"
    assert not QueueEntry.objects.filter(item_id=dispute.item_id).exists()


def test_nobody_left_to_ask(two_opinions: Project, annotator: Any, annotator2: Any, owner: Any) -> None:
    rest = [m.user for m in two_opinions.memberships.exclude(user__in=[annotator, annotator2])]
    review = make_dispute(
        two_opinions,
        "positive",
        "negative",
        *["neutral"] * len(rest),
        users=[annotator, annotator2, *rest],
    )
    with pytest.raises(Conflict, match="Everybody in this project"):
        requeue(review=review, user=owner)


# Many at once


def test_sides_and_majorities() -> None:
    sides = sides_of(["b", "a", "b", ["x", "y"]])
    assert [(side.letter, side.value, side.places) for side in sides] == [
        ("A", "b", (0, 2)),
        ("B", "a", (1,)),
        ("C", ["x", "y"], (3,)),
    ]
    assert clear_majority(["a", "a", "b"]) == "a"
    assert clear_majority(["a", "a"]) is None
    assert clear_majority(["a", "a", "b", "b"]) is None
    assert clear_majority([1, 1, -1, 1, 2, 3]) is None


def open_flagged(project: Project, *values: Any) -> ReviewItem:
    item = make_item(project)
    for value in values:
        make_annotation(item, value, make_member(project))
    facts: dict[str, Any] = {"reason": "flag", "evidence": {"n": 1}, "priority": 0.5, "now": timezone.now()}
    return open_review(project_id=project.pk, item_id=item.pk, **facts)


def test_majorities_are_taken_and_taken_back_together(two_opinions: Project, reviewer: Any) -> None:
    clear = [open_flagged(two_opinions, "positive", "positive", "negative") for _ in range(3)]
    split = open_flagged(two_opinions, "positive", "negative", "neutral")
    found = reviews_with_majority(project=two_opinions, wanted=ANYTHING, n=50)
    assert [(one.pk, value, n_same, n) for one, value, n_same, n in found] == [
        (one.pk, "positive", 2, 3) for one in clear
    ]
    # One gets another answer, and one is decided, between the look and the act.
    for _ in range(2):
        make_annotation(clear[0].item, "negative", make_member(two_opinions))
    taken = take_majorities(chosen=[(one, "positive") for one in [*clear, split]], user=reviewer)
    assert (taken.n_decided, taken.n_left) == (2, 2)
    assert set(ReviewItem.objects.filter(state="decided")) == set(clear[1:])
    taken = undo_together(review=ReviewItem.objects.get(pk=clear[1].pk), user=reviewer)
    assert (taken.n_undone, taken.left) == (2, [])
    assert not ReviewItem.objects.filter(state="decided").exists()


def test_what_is_left_of_several_taken_back_is_named(two_opinions: Project, reviewer: Any) -> None:
    clear = [open_flagged(two_opinions, "positive", "positive", "negative") for _ in range(3)]
    take_majorities(chosen=[(one, "positive") for one in clear], user=reviewer)
    later = open_review(
        project_id=two_opinions.pk, item_id=clear[1].item_id, reason="flag", evidence={}, priority=0, now=timezone.now()
    )
    decide(review=later, value="negative", user=reviewer)
    taken = undo_together(review=ReviewItem.objects.get(pk=clear[0].pk), user=reviewer)
    assert taken.n_undone == 2
    assert [(one.pk, why) for one, why in taken.left] == [
        (clear[1].pk, "A later decision about this item stands. Take that back first.")
    ]


# Flags


def test_a_flag_opens_a_review_and_a_comment_does_not(project: Project, annotator: Any, annotator2: Any) -> None:
    items = [make_item(project) for _ in range(4)]
    leased = [one.assignment for one in queue.lease_items(project=project, user=annotator, n=4).items]
    annotate.submit_annotation(assignment=leased[0], value="positive", client_id="1", comment="odd", is_flag=True)
    annotate.submit_annotation(assignment=leased[1], value="positive", client_id="2", comment="fine")
    annotate.skip_item(assignment=leased[2], reason="", is_flag=True)
    annotate.comment_on_item(assignment=leased[3], text="look", is_flag=True)
    annotate.comment_on_item(assignment=leased[3], text="again", is_flag=True)
    reviews = {review.item_id: review for review in ReviewItem.objects.all()}
    assert set(reviews) == {items[0].pk, items[2].pk, items[3].pk}
    assert reviews[items[3].pk].evidence == {"flag": {"n": 2}}
    assert {review.reason for review in reviews.values()} == {"flag"}
    assert Comment.objects.count() == 5
    assert state_of(reviews[items[0].pk]) == "resolved"


def test_a_flag_and_a_dispute_are_one_review(dispute: ReviewItem, reviewer: Any) -> None:
    joined = open_review(
        project_id=dispute.project_id,
        item_id=dispute.item_id,
        reason="flag",
        evidence={"n": 1},
        priority=0.0,
        now=timezone.now(),
    )
    assert joined.pk == dispute.pk
    assert (joined.reason, set(joined.evidence)) == ("dispute", {"dispute", "flag"})


def test_a_flagged_item_stays_in_the_inbox_when_its_dispute_is_over(
    two_opinions: Project, dispute: ReviewItem, annotator2: Any
) -> None:
    open_review(
        project_id=dispute.project_id,
        item_id=dispute.item_id,
        reason="flag",
        evidence={"n": 1},
        priority=0.0,
        now=timezone.now(),
    )
    for _ in range(4):
        make_annotation(dispute.item, "positive", make_member(two_opinions))
    settle_items(project=two_opinions, item_ids=[dispute.item_id])
    dispute.refresh_from_db()
    assert (dispute.state, dispute.reason, set(dispute.evidence)) == ("open", "flag", {"flag"})


# Filters


def found(project: Project, **wanted: Any) -> list[int]:
    return [review.pk for review in open_reviews(project=project, wanted=ReviewFilter(**wanted))]


def test_filters(two_opinions: Project, annotator: Any, annotator2: Any) -> None:
    project = two_opinions
    cat = make_member(project)
    one = make_dispute(project, "positive", "negative", users=[annotator, annotator2], meta={"lang": "en", "n": 7})
    two = make_dispute(project, "positive", "neutral", users=[annotator, cat], meta={"lang": "de", "a__b": "x"})
    flag = open_flagged(project)
    assert set(found(project)) == {one.pk, two.pk, flag.pk}
    assert found(project, reason="flag") == [flag.pk]
    assert found(project, labels=("negative", "positive")) == [one.pk]
    assert set(found(project, labels=("positive",))) == {one.pk, two.pk}
    ann, ben, kit = (f"user:{user.pk}" for user in (annotator, annotator2, cat))
    assert found(project, people=(ann, kit)) == [two.pk]
    assert found(project, people=(ben,)) == [one.pk]
    assert found(project, people=(ben, kit)) == []
    assert found(project, people=("user:x",)) == found(project, people=("rater:nobody",)) == []
    assert found(project, people=("user:²",)) == []  # a digit to Python and no number
    assert found(project, segment=("lang", "de")) == [two.pk]
    assert found(project, segment=("n", "7")) == [one.pk]
    assert found(project, segment=("a__b", "x")) == [two.pk]
    assert found(project, segment=("0", "x")) == []


def test_two_people_who_said_the_same_have_nothing_between_them(
    two_opinions: Project, annotator: Any, annotator2: Any
) -> None:
    review = open_flagged(two_opinions)
    for user in (annotator, annotator2):
        make_annotation(review.item, "positive", user)
    make_annotation(review.item, "negative", None, rater="outside")
    ann, ben = f"user:{annotator.pk}", f"user:{annotator2.pk}"
    assert found(two_opinions, people=(ann, ben)) == []
    assert found(two_opinions, people=(ann, "rater:outside")) == [review.pk]


@pytest.mark.parametrize("label", ["ärger", 'a "quoted" one', "plain"])
def test_filter_by_one_of_several_labels(owner: Any, label: str) -> None:
    project = make_project(owner, kind="choices", config={"labels": [label, "other", label + "er"]}, overlap=2)
    wanted = make_dispute(project, [label], ["other"])
    make_dispute(project, [label + "er"], ["other"])
    assert found(project, labels=(label,)) == [wanted.pk]


def test_filter_by_the_points_of_a_scale(owner: Any) -> None:
    project = make_project(owner, kind="rating", config={"min": -4, "max": 14}, overlap=2)
    wanted = make_dispute(project, 1, -4)
    make_dispute(project, 14, -4)
    assert found(project, labels=(1, -4)) == [wanted.pk]


# The API


def call(client: Client, path: str, key: str, body: Any = None) -> Any:
    headers = {"Authorization": f"Bearer {key}"}
    if body is None:
        return client.get(f"/api/v1/{path}", headers=headers)
    return client.post(f"/api/v1/{path}", body, content_type="application/json", headers=headers)


def test_the_inbox_by_api(client: Client, two_opinions: Project, dispute: ReviewItem, reviewer: Any) -> None:
    key = make_key(reviewer, two_opinions)
    body = call(client, "projects/tweets/review/", key).json()
    assert (body["total"], body["next"]) == (1, None)
    shown = body["items"][0]
    assert (shown["id"], shown["reason"], shown["reasons"]) == (dispute.pk, "dispute", ["dispute"])
    assert shown["item"]["data"] == dispute.item.data and shown["suggestion"] is None
    assert {(a["annotator"], a["value"]) for a in shown["answers"]} == {("A1", "negative"), ("B1", "positive")}
    assert "'ben'" not in str(shown)
    named = call(client, "projects/tweets/review/?names=true", key).json()["items"][0]
    assert {(a["annotator"], a["value"]) for a in named["answers"]} == {("ben", "negative"), ("ann", "positive")}
    done = call(client, f"review/{dispute.pk}/resolve/", key, {"value": "neutral", "note": "x"})
    assert done.status_code == 200
    assert done.json()["review"] == {"id": dispute.pk, "state": "decided", "note": "x"}
    assert (done.json()["item"]["state"], done.json()["resolution"]["value"]) == ("resolved", "neutral")
    assert call(client, f"review/{dispute.pk}/resolve/", key, {"value": "neutral"}).status_code == 200
    after = call(client, "projects/tweets/review/", key).json()
    assert (after["items"], after["total"], after["next"]) == ([], 0, None)
    back = call(client, f"review/{dispute.pk}/undo/", key, {})
    assert (back.status_code, back.json()["review"]["state"], back.json()["resolution"]) == (200, "open", None)
    assert call(client, f"review/{dispute.pk}/requeue/", key, {}).json()["item"]["state"] == "open"


def test_refusals_by_api(
    client: Client, two_opinions: Project, dispute: ReviewItem, reviewer: Any, owner: Any, annotator: Any, outsider: Any
) -> None:
    path = f"review/{dispute.pk}/resolve/"
    key = make_key(reviewer, two_opinions)
    wrong = call(client, path, key, {"value": "angry"})
    assert (wrong.status_code, wrong.json()["error"]["fields"]) == (422, {"value": "not allowed"})
    assert call(client, path, key, {}).status_code == 422
    assert call(client, path, make_key(annotator, two_opinions), {"value": "neutral"}).status_code == 404
    assert call(client, path, make_key(outsider), {"value": "neutral"}).status_code == 404
    elsewhere = make_project(reviewer)
    assert call(client, path, make_key(reviewer, elsewhere), {"value": "neutral"}).status_code == 404
    assert call(client, "projects/tweets/review/", make_key(annotator, two_opinions)).status_code == 403
    assert call(client, path, key, {"value": "neutral"}).status_code == 200
    late = call(client, path, make_key(owner, two_opinions), {"value": "positive"})
    assert late.status_code == 409
    assert late.json()["error"] == {
        "code": "already_decided",
        "message": "rae has decided this one already: neutral. That stands; take it back first to decide otherwise.",
        "fields": {},
    }
    for query in ("n=0", "n=x", "reason=mood", "segment=x"):
        assert call(client, f"projects/tweets/review/?{query}", key).status_code == 422


def test_the_inbox_goes_on_by_its_address(client: Client, two_opinions: Project, reviewer: Any) -> None:
    expected = [open_flagged(two_opinions).pk for _ in range(5)]
    key = make_key(reviewer, two_opinions)
    seen, path = [], "projects/tweets/review/?n=2&reason=flag"
    while path:
        body = call(client, path, key).json()
        assert body["total"] == 5
        seen += [one["id"] for one in body["items"]]
        path = (body["next"] or "").removeprefix("/api/v1/")
    assert seen == expected


# Races, on rows that are really locked


@pytest.mark.django_db(transaction=True)
def test_of_two_reviewers_at_once_one_decides() -> None:
    owner = make_user()
    project = make_project(owner, overlap=2)
    review = make_dispute(project, "positive", "negative")
    people = [make_member(project, "reviewer") for _ in range(4)]
    refused: list[str] = []
    start = threading.Barrier(len(people))

    def go(person: Any, value: str) -> None:
        start.wait()
        try:
            decide(review=ReviewItem.objects.get(pk=review.pk), value=value, user=person)
        except Conflict as error:
            refused.append(error.code)
        finally:
            connection.close()

    values = ["positive", "negative", "neutral", "positive"]
    threads = [threading.Thread(target=go, args=(p, v)) for p, v in zip(people, values, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused == ["already_decided"] * 3
    assert Resolution.objects.filter(item_id=review.item_id, superseded_at__isnull=True).count() == 1


# One's own results


def test_own_results_have_an_interval_and_count_shared_items_only(
    two_opinions: Project, annotator: Any, annotator2: Any, reviewer: Any
) -> None:
    assert own_results(project=two_opinions, user=annotator).agreement is None
    alone = make_item(two_opinions)
    make_annotation(alone, "positive", annotator, seconds=3.0)
    agreed = make_item(two_opinions)
    for user in (annotator, annotator2):
        make_annotation(agreed, "positive", user, seconds=5.0)
    settle_items(project=two_opinions, item_ids=[agreed.pk])
    lost = make_dispute(two_opinions, "positive", "negative", users=[annotator, annotator2])
    decide(review=lost, value="negative", user=reviewer)
    make_annotation(make_item(two_opinions), "positive", annotator, withdrawn_at=timezone.now() + timedelta(1))
    mine = own_results(project=two_opinions, user=annotator)
    assert (mine.n, mine.seconds, mine.n_timed) == (3, 4.0, 2)
    assert mine.agreement is not None and (mine.agreement.value, mine.agreement.n) == (0.5, 2)
    assert 0 < mine.agreement.low < 0.5 < mine.agreement.high < 1
    # The decision is theirs, and what the other one said is not: it is the others who are compared.
    theirs = own_results(project=two_opinions, user=annotator2).agreement
    assert theirs is not None and (theirs.value, theirs.n) == (0.5, 2)


def test_own_results_leave_ones_own_answer_out(two_opinions: Project, annotator: Any) -> None:
    others = [make_member(two_opinions) for _ in range(3)]
    for said in (["positive", "positive", "negative"], ["positive", "negative"], ["negative", "negative", "negative"]):
        item = make_item(two_opinions, state="resolved")
        make_annotation(item, "positive", annotator)
        for value, user in zip(said, others, strict=False):
            make_annotation(item, value, user)
    make_annotation(open_item := make_item(two_opinions), "positive", annotator)
    make_annotation(open_item, "negative", others[0])  # nobody may read an open dispute from a number
    mine = own_results(project=two_opinions, user=annotator)
    assert mine.agreement is not None and (mine.agreement.value, mine.agreement.n, mine.n_tied) == (0.5, 2, 1)
