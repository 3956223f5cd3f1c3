"""What learning reads of the labels, and what the model page shows. No numeric libraries: pages use these too."""

import statistics
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Count, Max, Min, Q, QuerySet, Sum

from active_learning.core import weak
from active_learning.core.audit import MIN_AUDITED
from active_learning.core.loop import Loop, loop_of
from active_learning.core.review_figures import (
    Agreement,
    DayChart,
    JudgedReview,
    Times,
    agreement_of,
    draw_days,
    times_of,
)
from active_learning.core.start import ENOUGH_PER_LABEL
from active_learning.core.strategies import titles_for
from active_learning.models import (
    AliasEvent,
    AuditSample,
    Dataset,
    Decision,
    Delivery,
    FeatureShard,
    LearningPolicy,
    ModelVersion,
    Prediction,
    ScoringRun,
    ServingPolicy,
    TrainingRun,
    WeakLabel,
    Webhook,
)
from labeling import selectors as labeling_selectors
from labeling.core.errors import Invalid, NotFound
from labeling.core.schema import SchemaRules, Value, rules_of
from labeling.core.settling import plurality
from labeling.core.voter import VoterEvidence
from labeling.models import (
    Annotation,
    AuditEntry,
    Item,
    Job,
    LabelSchema,
    Membership,
    ModelVoter,
    Project,
    QueueEntry,
    Resolution,
    ReviewItem,
)

LEARNING_JOBS = ("train", "score", "features")
ACCURACY_CHECK = "accuracy_check"
# So far back the monitors of the loop look, and at so many of the newest answers.
LOOP_WINDOW = timedelta(days=30)
MOST_LOOKED_AT = 20_000
# Versions that may have learned from the same data, after an upgrade or a change of settings.
SAME_DATA_LOOKED_AT = 20
# The field of an input that holds the owner's own vector, where the project has one.
VECTOR_FIELD = "features"


@dataclass(frozen=True, slots=True)
class LabelSet:
    """Items with the value that most people gave them and the share of those people, in order of id.

    `n_dropped` counts items left out: their answers are tied, or their value is no longer in the schema.
    """

    ids: list[int]
    values: list[Value]
    weights: list[float]
    n_annotations: int
    n_dropped: int

    def __len__(self) -> int:
        return len(self.ids)

    def without(self, places: Collection[int]) -> "LabelSet":
        """The items at all other places."""
        gone = set(places)
        kept = [place for place in range(len(self.ids)) if place not in gone]
        return replace(
            self,
            ids=[self.ids[place] for place in kept],
            values=[self.values[place] for place in kept],
            weights=[self.weights[place] for place in kept],
        )


def strategy_titles(kind: str) -> dict[str, str]:
    """The strategies that a project of this kind may choose, with what people read: ours and the operator's own."""
    return titles_for(kind) | {path: f"Your operator's: {path}" for path in settings.QUERY_STRATEGIES}


def policy_of(project: Project) -> LearningPolicy:
    """The project's policy; its defaults are stored at the first look."""
    return LearningPolicy.objects.get_or_create(project=project)[0]


def field_names(policy: LearningPolicy) -> list[str]:
    """The fields of the items that features are made of, and those that are left out. Empty before the first look."""
    spec = policy.featurizer
    if not spec:
        return []
    numbers = [field["name"] for field in spec["numeric_fields"]]
    return sorted({*spec["text_fields"], *numbers, *spec["categorical_fields"], *policy.fields_left_out})


def learned_fields(*, project: Project) -> frozenset[str] | None:
    """The fields that models learn from; None when that is not known: before the first look, and of pairs."""
    policy = policy_of(project)
    spec = policy.featurizer
    if not spec or spec["is_pair"]:
        return None
    vector = {VECTOR_FIELD} if spec["vector_dimension"] else set()
    return frozenset({*field_names(policy), *vector} - {*policy.fields_left_out})


def current_rules(project: Project) -> tuple[LabelSchema, SchemaRules]:
    schema = LabelSchema.objects.current(project.pk)
    return schema, rules_of(schema.kind, schema.config)


def training_labels(*, project: Project, rules: SchemaRules) -> LabelSet:
    """What a model may learn from: settled values of the pool, else its live answers. Never the audit split.

    A value that the consensus settled weighs as much as it is sure of it; an adjudicated one and a single answer count
    in full.
    """
    current = Resolution.objects.filter(
        project=project, superseded_at__isnull=True, value__isnull=False, item__split=Item.Split.POOL
    ).exclude(item__state=Item.State.EXCLUDED)
    rows = current.values_list("item_id", "value", "posterior", "method").iterator(chunk_size=5_000)
    settled: dict[int, tuple[Any, float]] = {
        item_id: (value, 1.0 if posterior is None or method == Resolution.Method.ADJUDICATED else posterior)
        for item_id, value, posterior, method in rows
    }
    return _settled(_live_answers(project, Item.Split.POOL), rules, settled)


def weighed_at(*, project: Project) -> datetime | None:
    """When what users say was weighed for the oldest of the weak labels that are offered now."""
    found: datetime | None = WeakLabel.objects.filter(project=project).aggregate(at=Min("made_at"))["at"]
    return found


