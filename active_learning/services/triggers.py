"""When to learn, when to put the queue in order, when to compute features. Asks only; workers do."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.core.cache import cache
from django.db import transaction
from django.utils import timezone

from active_learning import selectors
from active_learning.core.audit import MIN_AUDITED
from active_learning.core.strategies import REPLAYED
from active_learning.models import LearningPolicy, ModelVersion, ScoringRun, TrainingRun
from labeling.core.errors import Invalid
from labeling.models import Item, Job, Project
from labeling.services.jobs import enqueue_job
from labeling.services.votes import withhold_model_votes

log = structlog.get_logger(__name__)

QUEUE = "train"
# A training that failed is tried again by itself after this long, or at once by a person.
RETRY_FAILED_AFTER = timedelta(minutes=5)
# The queue is filled again when it holds fewer entries than this, or than a quarter of its size.
LOW_WATER = 200
# Between two orderings that only follow a growing feature store.
RESCORE_SECONDS = 30
# Campaigns of each strategy in a replay: by default, and at most.
SEEDS = 5
MOST_SEEDS = 50
# Votes are cast anew when a model has learned from so many more items than the one that voted, as a share of its.
NEW_VOTES_SHARE = 0.1
# How often the items are counted, to notice rows that came in beside or before the last ones.
COUNT_SECONDS = 300
# How often it is counted how many audit items were answered since the live model learned.
WATCH_SECONDS = 60


def request_training(
    *, project: Project, reason: str, trigger: str = TrainingRun.Trigger.PERSON, actor: Any = None
) -> Job:
    """The training job that is queued now: at most one a project waits and one runs.

    One that waits already keeps its trigger and says the new reason too. This is the door for whatever notices that
    the world has changed: `trigger` DRIFT with what has drifted, EVENT with what has happened. Raises Invalid for an
    event that does not say what happened.
    """
    reason = reason.strip()[:200]
    if trigger == TrainingRun.Trigger.EVENT and not reason:
        raise Invalid("Say what has happened: it is kept as the reason.", fields={"reason": "needed for an event"})
    reason = reason or "asked for"
    with transaction.atomic():
        job = _enqueue(project, "train", "run_training", reason, created_by=actor, params={"trigger": str(trigger)})
        run, is_new = TrainingRun.objects.get_or_create(
            job=job, defaults={"project": project, "trigger": trigger, "reason": reason}
        )
        if not is_new and reason not in run.reason:
            job.reason = run.reason = f"{run.reason}; {reason}"[:200]
            run.save(update_fields=["reason"])
            job.save(update_fields=["reason"])
    return job


def request_ordering(*, project: Project, reason: str) -> Job:
    """The job that puts the queue in order with the newest model."""
    return _enqueue(project, "score", "run_scoring", reason)


def request_features(*, project: Project, reason: str) -> Job:
    """The job that computes the features of the items that have none yet."""
    return _enqueue(project, "features", "run_features", reason)


def request_replay(
    *, project: Project, strategies: Sequence[str] = (), seeds: int = SEEDS, reason: str, user: Any = None
) -> Job:
    """The job that replays campaigns of these strategies (by default the usual ones) and compares them.

    Raises Invalid for a strategy that the project cannot use, or a number of seeds out of bounds.
    """
    schema, _ = selectors.current_rules(project)
    allowed = selectors.strategy_titles(schema.kind)
    unknown = [name for name in strategies if name not in allowed]
    if unknown:
        raise Invalid(
            f"There is no strategy {', '.join(unknown)} for this project. Choose from: {', '.join(allowed)}.",
            fields={"strategies": ", ".join(unknown)},
        )
    if not 1 <= seeds <= MOST_SEEDS:
        raise Invalid(f"Between 1 and {MOST_SEEDS} seeds, not {seeds}.", fields={"seeds": str(seeds)})
    chosen = list(dict.fromkeys(strategies)) or [name for name in REPLAYED if name in allowed]
    params = {"strategies": chosen, "seeds": seeds}
    return _enqueue(project, "replay", "run_replay", reason, created_by=user, params=params)


def request_accuracy_check(*, project: Project, reason: str) -> Job:
    """The job that measures the live model on the newest audit answers."""
    return _enqueue(project, selectors.ACCURACY_CHECK, "run_accuracy_check", reason)


def request_similar(*, project: Project, item: Item, user: Any) -> Job:
    """The job that looks for items like this one; one that waits already does the same work.

    Short, and somebody waits for it: it does not stand in line behind trainings.
    """
    return enqueue_job(
        kind="similar",
        task="active_learning.run_similar",
        project=project,
        params={"item": item.pk},
        reason=f"more like item #{item.pk}",
        created_by=user,
        lane=f"similar:{project.pk}:{item.pk}",
    )


def request_votes(*, project: Project, reason: str) -> Job:
    """The job in which the newest model votes on what people have answered."""
    return _enqueue(project, "vote", "run_votes", reason)


def _enqueue(project: Project, kind: str, task: str, reason: str, **more: Any) -> Job:
    """A job of the learning queue in its project's lane of that kind: at most one waits and one runs."""
    return enqueue_job(
        kind=kind,
        task=f"active_learning.{task}",
        project=project,
        reason=reason,
        lane=f"{kind}:{project.pk}",
        queue=QUEUE,
        **more,
    )


