"""What is read of feedback."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any
from uuid import UUID

from django.core.cache import cache
from django.db.models import (
    Case,
    CharField,
    Count,
    Exists,
    F,
    Func,
    IntegerField,
    Min,
    OuterRef,
    Q,
    Value,
    When,
    Window,
)
from django.db.models.functions import Cast, TruncDate, TruncWeek
from django.utils import timezone

from active_learning.models import Prediction, WeakLabel
from active_learning.selectors import given_to_people
from feedback.core.complaints import Known
from feedback.core.evidence import Said
from feedback.core.groups import Counts, GroupRow, Groups, group_row, groups_of
from feedback.core.guard import Speaker
from feedback.core.rates import Voices, design_effect
from feedback.core.reliability import Pairs
from feedback.core.report import (
    MAIN,
    SIGNALS,
    Arrival,
    DayChart,
    SignalRow,
    VersionRow,
    arrived,
    draw_days,
    pairs_of,
    signal_rows,
    version_row,
)
from feedback.core.signals import EDITED_FROM
from feedback.core.statements import REASONS
from feedback.models import Channel, CurrentVerdict, FeedbackEvent, ImplicitEvent, WidgetKey
from labeling.core.shares import Share, wilson
from labeling.core.wording import answers_of, first_words
from labeling.models import Item, LabelSchema, Project, Resolution, ReviewItem
from labeling.selectors import ReviewFilter, n_open_reviews

Verdict = FeedbackEvent.Verdict
# So far back the page looks; logged predictions are kept about as long.
WINDOW = timedelta(days=30)
MAX_JUDGED = 20_000
WHOLE_SECONDS = 600
MOST_GRIEVANCES = 6
# So many verdicts of one item are read while its row is held; beyond them they are only counted.
MOST_HEARD = 200
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class About:
    """Those who say now that the answer to an item is wrong: how many verdicts, and the `newest` of them.

    `confidence` is the least that the model had in what they complain of; None: no model said it.
    """

    n: int
    n_verified: int
    n_predictions: int
    confidence: float | None
    newest: list[CurrentVerdict]


def complaints_about(*, item_id: int) -> About:
    """Left out are the quarantined, and those about predictions that are judged blind."""
    drawn = Prediction.objects.filter(pk=OuterRef("prediction"), is_explored=True)
    found = _standing(CurrentVerdict.objects.filter(~Exists(drawn), item_id=item_id, verdict=Verdict.DOWN))
    counts = found.aggregate(
        n=Count("pk"),
        n_verified=Count("pk", filter=Q(is_verified=True)),
        n_predictions=Count("prediction", distinct=True),
        confidence=Min("confidence"),
    )
    return About(**counts, newest=list(found.select_related("event").order_by("-changed_at")[:MOST_HEARD]))


def signals_on(*, predictions: Iterable[UUID]) -> dict[str, int]:
    """How often each implicit event came of these predictions."""
    events = ImplicitEvent.objects.filter(prediction__in=list(predictions)[:_AT_ONCE]).exclude(name="dwell")
    return dict(events.values_list("name").order_by("name").annotate(n=Count("pk")))


def signals_by_subject(*, item_id: int) -> dict[Any, set[str]]:
    """The names of the signals that stand about an item, by who gave them, verified subjects before others.

    All whom nobody vouches for count as one for each prediction: whoever holds its token may claim to be anybody.
    """
    found: dict[Any, set[str]] = defaultdict(set)
    said = _standing(CurrentVerdict.objects.filter(item_id=item_id)).exclude(verdict=Verdict.UNDO)
    columns = ("is_verified", "subject", "prediction", "channel", "verdict", "event__correction")
    rows = list(said.order_by("-is_verified", "-changed_at").values_list(*columns)[:MOST_HEARD])
    for is_verified, subject, prediction, channel, verdict, correction in rows:
        names = {f"{channel}_{verdict}"} | ({"correction"} if correction is not None else set())
        found[subject if is_verified else prediction] |= names
    done = ImplicitEvent.objects.filter(prediction__in={row[2] for row in rows}).exclude(name__in=("shown", "dwell"))
    who = Case(When(is_verified=True, then="subject"), default=Value(""))
    acts = _far_edits(done).annotate(who=who).values_list("is_verified", "who", "prediction", "name").distinct()
    for _, subject, prediction, name in acts.order_by("-is_verified")[:MAX_JUDGED]:
        found[subject or prediction].add(name)
    return found


def known_ratios(*, project_id: int) -> dict[str, Known]:
    """Each signal whose reliability in the project is known, as it was counted last; none after a while in which nobody
    did."""
    found: dict[str, tuple[float, float]] = cache.get(_ratios_key(project_id)) or {}
    return {name: Known(*one) for name, one in found.items()}


def count_ratios(*, project: Project) -> None:
    """Counts them anew, unless that was done in the last minutes."""
    if cache.get(_ratios_key(project.pk)) is None:
        rows = signal_rows({}, pairs(project=project), whole_pairs())
        # As plain numbers: the shared cache holds JSON.
        known = {
            row.name: (row.reliability.log_ratio, row.reliability.log_error) for row in rows if row.reliability.is_known
        }
        cache.set(_ratios_key(project.pk), known, WHOLE_SECONDS)


def _ratios_key(project_id: int) -> str:
    # Another name than that of releases which kept other figures: theirs may still be in the cache.
    return f"feedback.known:{project_id}"


def correction_choices(*, project: Project, said: Any = None) -> tuple[list[dict[str, Any]], bool]:
    """What a correction may say, as {value, name}, and whether it is a list of these. One query.

    What was `said` is no correction of it.
    """
    schema = LabelSchema.objects.current(project.pk)
    answers = answers_of(schema.kind, schema.config)
    shown = [{"value": answer.value, "name": answer.text} for answer in answers if answer.value != said]
    return shown, schema.kind == "choices"


def said_by(*, event: FeedbackEvent) -> Any:
    """What the prediction says that the event is about."""
    same = CurrentVerdict.objects.filter(prediction=event.prediction, subject=event.subject, channel=event.channel)
    return same.values_list("said", flat=True).first()


def keys_of(*, project: Project) -> list[WidgetKey]:
    """The project's keys that work, the newest first."""
    now = timezone.now()
    working = WidgetKey.objects.filter(project=project, revoked_at__isnull=True)
    return list(working.filter(Q(expires_at__isnull=True) | Q(expires_at__gt=now)).order_by("-created_at"))


