"""Answers given elsewhere come in: by command, by API and in the browser, through one service."""

import io
import json
import re
import threading
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from labeling.core.formats import FileFormat
from labeling.models import Annotation, AuditEntry, Item, Job, LabelSchema, Project, QueueEntry, Resolution
from labeling.services import answers, batches, imports, projects, queue, uploads
from labeling.services.annotate import submit_annotation
from tests.factories import make_item, make_items, make_key, make_member, make_project, make_user

pytestmark = pytest.mark.django_db
NAMED = ("item", "annotator", "value")


@pytest.fixture
def items(project: Project) -> list[Item]:
    """Ten items that the owner calls t0 to t9."""
    return [make_item(project, external_id=f"t{n}") for n in range(10)]


def answer(item: object = "t0", annotator: object = "kim", value: object = "positive", **more: Any) -> dict[str, Any]:
    return {"item": item, "annotator": annotator, "value": value} | more


def add(project: Project, *given: Any) -> tuple[int, int, list[tuple[int, str, str]]]:
    report = answers.add_answer_rows(project=project, rows=list(enumerate(given, start=1)), user=None)
    assert report.n_errors == len(report.errors)
    return report.created, report.duplicates, [(e.row, e.field, e.message) for e in report.errors]


# What an answer becomes


def test_an_answer_is_kept_beside_those_of_members(project: Project, items: list[Item], owner: Any) -> None:
    member = make_member(project, "annotator", make_user("kim"))
    assert add(project, answer(time="2026-01-31T10:00:00Z", seconds=4)) == (1, 0, [])
    stored = Annotation.objects.get()
    assert (stored.item, stored.user, stored.rater, stored.source) == (items[0], None, "kim", "import")
    assert (stored.value, stored.seconds) == ("positive", 4.0)
    assert stored.created_at == datetime(2026, 1, 31, 10, tzinfo=UTC)
    assert stored.schema == LabelSchema.objects.current(project.pk)
    assert not Annotation.objects.filter(user=member).exists(), "a name alike is another person"


def test_without_a_time_it_is_now(project: Project, items: list[Item]) -> None:
    add(project, answer())
    assert timezone.now() - Annotation.objects.get().created_at < timedelta(minutes=1)


def test_every_kind_of_value_comes_in(owner: Any) -> None:
    kinds: list[tuple[str, dict[str, Any], object, object]] = [
        ("choices", {"labels": ["red", "green"]}, "red|green", ["green", "red"]),
        ("choices", {"labels": ["red", "green"]}, [], []),
        ("rating", {"min": -4, "max": 4}, "-3", -3),
        ("pair", {"tie": True}, "tie", "tie"),
        ("choice", {"labels": ["0", "1"]}, 1, "1"),
    ]
    for kind, config, given, stored in kinds:
        project = make_project(owner, kind=kind, config=config)
        make_item(project, external_id="t0")
        assert add(project, answer(value=given)) == (1, 0, [])
        assert add(project, answer(value=given)) == (0, 1, [])
        assert Annotation.objects.get(project=project).value == stored


def test_the_items_are_settled(project: Project, items: list[Item]) -> None:
    project.overlap = 2
    project.save()
    QueueEntry.objects.create(project=project, item=items[0], rank=1, reason="import_order", needed=2)
    add(project, answer("t0"), answer("t0", "lee"), answer("t1"))
    states = dict(Item.objects.values_list("external_id", "state"))
    assert (states["t0"], states["t1"]) == ("resolved", "open")
    assert Resolution.objects.get(item=items[0]).value == "positive"
    assert not QueueEntry.objects.filter(item=items[0]).exists()
    assert QueueEntry.objects.get(item=items[1]).needed == 1


def test_an_excluded_item_keeps_its_answers_and_nothing_else(project: Project, items: list[Item]) -> None:
    Item.objects.filter(pk=items[0].pk).update(state="excluded")
    assert add(project, answer())[0] == 1
    items[0].refresh_from_db()
    assert items[0].state == "excluded"
    assert not Resolution.objects.exists() and not QueueEntry.objects.exists()


