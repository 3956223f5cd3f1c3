"""A fresh audit sample, when the present one has been looked at too often to test anything."""

from typing import Any

from django.db import transaction

from active_learning import selectors
from active_learning.core.audit import MIN_AUDITED
from active_learning.models import AuditSample
from active_learning.services.triggers import request_ordering
from labeling.core.errors import Conflict
from labeling.models import Project
from labeling.services.audit import record_audit


def start_fresh_audit(*, project: Project, actor: Any, reason: str = "") -> AuditSample:
    """The new sample: from now on only audit items that nobody has answered yet are measured on.

    No item moves: the unanswered ones are as random a share of what was imported as the answered ones were, and no
    model has learned from either. What was measured stays as it is. Raises Conflict when fewer items are left than
    say anything.
    """
    with transaction.atomic():
        # One at a time: numbers follow each other without gaps.
        Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        n_open = selectors.n_unseen_audit_items(project=project)
        if n_open < MIN_AUDITED:
            raise Conflict(
                f"{n_open} audit items are left that nobody has answered; {MIN_AUDITED} are needed. "
                f"Of the items that are imported next, {100 * project.audit_share:g} % become audit items.",
                code="audit_used_up",
            )
        sample = AuditSample.objects.create(
            project=project,
            number=selectors.audit_sample_number(project=project) + 1,
            after_annotation=selectors.newest_annotation_id(project=project),
            n_used_up=selectors.n_audited(project=project),
            n_open=n_open,
            reason=reason.strip()[:300],
            started_by=actor,
        )
        record_audit(
            action="audit.fresh",
            actor=actor,
            project=project,
            target=str(sample),
            detail={"number": sample.number, "used_up": sample.n_used_up, "open": n_open, "reason": sample.reason},
        )
        # More audit items stand in line until enough are answered.
        request_ordering(project=project, reason="a fresh audit sample")
    return sample
