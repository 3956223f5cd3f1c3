"""A second look at old labels: drawn at random, judged again blind, undone, closed."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from labeling.core.errors import Conflict, Invalid
from labeling.models import (
    AgreementReport,
    Annotation,
    Assignment,
    AuditEntry,
    Item,
    Job,
    Membership,
    Project,
    Resolution,
    SecondLook,
    SecondLookItem,
    Suggestion,
)
from labeling.services.agreement import check_agreement, measure_agreement, request_agreement
from labeling.services.annotate import skip_item, submit_annotation, undo_annotation, unskip_item
from labeling.services.export import export_rows
from labeling.services.projects import change_schema, remove_member
from labeling.services.queue import lease_items, release_lease
from labeling.services.second_look import close_second_look, queue_second_look
from tests.factories import make_annotation, make_item, make_items, make_key, make_member, make_project

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Any:
    return make_project(gold_share=0.0, audit_share=0.0)


def label_all(project: Project, user: Any, value: str = "positive") -> list[Annotation]:
    """Answers of one person to everything that is in the queue for them."""
    given = []
    while leased := lease_items(project=project, user=user, n=20).items:
        given += [answer(one.assignment, value) for one in leased]
    return given


def answer(assignment: Assignment, value: str) -> Annotation:
    done = submit_annotation(assignment=assignment, value=value, client_id=f"c{assignment.pk}-{value}")
    return done.annotation


def new_version(project: Project) -> None:
    change_schema(project=project, actor=project.created_by, guidelines="Irony counts as negative.")


def look_at(project: Project, n: int = 100, **wanted: Any) -> SecondLook:
    return queue_second_look(project=project, actor=project.created_by, n=n, **wanted)


def again(project: Project, user: Any, n: int = 20) -> list[Assignment]:
    """What the person is given until nothing comes or there are `n`. Most tests have nothing else in the queue."""
    given: list[Assignment] = []
    while len(given) < n and (leased := lease_items(project=project, user=user, n=n - len(given)).items):
        given += [one.assignment for one in leased]
    return given


def only(look: SecondLook) -> SecondLookItem:
    return look.items.get()


def live(item: Item) -> list[tuple[Any, Any]]:
    return list(Annotation.objects.live().filter(item=item).order_by("id").values_list("user_id", "value"))


def current(item: Item) -> Any:
    item.refresh_from_db()
    found = Resolution.objects.filter(item=item, superseded_at=None).first()
    return item.state, found.value if found else None


# Drawing the sample


def test_the_sample_is_drawn_from_items_with_a_label_under_an_older_version(project: Project) -> None:
    ann = make_member(project)
    old = make_items(project, 6)
    label_all(project, ann)
    excluded = old[0]
    Item.objects.filter(pk=excluded.pk).update(state=Item.State.EXCLUDED)
    known = make_item(project, gold="positive")
    make_annotation(known, "positive", rater="x")
    new_version(project)
    make_items(project, 3)
    label_all(project, ann)

    look = look_at(project, 4)
    assert (look.n_of, look.items.count()) == (5, 4)
    assert set(look.items.values_list("propensity", flat=True)) == {0.8}
    assert {one.item_id for one in look.items.all()} <= {item.pk for item in old[1:]}
    entry = AuditEntry.objects.get(action="second_look.queue")
    assert entry.detail == {"n": 4, "of": 5, "version": None}


def test_items_are_drawn_alike_however_many_labels_they_have(project: Project) -> None:
    many, few = make_items(project, 2)
    for rater in "abcdefgh":
        make_annotation(many, "positive", rater=rater)
    make_annotation(few, "negative", rater="a")
    new_version(project)
    n_few = 0
    for _ in range(40):
        look = look_at(project, 1)
        one = only(look)
        n_few += one.item_id == few.pk
        assert one.propensity == (0.5 if one.item_id == few.pk else 0.5 / 8)
        close_second_look(look=look, actor=None)
    assert 8 <= n_few <= 32  # 20 are expected; further away by chance twice in 10,000


def test_one_older_version_can_be_chosen(project: Project) -> None:
    for version in (1, 2, 3):
        make_annotation(make_item(project), "positive", rater="a")
        change_schema(project=project, actor=None, guidelines=f"After version {version}")
    assert look_at(project, 10, version=2).items.get().old.schema.version == 2
    close_second_look(look=SecondLook.objects.get(), actor=None)
    assert sorted(one.old.schema.version for one in look_at(project, 10).items.all()) == [1, 2, 3]


def test_what_cannot_be_looked_at_is_refused(project: Project) -> None:
    make_annotation(make_item(project), "positive", rater="a")
    with pytest.raises(Conflict, match="No label was given under an older version"):
        look_at(project)
    new_version(project)
    for n in (0, 2_001):
        with pytest.raises(Invalid, match="Between 1 and 2,000"):
            look_at(project, n)
    with pytest.raises(Invalid, match="no older version 2"):
        look_at(project, version=2)
    look_at(project)
    with pytest.raises(Conflict, match="open already"):
        look_at(project)
    assert SecondLook.objects.count() == 1


# Handing it out


def test_whoever_gave_the_label_judges_it_again_blind_and_only_once(project: Project, client: Client) -> None:
    ann, ben = make_member(project), make_member(project)
    items = make_items(project, 3)
    label_all(project, ann)
    for item in items:
        Suggestion.objects.create(project=project, item=item, value="negative", source="model 1")
    new_version(project)
    look_at(project)
    assert again(project, ben) == []
    headers = {"authorization": f"Bearer {make_key(ann, scopes=['annotate'])}"}
    url, given = f"/api/v1/projects/{project.slug}/next/", []
    for _ in range(10):
        body = client.post(url, {"n": 5}, content_type="application/json", headers=headers).json()
        given += body["assignments"]
    assert {one["item"]["id"] for one in given} == {item.pk for item in items}
    assert {one["suggestion"] for one in given} == {None}
    # As any other item of a queue that no model has put in order: nothing tells them apart.
    assert {one["reason"]["code"] for one in given} == {"import_order"}
    assert set(Assignment.objects.filter(state="leased").values_list("reason", "propensity")) == {("second_look", 1.0)}
    assert again(project, ann) == []


def test_they_come_among_the_others(project: Project) -> None:
    ann = make_member(project)
    make_items(project, 30)
    label_all(project, ann)
    new_version(project)
    make_items(project, 100)
    look_at(project)
    lease_items(project=project, user=make_member(project), n=1)  # fills the queue
    reasons = [one.reason for _ in range(2) for one in again(project, ann, 20)]
    assert len(reasons) == 40
    assert 8 <= reasons.count("second_look") <= 30  # 20 are expected; further away by chance once in 10,000


def test_a_label_without_an_author_who_can_be_asked_goes_to_anybody_else(project: Project) -> None:
    ann, ben, cleo = (make_member(project) for _ in range(3))
    left, paused, imported = make_items(project, 3)
    gone = make_member(project)
    make_annotation(left, user=gone)
    remove_member(membership=Membership.objects.get(user=gone), actor=None)
    make_annotation(paused, user=ben)
    Membership.objects.filter(user=ben).update(paused_at=timezone.now())
    make_annotation(imported, rater="elsewhere")
    Item.objects.filter(project=project).update(state="resolved")
    new_version(project)
    look = look_at(project)
    assert again(project, ben) == []
    mine = again(project, ann)
    assert {one.item_id for one in mine} == {left.pk, paused.pk, imported.pk}
    assert again(project, cleo) == [], "each is held by somebody"
    for one in mine:
        answer(one, "negative")
    assert again(project, cleo) == []
    look.refresh_from_db()
    assert look.closed_at is not None
    assert live(paused) == [(ben.pk, "positive"), (ann.pk, "negative")], "one more opinion"


def test_what_its_author_skips_goes_to_others_and_what_is_released_or_runs_out_comes_back(project: Project) -> None:
    ann, ben = make_member(project), make_member(project)
    make_items(project, 3)
    label_all(project, ann)
    new_version(project)
    look_at(project)
    skipped, released, late = again(project, ann)
    skip_item(assignment=skipped, reason="unclear")
    release_lease(assignment=released)
    Assignment.objects.filter(pk=late.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert {one.item_id for one in again(project, ben)} == {skipped.item_id}
    assert {one.item_id for one in again(project, ann)} == {released.item_id, late.item_id}
    unskip_item(assignment=skipped)
    skipped.refresh_from_db()
    assert skipped.state == "expired", "somebody else holds it by now"


def test_a_project_without_a_look_pays_nothing(project: Project) -> None:
    ann = make_member(project)
    make_items(project, 10)
    with CaptureQueriesContext(connection) as before:
        assignment = again(project, ann, 1)[0]
        answer(assignment, "positive")
    assert not [query["sql"] for query in before if "secondlook" in query["sql"]]


# Answering it


def test_the_same_person_replaces_their_answer_and_the_item_is_settled_again(project: Project) -> None:
    ann = make_member(project)
    (item,) = make_items(project, 1)
    (old,) = label_all(project, ann, "positive")
    new_version(project)
    look = look_at(project)
    (assignment,) = again(project, ann)
    new = answer(assignment, "negative")
    assert live(item) == [(ann.pk, "negative")]
    assert current(item) == ("resolved", "negative")
    assert (new.schema.version, only(look).new_id) == (2, new.pk)
    old.refresh_from_db()
    assert (old.value, old.withdrawn_at is None) == ("positive", False), "kept, and counted nowhere"
    look.refresh_from_db()
    project.refresh_from_db()
    assert look.closed_at is not None and project.open_second_look_id is None, "it was the last one"


def test_an_adjudicated_item_stands(project: Project) -> None:
    ann = make_member(project)
    (item,) = make_items(project, 1)
    label_all(project, ann, "positive")
    Resolution.objects.filter(item=item).update(method="adjudicated")
    new_version(project)
    look_at(project)
    answer(again(project, ann)[0], "negative")
    assert current(item) == ("resolved", "positive")


def test_undoing_the_second_answer_brings_the_first_back(project: Project) -> None:
    ann = make_member(project)
    (item,) = make_items(project, 1)
    label_all(project, ann, "positive")
    new_version(project)
    look = look_at(project)
    (assignment,) = again(project, ann)
    new = answer(assignment, "negative")
    assert undo_annotation(annotation=new).state == "leased"
    assert live(item) == [(ann.pk, "positive")]
    assert current(item) == ("resolved", "positive")
    assert only(look).new_id is None
    undo_annotation(annotation=new)
    assert live(item) == [(ann.pk, "positive")], "twice does no harm"
    third = answer(assignment, "neutral")
    assert live(item) == [(ann.pk, "neutral")]
    assert only(look).new_id == third.pk


def test_two_looks_after_each_other_are_undone_one_by_one(project: Project) -> None:
    ann = make_member(project)
    (item,) = make_items(project, 1)
    given = label_all(project, ann, "positive")
    for value, guidelines in (("negative", "two"), ("neutral", "three")):
        change_schema(project=project, actor=None, guidelines=guidelines)
        look_at(project)
        given.append(answer(again(project, ann)[0], value))
    with pytest.raises(Conflict, match="judged this item again"):
        undo_annotation(annotation=given[1])
    for place, before in ((2, "negative"), (1, "positive")):
        undo_annotation(annotation=given[place])
        assert live(item) == [(ann.pk, before)]
    assert set(SecondLookItem.objects.values_list("new", flat=True)) == {None}


def test_an_old_label_that_is_taken_back_is_not_judged_again(project: Project) -> None:
    project.overlap = 2
    project.save()
    ann = make_member(project)
    make_items(project, 2)
    old, _ = label_all(project, ann)
    new_version(project)
    look = look_at(project)
    held = {one.item_id: one for one in again(project, ann)}
    first = undo_annotation(annotation=old)
    assert first.state == "leased", "they want this one back"
    held[old.item_id].refresh_from_db()
    assert held[old.item_id].state == "released"
    late = answer(held[old.item_id], "negative")
    assert late.is_late and look.items.get(item=old.item_id).new_id is None
    with pytest.raises(Conflict):
        answer(first, "neutral")
    assert live(old.item) == [(ann.pk, "negative")]
    answer(next(one for item_id, one in held.items() if item_id != old.item_id), "neutral")
    look.refresh_from_db()
    assert look.closed_at is not None, "nothing else waits"


def test_what_rests_on_a_label_of_somebody_else_goes_when_that_is_taken_back(project: Project) -> None:
    ann, ben = make_member(project), make_member(project)
    make_items(project, 1)
    (old,) = label_all(project, ann)
    new_version(project)
    look = look_at(project)
    skip_item(assignment=again(project, ann)[0], reason="")
    new = answer(again(project, ben)[0], "negative")
    assert only(look).new_id == new.pk
    undo_annotation(annotation=old)
    assert only(look).new_id is None
    new.refresh_from_db()
    assert new.withdrawn_at is None, "it stays an opinion"


def test_closing_keeps_what_was_answered_and_what_is_held(project: Project) -> None:
    ann = make_member(project)
    make_items(project, 3)
    label_all(project, ann)
    new_version(project)
    look = look_at(project)
    first, second = again(project, ann, 2)
    answer(first, "negative")
    close_second_look(look=look, actor=project.created_by)
    close_second_look(look=look, actor=project.created_by)
    assert AuditEntry.objects.filter(action="second_look.close").count() == 1
    project.refresh_from_db()
    assert again(project, ann) == []
    answer(second, "positive")
    assert look.items.filter(new__isnull=False).count() == 2
    queue_second_look(project=project, actor=None, n=1)


def test_a_second_answer_of_somebody_else_is_one_more_opinion(project: Project) -> None:
    ann, ben = make_member(project), make_member(project)
    item = make_item(project, state="resolved")
    make_annotation(item, rater="elsewhere")
    new_version(project)
    look = look_at(project)
    (first,) = again(project, ann)
    Assignment.objects.filter(pk=first.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    (second,) = again(project, ben)
    new = answer(second, "negative")
    answer(Assignment.objects.select_related("project").get(pk=first.pk), "neutral")
    assert only(look).new_id == new.pk
    assert len(live(item)) == 3


# What came of it


def judge_again(project: Project, ann: Any, n: int, n_changed: int) -> SecondLook:
    """A look at `n` labels of one person, of whom they change some."""
    make_items(project, n)
    label_all(project, ann, "positive")
    new_version(project)
    look = look_at(project)
    for place, assignment in enumerate(again(project, ann, n)):
        answer(assignment, "negative" if place < n_changed else "positive")
    return look


def test_the_page_queues_shows_and_closes(project: Project, client: Client) -> None:
    owner, ann, rae = project.created_by, make_member(project), make_member(project, "reviewer")
    url = f"/projects/{project.slug}/settings/schema/second-look/"
    client.force_login(owner)
    assert "There is one version" in client.get(url).content.decode()
    response = client.post(url, {"n": 10})
    assert response.status_code == 422 and "No label was given" in response.content.decode()
    make_items(project, 30)
    label_all(project, ann)
    new_version(project)
    page = client.get(url).content.decode()
    assert "version 1 (30 labels)" in page and "100 to about ±8" in page
    response = client.post(url, {"version": "1", "n": "0"})
    assert response.status_code == 422 and "greater than or equal to 1" in response.content.decode()
    assert client.post(url, {"version": "1", "n": "25"}).status_code == 302
    project.refresh_from_db()
    page = client.get(url).content.decode()
    assert "0 of 25" in page and f"25 for {ann.get_username()}" in page and "Nobody has judged" in page
    assert "being judged again" in client.get(f"/projects/{project.slug}/settings/schema/").content.decode()
    response = client.post(url, {"version": "1", "n": "5"})
    assert response.status_code == 422 and "open already" in response.content.decode()
    for place, assignment in enumerate(again(project, ann, 22)):
        answer(assignment, "negative" if place < 11 else "positive")
    client.force_login(rae)
    page = client.get(url).content.decode()
    assert "Under version 2 people answer otherwise on 50 %" in page and "11 of 22" in page
    assert "not measured yet" in page and "Close it now" not in page
    client.force_login(owner)
    look = SecondLook.objects.get()
    assert client.post(f"{url}{look.pk}/close/").status_code == 302
    page = client.get(url).content.decode()
    assert "ended" in page and "Have old labels judged again" in page
    lines = client.get(f"{url}{look.pk}/pairs.csv").content.decode().splitlines()
    assert len(lines) == 23 and sum(",false," in line for line in lines) == 11
    rows = client.get(f"{url}{look.pk}/pairs.json").json()
    assert {(row["old_value"], row["old_version"], row["new_version"], row["by_author"]) for row in rows} == {
        ("positive", 1, 2, True)
    }
    assert client.get(f"{url}{look.pk}/pairs.pdf").status_code == 404


def test_labels_that_the_edit_removed_and_added_are_named(client: Client) -> None:
    project = make_project(audit_share=0.0, gold_share=0.0, config={"labels": ["good", "bad", "meh"]})
    ann = make_member(project)
    make_items(project, 20)
    label_all(project, ann, "meh")
    change_schema(project=project, actor=None, config={"labels": ["good", "bad", "mixed"]})
    look_at(project)
    for assignment in again(project, ann):
        answer(assignment, "mixed")
    client.force_login(project.created_by)
    page = client.get(f"/projects/{project.slug}/settings/schema/second-look/").content.decode()
    assert "Removed:" in page and "Added:" in page and "20 of these 20 had to change" in page


def test_alpha_is_measured_when_a_look_has_ended(project: Project, client: Client) -> None:
    ann = make_member(project)
    judge_again(project, ann, 30, 6)
    assert check_agreement() == 1
    job = Job.objects.get(kind="agreement")
    assert job.reason == "a second look has ended"
    measure_agreement(job_id=str(job.pk))
    assert check_agreement() == 0
    report = AgreementReport.objects.get().result["between_versions"]
    assert [(row["who"], row["alpha"]["n"]["items"]) for row in report["alphas"]] == [("all", 30), ("author", 30)]
    client.force_login(project.created_by)
    page = client.get(f"/projects/{project.slug}/settings/schema/second-look/").content.decode()
    assert f"{report['alphas'][0]['alpha']['value']:.2f}" in page
    assert "look" in client.get(f"/projects/{project.slug}/agreement/agreement.csv").content.decode()


def test_how_often_two_people_agree_within_a_version_stands_beside_it(project: Project, client: Client) -> None:
    ann = make_member(project)
    for number, item in enumerate(make_items(project, 40)):
        make_annotation(item, "positive", rater="a")
        make_annotation(item, "negative" if number < 10 else "positive", rater="b")
        Item.objects.filter(pk=item.pk).update(state="resolved")
    new_version(project)
    look_at(project)
    for assignment in again(project, ann, 40):
        answer(assignment, "positive")
    measured_job = request_agreement(project=project, reason="a test")
    measure_agreement(job_id=str(measured_job.pk))
    client.force_login(project.created_by)
    page = client.get(f"/projects/{project.slug}/settings/schema/second-look/").content.decode()
    assert "Two people, both under version 1" in page and "75 %" in page


def test_programs_queue_read_and_close(project: Project, client: Client) -> None:
    ann = make_member(project)
    make_items(project, 3)
    label_all(project, ann)
    headers = {"authorization": f"Bearer {make_key(project.created_by)}"}
    url = f"/api/v1/projects/{project.slug}/second-looks/"

    def post(path: str, body: Any = None) -> Any:
        return client.post(path, body, content_type="application/json", headers=headers)

    assert post(url, {"n": 2}).json()["error"]["code"] == "nothing_older"
    new_version(project)
    assert post(url, {"n": 0}).status_code == 422
    assert post(url, {"n": 2, "version": 9}).status_code == 422
    made = post(url, {"n": 2, "version": 1})
    assert made.status_code == 201
    assert {name: made.json()[name] for name in ("version", "old_versions", "n", "n_of", "n_waiting")} == {
        "version": 2, "old_versions": [1], "n": 2, "n_of": 3, "n_waiting": 2
    }  # fmt: skip
    assert post(url, {"n": 2}).status_code == 409
    project.refresh_from_db()
    answer(again(project, ann)[0], "neutral")
    look = made.json()["id"]
    closed = post(f"{url}{look}/close/").json()
    assert closed["closed_at"] and closed["n_answered"] == 1
    (read,) = client.get(url, headers=headers).json()["second_looks"]
    (result,) = read["results"]
    assert result["equal"]["all"]["n"] == 1 and result["changes"][0]["new"] == "neutral"
    assert len(client.get(f"{url}{look}/pairs/", headers=headers).json()["pairs"]) == 1
    foreign = make_key(ann)
    assert client.get(url, headers={"authorization": f"Bearer {foreign}"}).status_code == 403
    other = make_project(project.created_by)
    assert post(f"/api/v1/projects/{other.slug}/second-looks/{look}/close/").status_code == 404


def test_answers_to_a_second_look_are_exported_with_their_version(project: Project) -> None:
    judge_again(project, make_member(project), 2, 1)
    rows = list(export_rows(project=project, kind="annotations"))
    assert [(row["schema_version"], row["reason"], row["propensity"]) for row in rows] == [(2, "second_look", 1.0)] * 2
