"""Many people at once, on real connections: row locks on PostgreSQL, the one writer on SQLite."""

import random
import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import Count
from django.utils import timezone

from labeling.core.errors import Conflict
from labeling.models import Annotation, Assignment, Item, Job, QueueEntry
from labeling.services import annotate, queue
from labeling.services.ask_next import ask_next, take_out
from labeling.services.jobs import enqueue_job, running_job
from labeling.services.projects import change_schema
from labeling.services.queue import QueueCandidate
from labeling.services.second_look import close_second_look, queue_second_look
from tests.factories import make_items, make_member, make_project

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*acts):
    """Runs the acts in threads that start together; the errors they ended with."""
    gate = threading.Barrier(len(acts))
    errors = []

    def run(act):
        try:
            gate.wait(timeout=10)
            act()
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return errors


@pytest.mark.parametrize("overlap", [1, 2])
def test_eight_people_finish_a_queue_without_a_duplicate_or_a_loss(overlap):
    project = make_project(overlap=overlap)
    people = [make_member(project) for _ in range(8)]
    items = make_items(project, 40)
    acknowledged = []

    def work(person):
        rng = random.Random(person.pk)
        while found := queue.lease_items(project=project, user=person, n=rng.randint(1, 4)).items:
            for leased in found:
                done = annotate.submit_annotation(
                    assignment=leased.assignment, value="positive", client_id=f"c{leased.assignment.pk}"
                )
                acknowledged.append(done.annotation.pk)

    assert at_once(*(lambda person=person: work(person) for person in people)) == []
    given = dict(Annotation.objects.live().values_list("item_id").order_by().annotate(n=Count("id")))
    assert set(given.values()) <= {overlap}
    assert sorted(acknowledged) == sorted(Annotation.objects.values_list("pk", flat=True))
    # Who stops early because the last items are leased by others leaves them to those others.
    assert len(given) == len(items)
    assert Item.objects.filter(project=project, state="resolved").count() == len(items)


def test_live_leases_never_exceed_the_opinions_still_needed():
    project = make_project(overlap=2)
    people = [make_member(project) for _ in range(8)]
    make_items(project, 3)
    assert at_once(*(lambda p=p: queue.lease_items(project=project, user=p, n=3) for p in people)) == []
    live = Assignment.objects.filter(state="leased").values_list("item_id").order_by().annotate(n=Count("id"))
    assert dict(live) and max(dict(live).values()) <= 2


def test_eight_tabs_of_a_new_person_share_one_practice():
    project = make_project(onboarding=5, gold_share=0.0)
    make_items(project, 20, gold="positive", state="resolved")
    ann = make_member(project)
    assert at_once(*[lambda: queue.lease_items(project=project, user=ann, n=3)] * 8) == []
    numbers = [lease.detail["number"] for lease in Assignment.objects.filter(reason="practice")]
    assert sorted(numbers) == [1, 2, 3, 4, 5]


def test_one_answer_sent_by_eight_connections_at_once_is_stored_once():
    project = make_project()
    ann = make_member(project)
    make_items(project, 1)
    assignment = queue.lease_items(project=project, user=ann, n=1).items[0].assignment
    seen = []

    def send():
        own = Assignment.objects.select_related("project").get(pk=assignment.pk)
        seen.append(annotate.submit_annotation(assignment=own, value="positive", client_id="c1").annotation.pk)

    assert at_once(*[send] * 8) == []
    assert len(set(seen)) == 1
    assert Annotation.objects.count() == 1


def test_undo_and_submit_of_one_item_leave_a_consistent_state():
    project = make_project(overlap=2)
    ann, ben = make_member(project), make_member(project)
    [item] = make_items(project, 1)
    mine = queue.lease_items(project=project, user=ann, n=1).items[0].assignment
    theirs = queue.lease_items(project=project, user=ben, n=1).items[0].assignment
    done = annotate.submit_annotation(assignment=mine, value="positive", client_id="a")
    errors = at_once(
        lambda: annotate.undo_annotation(annotation=done.annotation),
        lambda: annotate.submit_annotation(assignment=theirs, value="positive", client_id="b"),
    )
    assert errors == []
    item.refresh_from_db()
    assert Annotation.objects.live().count() == 1
    assert item.state == "open"
    assert QueueEntry.objects.get(item=item).needed == 1


def test_swapping_batches_while_people_label_loses_nothing():
    project = make_project()
    people = [make_member(project) for _ in range(4)]
    items = make_items(project, 80)
    candidates = [QueueCandidate(item.pk, "acquisition") for item in items]

    def work(person):
        n_given = 0
        for _ in range(200):  # whoever looks in the middle of a swap may find nothing, and looks again
            for leased in queue.lease_items(project=project, user=person, n=1).items:
                annotate.submit_annotation(
                    assignment=leased.assignment, value="neutral", client_id=f"c{leased.assignment.pk}"
                )
                n_given += 1
            if n_given == 15:
                return

    def swap():
        for batch in range(1, 8):
            random.Random(batch).shuffle(candidates)
            queue.replace_queue(project=project, entries=candidates, batch=batch, ordered_by=f"model {batch}")

    assert at_once(swap, *(lambda p=p: work(p) for p in people)) == []
    given = Annotation.objects.live().values_list("item_id").order_by().annotate(n=Count("id"))
    assert set(dict(given).values()) == {1}
    assert Annotation.objects.count() == 60


def test_a_job_is_claimed_by_one_of_eight():
    job = enqueue_job(kind="test", task="labeling.sweep_jobs")
    winners = []

    def claim():
        with running_job(str(job.pk)) as running:
            if running is not None:
                winners.append(running.id)

    assert at_once(*[claim] * 8) == []
    assert len(winners) == 1
    assert Job.objects.get(pk=job.pk).attempt == 1


