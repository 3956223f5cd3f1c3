"""The promise "at most so much of what the model decides alone is wrong": earned, watched and revoked."""

from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from active_learning import selectors
from active_learning.core.certificate import DELTA, AuditLabel, Certificate, certify, is_broken
from active_learning.models import ServingPolicy, new_stamp
from active_learning.selectors import LiveVersion
from labeling.models import Project
from labeling.services.audit import record_audit

# It is tried again when there are so many times the labels of the last try: each try spends some of delta.
GROWTH = 1.5


def recheck_promises() -> dict[str, int]:
    """Looks at the promise of every project that makes one: how many changed."""
    n_changed = 0
    for policy in ServingPolicy.objects.filter(max_wrong__isnull=False).select_related("project"):
        n_changed += recheck(project=policy.project)
    return {"changed": n_changed}


def recheck(*, project: Project) -> bool:
    """Whether the project's certificate changed: earned by enough random labels, or revoked by newer ones.

    A certificate holds for one version and one promise; another version starts from nothing. Tries spend delta as
    delta / (k (k + 1)), so that trying often does not earn what is not there.
    """
    with transaction.atomic():
        policy = ServingPolicy.objects.select_for_update().filter(project=project).first()
        live, _ = selectors.serving_state(project=project)
        if policy is None or policy.max_wrong is None or live is None:
            return False
        before = policy.certificate
        after = _next(project, policy, live, timezone.now())
        if after == before:
            return False
        policy.certificate, policy.stamp = after, new_stamp()
        policy.save(update_fields=["certificate", "stamp"])
        if before.get("threshold") != after["threshold"]:
            record_audit(
                action="serving.earned" if after["threshold"] is not None else "serving.revoked",
                actor=None,
                project=project,
                target=f"model {live.number}",
                detail=after,
            )
    return True


def _next(project: Project, policy: ServingPolicy, live: LiveVersion, now: datetime) -> dict[str, Any]:
    found = policy.certificate
    alpha = float(policy.max_wrong or 0.0)
    if found.get("version") != live.number or found.get("alpha") != alpha:
        found = {"tries": 0, "n_labels": 0, "since": None, "revoked_at": None}
    if found.get("threshold") is not None:
        newer = _labels(project, live, datetime.fromisoformat(found["at"]))
        if not is_broken(newer, found["threshold"], alpha):
            return found
        # What broke it, and what came before, is used up: it can be earned again by what comes from now on.
        found = {"tries": 0, "n_labels": 0, "since": now.isoformat(), "revoked_at": now.isoformat()}
    since = datetime.fromisoformat(found["since"]) if found["since"] else None
    labels = _labels(project, live, since)
    is_worth_it = not found["tries"] or len(labels) >= max(GROWTH * found["n_labels"], found["n_labels"] + 1)
    if not is_worth_it:
        return policy.certificate
    tries = found["tries"] + 1
    delta = DELTA / (tries * (tries + 1))
    said = certify(labels, alpha, delta)
    kept = {"since": found["since"], "revoked_at": found["revoked_at"], "tries": tries if labels else 0}
    return _body(said, live, now) | kept


def _body(said: Certificate, live: LiveVersion, now: datetime) -> dict[str, Any]:
    return {
        "version": live.number,
        "alpha": said.alpha,
        "delta": said.delta,
        "threshold": said.threshold,
        "n": said.n,
        "n_wrong": said.n_wrong,
        "error_at_most": round(said.error_at_most, 4),
        "n_labels": said.n_labels,
        "n_more": said.n_more,
        "at": now.isoformat(),
    }


def _labels(project: Project, live: LiveVersion, since: datetime | None) -> list[AuditLabel]:
    judged = selectors.judged_predictions(project=project, version_id=live.version_id, since=since)
    # What a rule gives to people is never decided alone, so it says nothing about what is.
    return [AuditLabel(one.certainty, one.is_right) for one in judged if one.reason not in ("edge", "person")]