def weak_labels(*, project: Project, rules: SchemaRules) -> dict[int, weak.WeakLabel]:
    """What users say of items of the pool that no person has judged, by the id of the item.

    Never of the audit split, of an item whose answer is known, or of one that was drawn to be judged blind.
    """
    answered = Annotation.objects.live().filter(project=project)
    drawn = Prediction.objects.filter(project=project, is_explored=True, item__isnull=False)
    blind = ReviewItem.objects.filter(project=project, evidence__has_key=ReviewItem.Reason.EXPLORE.value)
    rows = WeakLabel.objects.filter(
        project=project, item__split=Item.Split.POOL, item__state=Item.State.OPEN, item__gold__isnull=True
    )
    judged: list[QuerySet[Any, Any]] = [one.values("item_id") for one in (answered, drawn, blind)]
    for ids in judged:
        rows = rows.exclude(item_id__in=ids)
    return {
        row.item_id: weak.WeakLabel(
            row.value,
            row.certainty,
            tuple(sorted({one.subject: one.network for one in row.backers.all()}.items())),
            row.other,
        )
        for row in rows.prefetch_related("backers")
        if _is_legal(rules, row.value) and (row.other is None or _is_legal(rules, row.other))
    }


def in_view(*, project: Project, ids: Sequence[int]) -> list[float]:
    """Of each of these items which share of what people said of it was said with a model's answer in view: on the
    annotator's screen, or in the review that settled it."""
    shown: dict[int, list[bool]] = {}
    decided: set[int] = set()
    for start in range(0, len(ids), 500):
        chunk = ids[start : start + 500]
        answers = Annotation.objects.live().filter(item_id__in=chunk)
        for item_id, was_shown in answers.values_list("item_id", "assignment__suggestion_shown"):
            shown.setdefault(item_id, []).append(bool(was_shown))
        reviews = ReviewItem.objects.filter(item_id__in=chunk, state=ReviewItem.State.DECIDED)
        current = reviews.filter(resolution__superseded_at__isnull=True, resolution__isnull=False)
        decided |= {pk for pk, facts in current.values_list("item_id", "evidence") if _shows_an_answer(facts)}
    return [1.0 if pk in decided else sum(own) / len(own) if (own := shown.get(pk)) else 0.0 for pk in ids]


def _shows_an_answer(evidence: dict[str, Any]) -> bool:
    """Whether a review told what a model had said: blind ones do not."""
    if ReviewItem.Reason.EXPLORE.value in evidence:
        return False
    return any(isinstance(facts, dict) and "value" in facts and "source" in facts for facts in evidence.values())


def loop(*, project: Project, now: datetime) -> Loop:
    """What the project's model shows, and what the newest version learned from: of the last 30 days."""
    answers = Prediction.objects.filter(project=project, created_at__gte=now - LOOP_WINDOW).order_by("-created_at")
    scoring, newest = latest_scoring(project=project), newest_version(project=project)
    _, rules = current_rules(project)
    _, serving = serving_state(project=project)
    return loop_of(
        shown=answers.values_list("value", "segment", "is_explored")[:MOST_LOOKED_AT],
        labels=rules.labels,
        wanted=serving.exploration_share,
        sources=scoring.composition if scoring else {},
        random_source=QueueEntry.Reason.RANDOM.value,
        wanted_in_queue=policy_of(project).exploration_share,
        learned=(newest.metrics.get("loop") if newest else None) or {},
    )


def audit_labels(*, project: Project, rules: SchemaRules) -> LabelSet:
    """What the audited items of the present sample are: their known answer where that settled them, else what most
    people said who saw no suggestion."""
    known = Resolution.objects.filter(
        project=project, superseded_at__isnull=True, method=Resolution.Method.KNOWN, item__split=Item.Split.AUDIT
    ).exclude(item__state=Item.State.EXCLUDED)
    sample = audit_sample(project=project)
    if sample is not None:
        known = known.exclude(item_id__in=_answered_audit_ids(project, sample.after_annotation))
    settled: dict[int, tuple[Any, float]] = {pk: (value, 1.0) for pk, value in known.values_list("item_id", "value")}
    return _settled(_audit_answers(project).exclude(assignment__suggestion_shown=True), rules, settled)


def _audit_answers(project: Project) -> QuerySet[Annotation]:
    """Live answers to the present audit sample. An item that was answered before it began, if only once and undone
    since, is of an earlier one."""
    answers = _live_answers(project, Item.Split.AUDIT)
    sample = audit_sample(project=project)
    if sample is None:
        return answers
    return answers.exclude(item_id__in=_answered_audit_ids(project, sample.after_annotation))


def _answered_audit_ids(project: Project, up_to: int) -> QuerySet[Annotation, int]:
    answers = Annotation.objects.filter(project=project, item__split=Item.Split.AUDIT, id__lte=up_to)
    return answers.values_list("item_id", flat=True)


def audit_sample(*, project: Project) -> AuditSample | None:
    """The present audit sample; None for the first."""
    return AuditSample.objects.filter(project=project).order_by("-number").first()


def audit_sample_number(*, project: Project) -> int:
    sample = audit_sample(project=project)
    return 1 if sample is None else sample.number


def n_unseen_audit_items(*, project: Project) -> int:
    """Open audit items that nobody has ever answered: what a fresh sample would be made of."""
    answered = Annotation.objects.filter(project=project, item__split=Item.Split.AUDIT).values("item_id")
    items = Item.objects.filter(project=project, split=Item.Split.AUDIT, state=Item.State.OPEN)
    return items.exclude(pk__in=answered).count()


def _live_answers(project: Project, split: str) -> QuerySet[Annotation]:
    return Annotation.objects.live().filter(project=project, item__split=split).exclude(item__state=Item.State.EXCLUDED)


