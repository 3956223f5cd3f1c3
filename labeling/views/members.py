"""Who belongs to a project, invitations, and the page that an invitation opens."""

from typing import Any

from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from labeling import access, selectors
from labeling.core.errors import DomainError, NotFound
from labeling.forms.errors import add_domain_error
from labeling.forms.members import AccountForm, InviteForm
from labeling.models import Membership, Project
from labeling.services import accounts, gold
from labeling.services import projects as services
from labeling.services.limits import count_hit
from labeling.views.addresses import client_address

# New accounts a minute and address: a class that joins together fits, a machine that makes accounts does not.
ACCOUNTS_PER_MINUTE = 30


@login_required
@never_cache
@require_safe
def members(request: HttpRequest, slug: str) -> HttpResponse:
    membership = access.membership_for(request.user, slug, Membership.Role.REVIEWER)
    return _page(request, membership, InviteForm())


def _page(request: HttpRequest, membership: Membership, form: InviteForm, **shown: Any) -> HttpResponse:
    is_owner = membership.role == Membership.Role.OWNER
    context = {
        "project": membership.project,
        "membership": membership,
        "is_owner": is_owner,
        "members": _with_known(membership.project),
        "roles": Membership.Role.choices,
        "invitations": selectors.open_invitations(project=membership.project) if is_owner else [],
        "days": services.INVITATION_DAYS,
        "form": form,
    }
    return render(request, "labeling/members.html", context | shown)


def _with_known(project: Project) -> list[dict[str, Any]]:
    """The members with how they do on known items, and in practice."""
    found = selectors.members(project=project)
    ids = [member.user_id for member in found]
    shares = selectors.gold_shares(project=project, user_ids=ids)
    done = selectors.practice_done(project=project)
    practised = selectors.gold_shares(project=project, user_ids=list(done), reason="practice")
    return [
        {
            "member": member,
            "gold": shares.get(member.user_id),
            "n_practised": done.get(member.user_id, 0),
            "practice": practised.get(member.user_id),
            "is_practising": _is_practising(project, member, done.get(member.user_id, 0)),
        }
        for member in found
    ]


def _is_practising(project: Project, member: Membership, n_done: int) -> bool:
    is_asked_to = member.role == Membership.Role.ANNOTATOR and member.practised_at is None
    return is_asked_to and 0 < n_done < project.onboarding


@login_required
@require_POST
def lift_pause(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    membership = access.membership_for(request.user, slug, Membership.Role.OWNER)
    colleague = access.colleague_for(membership, pk)
    gold.lift_pause(membership=colleague, actor=request.user, now=timezone.now())
    messages.success(request, f"{colleague.user.get_username()} may go on.")
    return redirect("labeling:members", slug)


@login_required
@never_cache
@require_POST
def invite(request: HttpRequest, slug: str) -> HttpResponse:
    """The page with the new link on it. It is shown this once: only its digest is stored."""
    membership = access.membership_for(request.user, slug, Membership.Role.OWNER)
    form = InviteForm(request.POST)
    if not form.is_valid():
        return _page(request, membership, form)
    invitation, token = services.invite(project=membership.project, actor=request.user, role=form.cleaned_data["role"])
    link = request.build_absolute_uri(reverse("labeling:invitation", args=[token]))
    return _page(request, membership, InviteForm(), link=link, new_invitation=invitation)


@login_required
@require_POST
def revoke_invitation(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    membership = access.membership_for(request.user, slug, Membership.Role.OWNER)
    invitation = access.invitation_for(membership, pk)
    services.revoke_invitation(invitation=invitation, actor=request.user)
    messages.success(request, "The link opens nothing any more. Who joined by it stays.")
    return redirect("labeling:members", slug)


@login_required
@require_POST
def change_role(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    membership = access.membership_for(request.user, slug, Membership.Role.OWNER)
    colleague = access.colleague_for(membership, pk)
    try:
        services.change_role(membership=colleague, actor=request.user, role=request.POST.get("role", ""))
    except DomainError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, f"{colleague.user.get_username()} is now {colleague.get_role_display().lower()}.")
    return _back(request, membership, colleague)


@login_required
@require_POST
def remove_member(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    membership = access.membership_for(request.user, slug, Membership.Role.OWNER)
    colleague = access.colleague_for(membership, pk)
    try:
        services.remove_member(membership=colleague, actor=request.user)
    except DomainError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, f"{colleague.user.get_username()} no longer belongs to the project. Answers stay.")
    return _back(request, membership, colleague)


def _back(request: HttpRequest, membership: Membership, changed: Membership) -> HttpResponse:
    """The members page, or the list of projects for an owner who has just stepped down or out."""
    is_self = changed.user_id == membership.user_id
    if is_self and (changed.pk is None or changed.role == Membership.Role.ANNOTATOR):
        return redirect("labeling:projects")
    return redirect("labeling:members", membership.project.slug)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """What the link is for; a POST by somebody who is logged in joins."""
    try:
        opened = services.open_invitation(token=token)
    except NotFound as error:
        return render(request, "labeling/invite_closed.html", {"error": error}, status=error.status)
    if request.method == "POST" and request.user.is_authenticated:
        services.accept_invitation(token=token, user=request.user)
        messages.success(request, f"Welcome to {opened.project.name}.")
        return redirect(opened.project)
    already = request.user.is_authenticated and opened.project.memberships.filter(user=request.user).exists()
    context = {"invitation": opened, "token": token, "form": AccountForm(), "is_member": already}
    return render(request, "labeling/invite.html", context)


@never_cache
@sensitive_post_parameters()
@require_POST
def invitation_account(request: HttpRequest, token: str) -> HttpResponse:
    """A new account that joins at once and is logged in."""
    try:
        opened = services.open_invitation(token=token)
    except NotFound as error:
        return render(request, "labeling/invite_closed.html", {"error": error}, status=error.status)
    form = AccountForm(request.POST)
    status = 422
    if count_hit("account", client_address(request), ACCOUNTS_PER_MINUTE) is not None:
        form.add_error(None, "Too many new accounts from your address in a minute. Wait a minute and try again.")
        status = 429
    elif form.is_valid():
        try:
            user = accounts.create_account_by_invitation(
                token=token,
                username=form.cleaned_data["username"],
                password=form.cleaned_data["password1"],
            )
        except DomainError as error:
            add_domain_error(form, error)
        else:
            login(request, user, backend="django.contrib.auth.backends.ModelBackend")
            messages.success(request, f"Welcome to {opened.project.name}, {user.get_username()}.")
            return redirect(opened.project)
    return render(request, "labeling/invite.html", {"invitation": opened, "token": token, "form": form}, status=status)
