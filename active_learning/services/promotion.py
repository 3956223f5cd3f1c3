"""Who becomes live, and who no longer is. Every move of an alias leaves an event: who, why, on what evidence.

`live` and `shadow` are rows: one statement moves them, and every process that asks which version is live reads it anew.
`candidate` follows from the states; only its moves are written down. Needs no numeric library, so that pages and doors
can do it at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.db import transaction
from django.utils import timezone

from active_learning import selectors
from active_learning.core.checklist import BY_PERSON
from active_learning.core.gate import Evidence, Figure, State, judge
from active_learning.core.manifest import ArtifactRefused, read_sealed
from active_learning.models import AliasEvent, LearningPolicy, ModelVersion
from active_learning.services import archive, files
from labeling.core.errors import Conflict, Forbidden, Invalid, NotFound
from labeling.models import Project
from labeling.services.audit import record_audit

LIVE, CANDIDATE = ModelVersion.State.LIVE, ModelVersion.State.CANDIDATE
RETIRED, REJECTED = ModelVersion.State.RETIRED, ModelVersion.State.REJECTED
Alias = AliasEvent.Alias


def judge_version(*, version: ModelVersion, evidence: Evidence, measured: Mapping[str, Any]) -> ModelVersion:
    """What the gate makes of a candidate: rejected with the reason, or kept, or made live where the owner said so.

    One that passes waits for a person's approval unless the project's promotion is automatic. One of which too little
    is known stays a candidate in any case. One that the gate rejected before is judged again, on what is known now:
    there may be more audit items, or other costs.
    """
    with transaction.atomic():
        live = _locked_live(version.project)
        version.refresh_from_db()
        if not version.may_be_judged:
            return version
        before = f"; was rejected: {version.state_reason}" if version.state == REJECTED else ""
        version.state = CANDIDATE
        baselines = {name: entry["comparison"] for name, entry in version.metrics["baselines"].items()}
        own = (version.metrics.get("calibration") or {}).get("after")
        costs = (version.metrics.get("cost") or {}).get("baselines", {})
        verdict = judge(
            replace(
                evidence,
                baselines=baselines,
                f1_gains={name: Figure(**gain) for name, gain in version.metrics.get("f1_gains", {}).items()},
                saved={name: Figure(**entry["saved"]) for name, entry in costs.items()},
                own_calibration=own,
            )
        )
        version.gate = verdict.to_json() | {"measured": dict(measured)}
        version.state_reason = verdict.reason
        if verdict.state == State.FAILED:
            version.state = REJECTED
            _end_shadow(version, None, verdict.reason)
        elif verdict.state == State.PASSED:
            policy = selectors.policy_of(version.project)
            if _number(live) != verdict.live:  # it was moved while this one was measured
                version.state_reason = _stale(version, live)
            elif policy.promotion == LearningPolicy.Promotion.AUTOMATIC:
                version.save(update_fields=["gate"])
                _move(version, live, None, f"{verdict.reason}{before}"[:300], _evidence(version))
                return version
            else:
                version.state_reason = f"waits for approval: {verdict.reason}"
        if version.state != REJECTED:
            version.state_reason = f"{version.state_reason}{before}"[:300]
        version.save(update_fields=["gate", "state", "state_reason"])
        _point_candidate(version.project, live, None, version.state_reason)
    return version


def promote(
    *, project: Project, number: int, actor: Any, reason: str, ticked: Sequence[str] = (), note: str = ""
) -> ModelVersion:
    """A candidate, approved by a person and live from the next request on. A live one is answered as it is.

    The person is another one than who asked for the training, where the project has another owner. `ticked` names what
    of the checklist only a person can judge. Raises Conflict for a version that cannot become live, Forbidden for the
    wrong person.
    """
    reason = _checked(reason)
    unknown = sorted(set(ticked) - set(BY_PERSON))
    if unknown:
        known = ", ".join(BY_PERSON)
        raise Invalid(f"{unknown[0]} is not on the checklist: {known}.", fields={"ticked": "unknown"})
    with transaction.atomic():
        live = _locked_live(project)
        version = version_for(project=project, number=number)
        if version.state == LIVE:
            return version
        if version.state == REJECTED:
            raise Conflict(
                f"Model {number} was rejected: {version.state_reason}. Label more and train again.", code="rejected"
            )
        if version.state == RETIRED:
            raise Conflict(
                f"Model {number} is retired. One that has been live before comes back by rolling back to it.",
                code="retired",
            )
        if _number(live) != version.gate.get("live"):
            raise Conflict(_stale(version, live), code="stale_evidence")
        asked_by = selectors.asked_for_by(version=version)
        alone = asked_by == actor and not selectors.other_owners(project=project, user=actor)
        if asked_by == actor and not alone:
            raise Forbidden(
                f"You asked for the training of model {number}: another owner approves it.", code="own_training"
            )
        _check_files(version)
        evidence = _evidence(version) | {
            "ticked": sorted(set(ticked)),
            "note": note.strip()[:1_000],
            "asked_for_by": asked_by.get_username() if asked_by else "",
            "only_owner": alone,
        }
        _move(version, live, actor, reason, evidence)
        record_audit(
            action="model.promote", actor=actor, project=project, target=f"model {number}", detail={"reason": reason}
        )
    return version


def roll_back(*, project: Project, actor: Any, reason: str, to: int | None = None) -> ModelVersion:
    """The version that was live before the present one, or the one named by `to`, live again.

    A version that never was live cannot be rolled back to. Raises Conflict when there is none.
    """
    reason = _checked(reason)
    with transaction.atomic():
        live = _locked_live(project)
        number = to if to is not None else selectors.live_before(project=project, live=live)
        if number is None:
            raise Conflict(
                "No version was live before this one, so there is nothing to roll back to.", code="nothing_before"
            )
        version = version_for(project=project, number=number)
        if version.state == LIVE:
            return version
        if not selectors.was_live(project=project, number=number):
            raise Conflict(f"Model {number} was never live: approve it instead.", code="never_live")
        _check_files(version)
        before = f"rolled back to model {number}: {reason}"[:300]
        _move(version, live, actor, f"rollback: {reason}"[:300], _evidence(version), before=before)
        record_audit(
            action="model.rollback",
            actor=actor,
            project=project,
            target=f"model {number}",
            detail={"reason": reason, "from": _number(live)},
        )
    return version


def reject(*, project: Project, number: int, actor: Any, reason: str) -> ModelVersion:
    """A candidate, rejected by a person. The reason stays with it."""
    reason = _checked(reason)
    with transaction.atomic():
        live = _locked_live(project)
        version = version_for(project=project, number=number)
        if version.state != CANDIDATE:
            raise Conflict(f"Model {number} is {version.state}: only a candidate can be rejected.", code="no_candidate")
        version.state = REJECTED
        version.state_reason = f"{actor.get_username()}: {reason}"[:300]
        version.save(update_fields=["state", "state_reason"])
        _end_shadow(version, actor, reason)
        _point_candidate(project, live, actor, reason)
        record_audit(
            action="model.reject", actor=actor, project=project, target=f"model {number}", detail={"reason": reason}
        )
    return version


def retire(*, project: Project, number: int, actor: Any, reason: str) -> ModelVersion:
    """A version taken out of use, its files in one archive. Rolling back to it, if it ever was live, restores them.

    Raises Conflict for the live version, and for the newest, which puts the queue in order.
    """
    reason = _checked(reason)
    with transaction.atomic():
        live = _locked_live(project)
        version = version_for(project=project, number=number)
        if live is not None and live.pk == version.pk:
            raise Conflict(f"Model {number} is live: make another version live first.", code="live")
        newest = selectors.newest_version(project=project)
        if newest is not None and newest.pk == version.pk:
            raise Conflict(
                f"Model {number} is the newest and puts the queue in order: retire it when a newer one is there.",
                code="newest",
            )
        if version.archived_at is not None:
            return version
        try:
            archive.pack(version=version)
        except ArtifactRefused as error:
            raise Conflict(f"Model {number} cannot be archived: {error}", code="artifact_refused") from error
        version.archived_at = timezone.now()
        if version.state == CANDIDATE:
            version.state = RETIRED
            version.state_reason = f"{actor.get_username()}: {reason}"[:300]
        version.save(update_fields=["state", "state_reason", "archived_at"])
        _end_shadow(version, actor, reason)
        _point_candidate(project, live, actor, reason)
        record_audit(
            action="model.retire", actor=actor, project=project, target=f"model {number}", detail={"reason": reason}
        )
        # Only once the row says so: whoever dies in between leaves both, and either will do.
        transaction.on_commit(lambda: archive.drop_folder(version=version))
    return version


def set_shadow(*, project: Project, to: int | None, actor: Any, reason: str) -> ModelVersion | None:
    """The version that is tried beside the live one from now on, unseen by whoever asks; None for none.

    Raises Conflict for a version that is live or was rejected, and for one whose files are refused.
    """
    reason = _checked(reason)
    with transaction.atomic():
        _locked_live(project)
        before = selectors.shadow_version(project=project)
        version = None if to is None else version_for(project=project, number=to)
        if version == before:
            return version
        if version is not None and version.state in (LIVE, REJECTED):
            raise Conflict(f"Model {to} is {version.state}: it cannot be the shadow.", code=version.state)
        if version is not None:
            _check_files(version)
        if before is not None:
            before.is_shadow = False
            before.save(update_fields=["is_shadow"])
        if version is not None:
            version.is_shadow = True
            version.save(update_fields=["is_shadow"])
        _note(Alias.SHADOW, project, _number(before), version, actor, reason)
        target = f"model {to if version is not None else _number(before)}"
        detail = {"reason": reason, "from": _number(before), "to": to}
        record_audit(action="model.shadow", actor=actor, project=project, target=target, detail=detail)
    return version


def version_for(*, project: Project, number: int) -> ModelVersion:
    """The version of this number. Raises NotFound."""
    found = ModelVersion.objects.select_related("project", "dataset", "parent").filter(project=project, number=number)
    version = found.first()
    if version is None:
        raise NotFound(f"There is no model {number} in this project.")
    return version


def _locked_live(project: Project) -> ModelVersion | None:
    """The live version; whoever moves the alias of this project waits for the transaction that asked first."""
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    return selectors.live_version(project=project)


def _move(
    version: ModelVersion,
    live: ModelVersion | None,
    actor: Any,
    reason: str,
    evidence: dict[str, Any],
    *,
    before: str = "",
) -> None:
    if live is not None:
        live.state = RETIRED
        live.state_reason = before or f"replaced by model {version.number}"
        live.save(update_fields=["state", "state_reason"])
    _end_shadow(version, actor, f"model {version.number} is live")
    version.state = LIVE
    version.state_reason = reason
    version.save(update_fields=["state", "state_reason"])
    _note(Alias.LIVE, version.project, _number(live), version, actor, reason, evidence)
    _point_candidate(version.project, version, actor, f"model {version.number} is live")


def _end_shadow(version: ModelVersion, actor: Any, reason: str) -> None:
    """What is live, rejected or archived is nobody's shadow."""
    if version.is_shadow:
        version.is_shadow = False
        version.save(update_fields=["is_shadow"])
        _note(Alias.SHADOW, version.project, version.number, None, actor, reason)


