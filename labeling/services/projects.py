"""Setting up a project: its schema, its people, its keys."""

import hashlib
import secrets
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.text import slugify

from labeling.core.errors import Conflict, Forbidden, Invalid, NotFound
from labeling.core.schema import check_config
from labeling.models import ApiKey, Invitation, LabelSchema, Membership, Project
from labeling.services.audit import record_audit
from labeling.services.consensus import request_consensus

MAX_GUIDELINES = 100_000
INVITATION_DAYS = 14
# The knobs of a project that its owner may turn, in the order in which the settings page shows them.
SETTINGS = (
    "name",
    "description",
    "overlap_policy",
    "overlap",
    "max_overlap",
    "target_posterior",
    "full_overlap_share",
    "has_single_truth",
    "lease_seconds",
    "submit_on_choice",
    "suggestion_policy",
    "suggestion_hidden_share",
    "person_limit",
    "gold_share",
    "gold_bar",
    "onboarding",
    "gold_feedback",
    "reviews_a_day",
)
# A change of these may settle or reopen items that have answers.
_SETTLING = frozenset(
    ("overlap_policy", "overlap", "max_overlap", "target_posterior", "full_overlap_share", "has_single_truth")
)
RESERVED_SLUGS = frozenset({"new"})


def create_project(
    *,
    owner: Any,
    name: str,
    kind: str,
    config: dict[str, Any],
    slug: str = "",
    guidelines: str = "",
    audit_share: float | None = None,
    **settings: Any,
) -> Project:
    """The new project with its first schema version; `owner` is its owner."""
    stored = check_config(kind, config)
    _check_guidelines(guidelines)
    name = name.strip() or slug
    slug = slug or slugify(name)[:60]
    if not slug or slug != slugify(slug) or len(slug) > 60 or slug in RESERVED_SLUGS:
        raise Invalid(
            "A slug is 1 to 60 lower-case letters, digits and hyphens.",
            fields={"slug": slug or "empty"},
        )
    if audit_share is not None:
        settings["audit_share"] = audit_share
    project = Project(slug=slug, name=name[:120], created_by=owner, **settings)
    _check_settings(project)
    try:
        with transaction.atomic():
            project.save()
            Membership.objects.create(project=project, user=owner, role=Membership.Role.OWNER)
            LabelSchema.objects.create(
                project=project,
                version=1,
                kind=kind,
                config=stored,
                guidelines=guidelines,
                created_by=owner,
            )
            record_audit(action="project.create", actor=owner, project=project, target=slug)
    except IntegrityError:
        raise Conflict(f"There is already a project {slug}.", fields={"slug": "taken"}) from None
    return project


def change_project(*, project: Project, actor: Any, **settings: Any) -> Project:
    """The project with changed settings. Items that are open keep the answers they have."""
    unknown = set(settings) - set(SETTINGS)
    if unknown:
        raise Invalid(
            f"{sorted(unknown)[0]} is not a setting of a project.",
            fields={sorted(unknown)[0]: "unknown"},
        )
    before = {name: getattr(project, name) for name in settings}
    for name, value in settings.items():
        setattr(project, name, value)
    _check_settings(project)
    changed = {name: [before[name], value] for name, value in settings.items() if before[name] != value}
    if changed:
        with transaction.atomic():
            project.save(update_fields=list(changed))
            record_audit(
                action="project.change",
                actor=actor,
                project=project,
                target=project.slug,
                detail=changed,
            )
            if _SETTLING & set(changed):
                request_consensus(project=project, reason="settings were changed", user=actor)
    return project


def _check_settings(project: Project) -> None:
    try:
        project.clean_fields(exclude=["created_by"])
        project.clean()
    except ValidationError as error:
        fields = {name: " ".join(messages) for name, messages in error.message_dict.items()}
        raise Invalid("Some settings are out of range.", fields=fields) from None


def _check_guidelines(guidelines: str) -> None:
    if len(guidelines) > MAX_GUIDELINES:
        raise Invalid(
            f"Guidelines have at most {MAX_GUIDELINES:,} characters.",
            fields={"guidelines": f"{len(guidelines):,}"},
        )


def change_schema(
    *,
    project: Project,
    actor: Any,
    config: dict[str, Any] | None = None,
    guidelines: str | None = None,
) -> LabelSchema:
    """The next version of the schema, or the current one when nothing changed. The kind never changes."""
    with transaction.atomic():
        Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        current = LabelSchema.objects.current(project.pk)
        new_config = current.config if config is None else check_config(current.kind, config)
        new_guidelines = current.guidelines if guidelines is None else guidelines
        _check_guidelines(new_guidelines)
        if new_config == current.config and new_guidelines == current.guidelines:
            return current
        schema = LabelSchema.objects.create(
            project=project,
            version=current.version + 1,
            kind=current.kind,
            config=new_config,
            guidelines=new_guidelines,
            created_by=actor,
        )
        record_audit(
            action="schema.change",
            actor=actor,
            project=project,
            target=f"version {schema.version}",
        )
    return schema