@dataclass(frozen=True, slots=True)
class Complaints:
    """Complaints of the last 30 days: how many stand, how many people judged, and how many of those were right."""

    n: int
    n_waiting: int
    right: Share | None


@dataclass(frozen=True, slots=True)
class Funnel:
    """Predictions that were answered, seen on a screen, and about which a user said or did something. `seen`: of those
    that were answered, `acted_on`: of those that were seen."""

    answered: int
    shown: int
    acted: int
    seen: Share | None = None
    acted_on: Share | None = None


@dataclass(frozen=True, slots=True)
class Senders:
    """Who gives feedback: `loudest` is the share of verdicts that the ten most active subjects gave."""

    subjects: int
    verified: int
    claimed: int
    unnamed: int
    loudest: Share | None


@dataclass(frozen=True, slots=True)
class Grievance:
    """An item that many complain about: its first words, what was answered, what they say is right, and what became of
    it: `settled` (with `value`), `waiting` with the number of its review, or neither."""

    item_id: int
    words: str
    said: Any
    n: int
    n_predictions: int
    corrections: list[tuple[Any, int]]
    reasons: list[tuple[str, int]]
    is_settled: bool = False
    value: Any = None
    review_id: int | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """The predictions that are looked at: of one version (0: the rules), of one segment; None is all."""

    model: int | None = None
    segment: str | None = None

    def of(self, rows: Any, number: str) -> Any:
        """The rows of this part. `number`: the name of what holds the version's number."""
        if self.model is not None:
            rows = rows.filter(**{number: self.model} if self.model else {f"{number}__isnull": True})
        return rows if self.segment is None else rows.filter(segment=self.segment)