def _point_candidate(project: Project, live: ModelVersion | None, actor: Any, reason: str) -> None:
    """Writes down where the alias `candidate` stands now, if that has changed."""
    newest = selectors.candidate_version(project=project, live=live)
    last = selectors.last_move(project=project, alias=Alias.CANDIDATE)
    before = last.to_number if last else None
    if _number(newest) != before:
        _note(Alias.CANDIDATE, project, before, newest, actor, reason)


def _note(
    alias: str,
    project: Project,
    before: int | None,
    version: ModelVersion | None,
    actor: Any,
    reason: str,
    evidence: Mapping[str, Any] | None = None,
) -> None:
    """The event of a move from version number `before` to `version`."""
    if evidence is None:
        evidence = _evidence(version) if version else {}
    AliasEvent.objects.create(
        project_id=project.pk,
        alias=alias,
        from_number=before,
        to_number=_number(version),
        to_sha256=version.sha256 if version else "",
        actor=actor,
        reason=reason[:300],
        evidence=dict(evidence),
    )


def _evidence(version: ModelVersion) -> dict[str, Any]:
    metrics = version.metrics
    return {"audit": metrics.get("audit"), "baselines": metrics.get("baselines"), "gate": version.gate}


def _check_files(version: ModelVersion) -> None:
    """The version's files, out of their archive if need be, are as they were written; else Conflict."""
    try:
        if version.archived_at is not None:
            archive.restore(version=version)
            version.archived_at = None
            version.save(update_fields=["archived_at"])
        read_sealed(files.absolute(version.path), sha256=version.sha256, keys=files.signing_keys())
    except ArtifactRefused as error:
        raise Conflict(
            f"Model {version.number} stays as it is, its files are refused: {error}", code="artifact_refused"
        ) from error


def _stale(version: ModelVersion, live: ModelVersion | None) -> str:
    beside = version.gate.get("live")
    measured = f"beside model {beside}" if beside else "while none was live"
    now = f"model {live.number} is live" if live else "none is live"
    return f"Model {version.number} was measured {measured}, and now {now}: train again to measure it anew."


def _number(version: ModelVersion | None) -> int | None:
    return version.number if version else None


def _checked(reason: str) -> str:
    reason = reason.strip()
    if not reason:
        raise Invalid("Say why: the reason is kept with the version.", fields={"reason": "required"})
    if len(reason) > 200:
        raise Invalid("The reason is longer than 200 characters.", fields={"reason": "at most 200 characters"})
    return reason