def test_a_late_answer_racing_with_a_new_lease_counts_once_for_each_person():
    project = make_project()
    ann, ben = make_member(project), make_member(project)
    make_items(project, 1)
    now = timezone.now()
    late = queue.lease_items(project=project, user=ann, n=1, now=now - timedelta(seconds=400)).items[0].assignment

    def lease_and_answer():
        for leased in queue.lease_items(project=project, user=ben, n=1).items:
            annotate.submit_annotation(assignment=leased.assignment, value="positive", client_id="b")

    errors = at_once(
        lambda: annotate.submit_annotation(assignment=late, value="positive", client_id="a"), lease_and_answer
    )
    assert [e for e in errors if not isinstance(e, Conflict)] == []
    people = list(Annotation.objects.live().values_list("user_id", flat=True))
    assert len(people) == len(set(people))
    assert ann.pk in people


def second_look(project, n_items):
    """Labels of one person under version 1, and a second look at them under version 2."""
    ann = make_member(project)
    make_items(project, n_items)
    for leased in queue.lease_items(project=project, user=ann, n=n_items).items:
        annotate.submit_annotation(assignment=leased.assignment, value="positive", client_id=f"{leased.assignment.pk}")
    change_schema(project=project, actor=None, guidelines="Irony counts as negative.")
    look = queue_second_look(project=project, actor=None, n=n_items)
    project.refresh_from_db()
    return ann, look


def judged_again(project, user, n):
    found = []
    while len(found) < n and (leased := queue.lease_items(project=project, user=user, n=n).items):
        found += [one.assignment for one in leased]
    return found


def test_two_pages_of_one_person_never_hold_an_item_of_a_second_look_twice():
    project = make_project(gold_share=0.0, audit_share=0.0)
    ann, _ = second_look(project, 10)
    assert at_once(*[lambda: queue.lease_items(project=project, user=ann, n=5)] * 4) == []
    live = Assignment.objects.filter(state="leased").values_list("item_id").order_by().annotate(n=Count("id"))
    assert not dict(live) or max(dict(live).values()) == 1


def test_a_second_look_ends_with_its_last_answers_though_they_come_together():
    project = make_project(gold_share=0.0, audit_share=0.0)
    ann, look = second_look(project, 4)
    held = judged_again(project, ann, 4)

    def send(assignment):
        annotate.submit_annotation(assignment=assignment, value="negative", client_id=f"again-{assignment.pk}")

    assert at_once(*(lambda one=one: send(one) for one in held)) == []
    look.refresh_from_db()
    assert look.closed_at is not None
    assert look.items.filter(new__isnull=False).count() == 4
    assert Annotation.objects.live().count() == 4


def test_answering_again_and_undoing_it_at_once_leave_one_live_answer():
    project = make_project(gold_share=0.0, audit_share=0.0)
    ann, look = second_look(project, 1)
    [assignment] = judged_again(project, ann, 1)
    old = look.items.get().old

    def answer_again():
        annotate.submit_annotation(assignment=assignment, value="negative", client_id="again")

    errors = at_once(answer_again, lambda: annotate.undo_annotation(annotation=old))
    assert all(isinstance(error, Conflict) for error in errors), errors
    assert Annotation.objects.live().count() == 1
    item = look.items.get()
    # Either the old label was judged again, and its undo refused, or it was taken back, and is compared with nothing.
    assert (item.new_id is not None) == bool(errors)


def test_of_two_owners_who_queue_at_once_one_is_told():
    project = make_project(gold_share=0.0, audit_share=0.0)
    _, look = second_look(project, 3)
    close_second_look(look=look, actor=None)
    errors = at_once(*[lambda: queue_second_look(project=project, actor=None, n=3)] * 3)
    assert [type(error) for error in errors] == [Conflict, Conflict]


def test_new_orders_answers_and_searches_at_once_lose_nothing_that_was_asked_next():
    project = make_project(gold_share=0.0, audit_share=0.0)
    owner, ann = project.created_by, make_member(project)
    items = make_items(project, 120)
    pool, found = items[:90], items[60:]  # some of what is found stands in line already, some does not
    start = [QueueCandidate(item.pk, "acquisition") for item in pool]
    queue.replace_queue(project=project, entries=start, batch=1, ordered_by="model 1")

    def search():
        for place in range(0, len(found), 5):
            ids = [item.pk for item in found[place : place + 5]]
            assert ask_next(project=project, item_ids=ids, detail={"query": "q"}, actor=owner).queued
            ask_next(project=project, item_ids=ids[:2], detail={"query": "other"}, actor=owner)

    def order():
        for batch in range(2, 12):
            queue.replace_queue(project=project, entries=start, batch=batch, ordered_by=f"model {batch}")

    def work():
        for _ in range(15):
            for leased in queue.lease_items(project=project, user=ann, n=1).items:
                annotate.submit_annotation(
                    assignment=leased.assignment, value="positive", client_id=f"c{leased.assignment.pk}"
                )

    assert at_once(search, order, work) == []
    answered = set(Annotation.objects.values_list("item_id", flat=True))
    waiting = set(QueueEntry.objects.filter(reason="search", rank__lt=0).values_list("item_id", flat=True))
    # An item that was answered at this very moment was left out by the search, which says so; all others wait.
    assert waiting == {item.pk for item in found} - answered
    assert take_out(project=project, detail={"query": "q"}, actor=owner) == len(waiting)
    assert not QueueEntry.objects.filter(rank__lt=0).exists()
