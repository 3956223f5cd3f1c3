from datetime import timedelta

import pytest
from django.utils import timezone

from labeling.core.errors import Conflict, Invalid
from labeling.models import Annotation, Assignment, Comment, Item, QueueEntry, Resolution
from labeling.services import annotate, queue
from tests.factories import make_items, make_member, make_project

pytestmark = pytest.mark.django_db


def lease(project, user, now=None):
    return queue.lease_items(project=project, user=user, n=1, now=now).items[0].assignment


def submit(assignment, value="positive", client_id="c1", **more):
    return annotate.submit_annotation(assignment=assignment, value=value, client_id=client_id, **more)


def test_an_answer_is_stored_with_everything_around_it_and_settles_the_item(project, annotator):
    [item] = make_items(project, 1)
    done = submit(lease(project, annotator), seconds=2.5, comment="hard", is_flag=True)
    annotation = Annotation.objects.get()
    assert (annotation.value, annotation.user, annotation.seconds) == ("positive", annotator, 2.5)
    assert annotation.schema.version == 1
    assert annotation.assignment.state == "submitted"
    assert (done.is_new, done.item_state) == (True, "resolved")
    assert Resolution.objects.get().value == "positive"
    assert Comment.objects.get().is_flag
    assert not QueueEntry.objects.filter(item=item).exists()


def test_sending_an_answer_again_changes_nothing(project, annotator):
    make_items(project, 1)
    assignment = lease(project, annotator)
    first = submit(assignment)
    again = submit(assignment)
    assert again.annotation.pk == first.annotation.pk
    assert not again.is_new
    assert Annotation.objects.count() == 1


def test_one_client_id_with_two_answers_keeps_the_first(project, annotator):
    make_items(project, 1)
    assignment = lease(project, annotator)
    submit(assignment)
    with pytest.raises(Conflict) as refusal:
        submit(assignment, value="negative")
    assert refusal.value.code == "client_id_reused"
    assert Annotation.objects.get().value == "positive"


def test_a_second_answer_to_an_answered_assignment_is_refused(project, annotator):
    make_items(project, 1)
    assignment = lease(project, annotator)
    submit(assignment)
    with pytest.raises(Conflict) as refusal:
        submit(assignment, value="negative", client_id="c2")
    assert refusal.value.code == "already_answered"


@pytest.mark.parametrize("value", ["purple", None, 3, ["positive"], {"a": 1}, True, ""])
def test_a_value_outside_the_schema_is_refused_and_the_lease_stays(project, annotator, value):
    make_items(project, 1)
    assignment = lease(project, annotator)
    with pytest.raises(Invalid, match="negative, neutral, positive"):
        submit(assignment, value=value)
    assert Assignment.objects.get(pk=assignment.pk).state == "leased"
    assert submit(assignment).is_new


def test_a_late_answer_is_kept_as_a_further_opinion(project, annotator, annotator2):
    make_items(project, 1)
    now = timezone.now()
    late = lease(project, annotator, now)
    later = now + timedelta(seconds=301)
    submit(lease(project, annotator2, later), "negative", "b1", now=later)
    done = submit(late, "negative", "a1", now=later)
    assert done.annotation.is_late
    assert done.item_state == "resolved"
    assert Resolution.objects.get(superseded_at=None).n_annotations == 2


def test_a_late_answer_counts_once_when_the_person_holds_the_item_again(project, annotator):
    make_items(project, 1)
    now = timezone.now()
    first = lease(project, annotator, now)
    later = now + timedelta(seconds=301)
    second = lease(project, annotator, later)
    submit(first, now=later)
    with pytest.raises(Conflict):
        submit(second, client_id="c2", now=later)
    assert Annotation.objects.count() == 1


