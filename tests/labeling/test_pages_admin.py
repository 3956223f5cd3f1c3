"""The admin: staff look at everything, change little, and never see a secret."""

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.test import Client

from labeling.models import ApiKey, Assignment, AuditEntry, Job, Membership, Project
from labeling.services import queue
from labeling.services.audit import record_audit
from tests.factories import make_annotation, make_item, make_items, make_key, make_user

NAMES = ["project", "membership", "item", "annotation", "assignment", "job", "auditentry", "apikey"]


@pytest.fixture
def staff(db: None) -> Any:
    return make_user("stan", is_staff=True, is_superuser=True)


@pytest.fixture
def looker(db: None) -> Any:
    """Staff who may view and not change."""
    user = make_user("lou", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    return user


@pytest.fixture
def rows(project: Project, owner: Any, annotator: Any) -> None:
    for item in make_items(project, 3, features=b"\0\0\0\0"):
        make_annotation(item, user=annotator)
    make_items(project, 3)
    queue.lease_items(project=project, user=annotator, n=3)
    Job.objects.create(project=project, kind="train", task="x")
    record_audit(action="project.change", actor=owner, project=project)
    make_key(owner, project)


@pytest.mark.parametrize("name", NAMES)
def test_lists_and_rows_open(client: Client, rows: None, staff: Any, name: str) -> None:
    client.force_login(staff)
    model = next(m for m in admin.site._registry if m._meta.label_lower == f"labeling.{name}")
    assert client.get(f"/admin/labeling/{name}/").status_code == 200
    row = model._default_manager.first()
    assert row is not None
    assert client.get(f"/admin/labeling/{name}/{row.pk}/change/").status_code == 200


@pytest.mark.parametrize("name", NAMES)
def test_lists_take_the_same_queries_for_more_rows(
    client: Client, rows: None, project: Project, staff: Any, name: str, django_assert_max_num_queries: Any
) -> None:
    client.force_login(staff)
    for n in range(10):
        user = make_user()
        Membership.objects.create(project=project, user=user)
        make_annotation(make_item(project), user=user)
        make_key(user, project)
        Job.objects.create(project=project, kind="train", task="x", created_by=user)
        queue.lease_items(project=project, user=user, n=1)
    with django_assert_max_num_queries(6):
        assert client.get(f"/admin/labeling/{name}/").status_code == 200


@pytest.mark.parametrize("name", [name for name in NAMES if name != "membership"])
def test_nothing_is_added_changed_or_deleted(client: Client, rows: None, staff: Any, name: str) -> None:
    client.force_login(staff)
    model = next(m for m in admin.site._registry if m._meta.label_lower == f"labeling.{name}")
    row = model._default_manager.first()
    assert row is not None
    assert client.get(f"/admin/labeling/{name}/add/").status_code == 403
    assert client.post(f"/admin/labeling/{name}/{row.pk}/change/", {}).status_code == 403
    assert client.post(f"/admin/labeling/{name}/{row.pk}/delete/", {"post": "yes"}).status_code == 403
    client.post(f"/admin/labeling/{name}/", {"action": "delete_selected", "_selected_action": row.pk, "post": "yes"})
    assert model._default_manager.filter(pk=row.pk).exists()


def test_an_item_is_found_by_its_exact_external_id(client: Client, project: Project, staff: Any) -> None:
    make_item(project, external_id="t-1")
    make_item(project, external_id="t-12")
    client.force_login(staff)
    found = client.get("/admin/labeling/item/", {"q": "t-1"}).context["cl"].result_list
    assert [item.external_id for item in found] == ["t-1"]


def test_counting_stops_at_a_cap(client: Client, project: Project, staff: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("labeling.staff.CappedPaginator.MOST", 4)
    make_items(project, 6)
    client.force_login(staff)
    assert client.get("/admin/labeling/item/").context["cl"].result_count == 4


def release(client: Client, chosen: list[int]) -> None:
    client.post("/admin/labeling/assignment/", {"action": "release", "_selected_action": chosen, "agreed": "yes"})


def test_live_leases_are_released_and_answers_left_alone(
    client: Client, rows: None, project: Project, annotator: Any, staff: Any
) -> None:
    answered = Assignment.objects.order_by("pk")[0]
    Assignment.objects.filter(pk=answered.pk).update(state="submitted")
    client.force_login(staff)
    release(client, list(Assignment.objects.values_list("pk", flat=True)))
    assert list(Assignment.objects.order_by("pk").values_list("state", flat=True)) == [
        "submitted",
        "released",
        "released",
    ]
    assert AuditEntry.objects.filter(action="lease.release", actor=staff).count() == 2
    assert len(queue.lease_items(project=project, user=annotator, n=5).items) >= 2


def test_a_key_is_revoked_and_its_secret_is_nowhere(client: Client, rows: None, staff: Any) -> None:
    key = ApiKey.objects.get()
    client.force_login(staff)
    html = client.get(f"/admin/labeling/apikey/{key.pk}/change/").content.decode()
    assert key.prefix in html and key.digest not in html
    chosen = {"action": "revoke", "_selected_action": [key.pk]}
    assert "cannot be taken back" in client.post("/admin/labeling/apikey/", chosen).content.decode()
    assert ApiKey.objects.get().revoked_at is None
    client.post("/admin/labeling/apikey/", chosen | {"agreed": "yes"})
    key.refresh_from_db()
    assert key.revoked_at is not None
    assert AuditEntry.objects.filter(action="key.revoke", actor=staff).count() == 1


def test_who_may_only_look_neither_releases_nor_revokes(client: Client, rows: None, looker: Any) -> None:
    client.force_login(looker)
    release(client, list(Assignment.objects.values_list("pk", flat=True)))
    client.post(
        "/admin/labeling/apikey/", {"action": "revoke", "_selected_action": [ApiKey.objects.get().pk], "agreed": "yes"}
    )
    assert not Assignment.objects.exclude(state="leased").exists()
    assert ApiKey.objects.get().revoked_at is None


def test_staff_give_an_orphaned_project_an_owner(client: Client, project: Project, outsider: Any, staff: Any) -> None:
    client.force_login(staff)
    body = {"project": project.pk, "user": outsider.pk, "role": "owner"}
    assert client.post("/admin/labeling/membership/add/", body).status_code == 302
    membership = Membership.objects.get(user=outsider)
    assert membership.role == "owner"
    client.post(f"/admin/labeling/membership/{membership.pk}/change/", {"role": "reviewer"})
    assert Membership.objects.get(user=outsider).role == "reviewer"
    actions = AuditEntry.objects.filter(actor=staff).order_by("pk").values_list("action", flat=True)
    assert list(actions) == ["member.add", "member.role"]


def test_others_are_kept_out(client: Client, project: Project, owner: Any) -> None:
    client.force_login(owner)
    assert client.get("/admin/labeling/item/").status_code in (302, 403)