@dataclass(frozen=True, slots=True)
class FeedbackReport:
    since: datetime
    versions: list[VersionRow]
    signals: list[SignalRow]
    complaints: Complaints
    funnel: Funnel
    senders: Senders
    n_quarantined: int
    days: DayChart | None
    weeks: list[GroupRow]
    segments: Groups
    grievances: list[Grievance]
    causes: list[tuple[str, int]]
    comments: list[FeedbackEvent]

    @property
    def is_empty(self) -> bool:
        return not (self.signals or self.versions or self.n_quarantined)


def feedback_report(*, project: Project, part: Part = Part(), now: datetime | None = None) -> FeedbackReport:
    """What users said and did in the last 30 days, and how far it can be believed. What is told day by day, week by
    week and by segment is told of the `part`."""
    now = now or timezone.now()
    since = now - WINDOW
    verdicts = CurrentVerdict.objects.filter(project=project, changed_at__gte=since)
    standing = _standing(verdicts).exclude(verdict=Verdict.UNDO)
    signals = ImplicitEvent.objects.filter(project=project, received_at__gte=since)
    answered = Prediction.objects.filter(project=project, created_at__gte=since)
    own, mains = pairs_by_segment(project=project)
    main = own[MAIN]
    here = None if part.segment is None else mains.get(part.segment, Pairs())
    its, said = part.of(answered, "version__number"), part.of(standing, "model")
    weeks = _counts(its.annotate(week=TruncWeek("created_at")), said.annotate(week=TruncWeek("changed_at")), "week")
    # To choose another segment from, all of the version's are listed.
    of_version = replace(part, segment=None)
    by_segment = _counts(of_version.of(answered, "version__number"), of_version.of(standing, "model"), "segment")
    return FeedbackReport(
        since=since,
        versions=_versions(project, standing, main, since),
        signals=signal_rows(_given(standing, signals), own, whole_pairs()),
        complaints=_complaints(project, standing),
        funnel=_funnel(answered, standing, signals),
        senders=_senders(standing),
        n_quarantined=verdicts.filter(quarantined_at__isnull=False).count(),
        days=draw_days(_days(said), last=now.date()),
        weeks=[group_row(week, weeks[week], main, here) for week in sorted(weeks, reverse=True)],
        segments=groups_of(by_segment, main, mains) if set(by_segment) - {""} else Groups(),
        grievances=_grievances(said),
        causes=_causes(said),
        comments=list(
            FeedbackEvent.objects.filter(project=project, stands_as__in=said)
            .exclude(comment="")
            .order_by("-created_at")[:10]
        ),
    )


def _counts(answered: Any, standing: Any, by: str) -> dict[Any, Counts]:
    """What is counted of each value of the column `by`."""
    found: dict[Any, dict[str, int]] = defaultdict(dict)
    for name, n in answered.values_list(by).order_by().annotate(n=Count("pk")):
        found[name]["n_predictions"] = n
    thumbs = standing.filter(channel=Channel.THUMBS).order_by()
    for name, n in thumbs.values_list(by).annotate(n=Count("prediction", distinct=True)):
        found[name]["n_spoken"] = n
    complained = thumbs.filter(verdict=Verdict.DOWN).values_list(by).annotate(n=Count("prediction", distinct=True))
    for name, n in complained:
        found[name]["n_complained"] = n
    voices = _voices(thumbs, by)
    return {
        name: Counts(
            **counts,
            down=voices[name].hits,
            up=voices[name].n - voices[name].hits,
            effect=design_effect(voices[name]),
        )
        for name, counts in found.items()
    }


# Whose words these are: of subjects whom somebody vouches for; of all others the network, for a name is made up as
# easily as the next one; else each prediction has one of its own.
_WHO = Case(
    When(is_verified=True, subject__gt="", then="subject"),
    When(network__gt="", then="network"),
    default=Cast("prediction", CharField()),
    output_field=CharField(),
)


class _Sum(Func):
    """The sum of what is an aggregate itself, which the aggregate of that name does not take."""

    function = "SUM"
    window_compatible = True
    output_field = IntegerField()