# Which item


def test_an_item_goes_by_its_id_or_by_its_number(project: Project, items: list[Item]) -> None:
    nameless = make_item(project)
    for place, name in enumerate((f"#{items[0].pk}", nameless.pk, str(nameless.pk), f"#{nameless.pk}")):
        assert add(project, answer(name, f"rater {place}")) == (1, 0, [])
    assert Annotation.objects.filter(item=items[0]).count() == 1
    assert Annotation.objects.filter(item=nameless).count() == 3


def test_an_id_comes_before_a_number(project: Project) -> None:
    first = make_item(project)
    named = make_item(project, external_id=str(first.pk))
    add(project, answer(first.pk))
    assert Annotation.objects.get().item == named


def test_a_row_number_does_not_fall_to_an_item_that_has_an_id(project: Project, items: list[Item]) -> None:
    ((_, field, message),) = add(project, answer(items[3].pk))[2]
    assert field == "item" and "id of its own, “t3”" in message and f"#{items[3].pk}" in message
    assert not Annotation.objects.exists()


def test_an_unknown_item_is_said_with_what_to_do(project: Project, items: list[Item]) -> None:
    stranger = make_item(make_project())
    given = ["nope", stranger.pk, f"#{stranger.pk}", "0", "#", "9" * 30, "１"]
    created, _, errors = add(project, *[answer(name) for name in given], answer())
    assert created == 1 and len(errors) == len(given)
    assert all(field == "item" and "Import the items first" in message for _, field, message in errors)


# Again and again


def test_the_same_answers_again_change_nothing(project: Project, items: list[Item]) -> None:
    given = [answer(f"t{n}", who) for n in range(10) for who in ("kim", "lee")]
    assert add(project, *given) == (20, 0, [])
    assert add(project, *given, answer("t0", "mo")) == (1, 20, [])
    assert add(project, answer("t0", "new"), answer("t0", "new")) == (1, 1, [])


def test_an_imported_answer_never_changes(project: Project, items: list[Item]) -> None:
    created, duplicates, errors = add(project, answer(), answer(value="negative"), answer(value="positive"))
    assert (created, duplicates) == (1, 1)
    ((row, field, message),) = errors
    assert (row, field) == (2, "value") and "“kim” has already said “positive” about this item" in message
    assert add(project, answer(value="neutral"))[2][0][0] == 1
    assert Annotation.objects.get().value == "positive"


def test_good_rows_are_kept_beside_bad_ones(project: Project, items: list[Item]) -> None:
    created, _, errors = add(
        project, answer("t1"), answer(value="angry"), answer("t2"), "oops", answer(annotator=""), ValueError("cut")
    )
    assert created == 2 and [row for row, _, _ in errors] == [2, 4, 5, 6]
    assert "Allowed: negative, neutral, positive" in errors[0][2]


def test_batches_are_few_queries(project: Project, monkeypatch: Any, django_assert_max_num_queries: Any) -> None:
    """Looking up and storing costs the same few queries whatever the batch holds; settling is counted elsewhere."""
    monkeypatch.setattr(answers, "settle_items", lambda **_: {})
    make_items(project, 20)
    named = list(Item.objects.values_list("pk", flat=True))
    given = [(n, answer(named[n % 20], f"w{n // 20}")) for n in range(3 * batches.BATCH_SIZE)]
    with django_assert_max_num_queries(4 + 3 * 9):
        report = answers.add_answer_rows(project=project, rows=given, user=None)
    assert report.created == 3 * batches.BATCH_SIZE


