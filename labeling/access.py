"""Who may reach what. Every object is looked up through its project and the caller's membership."""

from collections.abc import Callable
from functools import cache, wraps
from typing import Any

from django.db.models import Q
from django.http import HttpRequest, HttpResponse

from labeling.core.errors import Forbidden, NotFound
from labeling.models import (
    Annotation,
    ApiKey,
    Assignment,
    Invitation,
    Item,
    Job,
    Membership,
    Project,
    ReviewItem,
    SecondLook,
)

Role = Membership.Role
# What each role may do includes what the roles below it may.
_RANK = {Role.ANNOTATOR: 1, Role.REVIEWER: 2, Role.OWNER: 3}


def logged_in_fragment(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Answers 401 to a session that has ended. A redirect would put the log-in page into the middle of another page."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.is_authenticated:
            return HttpResponse("Log in again to go on.", status=401, content_type="text/plain")
        return view(request, *args, **kwargs)

    return guarded


def membership_for(user: Any, slug: str, role: str = Role.ANNOTATOR, key: ApiKey | None = None) -> Membership:
    """The caller's membership with its project, at least of `role`. One query.

    Raises NotFound for a project that does not exist or is not the caller's (the two cannot be told apart), and
    Forbidden when the caller's role is too low.
    """
    memberships = Membership.objects.select_related("project").filter(user_id=user.pk, project__slug=slug)
    if key is not None and key.project_id is not None:
        memberships = memberships.filter(project_id=key.project_id)
    membership = memberships.first()
    if membership is None:
        raise _no_project(slug)
    _need(Role(role), Role(membership.role))
    return membership


def project_for(user: Any, slug: str, role: str = Role.ANNOTATOR, key: ApiKey | None = None) -> Project:
    """The project, if the caller belongs to it with at least `role`. Raises as membership_for does.

    Its query is written out: putting it together takes seven times as long as asking it, in every call of the API.
    """
    found = next(iter(Project.objects.raw(_project_of_member(), [user.pk, slug])), None)
    if found is None or (key is not None and key.project_id not in (None, found.pk)):
        raise _no_project(slug)
    _need(Role(role), Role(found.caller_role))  # type: ignore[attr-defined]
    return found


@cache
def _project_of_member() -> str:
    columns = ", ".join(f"project.{field.attname}" for field in Project._meta.concrete_fields)
    return f"""
SELECT {columns}, membership.role AS caller_role
FROM labeling_membership AS membership
JOIN labeling_project AS project ON project.id = membership.project_id
WHERE membership.user_id = %s AND project.slug = %s
"""


def _no_project(slug: str) -> NotFound:
    return NotFound(f"There is no project {slug} that you belong to.")


def _need(role: Role, have: Role) -> None:
    if _RANK[have] < _RANK[role]:
        raise Forbidden(f"This needs the role {role.label.lower()}; you are {have.label}.")


def assignment_for(user: Any, assignment_id: int, key: ApiKey | None = None) -> Assignment:
    """The caller's own assignment with its project. Somebody else's is NotFound."""
    assignments = Assignment.objects.select_related("project").filter(
        pk=assignment_id, user_id=user.pk, project__memberships__user_id=user.pk
    )
    if key is not None and key.project_id is not None:
        assignments = assignments.filter(project_id=key.project_id)
    assignment = assignments.first()
    if assignment is None:
        raise NotFound("There is no such assignment of yours.")
    return assignment


def annotation_for(user: Any, annotation_id: int, key: ApiKey | None = None) -> Annotation:
    """The caller's own annotation. Somebody else's is NotFound."""
    annotations = Annotation.objects.select_related("project", "assignment").filter(
        pk=annotation_id, user_id=user.pk, project__memberships__user_id=user.pk
    )
    if key is not None and key.project_id is not None:
        annotations = annotations.filter(project_id=key.project_id)
    annotation = annotations.first()
    if annotation is None:
        raise NotFound("There is no such annotation of yours.")
    return annotation


def job_for(user: Any, job_id: Any, key: ApiKey | None = None) -> Job:
    """A job of a project that the caller owns or reviews, or one the caller started."""
    job = Job.objects.select_related("project").filter(pk=job_id).first()
    if job is None or job.project is None:
        raise NotFound("There is no such job.")
    membership = Membership.objects.filter(user_id=user.pk, project_id=job.project.pk).first()
    if membership is None or (key is not None and key.project_id not in (None, job.project_id)):
        raise NotFound("There is no such job.")
    if membership.role == Role.ANNOTATOR and job.created_by_id != user.pk:
        raise NotFound("There is no such job.")
    return job


def review_for(user: Any, review_id: int, key: ApiKey | None = None) -> ReviewItem:
    """A review of a project that the caller reviews or owns. To everybody else there is none."""
    reviews = ReviewItem.objects.select_related("project").filter(
        pk=review_id,
        project__memberships__user_id=user.pk,
        project__memberships__role__in=(Role.REVIEWER, Role.OWNER),
    )
    if key is not None and key.project_id is not None:
        reviews = reviews.filter(project_id=key.project_id)
    review = reviews.first()
    if review is None:
        raise NotFound("There is no such review in a project that you review.")
    return review


def item_for(membership: Membership, item_id: int) -> Item:
    """An item of the member's project."""
    item = Item.objects.filter(project_id=membership.project_id, pk=item_id).defer("features").first()
    if item is None:
        raise NotFound("There is no such item in this project.")
    return item


def colleague_for(membership: Membership, membership_id: int) -> Membership:
    """Another membership of the member's project."""
    found = Membership.objects.select_related("project", "user").filter(
        project_id=membership.project_id, pk=membership_id
    )
    colleague = found.first()
    if colleague is None:
        raise NotFound("This person does not belong to the project any more.")
    return colleague


def invitation_for(membership: Membership, invitation_id: int) -> Invitation:
    """An invitation to the member's project."""
    invitation = Invitation.objects.filter(project_id=membership.project_id, pk=invitation_id).first()
    if invitation is None:
        raise NotFound("There is no such invitation.")
    return invitation


def own_key_for(membership: Membership, key_id: int) -> ApiKey:
    """A key of the member's own that works in the project."""
    keys = ApiKey.objects.select_related("project").filter(pk=key_id, user_id=membership.user_id)
    key = keys.filter(Q(project_id=membership.project_id) | Q(project__isnull=True)).first()
    if key is None:
        raise NotFound("There is no such key of yours.")
    return key


def second_look_for(membership: Membership, look_id: int) -> SecondLook:
    """A second look of the member's project."""
    looks = SecondLook.objects.select_related("project", "schema", "created_by")
    look = looks.filter(project_id=membership.project_id, pk=look_id).first()
    if look is None:
        raise NotFound("There is no such second look in this project.")
    return look
