"""Who may open what: every page of the labeling app against the whole cast.

`owner`, `reviewer` and `annotator` are the answers to members. An outsider never learns that a project exists (404),
and whoever is not logged in is sent to the log-in page; fragments answer them 401, because a redirect would put the
log-in page into the middle of another page.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from labeling import urls
from labeling.models import ApiKey, Invitation, Item, Job, Membership, Project, ReviewItem
from labeling.services import inbox, projects
from tests.factories import make_item, make_key, make_member, make_user

NOBODYS = UUID(int=0)


@dataclass(frozen=True)
class Page:
    """A page and its answers. `ids` makes what its address needs beside the slug."""

    name: str
    owner: int = 200
    reviewer: int = 200
    annotator: int = 200
    method: str = "get"
    ids: Callable[[], dict[str, Any]] = dict
    body: dict[str, Any] = field(default_factory=dict)
    anonymous: int = 302

    def __str__(self) -> str:
        return f"{self.method} {self.name}"


def item() -> dict[str, Any]:
    return {"pk": Item.objects.first().pk}  # type: ignore[union-attr]


def review() -> dict[str, Any]:
    return {"pk": ReviewItem.objects.get().pk}


def member() -> dict[str, Any]:
    return {"pk": Membership.objects.get(user__username="zed").pk}


def invitation() -> dict[str, Any]:
    return {"pk": Invitation.objects.get().pk}


def failed_job() -> dict[str, Any]:
    return {"pk": Job.objects.get(state="failed").pk}


def olgas_key() -> dict[str, Any]:
    return {"pk": ApiKey.objects.get().pk}


def no_upload() -> dict[str, Any]:
    return {"upload_id": "0" * 32}


def no_look() -> dict[str, Any]:
    return {"pk": 999_999}


def no_job() -> dict[str, Any]:
    return {"job_id": NOBODYS}


PAGES = [
    Page("project"),
    Page("items"),
    Page("item", ids=item),
    Page("ask-next", 302, 302, 403, "post"),
    Page("take-out", 302, 302, 403, "post"),
    Page("annotate"),
    Page("mine"),
    Page("agreement", annotator=403),
    Page("agreement-now", annotator=403, anonymous=401),
    Page("agreement-pairs", 404, 404, 403, anonymous=401),
    Page("agreement-person", 404, 404, 403, anonymous=401),
    Page("send-doubts", 422, 422, 403, "post", anonymous=401),
    Page("measure-agreement", 302, 403, 403, "post"),
    Page("agreement-file", 404, 404, 403, ids=lambda: {"file_format": "csv"}),
    Page("review", annotator=403),
    Page("review-majority", annotator=403),
    Page("review-decide", 422, 422, 403, "post", review),
    Page("review-requeue", 302, 302, 403, "post", review),
    Page("review-cannot-tell", 302, 302, 403, "post", review),
    Page("review-undo", 302, 302, 403, "post", review),
    Page("jobs", annotator=403),
    Page("jobs-list", annotator=403, anonymous=401),
    Page("retry-job", 302, 302, 403, "post", failed_job),
    Page("members", annotator=403),
    Page("change-role", 302, 403, 403, "post", member, {"role": "reviewer"}),
    Page("remove-member", 302, 403, 403, "post", member),
    Page("lift-pause", 409, 403, 403, "post", member),
    Page("invite", 200, 403, 403, "post", body={"role": "annotator"}),
    Page("revoke-invitation", 302, 403, 403, "post", invitation),
    Page("settings", annotator=403),
    Page("settings", 422, 403, 403, "post", body={"name": ""}),
    Page("schema", annotator=403),
    Page("schema", 422, 403, 403, "post", body={"labels": "one"}),
    Page("schema-version", annotator=403, ids=lambda: {"version": 1}),
    Page("second-look", annotator=403),
    Page("second-look", 422, 403, 403, "post"),
    Page("close-second-look", 404, 403, 403, "post", no_look),
    Page("second-look-file", 404, 404, 403, ids=lambda: no_look() | {"file_format": "csv"}),
    Page("keys"),
    Page("keys", 200, 200, 200, "post", body={"name": "x", "scope": "annotate"}),
    Page("revoke-key", 302, 404, 404, "post", olgas_key),
    Page("import", 200, 403, 403),
    Page("import-preview", 404, 403, 403, ids=no_upload),
    Page("import-plan", 404, 403, 403, "post", no_upload),
    Page("import-job", 404, 403, 403, ids=no_job),
    Page("import-progress", 404, 403, 403, ids=no_job),
    Page("import-errors", 404, 403, 403, ids=no_job),
    Page("import-again", 404, 403, 403, "post", no_job),
    Page("export", annotator=403),
    Page("export-list", annotator=403),
    Page("export-download", 404, 404, 403, ids=no_job),
    Page("export-manifest", 404, 404, 403, ids=no_job),
]
# Pages without a project in their address; the tests of test_pages_*.py say who may do what there.
OF_NO_PROJECT = {
    "login",
    "account",
    "invitation",
    "invitation-account",
    "projects",
    "new-project",
    "preview-guidelines",
    "health-dot",
}


@pytest.fixture
def rows(project: Project, owner: Any) -> None:
    """Something behind every address."""
    flagged = make_item(project)
    now = timezone.now()
    inbox.open_review(
        project_id=project.pk, item_id=flagged.pk, reason="flag", evidence={"n": 1}, priority=0.0, now=now
    )
    make_member(project, "annotator", make_user("zed"))
    projects.invite(project=project, actor=owner, role="annotator")
    Job.objects.create(project=project, kind="train", task="labeling.sweep_jobs", state="failed")
    make_key(owner, project)


def answer_to(client: Client, page: Page) -> Any:
    url = reverse(f"labeling:{page.name}", kwargs={"slug": "tweets"} | page.ids())
    return client.get(url) if page.method == "get" else client.post(url, page.body)


@pytest.mark.parametrize("who", ["owner", "reviewer", "annotator"])
@pytest.mark.parametrize("page", PAGES, ids=str)
def test_members_see_what_their_role_may(
    client: Client, rows: None, page: Page, who: str, request: pytest.FixtureRequest
) -> None:
    client.force_login(request.getfixturevalue(who))
    assert answer_to(client, page).status_code == getattr(page, who)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_an_outsider_finds_nothing(client: Client, rows: None, outsider: Any, page: Page) -> None:
    client.force_login(outsider)
    assert answer_to(client, page).status_code == 404


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_stranger_logs_in_first(client: Client, rows: None, page: Page) -> None:
    response = answer_to(client, page)
    assert response.status_code == page.anonymous
    if response.status_code == 302:
        assert response["Location"].startswith("/login/?next=/")


_READ = {page.name for page in PAGES if page.method == "get"}


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in _READ], ids=str)
def test_what_changes_something_is_no_link(client: Client, rows: None, owner: Any, page: Page) -> None:
    client.force_login(owner)
    url = reverse(f"labeling:{page.name}", kwargs={"slug": "tweets"} | page.ids())
    assert client.get(url).status_code == 405


def test_every_page_is_in_the_table() -> None:
    named = {pattern.name for pattern in urls.urlpatterns if not str(pattern.name).startswith("api-")}
    assert named - OF_NO_PROJECT == {page.name for page in PAGES}