def _voices(thumbs: Any, by: str) -> dict[Any, Voices]:
    """Of each value of the column `by` the thumbs, and the thumbs down (the hits), of whoever gave any.

    The sums over all who did are made by the database, and what is read is one row of each value: there may be as many
    who spoke as verdicts.
    """
    rows = thumbs.filter(verdict__in=(Verdict.UP, Verdict.DOWN)).annotate(who=_WHO).order_by()
    of_each = rows.values(by, "who").annotate(n=Count("pk"), down=Count("pk", filter=Q(verdict=Verdict.DOWN)))
    n, down = F("n"), F("down")
    terms = {"subjects": Value(1), "n": n, "hits": down, "n_squared": n * n, "hits_squared": down * down}
    terms |= {"hits_times_n": n * down}
    sums = {f"sum_{name}": Window(_Sum(term), partition_by=[F(by)]) for name, term in terms.items()}
    found: dict[Any, Voices] = defaultdict(Voices)
    for name, *counted in of_each.annotate(**sums).values_list(by, *sums).distinct():
        # PostgreSQL sums whole numbers up to decimal ones.
        found[name] = Voices(**{term: int(one) for term, one in zip(terms, counted, strict=True)})
    return found


def _grievances(standing: Any) -> list[Grievance]:
    """The items about which the most subjects complain. Those that are judged blind are not shown: the audit split, and
    what waits as a random check."""
    blind = ReviewItem.objects.filter(state=ReviewItem.State.OPEN, evidence__has_key=ReviewItem.Reason.EXPLORE.value)
    complaints = standing.filter(verdict=Verdict.DOWN, item__split=Item.Split.POOL).order_by()
    complaints = complaints.exclude(item_id__in=blind.values("item_id"))
    top = list(complaints.values_list("item_id").annotate(n=Count("pk")).order_by("-n", "-item_id")[:MOST_GRIEVANCES])
    ids = [item_id for item_id, _ in top]
    rows: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    told = complaints.filter(item_id__in=ids).order_by("-changed_at")
    for row in told.values_list("item_id", "prediction", "said", "event__correction", "event__reasons")[:MAX_JUDGED]:
        rows[row[0]].append(row)
    items = Item.objects.defer("features").in_bulk(ids)
    settled = _settled(ids)
    waiting = dict(ReviewItem.objects.filter(item_id__in=ids, state=ReviewItem.State.OPEN).values_list("item_id", "pk"))
    return [
        Grievance(
            item_id=item_id,
            words=first_words(items[item_id].data),
            said=rows[item_id][0][2],
            n=n,
            n_predictions=len({prediction for _, prediction, *_ in rows[item_id]}),
            corrections=_commonest(right for *_, right, _ in rows[item_id] if right is not None),
            reasons=_commonest(REASONS[code] for *_, codes in rows[item_id] for code in codes or ()),
            is_settled=item_id in settled,
            value=settled.get(item_id),
            review_id=waiting.get(item_id),
        )
        for item_id, n in top
        if rows[item_id]
    ]


def _causes(standing: Any) -> list[tuple[str, int]]:
    """Why users complain, as they ticked it, the commonest first."""
    complaints = standing.filter(verdict=Verdict.DOWN).order_by("-changed_at")
    ticked = complaints.values_list("event__reasons", flat=True)[:MAX_JUDGED]
    return _commonest((REASONS[code] for codes in ticked for code in codes or ()), most=len(REASONS))


def _commonest(values: Iterable[Any], most: int = 3) -> list[tuple[Any, int]]:
    """Values, lists too, with how often each is there."""
    named = [(str(value), value) for value in values]
    value_of = dict(named)
    return [(value_of[name], n) for name, n in Counter(name for name, _ in named).most_common(most)]


def latest(*, project: Project, now: datetime | None = None, most: int = 8) -> list[Arrival]:
    """What came in the last day, the newest first."""
    since = (now or timezone.now()) - timedelta(days=1)
    said = FeedbackEvent.objects.filter(project=project, created_at__gte=since).order_by("-created_at")[:most]
    did = ImplicitEvent.objects.filter(project=project, received_at__gte=since).order_by("-received_at")[:most]
    return arrived(
        said.values("created_at", "verdict", "correction", "comment", "is_verified"),
        did.values("received_at", "name", "value", "is_verified"),
        most=most,
    )


def pairs(*, project: Project | None, of_verified: bool = False) -> dict[str, Pairs]:
    """The pairs of each signal, of one project or of all: predictions that were given to a person when they were
    answered, whose item is settled by now, once an item. What users said did not bring these before a person, so it
    does not decide which of them are judged. `of_verified`: only verified subjects' signals are looked at."""
    right, _ = _judged(project)
    return pairs_of(right, _signals_on(list(right), of_verified))


