"""Members, invitations, and joining by one."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone

from labeling.models import AuditEntry, Invitation, Membership, Project
from labeling.services import projects
from tests.factories import PASSWORD, make_member

URL = "/projects/tweets/members/"
GOOD = "quartz streak 71"


@pytest.fixture
def token(project: Project, owner: Any) -> str:
    return projects.invite(project=project, actor=owner, role="annotator")[1]


def role_of(user: Any) -> str | None:
    membership = Membership.objects.filter(user=user).first()
    return membership.role if membership else None


def member_of(user: Any) -> Membership:
    return Membership.objects.get(user=user)


def test_an_owner_changes_a_role(client: Client, project: Project, owner: Any, annotator: Any) -> None:
    client.force_login(owner)
    response = client.post(f"{URL}{member_of(annotator).pk}/role/", {"role": "reviewer"}, follow=True)
    assert "ann is now reviewer." in response.content.decode()
    assert role_of(annotator) == "reviewer"


def test_the_last_owner_stays(client: Client, project: Project, owner: Any) -> None:
    client.force_login(owner)
    for action in ("role", "remove"):
        response = client.post(f"{URL}{member_of(owner).pk}/{action}/", {"role": "annotator"}, follow=True)
        assert "A project needs an owner." in response.content.decode()
    assert role_of(owner) == "owner"


def test_an_owner_who_steps_out_lands_on_their_projects(client: Client, project: Project, owner: Any) -> None:
    make_member(project, "owner")
    client.force_login(owner)
    response = client.post(f"{URL}{member_of(owner).pk}/remove/")
    assert response["Location"] == "/projects/"
    assert role_of(owner) is None


def test_removing_somebody_keeps_the_account(client: Client, project: Project, owner: Any, annotator: Any) -> None:
    client.force_login(owner)
    client.post(f"{URL}{member_of(annotator).pk}/remove/")
    assert role_of(annotator) is None
    assert get_user_model().objects.filter(pk=annotator.pk).exists()


def test_a_role_that_is_none_is_refused(client: Client, project: Project, owner: Any, annotator: Any) -> None:
    client.force_login(owner)
    response = client.post(f"{URL}{member_of(annotator).pk}/role/", {"role": "king"}, follow=True)
    assert "king is not a role." in response.content.decode()
    assert role_of(annotator) == "annotator"


def test_a_reviewer_looks_and_changes_nothing(client: Client, project: Project, reviewer: Any, annotator: Any) -> None:
    client.force_login(reviewer)
    html = client.get(URL).content.decode()
    assert "ann" in html and "Make a link" not in html and "/role/" not in html
    assert client.post(f"{URL}{member_of(annotator).pk}/remove/").status_code == 403
    assert client.post("/projects/tweets/invitations/", {"role": "owner"}).status_code == 403


def test_a_link_is_shown_once_and_works(client: Client, project: Project, owner: Any, outsider: Any) -> None:
    client.force_login(owner)
    response = client.post("/projects/tweets/invitations/", {"role": "reviewer"})
    found = re.search(r'value="(http://testserver(/invite/[^"]+/))"', response.content.decode())
    assert found
    assert "no-store" in response["Cache-Control"]
    assert found[2] not in client.get(URL).content.decode()
    client.force_login(outsider)
    assert "Join as eve" in client.get(found[2]).content.decode()
    assert client.post(found[2])["Location"] == "/projects/tweets/"
    assert role_of(outsider) == "reviewer"
    assert Invitation.objects.get().n_joined == 1


def test_opening_a_link_changes_nothing(client: Client, project: Project, outsider: Any, token: str) -> None:
    client.force_login(outsider)
    client.get(f"/invite/{token}/")
    assert role_of(outsider) is None


def test_a_member_keeps_the_role_they_have(client: Client, project: Project, reviewer: Any, token: str) -> None:
    client.force_login(reviewer)
    assert "You belong to this project already." in client.get(f"/invite/{token}/").content.decode()
    client.post(f"/invite/{token}/")
    assert role_of(reviewer) == "reviewer"


@pytest.mark.parametrize("how", ["unknown", "expired", "revoked"])
def test_a_closed_invitation_says_so_and_opens_nothing(
    client: Client, project: Project, owner: Any, token: str, how: str
) -> None:
    if how == "unknown":
        token = "nonsense"
    elif how == "expired":
        Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    else:
        client.force_login(owner)
        client.post(f"/projects/tweets/invitations/{Invitation.objects.get().pk}/revoke/")
        client.logout()
    response = client.get(f"/invite/{token}/")
    assert response.status_code == 404
    assert "This invitation is closed" in response.content.decode()
    response = client.post(f"/invite/{token}/account/", {"username": "new", "password1": GOOD, "password2": GOOD})
    assert response.status_code == 404
    assert not get_user_model().objects.filter(username="new").exists()


def test_a_stranger_makes_an_account_and_is_in(client: Client, project: Project, token: str) -> None:
    html = client.get(f"/invite/{token}/").content.decode()
    assert f"/login/?next=/invite/{token}/" in html
    response = client.post(
        f"/invite/{token}/account/", {"username": "zoe", "password1": GOOD, "password2": GOOD}, follow=True
    )
    assert response.redirect_chain[-1][0] == "/projects/tweets/"
    assert "Welcome to Tweet sentiment, zoe." in response.content.decode()
    assert role_of(get_user_model().objects.get(username="zoe")) == "annotator"
    assert AuditEntry.objects.filter(action="member.join").count() == 1


@pytest.mark.parametrize(
    "fields, field",
    [
        ({"username": "olga"}, "username"),
        ({"username": "OLGA"}, "username"),
        ({"username": "a b"}, "username"),
        ({"password1": "short", "password2": "short"}, "password2"),
        ({"password1": "password123", "password2": "password123"}, "password2"),
        ({"password2": "something else 5"}, "password2"),
    ],
)
def test_an_account_is_refused_with_the_reason(
    client: Client, project: Project, token: str, fields: dict, field: str
) -> None:
    body = {"username": "zoe", "password1": GOOD, "password2": GOOD} | fields
    response = client.post(f"/invite/{token}/account/", body)
    assert response.status_code == 422
    assert response.context["form"].errors[field]
    assert get_user_model().objects.count() == 1
    assert GOOD not in response.content.decode()


def test_accounts_are_not_made_by_the_hundred(
    client: Client, project: Project, token: str, has_valkey: bool, still_minute: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_valkey:
        pytest.skip("Limits live in the cache.")
    monkeypatch.setattr("labeling.views.members.ACCOUNTS_PER_MINUTE", 2)
    statuses = []
    for n in range(3):
        body = {"username": f"zoe{n}", "password1": GOOD, "password2": GOOD}
        statuses.append(Client().post(f"/invite/{token}/account/", body).status_code)
    assert statuses == [302, 302, 429]


def test_passwords_are_not_tried_by_the_hundred(
    client: Client, owner: Any, has_valkey: bool, still_minute: None, settings: Any
) -> None:
    if not has_valkey:
        pytest.skip("Limits live in the cache.")
    settings.THROTTLE_PER_MINUTE = {"login": 3}
    wrong = {"username": "olga", "password": "wrong"}
    assert [client.post("/login/", wrong).status_code for _ in range(3)] == [200, 200, 200]
    response = client.post("/login/", {"username": "Olga", "password": PASSWORD})
    assert response.status_code == 429
    assert "Wait a minute" in response.content.decode()
    assert client.post("/login/", {"username": "rae", "password": "x"}).status_code == 200, "others may go on"
    assert client.post("/login/", {"username": "\x00 *", "password": "x"}).status_code == 400


def test_logging_in_leads_back_to_the_invitation(client: Client, project: Project, outsider: Any, token: str) -> None:
    body = {"username": "eve", "password": PASSWORD, "next": f"/invite/{token}/"}
    assert client.post("/login/", body)["Location"] == f"/invite/{token}/"


def test_the_list_takes_the_same_queries_for_many(
    client: Client, project: Project, owner: Any, django_assert_num_queries: Any
) -> None:
    for _ in range(10):
        make_member(project)
        projects.invite(project=project, actor=owner, role="annotator")
    client.force_login(owner)
    # session, user, membership, members, their known items, their practice, invitations, reviews
    with django_assert_num_queries(8):
        assert client.get(URL).status_code == 200
