"""The model page: what was learned, what comes next, what stands in line, what the jobs are doing."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from active_learning import selectors
from active_learning.core import quality as shown
from active_learning.core.audit import FIRST_AUDITED, MIN_AUDITED
from active_learning.core.curves import Ahead, Baseline, CurvePoint, draw_curve
from active_learning.core.start import ENOUGH_PER_LABEL
from active_learning.core.strategies import TITLES
from active_learning.forms import PolicyForm
from active_learning.models import LearningPolicy, ModelVersion, TrainingRun
from active_learning.selectors import VersionOnCurve
from active_learning.services.audit import start_fresh_audit
from active_learning.services.policy import change_policy
from active_learning.services.triggers import request_training
from labeling import access
from labeling import selectors as labeling_selectors
from labeling.core.errors import DomainError, Invalid
from labeling.core.wording import LabelWord, job_words, result_words, value_words
from labeling.models import Job, LabelSchema, Membership, Project

VERSIONS_SHOWN = 12
JOBS_SHOWN = 8
BASELINE_NAMES = {"majority": "Majority", "random": "Random", "rules": "Rules"}


@login_required
@never_cache
@require_safe
def learning(request: HttpRequest, slug: str) -> HttpResponse:
    membership = access.membership_for(request.user, slug)
    return render(request, "active_learning/learning.html", _page(membership, _form(membership)))


@never_cache
@require_safe
@access.logged_in_fragment
def learning_now(request: HttpRequest, slug: str) -> HttpResponse:
    """The part of the page that changes by itself; the page asks for it again and again."""
    membership = access.membership_for(request.user, slug)
    return render(request, "active_learning/_learning_now.html", _now(membership))


@login_required
@require_POST
def train(request: HttpRequest, slug: str) -> HttpResponse:
    project = access.project_for(request.user, slug, Membership.Role.REVIEWER)
    reason, is_event = request.POST.get("reason", "").strip(), "event" in request.POST
    try:
        request_training(
            project=project,
            reason=reason if is_event else reason or f"{request.user.get_username()} asked for it",
            trigger=TrainingRun.Trigger.EVENT if is_event else TrainingRun.Trigger.PERSON,
            actor=request.user,
        )
    except Invalid as error:
        messages.error(request, error.message)
    else:
        messages.success(request, "Training waits in line. People go on labeling meanwhile.")
    return redirect("active_learning:learning", slug)


@login_required
@require_POST
def settings(request: HttpRequest, slug: str) -> HttpResponse:
    membership = access.membership_for(request.user, slug, Membership.Role.OWNER)
    form = _form(membership, request.POST)
    if form.is_valid():
        try:
            change_policy(project=membership.project, actor=request.user, **form.changes())
        except DomainError as error:
            for field, text in error.fields.items():
                form.add_error(field if field in form.fields else None, text if field in form.fields else error.message)
        else:
            messages.success(request, "Saved. It holds from the next training on.")
            return redirect("active_learning:learning", slug)
    return render(request, "active_learning/learning.html", _page(membership, form), status=422)


@login_required
@never_cache
@require_safe
def quality(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """All that was measured of one version."""
    membership = access.membership_for(request.user, slug)
    version = selectors.version_numbered(project=membership.project, number=number)
    context = _quality(membership.project, version) | {"sees_errors": membership.role != Membership.Role.ANNOTATOR}
    return render(request, "active_learning/quality.html", context)


@login_required
@require_POST
def fresh_audit(request: HttpRequest, slug: str) -> HttpResponse:
    project = access.project_for(request.user, slug, Membership.Role.OWNER)
    sample = start_fresh_audit(project=project, actor=request.user, reason=request.POST.get("reason", ""))
    messages.success(
        request,
        f"A fresh audit sample: {sample.n_open:,} items that nobody has answered. The queue brings audit items more "
        f"often until {FIRST_AUDITED} are answered.",
    )
    return redirect("active_learning:learning", slug)


def _quality(project: Project, version: ModelVersion) -> dict[str, Any]:
    metrics = version.metrics
    word = _words_of(LabelSchema.objects.filter(project=project, version=version.dataset.schema_version).first())
    context = {
        "project": project,
        "version": version,
        "accuracy": _accuracy(version),
        "n_audited": metrics.get("n_audited", 0),
        "min_audited": MIN_AUDITED,
        "metrics": metrics,
        "has_detail": "by_label" in metrics,
        "baseline_names": BASELINE_NAMES,
    }
    if not context["has_detail"]:
        return context
    confusion, calibration = metrics["confusion"], metrics["calibration"]
    rows = shown.label_rows(metrics, word)
    return context | {
        "rows": rows[: shown.LABELS_SHOWN],
        "other_rows": rows[shown.LABELS_SHOWN :],
        "heat": shown.heat(confusion, word) if confusion else None,
        "taken_for": [(word(true), word(said), n) for true, said, n in confusion["taken_for"]] if confusion else None,
        "calibration": calibration,
        "reliability": shown.draw_reliability(calibration) if calibration else None,
        "costs": [
            (BASELINE_NAMES[name], entry["cost"], entry["saved"])
            for name, entry in metrics["cost"]["baselines"].items()
        ]
        if metrics.get("cost")
        else None,
        "segments": metrics["segments"]["keys"],
        "favourable": word(metrics["segments"]["favourable"]) if metrics["segments"]["favourable"] else None,
    }


def _words_of(schema: LabelSchema | None) -> Callable[[str], LabelWord]:
    """A label as people read it; by its own text where the schema is gone."""
    if schema is None:
        return LabelWord
    return lambda label: value_words(schema.kind, schema.config, label)[0]


def _form(membership: Membership, data: Any = None) -> PolicyForm:
    schema, rules = selectors.current_rules(membership.project)
    policy = selectors.policy_of(membership.project)
    return PolicyForm(data, policy=policy, kind=schema.kind, labels=rules.labels)


def _page(membership: Membership, form: PolicyForm) -> dict[str, Any]:
    role = membership.role
    return _now(membership) | {
        "membership": membership,
        "form": form,
        "may_train": role != Membership.Role.ANNOTATOR,
    }


def _now(membership: Membership) -> dict[str, Any]:
    project = membership.project
    policy = selectors.policy_of(project)
    versions = selectors.versions_of(project=project, n=VERSIONS_SHOWN)
    jobs = selectors.learning_jobs(project=project, n=JOBS_SHOWN)
    ordering = selectors.latest_scoring(project=project)
    live = selectors.live_version(project=project)
    queue = labeling_selectors.queue_composition(project=project)
    n_queued = sum(part["n"] for part in queue)
    newest = versions[0] if versions else None
    return _outlook(membership, newest) | {
        "project": project,
        "chart": _chart(selectors.curve_versions(project=project), newest),
        "is_owner": membership.role == Membership.Role.OWNER,
        "live": live,
        "changed": _changed(project, live) if live else None,
        "live_now": selectors.accuracy_now(version=live) if live else None,
        "newest": _row(newest) if newest else None,
        "versions": [_row(version) for version in versions],
        "n_versions": selectors.n_versions(project=project),
        "next": selectors.what_next(project=project, policy=policy),
        "strategy": TITLES.get(policy.strategy, policy.strategy),
        "ordering": ordering,
        "queue": [part | {"share": _share(part["n"], n_queued)} for part in queue],
        "n_queued": n_queued,
        "rare": _rare(project, versions[0]) if versions else [],
        "few": ENOUGH_PER_LABEL,
        "may_find": membership.role != Membership.Role.ANNOTATOR,
        "jobs": [_job(job) for job in jobs],
        "is_busy": any(job.is_under_way for job in jobs),
        "is_automatic": policy.promotion == LearningPolicy.Promotion.AUTOMATIC,
        "no_worker": not labeling_selectors.worker_alive(),
        "min_audited": MIN_AUDITED,
    }


def _rare(project: Project, newest: ModelVersion) -> list[dict[str, Any]]:
    """Labels that the newest version hardly knows, by their names."""
    schema, rules = selectors.current_rules(project)
    rare = selectors.rare_labels(rules=rules, version=newest)
    return [{"words": value_words(schema.kind, schema.config, label.value), "n": label.n} for label in rare]


def _changed(project: Project, live: ModelVersion) -> dict[str, list[LabelWord]] | None:
    """Labels by their names that came and went since the live version learned."""
    schema, rules = selectors.current_rules(project)
    found = selectors.changed_labels(rules=rules, version=live)
    if found is None:
        return None
    then = _words_of(LabelSchema.objects.filter(project=project, version=live.dataset.schema_version).first())
    return {"gone": [then(label) for label in found.gone], "new": [_words_of(schema)(label) for label in found.new]}


def _share(n: int, of: int) -> str:
    return "under 1 %" if 200 * n < of else f"{round(100 * n / of)} %"


def _outlook(membership: Membership, newest: ModelVersion | None) -> dict[str, Any]:
    """What more labels would bring, whether to stop, and how worn the audit sample is. Nothing for older versions."""
    if newest is None or "forecast" not in newest.metrics:
        return {}
    project, user = membership.project, membership.user
    own = selectors.seconds_per_answer(project=project, user=user)
    seconds = own if own is not None else selectors.seconds_per_answer(project=project)
    schema = LabelSchema.objects.filter(project=project, version=newest.dataset.schema_version).first()
    # Each item is asked of so many people.
    pace = None if seconds is None else seconds * project.overlap
    whose = "your" if own is not None else "people's"
    return {
        "forecast": shown.forecast_words(newest.metrics["forecast"], pace, whose),
        "stop": newest.metrics["stop"],
        "conditions": shown.stop_conditions(newest.metrics["stop"], _words_of(schema)),
        "wear": shown.wear_of(_accuracy(newest), selectors.n_looks(project=project)),
        "n_unseen": selectors.n_unseen_audit_items(project=project),
    }


def _chart(versions: list[VersionOnCurve], newest: ModelVersion | None) -> Any:
    """The learning curve of the versions that were measured on enough audit items, and its forecast."""
    measured = [version for version in versions if version.accuracy and version.accuracy["n"] >= MIN_AUDITED]
    if not measured or newest is None:
        return None
    points = [
        CurvePoint(v.number, v.n_labels, v.accuracy["value"], v.accuracy["low"], v.accuracy["high"], v.accuracy["n"])
        for v in measured
        if v.accuracy
    ]
    last = (
        newest
        if newest.number == measured[0].number
        else selectors.version_numbered(project=newest.project, number=measured[0].number)
    )
    baselines = [
        Baseline(BASELINE_NAMES[name], entry["accuracy"]["value"])
        for name, entry in last.metrics["baselines"].items()
        if entry["accuracy"]
    ]
    ahead = [Ahead(**point) for point in newest.metrics.get("forecast", {}).get("ahead", [])]
    return draw_curve(points, baselines, ahead=ahead)


def _accuracy(version: ModelVersion) -> dict[str, Any] | None:
    """The audited accuracy with its interval, or None where too few items were audited to say."""
    audit = version.metrics.get("audit") or {}
    accuracy = audit.get("accuracy")
    return accuracy if accuracy and accuracy["n"] >= MIN_AUDITED else None


def _row(version: ModelVersion) -> dict[str, Any]:
    baselines = version.metrics.get("baselines", {})
    best = max(
        (
            (entry["accuracy"]["value"], name, entry["comparison"])
            for name, entry in baselines.items()
            if entry["accuracy"]
        ),
        key=lambda found: found[:2],
        default=None,
    )
    audit = version.metrics.get("audit") or {}
    return {
        "version": version,
        "accuracy": _accuracy(version),
        "n_audited": version.metrics.get("n_audited", 0),
        "macro_f1": audit.get("macro_f1"),
        "macro_f1_interval": audit.get("macro_f1_interval"),
        "baseline": BASELINE_NAMES[best[1]].lower() if best else "",
        "points": 100 * best[2]["difference"] if best else None,
        "points_low": 100 * best[2]["low"] if best and "low" in best[2] else None,
        "points_high": 100 * best[2]["high"] if best and "high" in best[2] else None,
        "p_value": best[2]["p_value"] if best else None,
        "mean_auc": version.metrics.get("mean_auc"),
        "rating": version.metrics.get("rating"),
        "calibration": version.metrics.get("calibration"),
        "has_detail": "by_label" in version.metrics,
    }


def _job(job: Job) -> dict[str, Any]:
    run = getattr(job, "training_run", None)
    outcome = run.outcome if run is not None and job.state == Job.State.SUCCEEDED else ""
    findings = run.findings if run is not None else []
    return {
        "job": job,
        "name": job_words(job.kind),
        "seconds": job.duration_seconds,
        "is_running": job.state == Job.State.RUNNING,
        "trigger": run.get_trigger_display() if run is not None else "",
        "warnings": [found["words"] for found in findings if found["severity"] == "warn"],
        "outcome": outcome
        or job.error
        or (job.message if job.state == Job.State.RUNNING else "")
        or (job.result or {}).get("outcome", "")
        or result_words(job.result),
    }