def pairs_by_segment(*, project: Project) -> tuple[dict[str, Pairs], dict[str, Pairs]]:
    """The pairs of each signal of a project, and those of thumbs down of each of its segments."""
    right, segment_of = _judged(project)
    signals = _signals_on(list(right), of_verified=False)
    of_segment: dict[str, dict[UUID, bool]] = defaultdict(dict)
    for pk, is_right in right.items():
        of_segment[segment_of[pk]][pk] = is_right
    return pairs_of(right, signals), {name: pairs_of(its, signals)[MAIN] for name, its in of_segment.items()}


def _judged(project: Project | None) -> tuple[dict[UUID, bool], dict[UUID, str]]:
    """The predictions that people judged, as pairs count them: whether each was right, and its segment."""
    judged = given_to_people()
    if project is not None:
        judged = judged.filter(project=project)
    rows = list(judged.order_by("-created_at").values_list("pk", "value", "item_id", "segment")[:MAX_JUDGED])
    # They are the newest first: an item's oldest stays.
    first = {item_id: (pk, said, segment) for pk, said, item_id, segment in rows}
    settled = _settled(list(first))
    known = [(item_id, *one) for item_id, one in first.items() if item_id in settled]
    right = {pk: said == settled[item_id] for item_id, pk, said, _ in known}
    return right, {pk: segment for _, pk, _, segment in known}


def signal_weights(*, project: Project) -> dict[str, float]:
    """What each signal may weigh in evidence here: 0 for one that verified subjects have not earned any for."""
    own, whole = pairs(project=project, of_verified=True), whole_pairs(of_verified=True)
    rows = signal_rows(dict.fromkeys(SIGNALS, 1), own, whole)
    return {row.name: row.weight for row in rows}


@dataclass(frozen=True, slots=True)
class Statement:
    """What a verified subject says of one prediction: by a verdict that stands, in this revision.

    `is_linked`: the verdict names the item already.
    """

    verdict: int
    revision: int
    is_linked: bool
    prediction: UUID
    answered: Any
    confidence: float
    said: Said


def spoken_about(*, now: datetime) -> list[Project]:
    """The projects in which somebody lately said something, or of which weak labels are left."""
    lately = CurrentVerdict.objects.filter(changed_at__gte=now - WINDOW).order_by().values("project_id").distinct()
    left = WeakLabel.objects.order_by().values("project_id").distinct()
    return list(Project.objects.filter(Q(pk__in=lately) | Q(pk__in=left)).order_by("pk"))


def statements(*, project: Project, now: datetime) -> dict[int, list[Statement]]:
    """What verified subjects lately said of inputs that wait for a person, by the id of their item, the earliest first.

    Inputs are one when their content is. Nothing that is said of a prediction which is judged blind is in it.
    """
    standing = _standing(CurrentVerdict.objects.filter(project=project, changed_at__gte=now - WINDOW, is_verified=True))
    columns = ("pk", "revision", "prediction", "channel", "verdict", "event__correction", "subject", "network", "item")
    latest = standing.exclude(subject="").order_by("-changed_at").values_list(*columns)[:MAX_JUDGED]
    rows = sorted(latest, key=itemgetter(0))
    asked = _asked({row[2] for row in rows})
    item_of = {asked[row[2]].content_hash: row[8] for row in rows if row[8] is not None and row[2] in asked}
    item_of |= {one.content_hash: one.item_id for one in asked.values() if one.item_id is not None}
    blind = {item_of[one.content_hash] for one in asked.values() if one.is_explored and one.content_hash in item_of}
    waiting = _waiting(set(item_of.values()) - blind)
    done = _done({prediction for prediction in asked if item_of.get(asked[prediction].content_hash) in waiting})
    found: dict[int, list[Statement]] = defaultdict(list)
    for pk, revision, prediction, channel, verdict, correction, subject, network, item in rows:
        about = asked.get(prediction)
        item_id = item_of.get(about.content_hash) if about is not None else None
        if about is None or item_id not in waiting or verdict == Verdict.UNDO:
            continue
        signals = [f"{channel}_{verdict}", *sorted(done.get((prediction, subject), ()))]
        if correction is not None:
            signals.append("correction")
        said = Said(subject, network, tuple(signals), correction)
        words = (prediction, about.value, about.confidence or 0.5, said)
        found[item_id].append(Statement(pk, revision, item is not None, *words))
    return found