def invite(*, project: Project, actor: Any, role: str) -> tuple[Invitation, str]:
    """The invitation and its token, which is shown once: only a digest of it is kept."""
    if role not in Membership.Role.values:
        raise Invalid(f"{role} is not a role.", fields={"role": "unknown"})
    token = secrets.token_urlsafe(24)
    with transaction.atomic():
        invitation = Invitation.objects.create(
            project=project,
            role=role,
            token_digest=_digest(token),
            created_by=actor,
            expires_at=timezone.now() + timedelta(days=INVITATION_DAYS),
        )
        record_audit(action="member.invite", actor=actor, project=project, target=role)
    return invitation, token


def open_invitation(*, token: str) -> Invitation:
    """The invitation behind a link. Raises NotFound when it is unknown, has expired or was taken back."""
    invitation = Invitation.objects.select_related("project").filter(token_digest=_digest(token)).first()
    if invitation is None or not invitation.is_open:
        raise NotFound("This invitation is no longer valid. Ask the project's owner for a new link.")
    return invitation


def accept_invitation(*, token: str, user: Any) -> Membership:
    """The membership. Whoever is a member already keeps the role they have."""
    invitation = open_invitation(token=token)
    with transaction.atomic():
        membership, is_new = Membership.objects.get_or_create(
            project=invitation.project, user=user, defaults={"role": invitation.role}
        )
        if is_new:
            Invitation.objects.filter(pk=invitation.pk).update(n_joined=F("n_joined") + 1)
            record_audit(
                action="member.join",
                actor=user,
                project=invitation.project,
                target=membership.role,
            )
    return membership


def revoke_invitation(*, invitation: Invitation, actor: Any) -> None:
    """Closes the link. People who joined by it stay."""
    with transaction.atomic():
        Invitation.objects.filter(pk=invitation.pk, revoked_at__isnull=True).update(revoked_at=timezone.now())
        record_audit(
            action="member.uninvite",
            actor=actor,
            project=invitation.project,
            target=invitation.role,
        )


def change_role(*, membership: Membership, actor: Any, role: str) -> Membership:
    """The membership in its new role. A project always keeps an owner."""
    if role not in Membership.Role.values:
        raise Invalid(f"{role} is not a role.", fields={"role": "unknown"})
    with transaction.atomic():
        _keep_an_owner(membership, still_owner=role == Membership.Role.OWNER)
        membership.role = role
        membership.save(update_fields=["role"])
        record_audit(
            action="member.role",
            actor=actor,
            project=membership.project,
            target=membership.user.get_username(),
            detail={"role": role},
        )
    return membership


def remove_member(*, membership: Membership, actor: Any) -> None:
    """Takes somebody out of the project. What they said stays."""
    with transaction.atomic():
        _keep_an_owner(membership, still_owner=False)
        record_audit(
            action="member.remove",
            actor=actor,
            project=membership.project,
            target=membership.user.get_username(),
        )
        membership.delete()


def _keep_an_owner(membership: Membership, still_owner: bool) -> None:
    Project.objects.select_for_update(no_key=True).get(pk=membership.project_id)
    owners = Membership.objects.filter(project_id=membership.project_id, role=Membership.Role.OWNER)
    if not still_owner and not owners.exclude(pk=membership.pk).exists():
        raise Conflict(
            "A project needs an owner. Make somebody else owner first.",
            code="last_owner",
        )


def create_api_key(
    *,
    user: Any,
    project: Project | None = None,
    scopes: list[str],
    name: str = "",
    actor: Any = None,
) -> tuple[ApiKey, str]:
    """The key's row and the key itself, which is shown once: only its SHA-256 is kept."""
    unknown = [scope for scope in scopes if scope not in ApiKey.SCOPES]
    if unknown or not scopes:
        raise Invalid(
            f"Scopes are {', '.join(ApiKey.SCOPES)}.",
            fields={"scopes": ", ".join(unknown) or "none given"},
        )
    if project is not None and not Membership.objects.filter(project=project, user=user).exists():
        raise Forbidden("A key works for projects that its user belongs to.")
    secret = "sk_" + secrets.token_urlsafe(32)
    with transaction.atomic():
        key = ApiKey.objects.create(
            user=user,
            project=project,
            name=name[:80],
            prefix=secret[:10],
            digest=_digest(secret),
            scopes=scopes,
        )
        record_audit(
            action="key.create",
            actor=actor or user,
            project=project,
            target=key.prefix,
            detail={"scopes": scopes},
        )
    return key, secret


def revoke_api_key(*, key: ApiKey, actor: Any) -> None:
    """The key stops working with the next request."""
    with transaction.atomic():
        ApiKey.objects.filter(pk=key.pk, revoked_at__isnull=True).update(revoked_at=timezone.now())
        record_audit(action="key.revoke", actor=actor, project=key.project, target=key.prefix)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