def test_undo_withdraws_the_effect_everywhere_and_leases_the_item_again(project, annotator):
    [item] = make_items(project, 1)
    assignment = lease(project, annotator)
    done = submit(assignment)
    again = annotate.undo_annotation(annotation=done.annotation)
    item.refresh_from_db()
    assert (again.pk, again.state, item.state) == (assignment.pk, "leased", "open")
    assert not Resolution.objects.filter(superseded_at=None).exists()
    assert Annotation.objects.live().count() == 0
    assert QueueEntry.objects.get(item=item).needed == 1
    assert submit(again, "negative", "c2").item_state == "resolved"
    assert Resolution.objects.get(superseded_at=None).value == "negative"


def test_undoing_twice_does_no_harm(project, annotator):
    make_items(project, 1)
    done = submit(lease(project, annotator))
    annotate.undo_annotation(annotation=done.annotation)
    annotate.undo_annotation(annotation=done.annotation)
    assert Assignment.objects.get().state == "leased"


def test_an_undone_item_is_not_handed_to_others_while_it_is_held(project, annotator, annotator2):
    make_items(project, 1)
    annotate.undo_annotation(annotation=submit(lease(project, annotator)).annotation)
    assert queue.lease_items(project=project, user=annotator2, n=1).empty.why == "locked"


def test_undo_does_not_take_an_item_away_from_whoever_holds_it_now(project, annotator, annotator2):
    make_items(project, 1)
    now = timezone.now()
    late = lease(project, annotator, now)
    later = now + timedelta(seconds=301)
    theirs = lease(project, annotator2, later)
    done = submit(late, now=later)
    again = annotate.undo_annotation(annotation=done.annotation, now=later)
    live = Assignment.objects.filter(state="leased", expires_at__gt=later)
    assert [a.pk for a in live] == [theirs.pk]
    assert again.state == "expired"
    assert submit(again, client_id="c2", now=later).annotation.is_late


def test_two_opinions_settle_by_majority_and_a_tie_is_disputed(owner):
    project = make_project(owner, overlap=2)
    ann, ben = make_member(project), make_member(project)
    [item] = make_items(project, 1)
    assert submit(lease(project, ann), "positive", "a").item_state == "open"
    assert submit(lease(project, ben), "negative", "b").item_state == "disputed"
    item.refresh_from_db()
    assert item.state == Item.State.DISPUTED


def test_seconds_that_cannot_be_true_are_kept_as_unknown(project, annotator):
    make_items(project, 2)
    assert submit(lease(project, annotator), seconds=-1.0).annotation.seconds is None
    assert submit(lease(project, annotator), client_id="c2", seconds=1e6).annotation.seconds is None


@pytest.mark.parametrize(
    ("kind", "config", "good", "bad"),
    [
        ("choices", {"labels": ["a", "b", "c"], "max": 2}, ["b", "a"], ["a", "b", "c"]),
        ("choices", {"labels": ["a", "b"]}, [], ["a", "a"]),
        ("rating", {"min": -4, "max": 4}, -4, 5),
        ("rating", {"min": 1, "max": 5}, 3, 2.5),
        ("pair", {"tie": True}, "tie", "c"),
        ("pair", {}, "a", "tie"),
    ],
)
def test_each_kind_of_schema_takes_its_own_values(owner, kind, config, good, bad):
    project = make_project(owner, kind=kind, config=config)
    ann = make_member(project)
    make_items(project, 1)
    assignment = lease(project, ann)
    with pytest.raises(Invalid):
        submit(assignment, bad)
    stored = submit(assignment, good).annotation.value
    assert stored == (sorted(good) if isinstance(good, list) else good)


def test_a_skip_after_an_answer_is_refused(project, annotator):
    make_items(project, 1)
    assignment = lease(project, annotator)
    submit(assignment)
    with pytest.raises(Conflict):
        annotate.skip_item(assignment=assignment, reason="")


def test_an_empty_comment_is_refused(project, annotator):
    make_items(project, 1)
    with pytest.raises(Invalid):
        annotate.comment_on_item(assignment=lease(project, annotator), text="  ", is_flag=False)
