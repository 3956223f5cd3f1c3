"""The trail of consequential acts."""

from typing import Any

from structlog.contextvars import get_contextvars

from labeling.models import AuditEntry, Project


def record_audit(
    *,
    action: str,
    actor: Any = None,
    project: Project | None = None,
    target: str = "",
    detail: dict | None = None,
) -> AuditEntry:
    """Adds one entry in the caller's transaction: either both happen or neither."""
    return AuditEntry.objects.create(
        action=action,
        actor=actor if actor is not None and actor.is_authenticated else None,
        project=project,
        target=target[:120],
        detail=detail or {},
        request_id=str(get_contextvars().get("request_id", ""))[:64],
    )