def _settled(answers: QuerySet[Annotation], rules: SchemaRules, settled: dict[int, tuple[Value, float]]) -> LabelSet:
    rows = answers.order_by("item_id", "id").values_list("item_id", "value").iterator(chunk_size=5_000)
    found: dict[int, tuple[Value, float]] = {}
    n_annotations = n_dropped = 0
    for item_id, group in groupby(rows, key=itemgetter(0)):
        given = [value for _, value in group]
        n_annotations += len(given)
        if item_id in settled:
            continue
        verdict = plurality(given)
        if verdict.value is None or not _is_legal(rules, verdict.value):
            n_dropped += 1
        else:
            found[item_id] = (verdict.value, verdict.share)
    for item_id, (value, weight) in settled.items():
        if _is_legal(rules, value):
            found[item_id] = (value, weight)
        else:
            n_dropped += 1
    ids = sorted(found)
    return LabelSet(
        ids, [found[i][0] for i in ids], [found[i][1] for i in ids], n_annotations=n_annotations, n_dropped=n_dropped
    )


def _is_legal(rules: SchemaRules, value: object) -> bool:
    try:
        rules.check(value)
    except Invalid:
        return False
    return True


def last_annotation_id(*, project: Project) -> int:
    """The id of the newest live answer, 0 without any."""
    return Annotation.objects.live().filter(project=project).order_by("-id").values_list("id", flat=True).first() or 0


def newest_annotation_id(*, project: Project) -> int:
    """The id of the newest answer, undone ones included; 0 without any."""
    return Annotation.objects.filter(project=project).aggregate(newest=Max("id"))["newest"] or 0


def n_new_labels(*, project: Project, since_id: int, at_most: int) -> int:
    """Live answers to pool items that came after the answer `since_id`; counting stops at `at_most`."""
    new = Annotation.objects.live().filter(project=project, id__gt=since_id, item__split=Item.Split.POOL)
    return new.order_by("id")[:at_most].count()


def answered_or_closed_ids(*, project: Project) -> set[int]:
    """Items that a fresh queue leaves out: those with an answer that counts, and those that are not open."""
    answered = Annotation.objects.live().filter(project=project).values_list("item_id", flat=True)
    closed = Item.objects.filter(project=project).exclude(state=Item.State.OPEN).values_list("id", flat=True)
    return {*answered.iterator(chunk_size=10_000), *closed.iterator(chunk_size=10_000)}


def n_audited(*, project: Project) -> int:
    """Items of the present audit sample with an answer that counts."""
    return _audit_answers(project).values("item_id").distinct().count()


def newest_item_id(*, project: Project) -> int:
    """The largest id of the project's items, 0 without any. Eight index look-ups, whatever the number of items."""
    # The index is ordered by id within state and split only.
    newest = (
        Item.objects.filter(project=project, state=state, split=split).aggregate(newest=Max("id"))["newest"]
        for state in Item.State.values
        for split in Item.Split.values
    )
    return max((found for found in newest if found is not None), default=0)


def item_ids(*, project: Project) -> Iterator[int]:
    """The ids of all items, in no particular order; read from an index."""
    return Item.objects.filter(project=project).values_list("id", flat=True).order_by().iterator(chunk_size=20_000)


def pool_ids(*, project: Project) -> Iterator[int]:
    """The ids of the open items of the pool, in no particular order; read from an index."""
    pool = Item.objects.filter(project=project, state=Item.State.OPEN, split=Item.Split.POOL)
    return pool.values_list("id", flat=True).order_by().iterator(chunk_size=20_000)