def _waiting(item_ids: Collection[int]) -> set[int]:
    """Those that are open and of the pool, and whose answer nobody knows."""
    found: set[int] = set()
    for chunk in _chunks(sorted(item_ids)):
        rows = Item.objects.filter(pk__in=chunk, split=Item.Split.POOL, state=Item.State.OPEN, gold__isnull=True)
        found |= set(rows.values_list("pk", flat=True))
    return found


def _asked(ids: Collection[UUID]) -> dict[UUID, Prediction]:
    """The logged predictions of these."""
    found: dict[UUID, Prediction] = {}
    for chunk in _chunks(sorted(ids)):
        rows = Prediction.objects.filter(pk__in=chunk)
        found |= {row.pk: row for row in rows.only("pk", "value", "confidence", "content_hash", "item", "is_explored")}
    return found


def _done(ids: Collection[UUID]) -> dict[tuple[UUID, str], set[str]]:
    """What verified subjects did with these predictions."""
    found: dict[tuple[UUID, str], set[str]] = defaultdict(set)
    for chunk in _chunks(sorted(ids)):
        rows = ImplicitEvent.objects.filter(prediction__in=chunk, is_verified=True).exclude(name__in=("shown", "dwell"))
        for prediction, subject, name in _far_edits(rows).values_list("prediction", "subject", "name"):
            found[prediction, subject].add(name)
    return found


@dataclass(frozen=True, slots=True)
class Belief:
    """How far verified subjects proved right; what one said of an item counts once, and as wrong if any of it was.

    `agreement`: of each subject on how many judged items they said what people found, and on how many anything.
    `corrections_right`: the share of corrections that people found right too, where the answer was wrong (Laplace: a
    half of none).
    """

    agreement: dict[str, tuple[int, int]]
    corrections_right: float


def belief_earned(*, project: Project) -> Belief:
    """What verified subjects have earned by verdicts of items that people settled."""
    agrees: dict[tuple[str, int], bool] = defaultdict(lambda: True)
    right: dict[tuple[str, int], bool] = defaultdict(lambda: True)
    for said, subject, verdict, correction, item_id, settled in _judged_verdicts(project):
        is_wrong = settled == correction if correction is not None else said != settled
        agrees[subject, item_id] &= is_wrong == (verdict == Verdict.DOWN)
        if correction is not None and said != settled:
            right[subject, item_id] &= correction == settled
    agreement: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for (subject, _), agreed in agrees.items():
        n_right, n = agreement[subject]
        agreement[subject] = (n_right + agreed, n + 1)
    return Belief(agreement, (sum(right.values()) + 1) / (len(right) + 2))


def _judged_verdicts(project: Project) -> list[tuple[Any, str, str, Any, int, Any]]:
    """(said, subject, verdict, correction, item, settled) of verified subjects' verdicts whose item is settled."""
    rows = _standing(CurrentVerdict.objects.filter(project=project, is_verified=True, item__isnull=False))
    rows = rows.filter(verdict__in=(Verdict.UP, Verdict.DOWN)).order_by("-changed_at")
    columns = ("said", "subject", "verdict", "event__correction", "item_id")
    judged = list(rows.values_list(*columns)[:MAX_JUDGED])
    settled = _settled([row[4] for row in judged])
    return [(*row, settled[row[4]]) for row in judged if row[4] in settled]


def whole_pairs(*, of_verified: bool = False) -> dict[str, Pairs]:
    """The pairs of all projects together, counted anew every ten minutes."""
    # As plain numbers: the shared cache holds JSON.
    key = "feedback.whole.verified" if of_verified else "feedback.whole"
    known: dict[str, dict[str, int]] | None = cache.get(key)
    if known is None:
        known = {name: asdict(counted) for name, counted in pairs(project=None, of_verified=of_verified).items()}
        cache.set(key, known, WHOLE_SECONDS)
    return {name: Pairs(**counted) for name, counted in known.items()}