def decide_on_votes(*, project: Project, version: ModelVersion) -> Job | None:
    """The job in which a new version votes, if it may and its votes would be news; if it may not, votes are taken away.

    Cheap, so that it can stand at the end of a training: the votes themselves are cast in a job of their own.
    """
    if why := selectors.why_no_vote(project=project, version=version):
        evidence = selectors.vote_evidence(version)
        withhold_model_votes(project=project, source=version.source, why=why, evidence=evidence)
        return None
    n_then = selectors.n_learned_by_voter(project=project)
    n = version.dataset.n_items
    if n_then is not None and abs(n - n_then) < NEW_VOTES_SHARE * n_then:
        return None
    return request_votes(project=project, reason=f"{version.source} learned from {n:,} items")


def check_triggers(*, now: datetime | None = None) -> dict[str, int]:
    """Asks for what is due in each project: how many jobs of each kind. Runs every few seconds."""
    now = now or timezone.now()
    asked = {"train": 0, "score": 0, "features": 0, selectors.ACCURACY_CHECK: 0}
    for project in Project.objects.select_related("learning_policy").iterator(chunk_size=200):
        try:
            for kind in _check_project(project, now):
                asked[kind] += 1
        except Exception:  # one project's trouble must not stop the others
            log.exception("trigger_check_failed", project=project.slug)
    return asked


def _check_project(project: Project, now: datetime) -> list[str]:
    policy = getattr(project, "learning_policy", None) or selectors.policy_of(project)
    if not policy.is_enabled:
        return []
    busy = set(
        Job.objects.filter(
            project=project,
            kind__in=(*selectors.LEARNING_JOBS, selectors.ACCURACY_CHECK),
            state__in=Job.UNDER_WAY,
        ).values_list("kind", flat=True)
    )
    fingerprint = _fingerprint(policy)
    featurized = selectors.n_featurized(project=project, fingerprint=fingerprint) if fingerprint else 0
    asked: list[str] = []
    if "features" not in busy and (reason := _features_due(project, fingerprint, featurized)):
        request_features(project=project, reason=reason)
        asked.append("features")
    due = None if "train" in busy else _training_due(project, policy, now)
    if due:
        request_training(project=project, reason=due.reason, trigger=due.trigger)
        asked.append("train")
    elif not busy & {"train", "score"} and (reason := _ordering_due(project, policy, featurized, busy, now)):
        request_ordering(project=project, reason=reason)
        asked.append("score")
    if not busy & {"train", selectors.ACCURACY_CHECK} and (reason := _accuracy_check_due(project, policy, now)):
        request_accuracy_check(project=project, reason=reason)
        asked.append(selectors.ACCURACY_CHECK)
    return asked


def _fingerprint(policy: LearningPolicy) -> str:
    stored = policy.featurizer or {}
    return str(stored.get("fingerprint", ""))