def item_data(*, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """What the named items show, by id."""
    found: dict[int, dict[str, Any]] = {}
    for start in range(0, len(ids), 1_000):
        found |= dict(Item.objects.filter(pk__in=ids[start : start + 1_000]).values_list("pk", "data"))
    return found


def item_metas(*, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """What the owner stored beside the named items, by id."""
    found: dict[int, dict[str, Any]] = {}
    for start in range(0, len(ids), 1_000):
        rows = Item.objects.filter(pk__in=ids[start : start + 1_000]).values_list("pk", "meta")
        found |= {pk: meta if isinstance(meta, dict) else {} for pk, meta in rows}
    return found


def n_featurized(*, project: Project, fingerprint: str) -> int:
    shards = FeatureShard.objects.filter(project=project, fingerprint=fingerprint)
    return shards.aggregate(total=Sum("n"))["total"] or 0


def last_featurized_id(*, project: Project, fingerprint: str) -> int:
    shards = FeatureShard.objects.filter(project=project, fingerprint=fingerprint)
    return shards.aggregate(last=Max("last_id"))["last"] or 0


def latest_run(*, project: Project) -> TrainingRun | None:
    """The last training that has begun."""
    begun = TrainingRun.objects.filter(project=project).exclude(job__state=Job.State.QUEUED)
    return begun.select_related("job").order_by("-id").first()


def latest_learned_run(*, project: Project) -> TrainingRun | None:
    """The last training that has come to its end, with or without a model."""
    ended = TrainingRun.objects.filter(project=project, job__state=Job.State.SUCCEEDED)
    return ended.select_related("job").order_by("-id").first()


def end_of(run: TrainingRun) -> datetime:
    """When the training ended, or began if its end was not written down."""
    return run.job.finished_at or run.created_at


def training_runs(*, project: Project, n: int) -> list[TrainingRun]:
    """The last trainings, newest first."""
    runs = TrainingRun.objects.filter(project=project).select_related("job", "version")
    return list(runs.order_by("-id")[:n])


def newest_version(*, project: Project) -> ModelVersion | None:
    return ModelVersion.objects.filter(project=project).select_related("dataset").order_by("-number").first()


def live_version(*, project: Project) -> ModelVersion | None:
    live = ModelVersion.objects.filter(project=project, state=ModelVersion.State.LIVE)
    return live.select_related("dataset").first()


def candidate_version(*, project: Project, live: ModelVersion | None) -> ModelVersion | None:
    """Where the alias `candidate` stands: the newest version that may be approved, measured beside the one now live."""
    waiting = ModelVersion.objects.filter(project=project, state=ModelVersion.State.CANDIDATE)
    beside = Q(gate__live=live.number) if live else Q(gate__live=None) | Q(gate__live__isnull=True)
    return waiting.filter(beside).order_by("-number").first()


def shadow_version(*, project: Project) -> ModelVersion | None:
    return ModelVersion.objects.filter(project=project, is_shadow=True).select_related("dataset").first()


def last_move(*, project: Project, alias: str) -> AliasEvent | None:
    return AliasEvent.objects.filter(project_id=project.pk, alias=alias).order_by("-id").first()


def live_before(*, project: Project, live: ModelVersion | None) -> int | None:
    """The number of the version that `live` replaced when it first became live; None without one."""
    if live is None:
        return None
    first = _moves_to(project, live.number).order_by("id").first()
    return first.from_number if first else None


def was_live(*, project: Project, number: int) -> bool:
    return _moves_to(project, number).exists()


def _moves_to(project: Project, number: int) -> QuerySet[AliasEvent]:
    return AliasEvent.objects.filter(project_id=project.pk, alias=AliasEvent.Alias.LIVE, to_number=number)


def asked_for_by(*, version: ModelVersion) -> Any:
    """The person who asked for the training that made this version; None when labels, a clock or a command did."""
    run = version.runs.select_related("job__created_by").order_by("id").first()
    return run.job.created_by if run else None


def other_owners(*, project: Project, user: Any) -> bool:
    """Whether somebody else who can log in owns the project too."""
    owners = Membership.objects.filter(project=project, role=Membership.Role.OWNER, user__is_active=True)
    return owners.exclude(user_id=user.pk).exists()


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where a version comes from and what came of it: numbers of other versions, newest first, and its trainings."""

    parent: int | None
    children: list[int]
    same_data: list[int]
    runs: list[TrainingRun]


def lineage_of(*, version: ModelVersion, most: int = 20) -> Lineage:
    others = ModelVersion.objects.filter(project=version.project).exclude(pk=version.pk).order_by("-number")
    runs = version.runs.select_related("job__created_by", "dataset").order_by("id")
    return Lineage(
        parent=version.parent.number if version.parent else None,
        children=list(others.filter(parent=version).values_list("number", flat=True)[:most]),
        same_data=list(others.filter(dataset=version.dataset).values_list("number", flat=True)[:most]),
        runs=list(runs[:most]),
    )


def alias_events(*, version: ModelVersion, most: int = 50) -> list[AliasEvent]:
    """The moves of aliases that this version had a part in, newest first."""
    part = Q(to_number=version.number) | Q(from_number=version.number)
    events = AliasEvent.objects.filter(part, project_id=version.project_id).select_related("actor")
    return list(events.order_by("-id")[:most])


def acts_on(*, version: ModelVersion, most: int = 50) -> list[AuditEntry]:
    """Rejections and retirements by people, newest first."""
    acts = AuditEntry.objects.filter(project=version.project, target=f"model {version.number}")
    return list(acts.filter(action__in=("model.reject", "model.retire")).select_related("actor").order_by("-id")[:most])


@dataclass(frozen=True, slots=True)
class Recency:
    """When the newest answer was given that a version learned from, and how many came since (counted to `at_most`)."""

    newest_at: datetime
    n_since: int
    at_most: int

    @property
    def is_recent(self) -> bool:
        """Fewer answers came since than a third of what it learned from, or than can be counted quickly."""
        return self.n_since < self.at_most


def recency_of(*, version: ModelVersion) -> Recency | None:
    run = version.runs.order_by("-id").first()
    newest = Annotation.objects.filter(pk=run.last_annotation_id).first() if run else None
    if newest is None:
        return None
    at_most = max(1, min(version.dataset.n_items // 3, 10_000))
    n_since = n_new_labels(project=version.project, since_id=newest.pk, at_most=at_most)
    return Recency(newest.created_at, n_since, at_most)


def versions_of(*, project: Project, n: int | None = None) -> list[ModelVersion]:
    """Versions with their data and marks, newest first."""
    versions = ModelVersion.objects.filter(project=project).select_related("dataset", "parent").order_by("-number")
    versions = versions.prefetch_related("erasures")
    return list(versions if n is None else versions[:n])


@dataclass(frozen=True, slots=True)
class MeasuredVersion:
    n_labels: int
    accuracy: float
    low: float
    high: float


def measured_before(
    *, project: Project, labels: Sequence[str], seed: int | None = None, most: int = 200
) -> list[MeasuredVersion]:
    """The newest versions with enough audit items that chose among these labels, oldest first: one of each data set,
    and none of the data that `seed` was drawn from."""
    schemas = LabelSchema.objects.filter(project=project)
    alike = [one.version for one in schemas if rules_of(one.kind, one.config).labels == tuple(labels)]
    versions = ModelVersion.objects.filter(project=project, dataset__schema_version__in=alike)
    rows = versions.order_by("-number").values_list(
        "dataset_id", "dataset__n_items", "parameters__seed", "metrics__audit__accuracy"
    )[:most]
    found: dict[int, MeasuredVersion] = {}
    for dataset, n_labels, drawn, accuracy in rows:
        if accuracy and accuracy["n"] >= MIN_AUDITED and (seed is None or drawn != seed):
            found.setdefault(dataset, MeasuredVersion(n_labels, accuracy["value"], accuracy["low"], accuracy["high"]))
    return list(reversed(found.values()))


def version_of_other_data(*, project: Project, seed: int) -> ModelVersion | None:
    """The newest version that learned from other data than those that `seed` was drawn from."""
    numbers = ModelVersion.objects.filter(project=project).order_by("-number").values_list("number", "parameters__seed")
    number = next((number for number, drawn in numbers.iterator(chunk_size=50) if drawn != seed), None)
    return None if number is None else version_numbered(project=project, number=number)


def last_kappas(*, project: Project, n: int, seed: int) -> list[float | None]:
    """Of the newest `n` versions the kappa with the one before each, newest first; the first version has none. Left out
    are those that learned from the very data that `seed` was drawn from: of course they say the same."""
    rows = ModelVersion.objects.filter(project=project).order_by("-number")
    told = rows.values_list("parameters__seed", "metrics__stability")[: n + SAME_DATA_LOOKED_AT]
    return [stability["kappa"] for drawn, stability in told if stability and drawn != seed][:n]


def version_numbered(*, project: Project, number: int) -> ModelVersion:
    """The project's version of this number. Raises NotFound."""
    version = ModelVersion.objects.filter(project=project, number=number).select_related("dataset").first()
    if version is None:
        raise NotFound(f"This project has no model {number}.")
    return version


def n_looks(*, project: Project) -> int:
    """Versions that were measured on the present audit sample, on enough items to say something."""
    rows = ModelVersion.objects.filter(project=project).values_list("metrics__audit_sample", "metrics__n_audited")
    number = audit_sample_number(project=project)
    return sum((sample or 1) == number and (n or 0) >= MIN_AUDITED for sample, n in rows)


@dataclass(frozen=True, slots=True)
class VersionOnCurve:
    """What a learning curve needs of a version; `accuracy` is {value, low, high, n} or None."""

    number: int
    n_labels: int
    accuracy: dict[str, Any] | None


def curve_versions(*, project: Project, most: int = 200) -> list[VersionOnCurve]:
    """Versions for a learning curve, newest first: all, or `most` spread evenly over a long history."""
    versions = ModelVersion.objects.filter(project=project).order_by("-number")
    newest = versions.values_list("number", flat=True).first() or 0
    if newest > most:
        # Numbers follow each other without gaps.
        versions = versions.filter(number__in={round(1 + i * (newest - 1) / (most - 1)) for i in range(most)})
    # Metrics are long; the page asks for this again and again.
    rows = versions.values_list("number", "dataset__n_items", "metrics__audit__accuracy")
    return [VersionOnCurve(*row) for row in rows]


def n_versions(*, project: Project) -> int:
    return ModelVersion.objects.filter(project=project).count()


def latest_scoring(*, project: Project) -> ScoringRun | None:
    return ScoringRun.objects.filter(project=project).select_related("version").order_by("-id").first()


def last_seen_by(version: ModelVersion) -> int | None:
    """The newest answer that the training saw which made and measured the version; None when its row is gone."""
    return version.runs.order_by("id").values_list("last_annotation_id", flat=True).first()


def newly_audited_ids(*, project: Project, since_id: int) -> list[int]:
    """Audit items whose answers that count all came after the answer `since_id`, in order of their first one."""
    answers = _live_answers(project, Item.Split.AUDIT).order_by()
    first = answers.filter(id__gt=since_id).values("item_id").annotate(first=Min("id")).order_by("first")
    before = set(answers.filter(id__lte=since_id).values_list("item_id", flat=True))
    return [item_id for item_id in first.values_list("item_id", flat=True) if item_id not in before]


def latest_accuracy_check(*, project: Project) -> Job | None:
    return Job.objects.filter(project=project, kind=ACCURACY_CHECK).order_by("-created_at").first()


def accuracy_now(*, version: ModelVersion) -> dict[str, Any] | None:
    """What the last accuracy check that came to its end found of this version (active_learning.core.decline)."""
    done = Job.objects.filter(project_id=version.project_id, kind=ACCURACY_CHECK, state=Job.State.SUCCEEDED)
    result = done.order_by("-finished_at").values_list("result", flat=True).first() or {}
    return result.get("decline") if result.get("version") == version.number else None


def why_no_vote(*, project: Project, version: ModelVersion) -> str:
    """Why the version may have no vote in the project's consensus; empty when it may. Its file is not looked at."""
    if LabelSchema.objects.current(project.pk).kind == LabelSchema.Kind.CHOICES:
        return "several labels are settled one by one, by people alone"
    if not project.has_single_truth:
        return "every opinion is kept"
    if not labeling_selectors.several_judge(project=project):
        return "one person judges each item"
    n = (version.metrics.get("vote") or {}).get("n", 0)
    if n < MIN_AUDITED:
        return f"{n} of {MIN_AUDITED} audit items were answered when it learned"
    return "" if version.metrics["vote"]["may_vote"] else "it is not clearly better than naming the commonest label"


def vote_evidence(version: ModelVersion) -> VoterEvidence | None:
    """What the audit split said about its being a voter; None when nothing was answered there."""
    found = version.metrics.get("vote")
    if not found:
        return None
    return VoterEvidence(found["n"], found["n_right"], found["n_common"], version.dataset.n_items)


def n_learned_by_voter(*, project: Project) -> int | None:
    """How many items the model that votes now had learned from; None when none votes."""
    voter = ModelVoter.objects.filter(project=project, why_not="").first()
    return voter.evidence.get("n_labels") if voter else None


def items_to_vote_on(*, project: Project) -> set[int]:
    """Pool items that have an answer which counts, or stand in line for one."""
    answered = _live_answers(project, Item.Split.POOL).values_list("item_id", flat=True)
    queued = QueueEntry.objects.filter(project=project, item__split=Item.Split.POOL).values_list("item_id", flat=True)
    return {*answered.iterator(chunk_size=10_000), *queued.iterator(chunk_size=10_000)}


@dataclass(frozen=True, slots=True)
class RareLabel:
    """A label of the schema with fewer than ENOUGH_PER_LABEL examples, when a version learned."""

    value: str
    n: int


def rare_labels(*, rules: SchemaRules, version: ModelVersion) -> list[RareLabel]:
    """The labels that the version hardly knows, the rarest first; those that came after it have none."""
    counts = version.dataset.class_counts
    rare = [RareLabel(label, int(counts.get(label, 0))) for label in rules.labels]
    return sorted((label for label in rare if label.n < ENOUGH_PER_LABEL), key=lambda label: label.n)


@dataclass(frozen=True, slots=True)
class ChangedLabels:
    """Labels that a version may still say and people no longer can, and labels that came after it."""

    gone: list[str]
    new: list[str]


def changed_labels(*, rules: SchemaRules, version: ModelVersion) -> ChangedLabels | None:
    """What has changed in the labels since the version learned; None where nothing has."""
    schema = LabelSchema.objects.filter(project_id=version.project_id, version=version.dataset.schema_version).first()
    then = rules_of(schema.kind, schema.config).labels if schema is not None else rules.labels
    found = ChangedLabels(
        gone=[label for label in then if label not in rules.labels],
        new=[label for label in rules.labels if label not in then],
    )
    return found if found.gone or found.new else None


def n_queued(*, project: Project) -> int:
    return QueueEntry.objects.filter(project=project).count()


def seconds_per_answer(*, project: Project, user: Any = None, most: int = 50) -> float | None:
    """The median of what the last answers took that have it: of one person, or of everybody; None without any."""
    answers = Annotation.objects.live().filter(project=project, seconds__isnull=False)
    if user is not None:
        answers = answers.filter(user=user)
    latest = answers.order_by("-id").values_list("seconds", flat=True)[:most]
    seconds = [value for value in latest if value is not None]
    return statistics.median(seconds) if seconds else None


def learning_jobs(*, project: Project, n: int = 10) -> list[Job]:
    """The latest jobs of the learning loop, newest first, with what their trainings came to."""
    kinds = (*LEARNING_JOBS, "vote", ACCURACY_CHECK)
    jobs = Job.objects.filter(project=project, kind__in=kinds).select_related("training_run", "created_by")
    return list(jobs.order_by("-created_at")[:n])


def latest_replay(*, project: Project) -> Job | None:
    """The newest replay of campaigns, in whatever state."""
    return Job.objects.filter(project=project, kind="replay").order_by("-created_at").first()


def replayed(*, project: Project) -> dict[str, Any] | None:
    """What the last replay that came to its end found."""
    done = Job.objects.filter(project=project, kind="replay", state=Job.State.SUCCEEDED).order_by("-finished_at")
    return done.values_list("result", flat=True).first()


def latest_error_analysis(*, project: Project) -> Job | None:
    """The newest error analysis, in whatever state."""
    return Job.objects.filter(project=project, kind="errors").order_by("-created_at").first()


def analysed_errors(*, project: Project) -> Job | None:
    """The last error analysis that came to its end; its result is what was found."""
    done = Job.objects.filter(project=project, kind="errors", state=Job.State.SUCCEEDED)
    return done.order_by("-finished_at").first()


def error_group(*, project: Project, key: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The last error analysis and the group of this key in it. Raises NotFound."""
    job = analysed_errors(project=project)
    found: dict[str, Any] = (job.result or {}) if job else {}
    row = next((row for row in found.get("groups", []) if row["key"] == key), None)
    if row is None:
        raise NotFound(
            "There is no such group of errors any more: they were looked at again since. Open the page anew."
        )
    return found, row


def latest_slices(*, project: Project, most: int = 50) -> dict[str, Job]:
    """The newest request for items like each group of errors, by the group's key."""
    jobs = Job.objects.filter(project=project, kind="error_slice").order_by("-created_at")[:most]
    return {job.params["group"]: job for job in reversed(jobs)}


def latest_similar(*, project: Project, item_id: int) -> Job | None:
    """The newest search for items like this one, in whatever state."""
    return Job.objects.filter(project=project, kind="similar", params__item=item_id).order_by("-created_at").first()


def is_learning(*, project: Project) -> bool:
    waiting = Q(state=Job.State.QUEUED) | Q(state=Job.State.RUNNING)
    return Job.objects.filter(waiting, project=project, kind__in=LEARNING_JOBS).exists()


@dataclass(frozen=True, slots=True)
class WhatNext:
    """How far it is to the next training, and to a number that may be believed.

    `refusal` is why the last training learned nothing; `again_at` when the schedule asks for the next one.
    """

    n_new: int
    n_needed: int
    n_audited: int
    n_audited_needed: int
    is_enabled: bool
    has_failed: bool
    refusal: str
    again_at: datetime | None

    @property
    def n_missing(self) -> int:
        return max(0, self.n_needed - self.n_new)

    @property
    def n_audits_missing(self) -> int:
        return max(0, self.n_audited_needed - self.n_audited)


def what_next(*, project: Project, policy: LearningPolicy) -> WhatNext:
    run, latest = latest_learned_run(project=project), latest_run(project=project)
    since = run.last_annotation_id if run else 0
    return WhatNext(
        n_new=n_new_labels(project=project, since_id=since, at_most=policy.retrain_after),
        n_needed=policy.retrain_after,
        n_audited=n_audited(project=project),
        n_audited_needed=MIN_AUDITED,
        is_enabled=policy.is_enabled,
        has_failed=latest is not None and latest.job.state == Job.State.FAILED,
        refusal=latest.outcome if latest is not None and latest.is_refused else "",
        again_at=end_of(run) + timedelta(days=policy.retrain_days) if run and policy.retrain_days else None,
    )


@dataclass(frozen=True, slots=True)
class LiveVersion:
    """Which version is live, and where its files are: all that serving has to know of it."""

    project_id: int
    version_id: int
    number: int
    sha256: str
    path: str
    schema_version: int
    newest_schema: int

    @property
    def gone_labels(self) -> frozenset[str]:
        """What it may still say, and people no longer can."""
        if self.schema_version == self.newest_schema:
            return frozenset()
        return _labels_gone(self.project_id, self.schema_version, self.newest_schema)


_SERVING_STATE = """
SELECT version.id, version.number, version.sha256, version.path, dataset.schema_version,
  (SELECT MAX(version) FROM labeling_labelschema WHERE project_id = project.id), policy.stamp
FROM labeling_project AS project
LEFT JOIN active_learning_modelversion AS version ON version.project_id = project.id AND version.state = 'live'
LEFT JOIN active_learning_dataset AS dataset ON dataset.id = version.dataset_id
LEFT JOIN active_learning_servingpolicy AS policy ON policy.project_id = project.id
WHERE project.id = %s
"""


def serving_state(*, project: Project) -> tuple[LiveVersion | None, ServingPolicy]:
    """The live version, if there is one, and the policy under which it answers.

    One short query, asked anew by every request: a moved alias and a changed policy count at once, in every process.
    Written out, because putting it together took longer than asking it. The policy is shared: read it only.
    """
    with connection.cursor() as cursor:
        cursor.execute(_SERVING_STATE, [project.pk])
        row = cursor.fetchone()
    if row is None:
        raise NotFound("This project was deleted.")
    *version, stamp = row
    policy = ServingPolicy(project=project) if stamp is None else _policy_at(project.pk, stamp)
    return (None if version[0] is None else LiveVersion(project.pk, *version)), policy


@lru_cache(maxsize=1_000)
def _labels_gone(project_id: int, then: int, now: int) -> frozenset[str]:
    found = {
        schema.version: schema for schema in LabelSchema.objects.filter(project_id=project_id, version__in=[then, now])
    }
    before, after = (rules_of(found[version].kind, found[version].config).labels for version in (then, now))
    return frozenset(before) - frozenset(after)


@lru_cache(maxsize=1_000)
def _policy_at(project_id: int, stamp: str) -> ServingPolicy:
    return ServingPolicy.objects.get(project_id=project_id)


def commonest_value(*, project: Project, rules: SchemaRules) -> tuple[Value, float]:
    """What most items were said to be when a model last learned, and the share of others, which it gets wrong.

    Before that the first label, as if all were as frequent; of several labels none, which is never right.
    """
    if rules.kind == "choices":
        chosen: list[str] = []
        return (chosen if not rules.min else sorted(rules.labels[: rules.min])), 1.0
    stored = Dataset.objects.filter(project=project).order_by("-number").values_list("class_counts", flat=True).first()
    counts = {label: (stored or {}).get(label, 0) for label in rules.labels}
    label = max(rules.labels, key=lambda label: counts[label])
    total = sum(counts.values())
    share = counts[label] / total if total else 1 / len(rules.labels)
    return (int(label) if rules.kind == "rating" else label), 1.0 - share


@dataclass(frozen=True, slots=True)
class JudgedPrediction:
    """A prediction that was drawn by chance and has been judged blind; `input` is what was kept of its input."""

    value: Any
    certainty: float
    reason: str
    segment: str
    input: dict[str, Any] | None
    is_right: bool
    propensity: float
    created_at: datetime


def judged_predictions(
    *, project: Project, version_id: int | None = None, since: datetime | None = None, most: int = 20_000
) -> list[JudgedPrediction]:
    """The newest random draws that people have judged blind since: all that is known of accuracy in production without
    bias.

    Only what no model learns from counts, once an item, and not what was settled before the model was asked: answers to
    known inputs say nothing of new ones.
    """
    drawn = Prediction.objects.filter(
        project=project, is_explored=True, item__split=Item.Split.AUDIT, certainty__isnull=False
    )
    if version_id is not None:
        drawn = drawn.filter(version_id=version_id)
    if since is not None:
        drawn = drawn.filter(created_at__gt=since)
    rows = list(
        drawn.order_by("-created_at").values_list(
            "item_id", "value", "certainty", "reason", "segment", "input", "propensity", "created_at"
        )[:most]
    )
    settled: dict[int, Any] = {}
    first = {row[0]: row for row in rows}  # rows are the newest first: an item's oldest draw stays
    ids = sorted(first)
    for start in range(0, len(ids), 1_000):
        current = Resolution.objects.filter(
            item_id__in=ids[start : start + 1_000], superseded_at__isnull=True, value__isnull=False
        )
        settled |= {item: (value, at) for item, value, at in current.values_list("item_id", "value", "created_at")}
    return [
        JudgedPrediction(value, certainty, reason, segment, data, value == settled[item_id][0], propensity, at)
        for item_id, value, certainty, reason, segment, data, propensity, at in first.values()
        if item_id in settled and settled[item_id][1] > at and certainty is not None
    ]


def latest_predictions(*, project: Project, n: int) -> list[Prediction]:
    """The last logged predictions of models, the newest first."""
    found = Prediction.objects.filter(project=project, certainty__isnull=False)
    return list(found.order_by("-created_at")[:n])


# What people decided about predictions


def prediction_numbered(*, project: Project, pk: UUID) -> Prediction:
    """A logged prediction of the project with its version."""
    found = Prediction.objects.filter(project=project, pk=pk).select_related("version").first()
    if found is None:
        raise NotFound("There is no such prediction in the log. After the days that are kept it is in an archive file.")
    return found


def given_to_people() -> QuerySet[Prediction]:
    """Predictions that were given to a person when they were answered, and not because somebody complained later."""
    return Prediction.objects.filter(Q(decision=Prediction.Decision.REVIEW) | Q(is_explored=True), item__isnull=False)


def what_became_of(prediction: Prediction) -> tuple[str, Resolution | None]:
    """`stands`: nobody is asked; `waiting`: a person is; `settled`, with the value; `unclear`: nobody can tell."""
    if prediction.item_id is None:
        return "stands", None
    current = Resolution.objects.filter(item_id=prediction.item_id, superseded_at__isnull=True).first()
    if current is not None:
        return "settled", current
    states = list(ReviewItem.objects.filter(item_id=prediction.item_id).order_by("-pk").values_list("state", flat=True))
    if ReviewItem.State.UNCLEAR in states:
        return "unclear", None
    # Closed without a value: who complained has taken it back.
    return ("stands" if states[:1] == [ReviewItem.State.CLOSED] else "waiting"), None


def decisions_after(*, project: Project, after: int, since: datetime | None, n: int) -> list[Decision]:
    """The log of decisions in its order, behind the number `after`; those logged at `since` or later."""
    found = Decision.objects.filter(project=project, pk__gt=after)
    if since is not None:
        found = found.filter(logged_at__gte=since)
    return list(found.order_by("pk")[:n])


def webhooks_of(*, project: Project) -> list[Webhook]:
    """With how many decisions wait, and how many were given up."""
    waiting, failed = (
        Count("deliveries", filter=Q(deliveries__state=state, deliveries__decision__isnull=False))
        for state in (Delivery.State.WAITING, Delivery.State.FAILED)
    )
    return list(Webhook.objects.filter(project=project).annotate(n_waiting=waiting, n_failed=failed))


def webhook_numbered(*, project: Project, pk: int) -> Webhook:
    found = Webhook.objects.filter(project=project, pk=pk).select_related("project").first()
    if found is None:
        raise NotFound("There is no such webhook in this project.")
    return found


def deliveries_of(*, webhook: Webhook, n: int = 100) -> list[Delivery]:
    """Its last messages, the newest first."""
    return list(Delivery.objects.filter(webhook=webhook).select_related("decision").order_by("-created_at")[:n])


def missed_deliveries(*, webhook: Webhook) -> QuerySet[Delivery]:
    """Decisions that did not arrive so far: given up, or waiting for another attempt."""
    tried_in_vain = Q(state=Delivery.State.FAILED) | Q(state=Delivery.State.WAITING, n_attempts__gt=0)
    return Delivery.objects.filter(tried_in_vain, webhook=webhook, decision__isnull=False)


def delivery_numbered(*, webhook: Webhook, pk: UUID) -> Delivery:
    found = Delivery.objects.filter(webhook=webhook, pk=pk).first()
    if found is None:
        raise NotFound("There is no such message of this webhook.")
    return found


# Reviewers' figures


@dataclass(frozen=True, slots=True)
class ReviewFigures:
    """How reviewing goes, of the last `days` days but for what waits."""

    days: int
    waiting: list[tuple[str, int]]
    n_unclear: int
    times: Times | None
    agreement: Agreement
    chart: DayChart | None
    today: int
    capacity: int | None


def review_figures(*, project: Project, now: datetime, days: int = 28, most: int = 20_000) -> ReviewFigures:
    """The figures of the reviewers. Seven queries, of the newest `most` reviews."""
    waiting = dict(
        ReviewItem.objects.filter(project=project, state=ReviewItem.State.OPEN)
        .values_list("reason")
        .order_by()
        .annotate(n=Count("pk"))
    )
    since = (now - timedelta(days=days - 1)).replace(hour=0, minute=0, second=0, microsecond=0)
    ended = (
        ReviewItem.objects.filter(project=project, closed_at__gte=since)
        .filter(state__in=(ReviewItem.State.DECIDED, ReviewItem.State.UNCLEAR))
        .order_by("-closed_at")
    )
    rows = list(ended.values_list("state", "opened_at", "closed_at", "item_id", "resolution__value", "evidence")[:most])
    counts = Counter(closed.date() for _, _, closed, *_ in rows if closed)
    decided = {item: (value, facts) for state, _, _, item, value, facts in rows if state == ReviewItem.State.DECIDED}
    pace = labeling_selectors.review_pace(project=project)
    return ReviewFigures(
        days=days,
        waiting=[
            (ReviewItem.Reason(reason).label, n) for reason, n in sorted(waiting.items(), key=lambda row: -row[1])
        ],
        n_unclear=sum(row[0] == ReviewItem.State.UNCLEAR for row in rows),
        times=times_of([(closed - opened).total_seconds() for _, opened, closed, *_ in rows if closed]),
        agreement=agreement_of(_judged_reviews(decided)),
        chart=draw_days(counts, last=now.date(), n_days=days),
        today=pace.today,
        capacity=pace.capacity,
    )


def _judged_reviews(decided: dict[int, tuple[Any, dict[str, Any]]]) -> list[JudgedReview]:
    """The decided items that came from predictions of models, each with the first prediction that asked for it."""
    ids, first = sorted(decided), {}
    for start in range(0, len(ids), 1_000):
        found = given_to_people().filter(item_id__in=ids[start : start + 1_000], certainty__isnull=False)
        for item_id, value, decision in found.order_by("-pk").values_list("item_id", "value", "decision"):
            first[item_id] = (value, decision)
    return [
        JudgedReview(
            is_blind=ReviewItem.Reason.EXPLORE.value in decided[item_id][1],
            was_sent=decision == Prediction.Decision.REVIEW,
            is_as_predicted=value == decided[item_id][0],
        )
        for item_id, (value, decision) in first.items()
    ]