def _standing(verdicts: Any) -> Any:
    return verdicts.filter(quarantined_at__isnull=True)


def _settled(item_ids: Sequence[int | None]) -> dict[int | None, Any]:
    """The settled value of each item that has one."""
    found: dict[int | None, Any] = {}
    for chunk in _chunks(sorted({pk for pk in item_ids if pk is not None})):
        current = Resolution.objects.filter(item_id__in=chunk, superseded_at__isnull=True, value__isnull=False)
        found |= dict(current.values_list("item_id", "value"))
    return found


def _chunks(ids: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(ids), _AT_ONCE):
        yield ids[start : start + _AT_ONCE]


def _signals_on(ids: Sequence[UUID], of_verified: bool) -> dict[UUID, set[str]]:
    """The names of the signals (core.report.SIGNALS) that each prediction carries now; of verified subjects, or all."""
    found: dict[UUID, set[str]] = defaultdict(set)
    heard = {"is_verified": True} if of_verified else {}
    for chunk in _chunks(ids):
        said = _standing(CurrentVerdict.objects.filter(prediction__in=chunk, **heard))
        for pk, channel, verdict, correction in said.values_list(
            "prediction", "channel", "verdict", "event__correction"
        ):
            found[pk].add(f"{channel}_{verdict}")
            if correction is not None:
                found[pk].add("correction")
        done = ImplicitEvent.objects.filter(prediction__in=chunk, **heard).exclude(name__in=("shown", "dwell"))
        for pk, name in _far_edits(done).values_list("prediction", "name"):
            found[pk].add(name)
    return found


def _far_edits(signals: Any) -> Any:
    return signals.exclude(name="edited", value__lt=EDITED_FROM)


def _given(standing: Any, signals: Any) -> dict[str, int]:
    """How often each signal was given."""
    said = standing.values_list("channel", "verdict").order_by().annotate(n=Count("pk"))
    done = _far_edits(signals).values_list("name").order_by().annotate(n=Count("pk"))
    found = {f"{channel}_{verdict}": n for channel, verdict, n in said} | dict(done)
    return found | {"correction": standing.filter(event__correction__isnull=False).count()}


def _versions(project: Project, standing: Any, main: Pairs, since: datetime) -> list[VersionRow]:
    """The newest version first; the rules, which are no version, last."""
    answered = dict(
        Prediction.objects.filter(project=project, created_at__gte=since)
        .values_list("version__number")
        .order_by()
        .annotate(n=Count("pk"))
    )
    thumbs = standing.filter(channel="thumbs")
    voices = _voices(thumbs, "model")
    complained = dict(
        thumbs.filter(verdict=Verdict.DOWN)
        .values_list("model")
        .order_by()
        .annotate(n=Count("prediction", distinct=True))
    )
    return [
        version_row(
            model,
            n_predictions=answered.get(model, 0),
            up=voices[model].n - voices[model].hits,
            down=voices[model].hits,
            effect=design_effect(voices[model]),
            n_complained=complained.get(model, 0),
            pairs=main,
        )
        for model in sorted(voices, key=lambda number: -(number or 0))
    ]


def _complaints(project: Project, standing: Any) -> Complaints:
    complaints = standing.filter(verdict=Verdict.DOWN)
    about = complaints.filter(item__isnull=False).annotate(who=_WHO)
    judged = list(about.values_list("who", "said", "item_id")[:MAX_JUDGED])
    settled = _settled([item_id for *_, item_id in judged])
    outcomes: dict[str, list[bool]] = defaultdict(list)
    for who, said, item_id in judged:
        if item_id in settled:
            outcomes[who].append(said != settled[item_id])
    voices = Voices.of((sum(own), len(own)) for own in outcomes.values())
    return Complaints(
        n=complaints.count(),
        # Counted as the inbox lists them: which of its random checks users complain of, nobody is told.
        n_waiting=n_open_reviews(project=project, wanted=ReviewFilter(reason=ReviewItem.Reason.COMPLAINT.value)),
        right=wilson(voices.hits, voices.n, design_effect(voices)),
    )