def _features_due(project: Project, fingerprint: str, featurized: int) -> str:
    """Why features are to be computed, or the empty string."""
    newest = selectors.newest_item_id(project=project)
    if not newest:
        return ""
    if not featurized:
        return "first features"
    last = selectors.last_featurized_id(project=project, fingerprint=fingerprint)
    if newest > last:
        return "new items"
    if cache.add(f"active_learning:counted:{project.pk}", True, COUNT_SECONDS):
        n_items = Item.objects.filter(project=project).count()
        if n_items != featurized:
            return "items that came in late"
    return ""


@dataclass(frozen=True, slots=True)
class Due:
    """What asks for a training, and why."""

    trigger: TrainingRun.Trigger
    reason: str


def _training_due(project: Project, policy: LearningPolicy, now: datetime) -> Due | None:
    latest = selectors.latest_run(project=project)
    if latest is not None:
        ended = selectors.end_of(latest)
        if now < ended + timedelta(seconds=policy.min_seconds_between):
            return None
        if latest.job.state == Job.State.FAILED and now < ended + RETRY_FAILED_AFTER:
            return None
    learned = selectors.latest_learned_run(project=project)
    since = learned.last_annotation_id if learned else 0
    n = selectors.n_new_labels(project=project, since_id=since, at_most=policy.retrain_after)
    if n >= policy.retrain_after:
        return Due(TrainingRun.Trigger.LABELS, f"{n} new label{'s' if n != 1 else ''}")
    version = selectors.newest_version(project=project)
    fingerprint = _fingerprint(policy)
    if version is not None and fingerprint and version.parameters.get("fingerprint") != fingerprint:
        return Due(TrainingRun.Trigger.FEATURES, "the features of the items have changed")
    # Without any answer there is nothing to learn again.
    if (
        policy.retrain_days
        and learned
        and since
        and now >= selectors.end_of(learned) + timedelta(days=policy.retrain_days)
    ):
        days = f"{policy.retrain_days} day{'s' if policy.retrain_days != 1 else ''}"
        return Due(TrainingRun.Trigger.SCHEDULE, f"{days} since the last training")
    return None


def _accuracy_check_due(project: Project, policy: LearningPolicy, now: datetime) -> str:
    """Why the live model is to be measured again, or the empty string."""
    if not policy.retrain_drop:
        return ""
    live = selectors.live_version(project=project)
    if live is None or not cache.add(f"active_learning:watched:{project.pk}", True, WATCH_SECONDS):
        return ""
    last = selectors.latest_accuracy_check(project=project)
    if last is not None and last.state == Job.State.FAILED and now < last.created_at + RETRY_FAILED_AFTER:
        return ""
    since = selectors.last_seen_by(live)
    accuracy = (live.metrics.get("audit") or {}).get("accuracy")
    if since is None or accuracy is None:
        return ""
    result = (last.result if last else None) or {}
    n_then = result.get("n_new", 0) if result.get("version") == live.number else 0
    n_new = len(selectors.newly_audited_ids(project=project, since_id=since)) - n_then
    return f"{n_new} new audit items" if n_new >= MIN_AUDITED else ""


def _ordering_due(project: Project, policy: LearningPolicy, featurized: int, busy: set[str], now: datetime) -> str:
    if not featurized:
        return ""
    last = selectors.latest_scoring(project=project)
    if last is None:
        return "first order of the queue"
    if now < last.created_at + timedelta(seconds=RESCORE_SECONDS):
        return ""
    # While features are being computed, every half as many again; once they are complete, whatever is new.
    if featurized >= last.n_scored * 1.5 or (featurized > last.n_scored and "features" not in busy):
        return "more items have features"
    n_queued = selectors.n_queued(project=project)
    if n_queued < _low_water(policy) and n_queued <= _half_of(last):
        return "the queue is running low"
    return ""


def _low_water(policy: LearningPolicy) -> int:
    return min(LOW_WATER, policy.queue_size // 4)


def _half_of(last: ScoringRun) -> int:
    # What one ordering could not fill the next one cannot either: wait until half of it is used up.
    return last.n_queued // 2