@pytest.mark.django_db(transaction=True)
def test_two_imports_at_once_store_each_answer_once() -> None:
    project = make_project()
    named = [item.pk for item in make_items(project, 60)]
    given = [(n, answer(named[n % 60], f"w{n // 60}")) for n in range(2400)]
    reports: list[batches.IntakeReport] = []

    def work(part: list[tuple[int, object]]) -> None:
        reports.append(answers.add_answer_rows(project=project, rows=part, user=None))
        connection.close()

    threads = [threading.Thread(target=work, args=(part,)) for part in (given, given[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(report.created for report in reports) == 2400 == Annotation.objects.count()
    assert sum(report.duplicates for report in reports) == 2400
    assert Item.objects.filter(state="resolved").count() == 60


@pytest.mark.django_db(transaction=True)
def test_answers_of_members_and_of_an_import_at_once_all_count() -> None:
    project = make_project(overlap=2)
    people = [make_member(project) for _ in range(2)]
    named = [item.pk for item in make_items(project, 40)]
    problems: list[BaseException] = []

    def member(user: Any) -> None:
        try:
            while leased := queue.lease_items(project=project, user=user, n=1).items:
                submit_annotation(assignment=leased[0].assignment, value="positive", client_id=uuid.uuid4().hex)
        except BaseException as problem:
            problems.append(problem)
        connection.close()

    def importer() -> None:
        answers.add_answer_rows(project=project, rows=[(n, answer(pk)) for n, pk in enumerate(named)], user=None)
        connection.close()

    threads = [threading.Thread(target=member, args=(user,)) for user in people] + [threading.Thread(target=importer)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    counts = dict.fromkeys(named, 0)
    for item_id in Annotation.objects.values_list("item_id", flat=True):
        counts[item_id] += 1
    assert min(counts.values()) >= 2 and Item.objects.filter(state="resolved").count() == 40
    assert not QueueEntry.objects.exists()


# The job


def table(n: int, bad: str = "") -> bytes:
    return ("item,annotator,value\n" + "".join(f"t{i % 10},w{i // 10},positive\n" for i in range(n)) + bad).encode()


def start(project: Project, content: bytes) -> Job:
    kept = uploads.keep_upload(
        project=project, user=None, name="answers.csv", file=io.BytesIO(content), size=len(content)
    )
    intake = answers.AnswerIntake(project)
    columns = intake.columns((name, name) for name in NAMED)
    return imports.start_import(intake=intake, upload=kept, columns=columns, file_format=FileFormat("csv"), user=None)


def run(job: Job) -> dict[str, Any]:
    imports.import_file(job_id=str(job.pk))
    job.refresh_from_db()
    assert job.state == "succeeded", job.error
    return job.result or {}


def test_a_crash_in_the_middle_loses_and_doubles_nothing(
    project: Project, items: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH_SIZE", 50)
    content = b"item,annotator,value\nt0,w0,angry\n" + table(320).partition(b"\n")[2] + b"t0,w0,negative\n"
    job = start(project, content)
    settle, calls = answers.settle_items, iter(range(100))

    def dying(**given: Any) -> dict[str, int]:
        if next(calls) == 3:
            raise SystemExit("killed")
        return settle(**given)

    monkeypatch.setattr(answers, "settle_items", dying)
    with pytest.raises(SystemExit):
        imports.import_file(job_id=str(job.pk))
    assert Annotation.objects.count() == 149, "a batch is stored with its items settled, or not at all"
    monkeypatch.setattr(answers, "settle_items", settle)
    Job.objects.filter(pk=job.pk).update(state="queued")
    result = run(job)
    assert (result["created"], result["duplicates"], result["n_errors"]) == (320, 0, 2)
    assert [error["row"] for error in result["errors"]] == [1, 322]
    assert Annotation.objects.count() == 320


def test_a_job_that_ran_again_does_nothing_and_a_failed_one_starts_over(project: Project, items: list[Item]) -> None:
    job = start(project, table(30))
    before = run(job)
    assert run(job) == before and Annotation.objects.count() == 30
    Job.objects.filter(pk=job.pk).update(state="failed")
    job.refresh_from_db()
    result = run(imports.retry_import(job=job, user=None))
    assert (result["created"], result["duplicates"]) == (0, 30)


def test_the_audit_log_says_who_brought_answers(project: Project, items: list[Item], owner: Any) -> None:
    start(project, table(1))
    answers.add_answer_rows(project=project, rows=[(1, answer())], user=owner)
    entries = AuditEntry.objects.filter(action="labels.import", project=project).order_by("id")
    assert [(entry.target, entry.actor) for entry in entries] == [("answers.csv", None), ("rows sent by API", owner)]


# The command


def command(project: Project, path: Path, **options: Any) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command("import_labels", project.slug, path, stdout=out, stderr=err, **options)
    return out.getvalue(), err.getvalue()


def test_the_command_guesses_columns_and_says_so(project: Project, items: list[Item], tmp_path: Path) -> None:
    path = tmp_path / "crowd.csv"
    path.write_text("task_id,WorkerId,label,lead_time\nt0,w1,positive,2.5\nt0,w2,angry,1\nt1,w1,neutral,\n")
    out, err = command(project, path)
    assert "WorkerId: annotator. Its name says so." in out and "2 created, 0 there already, 1 left out." in out
    assert "row 2 (line 3): value: 'angry' is not in the schema" in err
    assert Annotation.objects.get(item=items[0]).seconds == 2.5
    assert AuditEntry.objects.get(action="labels.import").target == "crowd.csv"
    assert "0 created, 2 there already" in command(project, path)[0]


def test_the_command_takes_named_columns(project: Project, items: list[Item], tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    path.write_text("a,b,c,d,e\nt0,kim,positive,2026-01-31,3\n")
    with pytest.raises(CommandError, match="Say which column holds the item's id"):
        command(project, path)
    command(project, path, item="a", annotator="b", value="c", time="d", seconds="e")
    stored = Annotation.objects.get()
    assert (stored.rater, stored.seconds, stored.created_at.day) == ("kim", 3, 31)


def test_the_command_fails_with_advice_when_no_row_can_be_used(
    project: Project, items: list[Item], tmp_path: Path
) -> None:
    path = tmp_path / "answers.csv"
    path.write_text("item,annotator,value\nx,kim,positive\n")
    with pytest.raises(CommandError, match="No row could be used.*--annotator"):
        command(project, path)


# The API


@pytest.fixture
def post(client: Client, project: Project, owner: Any) -> Any:
    address = f"/api/v1/projects/{project.slug}/labels/"

    def send(body: Any, user: Any = owner, content_type: str = "application/json") -> Any:
        data = body if isinstance(body, (str, bytes)) else json.dumps(body)
        return client.post(address, data, content_type, headers={"Authorization": f"Bearer {make_key(user)}"})

    return send


def test_the_api_answers_like_that_of_items(post: Any, items: list[Item]) -> None:
    sent = post([answer(), answer("nope"), answer(), answer("t1", "lee", time="2026-01-31T10:00:00Z", seconds=1.5)])
    assert sent.status_code == 201
    body = sent.json()
    assert (body["created"], body["duplicates"]) == (2, 1)
    assert [(error["row"], error["field"]) for error in body["errors"]] == [(2, "item")]


def test_lines_may_be_many(post: Any, project: Project, items: list[Item]) -> None:
    lines = [json.dumps(answer(f"t{n % 10}", f"w{n // 10}")) for n in range(1500)]
    sent = post("\n".join([*lines, '{"item": "cut']), content_type="application/x-ndjson")
    assert sent.status_code == 202
    result = run(Job.objects.get(pk=sent.json()["job"]["id"]))
    assert (result["created"], result["n_errors"]) == (1500, 1)


@pytest.mark.parametrize(("body", "status"), [("{}", 422), ("[]", 422), ('[{"item"', 400)])
def test_a_body_that_is_no_list_is_refused_with_words(post: Any, body: str, status: int) -> None:
    refused = post(body)
    assert refused.status_code == status and refused.json()["error"]["message"]


def test_only_owners_bring_answers(
    post: Any, items: list[Item], reviewer: Any, annotator: Any, outsider: Any, owner: Any
) -> None:
    for user, status in ((reviewer, 403), (annotator, 403), (outsider, 404), (owner, 201)):
        assert post([answer()], user).status_code == status
    assert Annotation.objects.count() == 1


# The browser


@pytest.fixture
def web(client: Client, owner: Any, items: list[Item]) -> Client:
    client.force_login(owner)
    return client


def send(client: Client, project: Project, content: bytes, name: str = "answers.csv") -> str:
    address = reverse("labeling:import", args=[project.slug])
    return client.post(address, {"file": SimpleUploadedFile(name, content)}).url


def words(response: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", response.content.decode()))


def form_of(response: Any, contents: str) -> dict[str, str]:
    form = response.context["form"]
    return {"contents": contents} | {name: form[name].value() for name in form.fields}


CROWD = b"item,worker,label,text\nt0,w0,positive,so good\nt0,w1,negative,so good\nt1,w0,angry,bad\nt77,w0,neutral,x\n"


def test_answers_go_from_the_drop_zone_to_their_items(web: Client, project: Project) -> None:
    preview = web.get(send(web, project, CROWD))
    said = words(preview)
    assert preview.context["preview"].contents == "labels" and "The columns look like it" in said
    assert "4 rows: worker says who answered, item about which item, label what." in said
    assert "2 would be created, 2 would be left out" in said and "They are from 2 annotators about 1 item." in said
    assert "There is no item “t77” in this project. Import the items first" in said
    assert not Annotation.objects.exists()
    started = web.post(preview.request["PATH_INFO"], form_of(preview, "labels"))
    job = Job.objects.get()
    assert started.url == reverse("labeling:import-job", args=[project.slug, job.pk])
    run(job)
    done = words(web.get(started.url))
    assert "2 answers created" in done and "Look at the items" in done and "Label them" not in done
    errors = web.get(reverse("labeling:import-errors", args=[project.slug, job.pk]))
    assert b"4,5,item,There is no item" in b"".join(errors.streaming_content)
    assert "answers" in words(web.get(reverse("labeling:import", args=[project.slug])))


def test_a_person_may_say_otherwise(web: Client, project: Project) -> None:
    address = send(web, project, CROWD)
    as_items = web.get(address, {"contents": "items"})
    assert "people judge text" in words(as_items) and "The columns look like it" not in words(as_items)
    plan = web.post(address + "plan/", form_of(as_items, "items"))
    assert "people judge text" in words(plan)
    web.post(address, form_of(as_items, "items"))
    run(Job.objects.get())
    assert Item.objects.filter(data__text="so good").exists() and not Annotation.objects.exists()
    table = send(web, project, b"id,text\n1,hello there\n")
    assert web.get(table).context["preview"].contents == "items"
    as_answers = web.get(table, {"contents": "labels"})
    assert "Say which column holds who answered" in words(as_answers)
    assert web.get(table, {"contents": "nonsense"}).context["preview"].contents == "items"


def test_the_sentence_follows_the_choice_of_columns(web: Client, project: Project) -> None:
    address = send(web, project, CROWD)
    chosen = form_of(web.get(address), "labels")
    assert "Say which column holds the answer" in words(web.post(address + "plan/", chosen | {"column-2": "skip"}))
    refused = web.post(address, chosen | {"column-3": "value"})
    assert refused.status_code == 422 and "Only one column can be “The answer”" in words(refused)
    assert web.post(address, chosen | {"column-3": "text"}).status_code == 422
    assert not Job.objects.exists()


def test_a_label_that_left_the_schema_is_listed_with_those_of_now(
    project: Project, items: list[Item], owner: Any
) -> None:
    job = start(project, b"item,annotator,value\nt0,kim,neutral\n")
    projects.change_schema(project=project, actor=owner, config={"labels": ["bad", "good"]})
    result = run(job)
    assert result["errors"][0]["message"] == "value: 'neutral' is not in the schema. Allowed: bad, good."