def _funnel(answered: Any, standing: Any, signals: Any) -> Funnel:
    acts = signals.exclude(name__in=("shown", "dwell"))
    shown = signals.filter(name="shown").order_by()
    same = {"prediction": OuterRef("prediction")}
    acted_on = shown.filter(Exists(standing.filter(**same)) | Exists(acts.filter(**same)))
    n_answered, n_shown = answered.count(), _n_predictions(shown)
    either = standing.order_by().values_list("prediction", flat=True)
    return Funnel(
        n_answered,
        n_shown,
        acted=int(either.union(acts.order_by().values_list("prediction", flat=True)).count()),
        # The log knows of fewer when older predictions were put away; and where no page tells, none is known.
        seen=wilson(n_shown, max(n_answered, n_shown)) if n_shown else None,
        acted_on=wilson(_n_predictions(acted_on), n_shown),
    )


def _n_predictions(signals: Any) -> int:
    return int(signals.aggregate(n=Count("prediction", distinct=True))["n"])


def _senders(standing: Any) -> Senders:
    n = standing.count()
    unnamed = standing.filter(subject="").count()
    verified = standing.filter(is_verified=True).count()
    named = standing.exclude(subject="").values_list("subject").order_by()
    loudest = list(named.annotate(n=Count("pk")).order_by("-n")[:10])
    return Senders(
        subjects=named.distinct().count(),
        verified=verified,
        claimed=n - unnamed - verified,
        unnamed=unnamed,
        loudest=wilson(sum(count for _, count in loudest), n),
    )


def _days(standing: Any) -> dict[Any, tuple[int, int]]:
    rows = standing.annotate(day=TruncDate("changed_at")).values_list("day", "verdict").order_by()
    found: dict[Any, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for day, verdict, n in rows.annotate(n=Count("pk")):
        up, down = found[day]
        found[day] = (up + n * (verdict == Verdict.UP), down + n * (verdict == Verdict.DOWN))
    return found


def verdicts_by_window(
    *, project: Project, verdict: str, now: datetime, window: timedelta, n_windows: int
) -> list[list[dict[str, Any]]]:
    """The verdicts of one kind in each window before now, the latest first: {pk, subject, value, project, speaker,
    is_aside}; in each window the earliest first.

    `subject` is whoever is vouched for; for all others it is their network: a name that nobody vouches for is made up
    as easily as the next one. `speaker` keeps that name. Those that an owner has released are in none. Those in
    quarantine say nothing of what is usual, and are in the latest window alone: a mob that goes on is no smaller for
    being set aside.
    """
    found: list[list[dict[str, Any]]] = [[] for _ in range(n_windows + 1)]
    rows = CurrentVerdict.objects.filter(
        project=project,
        verdict=verdict,
        changed_at__gt=now - (n_windows + 1) * window,
        changed_at__lte=now,
        released_at__isnull=True,
    )
    columns = ("pk", "subject", "is_verified", "network", "said", "changed_at", "quarantined_at")
    for pk, subject, is_verified, network, said, at, aside in rows.order_by("changed_at").values_list(*columns):
        place = min(int((now - at) / window), n_windows)
        if aside is not None and place:
            continue
        who = subject if is_verified and subject else f"network {network}"
        same = {"value": str(said), "project": str(project.pk), "is_aside": aside is not None}
        found[place].append({"pk": pk, "subject": who, "speaker": Speaker(subject or who, is_verified)} | same)
    return found


def answered_by_value(*, project: Project, since: datetime, until: datetime) -> Counter[str]:
    """How many predictions said each value between the two times."""
    rows = Prediction.objects.filter(project=project, created_at__gt=since, created_at__lte=until)
    counted = rows.values_list("value").order_by().annotate(n=Count("pk"))
    return Counter({str(value): n for value, n in counted})


def quarantined(*, project: Project, n: int = 200) -> list[CurrentVerdict]:
    """The verdicts that are set aside, the latest first."""
    return list(_aside(project).select_related("event").order_by("-quarantined_at", "-pk")[:n])


def n_quarantined(*, project: Project) -> int:
    return int(_aside(project).count())


def _aside(project: Project) -> Any:
    return CurrentVerdict.objects.filter(project=project, quarantined_at__isnull=False)
