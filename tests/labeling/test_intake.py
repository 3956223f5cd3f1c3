"""Items come in through the service that every door uses."""

import struct
import threading
from typing import Any

import pytest
from django.db import connection

from labeling.models import Item, Project
from labeling.services import batches, intake
from labeling.services.batches import IntakeReport
from tests.factories import make_project

pytestmark = pytest.mark.django_db


def rows(*given: dict[str, Any]) -> list[tuple[int, object]]:
    return list(enumerate(given, start=1))


def text(n: int, **more: Any) -> dict[str, Any]:
    return {"id": f"t{n}", "data": {"text": f"text number {n}"}} | more


def add(project: Project, *given: dict[str, Any]) -> tuple[int, int, list[tuple[int, str, str]]]:
    report = intake.add_rows(project=project, rows=rows(*given))
    assert report.n_errors == len(report.errors)
    return report.created, report.duplicates, [(e.row, e.field, e.message) for e in report.errors]


def test_items_are_stored_as_given(project: Project) -> None:
    assert add(project, text(1, meta={"lang": "en"}, gold="positive", features=[1, 2])) == (1, 0, [])
    item = Item.objects.get()
    assert item.data == {"text": "text number 1"} and item.meta == {"lang": "en"} and item.gold == "positive"
    assert bytes(item.features or b"") == struct.pack("<2f", 1, 2)
    assert (item.external_id, item.state, item.origin) == ("t1", "open", "api")


def test_the_same_rows_again_change_nothing(project: Project) -> None:
    given = [text(i) for i in range(50)]
    assert add(project, *given) == (50, 0, [])
    assert add(project, *given) == (0, 50, [])
    assert add(project, *given, text(99)) == (1, 50, [])


def test_rows_repeated_in_one_request_are_stored_once(project: Project) -> None:
    assert add(project, text(1), text(1), {"data": {"text": "text number 1"}}) == (1, 2, [])


def test_the_same_content_under_another_id_is_a_duplicate(project: Project) -> None:
    assert add(project, text(1), text(1, id="other")) == (1, 1, [])


def test_an_id_with_other_content_is_an_error_that_says_so(project: Project) -> None:
    created, duplicates, errors = add(project, text(1), {"id": "t1", "data": {"text": "something else"}})
    assert (created, duplicates) == (1, 0)
    ((row, field, message),) = errors
    assert (row, field) == (2, "id") and "“t1” is taken" in message
    assert add(project, {"id": "t1", "data": {"text": "something else"}})[2][0][0] == 1
    assert Item.objects.get().data == {"text": "text number 1"}


def test_good_rows_are_kept_beside_bad_ones(project: Project) -> None:
    created, _, errors = add(project, text(1), {"data": {"text": ""}}, {"oops": 1}, text(2), text(3, gold="angry"))
    assert created == 2 and [row for row, _, _ in errors] == [2, 3, 5]
    assert "'angry' is not in the schema" in errors[2][2]


def test_projects_do_not_share_items(project: Project) -> None:
    other = make_project()
    assert add(project, text(1)) == (1, 0, [])
    assert add(other, text(1)) == (1, 0, [])


def test_the_first_item_fixes_the_length_of_vectors(project: Project) -> None:
    assert add(project, text(1, features=[1, 2]), text(2, features=[1, 2, 3]), text(3))[0] == 1
    errors = add(project, text(4, features=[0]), text(5), text(6, features=[3, 4]))[2]
    assert [(row, field) for row, field, _ in errors] == [(1, "features"), (2, "features")]
    assert "has 1 numbers; every item of this project has 2" in errors[0][2] and "missing" in errors[1][2]
    other = make_project()
    assert "cannot have any" in add(other, text(1), text(2, features=[1]))[2][0][2]


def test_the_split_depends_on_content_alone(project: Project) -> None:
    add(project, *[text(i) for i in range(400)])
    other = make_project()
    add(other, *[text(i, id=f"x{i}") for i in reversed(range(400))])
    assert 5 <= Item.objects.filter(project=project, split="audit").count() <= 40

    def audit(of: Project) -> list[str]:
        return sorted(Item.objects.filter(project=of, split="audit").values_list("content_hash", flat=True))

    assert audit(project) == audit(other)


def test_undecodable_rows_are_named(project: Project) -> None:
    report = intake.add_rows(project=project, rows=[(1, ValueError("bad")), (2, text(1))])
    assert report.created == 1 and "not JSON" in report.errors[0].message


def test_batches_are_short_transactions_with_few_queries(project: Project, django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(2 + 3 * 12):
        report = intake.add_rows(project=project, rows=rows(*[text(i) for i in range(3 * batches.BATCH_SIZE)]))
    assert report.created == 3 * batches.BATCH_SIZE


def test_errors_are_counted_beyond_those_kept(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MAX_ERRORS_KEPT", 3)
    report = intake.add_rows(project=project, rows=rows(*[{"data": {}}] * 10))
    assert report.n_errors == 10 and [error.row for error in report.errors] == [1, 2, 3]


@pytest.mark.django_db(transaction=True)
def test_two_imports_at_once_store_each_item_once() -> None:
    project = make_project()
    given = rows(*[text(i) for i in range(3000)])
    reports: list[IntakeReport] = []

    def work(part: list[tuple[int, object]]) -> None:
        reports.append(intake.add_rows(project=project, rows=part))
        connection.close()

    threads = [threading.Thread(target=work, args=(part,)) for part in (given, given[::-1], given[1000:])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(report.created for report in reports) == 3000 == Item.objects.filter(project=project).count()
    assert sum(report.duplicates for report in reports) == 5000
    assert not any(report.n_errors for report in reports)
