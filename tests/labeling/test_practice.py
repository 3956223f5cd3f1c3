"""Practice: a new annotator begins with known items, knows it, and hears at the end how it went."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from labeling.models import Assignment, Item, Membership, Project, Resolution
from labeling.services.annotate import skip_item, submit_annotation, undo_annotation
from labeling.services.gold import practice_of
from labeling.services.queue import LeasedItem, QueueCandidate, lease_items, release_lease, replace_queue
from tests.factories import make_items, make_key, make_member, make_project
from tests.labeling.test_gold import make_gold

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return make_project(gold_share=0.0, onboarding=5, gold_bar=0.6)


def lease(project: Project, user: Any, n: int = 6) -> list[LeasedItem]:
    return lease_items(project=project, user=user, n=n).items


def make_queue(project: Project, n: int) -> list[Item]:
    """Open items in line."""
    items = make_items(project, n)
    entries = [QueueCandidate(item.pk, "import_order") for item in items]
    replace_queue(project=project, entries=entries, batch=1, ordered_by="order")
    return items


def reasons(leased: list[LeasedItem]) -> list[str]:
    return [str(one.assignment.reason) for one in leased]


def answer(leased: list[LeasedItem], value: str = "positive") -> None:
    for one in leased:
        submit_annotation(assignment=one.assignment, value=value, client_id=f"p{one.assignment.pk}")


def practice(project: Project, user: Any) -> Any:
    return practice_of(membership=Membership.objects.get(project=project, user=user), now=timezone.now())


def test_a_new_annotator_begins_with_practice_and_goes_on_with_the_rest(project: Project) -> None:
    make_gold(project, 8)
    make_queue(project, 10)
    ann = make_member(project)
    first = lease(project, ann, 3)
    assert reasons(first) == ["practice"] * 3
    assert [one.assignment.detail for one in first] == [{"number": n, "of": 5} for n in (1, 2, 3)]
    rest = lease(project, ann, 6)
    assert reasons(rest) == ["practice", "practice", *["import_order"] * 4]
    answer([*first, *rest[:2]])
    found = practice(project, ann)
    assert (found.n_done, found.of, found.share.value, found.share.n, found.is_over) == (5, 5, 1.0, 5, True)
    assert reasons(lease(project, ann, 2)) == ["import_order"] * 2
    assert Membership.objects.get(user=ann).practised_at is not None


def test_practice_takes_open_known_items_too_and_leaves_their_value_alone(project: Project) -> None:
    items = make_items(project, 5, gold="positive")
    ann, ben = make_member(project), make_member(project)
    mine, his = lease(project, ann, 5), lease(project, ben, 5)
    assert reasons(mine) == reasons(his) == ["practice"] * 5
    answer(mine[:2], "negative")
    assert set(Resolution.objects.values_list("value", "method")) == {("positive", "known")}
    assert Item.objects.filter(pk__in=[i.pk for i in items], state="resolved").count() == 2


def test_practice_is_stratified(project: Project) -> None:
    make_gold(project, 60, "positive")
    rare = {item.pk for item in make_gold(project, 10, "negative")}
    project.onboarding = 20
    drawn = {one.assignment.item_id for one in lease(project, make_member(project), 20)}
    assert len(drawn & rare) >= 4  # three of 20 are expected without turns; so few with them once in 800


def test_with_fewer_known_items_there_is_as_much_practice_as_there_is(project: Project) -> None:
    make_gold(project, 2)
    make_queue(project, 5)
    ann = make_member(project)
    leased = lease(project, ann, 4)
    assert reasons(leased) == ["practice", "practice", "import_order", "import_order"]
    assert leased[0].assignment.detail == {"number": 1, "of": 2}
    assert practice(project, ann) is None, "nothing is done yet"
    answer(leased[:1])
    assert not practice(project, ann).is_over
    answer(leased[1:2])
    assert (practice(project, ann).of, practice(project, ann).is_over) == (2, True)
    lease(project, ann, 1)
    make_gold(project, 5)
    assert reasons(lease(project, ann, 1)) == ["import_order"], "what is over is over"


def test_without_known_items_there_is_no_practice(project: Project) -> None:
    make_items(project, 2)
    ann = make_member(project)
    assert reasons(lease(project, ann, 2)) == ["import_order"] * 2
    assert practice(project, ann) is None


def test_what_was_given_back_is_practised_later(project: Project) -> None:
    make_gold(project, 5)
    make_queue(project, 5)
    ann = make_member(project)
    leased = lease(project, ann, 6)
    answer(leased[:1])
    for one in leased[1:]:
        release_lease(assignment=one.assignment)
    again = lease(project, ann, 6)
    assert reasons(again) == [*["practice"] * 4, "import_order", "import_order"]
    assert [one.assignment.detail["number"] for one in again[:4]] == [2, 3, 4, 5]
    Assignment.objects.filter(state="leased").update(expires_at=timezone.now() - timedelta(seconds=1))
    assert reasons(lease(project, ann, 4)) == ["practice"] * 4


def test_a_skipped_practice_item_is_one_of_them(project: Project) -> None:
    make_gold(project, 6)
    ann = make_member(project)
    leased = lease(project, ann, 5)
    skip_item(assignment=leased[0].assignment, reason="unclear")
    answer(leased[1:])
    found = practice(project, ann)
    assert (found.n_done, found.share.n, found.is_over) == (5, 4, True)
    assert lease(project, ann, 1) == []


@pytest.mark.parametrize("role", ["reviewer", "owner"])
def test_reviewers_and_owners_do_not_practise(project: Project, role: str) -> None:
    make_gold(project, 5)
    (item,) = make_items(project, 1)
    user = make_member(project, role)
    assert [one.assignment.item_id for one in lease(project, user, 3)] == [item.pk]


def test_who_has_answered_before_does_not_practise(project: Project) -> None:
    _, new = make_queue(project, 2)
    ann = make_member(project)
    answer(lease(project, ann, 1))
    make_gold(project, 5)
    assert [one.assignment.item_id for one in lease(project, ann, 1)] == [new.pk]
    assert practice(project, ann) is None


def test_the_pause_applies_in_practice_as_everywhere(project: Project) -> None:
    make_gold(project, 5)
    ann = make_member(project)
    leased = lease(project, ann, 5)
    answer(leased[:4], "negative")
    assert Membership.objects.get(user=ann).paused_at is None
    answer(leased[4:], "negative")
    client = Client(headers={"authorization": f"Bearer {make_key(ann, scopes=['annotate'])}"})
    told = client.get(f"/api/v1/projects/{project.slug}/progress/").json()["mine"]["practice"]
    assert (told["done"], told["of"], told["is_over"]) == (5, 5, True)
    assert (told["share"]["value"], told["share"]["n"]) == (0.0, 5)
    assert told["share"]["high"] == pytest.approx(0.434, abs=1e-3)
    assert "0 of 5 known items were right" in told["paused"]


def test_practice_says_what_it_is_and_is_told_the_answer_when_wished(project: Project) -> None:
    Project.objects.update(gold_feedback="practice")
    make_gold(project, 5)
    ann = make_member(project)
    client = Client(headers={"authorization": f"Bearer {make_key(ann, scopes=['annotate'])}"})
    next_url = f"/api/v1/projects/{project.slug}/next/"
    (shown,) = client.post(next_url, {"n": 1}, content_type="application/json").json()["assignments"]
    assert shown["reason"] == {"code": "practice", "text": "practice 1 of 5: its answer is known"}
    body = {"value": "neutral", "client_id": "a"}
    told = client.post(f"/api/v1/assignments/{shown['id']}/submit/", body, content_type="application/json").json()
    assert told["feedback"] == {"value": "positive", "is_right": False, "note": ""}


def test_the_summary_goes_with_the_first_ordinary_answer(project: Project) -> None:
    make_gold(project, 5)
    make_queue(project, 3)
    ann = make_member(project)
    answer(lease(project, ann, 6))
    client = Client(headers={"authorization": f"Bearer {make_key(ann, scopes=['annotate'])}"})
    assert client.get(f"/api/v1/projects/{project.slug}/progress/").json()["mine"]["practice"] is None


def test_an_undone_practice_answer_is_asked_again(project: Project) -> None:
    make_gold(project, 5)
    ann = make_member(project)
    (one,) = lease(project, ann, 1)
    answer([one], "negative")
    again = undo_annotation(annotation=one.assignment.annotations.get())
    assert again.state == "leased", "although its item needs no opinion"
    submit_annotation(assignment=again, value="positive", client_id="again")
    assert practice(project, ann).share.value == 1.0


def test_the_owner_sees_who_practises_and_how_it_went(project: Project, client: Client) -> None:
    make_gold(project, 6)
    ann, ben = make_member(project), make_member(project)
    answer(lease(project, ann, 3))
    answer(lease(project, ben, 5))
    lease(project, ben, 1)
    client.force_login(project.created_by)
    page = client.get(f"/projects/{project.slug}/members/").content.decode()
    assert "in practice, 3 of 5" in page
    assert "of these in practice 100 %, 57 % to 100 %, n 5" in page
    client.force_login(ben)
    page = client.get(f"/projects/{project.slug}/mine/").content.decode()
    assert "Practice" in page and "57 % to 100 %, n = 5" in page


def test_the_settings_say_when_there_are_too_few(project: Project, client: Client) -> None:
    make_gold(project, 2)
    client.force_login(project.created_by)
    page = client.get(f"/projects/{project.slug}/settings/").content.decode()
    assert "2 known items can be drawn now." in page and "people practise on what there is" in page
    Project.objects.update(onboarding=2)
    assert "people practise" not in client.get(f"/projects/{project.slug}/settings/").content.decode()


@pytest.mark.parametrize("given", [{"onboarding": 51}, {"onboarding": -1}, {"gold_feedback": "sometimes"}])
def test_a_setting_out_of_range_is_refused(project: Project, given: dict[str, Any]) -> None:
    client = Client(headers={"authorization": f"Bearer {make_key(project.created_by)}"})
    url = f"/api/v1/projects/{project.slug}/"
    refused = client.patch(url, given, content_type="application/json")
    assert refused.status_code == 422 and set(refused.json()["error"]["fields"]) == set(given)
    changed = client.patch(url, {"onboarding": 50, "gold_feedback": "always"}, content_type="application/json").json()
    assert (changed["onboarding"], changed["gold_feedback"]) == (50, "always")


def test_a_project_without_practice_pays_nothing_for_it() -> None:
    counts = []
    for onboarding in (0, 5):
        project = make_project(gold_share=0.0, onboarding=onboarding)
        make_items(project, 3)
        ann = make_member(project)
        lease(project, ann, 1)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            lease(project, ann, 1)
        counts.append(len(queries))
    assert counts == [counts[0], counts[0] + 1], "one look at the membership, once practice is over or was not needed"
