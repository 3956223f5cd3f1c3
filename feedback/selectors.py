"""What is read of feedback."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.core.cache import cache
from django.db.models import Count, Exists, OuterRef, Q
from django.db.models.functions import TruncDate
from django.utils import timezone

from active_learning.models import Prediction
from active_learning.selectors import given_to_people
from feedback.core.reliability import Pairs
from feedback.core.report import (
    MAIN,
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
from feedback.models import CurrentVerdict, FeedbackEvent, ImplicitEvent, WidgetKey
from labeling.core.shares import Share, wilson
from labeling.core.wording import answers_of
from labeling.models import LabelSchema, Project, Resolution, ReviewItem

Verdict = FeedbackEvent.Verdict
# A picker of more is none; a correction may still name any label.
MAX_CHOICES = 50
# So far back the page looks; logged predictions are kept about as long.
WINDOW = timedelta(days=30)
MAX_JUDGED = 20_000
WHOLE_SECONDS = 600
_AT_ONCE = 500


def complaints_about(*, item_id: int) -> list[CurrentVerdict]:
    """Those who say now that the answer to this item is wrong, the newest first; left out are the quarantined, and
    those about predictions that are judged blind."""
    drawn = Prediction.objects.filter(pk=OuterRef("prediction"), is_explored=True)
    found = _standing(CurrentVerdict.objects.filter(~Exists(drawn), item_id=item_id, verdict=Verdict.DOWN))
    return list(found.select_related("event").order_by("-changed_at"))


def signals_on(*, predictions: Iterable[UUID]) -> dict[str, int]:
    """How often each implicit event came of these predictions."""
    events = ImplicitEvent.objects.filter(prediction__in=list(predictions)[:_AT_ONCE]).exclude(name="dwell")
    return dict(events.values_list("name").order_by("name").annotate(n=Count("pk")))


def correction_choices(*, project: Project, said: Any = None) -> tuple[list[dict[str, Any]], bool]:
    """What a correction may say, as {value, name}, and whether it is a list of these. One query.

    What was `said` is no correction of it.
    """
    schema = LabelSchema.objects.current(project.pk)
    answers = [answer for answer in answers_of(schema.kind, schema.config) if answer.value != said]
    shown = [{"value": answer.value, "name": answer.text} for answer in answers[:MAX_CHOICES]]
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
    """Predictions that were answered, seen on a screen, and about which a user said or did something."""

    answered: int
    shown: int
    acted: int


@dataclass(frozen=True, slots=True)
class Senders:
    """Who gives feedback: `loudest` is the share of verdicts that the ten most active subjects gave."""

    subjects: int
    verified: int
    claimed: int
    unnamed: int
    loudest: Share | None


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
    comments: list[FeedbackEvent]

    @property
    def is_empty(self) -> bool:
        return not (self.signals or self.versions or self.n_quarantined)


def feedback_report(*, project: Project, now: datetime | None = None) -> FeedbackReport:
    """What users said and did in the last 30 days, and how far it can be believed."""
    now = now or timezone.now()
    since = now - WINDOW
    verdicts = CurrentVerdict.objects.filter(project=project, changed_at__gte=since)
    standing = _standing(verdicts).exclude(verdict=Verdict.UNDO)
    signals = ImplicitEvent.objects.filter(project=project, received_at__gte=since)
    own = pairs(project=project)
    return FeedbackReport(
        since=since,
        versions=_versions(project, standing, own.get(MAIN, Pairs()), since),
        signals=signal_rows(_given(standing, signals), own, whole_pairs()),
        complaints=_complaints(project, standing),
        funnel=Funnel(
            answered=Prediction.objects.filter(project=project, created_at__gte=since).count(),
            shown=signals.filter(name="shown").aggregate(n=Count("prediction", distinct=True))["n"],
            acted=_acted(standing, signals),
        ),
        senders=_senders(standing),
        n_quarantined=verdicts.filter(quarantined_at__isnull=False).count(),
        days=draw_days(_days(standing), last=now.date()),
        comments=list(
            FeedbackEvent.objects.filter(project=project, stands_as__in=standing)
            .exclude(comment="")
            .order_by("-created_at")[:10]
        ),
    )


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


def pairs(*, project: Project | None) -> dict[str, Pairs]:
    """The pairs of each signal, of one project or of all: predictions that were given to a person when they were
    answered, whose item is settled by now. What users said did not bring these before a person, so it does not
    decide which of them are judged."""
    judged = given_to_people()
    if project is not None:
        judged = judged.filter(project=project)
    rows = list(judged.order_by("-created_at").values_list("pk", "value", "item_id")[:MAX_JUDGED])
    settled = _settled([item_id for _, _, item_id in rows])
    right = {pk: said == settled[item_id] for pk, said, item_id in rows if item_id in settled}
    return pairs_of(right, _signals_on(list(right)))


def whole_pairs() -> dict[str, Pairs]:
    """The pairs of all projects together, counted anew every ten minutes."""
    # As plain numbers: the shared cache holds JSON.
    known: dict[str, dict[str, int]] | None = cache.get("feedback.whole")
    if known is None:
        known = {name: asdict(counted) for name, counted in pairs(project=None).items()}
        cache.set("feedback.whole", known, WHOLE_SECONDS)
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


def _signals_on(ids: Sequence[UUID]) -> dict[UUID, set[str]]:
    """The names of the signals (core.report.SIGNALS) that each prediction carries now."""
    found: dict[UUID, set[str]] = defaultdict(set)
    for chunk in _chunks(ids):
        said = _standing(CurrentVerdict.objects.filter(prediction__in=chunk))
        for pk, channel, verdict, correction in said.values_list(
            "prediction", "channel", "verdict", "event__correction"
        ):
            found[pk].add(f"{channel}_{verdict}")
            if correction is not None:
                found[pk].add("correction")
        done = ImplicitEvent.objects.filter(prediction__in=chunk).exclude(name__in=("shown", "dwell"))
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
    counts: dict[tuple[int | None, str], int] = {
        (model, verdict): n
        for model, verdict, n in thumbs.values_list("model", "verdict").order_by().annotate(n=Count("pk"))
    }
    complained = dict(
        thumbs.filter(verdict=Verdict.DOWN)
        .values_list("model")
        .order_by()
        .annotate(n=Count("prediction", distinct=True))
    )
    models = {model for model, _ in counts}
    return [
        version_row(
            model,
            n_predictions=answered.get(model, 0),
            up=counts.get((model, "up"), 0),
            down=counts.get((model, "down"), 0),
            n_complained=complained.get(model, 0),
            pairs=main,
        )
        for model in sorted(models, key=lambda number: -(number or 0))
    ]


def _complaints(project: Project, standing: Any) -> Complaints:
    complaints = standing.filter(verdict=Verdict.DOWN)
    judged = list(complaints.filter(item__isnull=False).values_list("said", "item_id")[:MAX_JUDGED])
    settled = _settled([item_id for _, item_id in judged])
    outcomes = [said != settled[item_id] for said, item_id in judged if item_id in settled]
    return Complaints(
        n=complaints.count(),
        n_waiting=ReviewItem.objects.filter(
            project=project, state=ReviewItem.State.OPEN, evidence__has_key=ReviewItem.Reason.COMPLAINT.value
        ).count(),
        right=wilson(sum(outcomes), len(outcomes)),
    )


def _acted(standing: Any, signals: Any) -> int:
    said = standing.order_by().values_list("prediction", flat=True)
    done = signals.exclude(name__in=("shown", "dwell")).order_by().values_list("prediction", flat=True)
    return int(said.union(done).count())


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


def complaints_by_window(
    *, project: Project, now: datetime, window: timedelta, n_windows: int
) -> list[list[dict[str, Any]]]:
    """The complaints of each window before now, the latest first: {pk, subject, value, project}.

    Those that are in quarantine, or that an owner has released, are in none: they say nothing of what is usual.
    """
    found: list[list[dict[str, Any]]] = [[] for _ in range(n_windows + 1)]
    rows = CurrentVerdict.objects.filter(
        project=project,
        verdict=Verdict.DOWN,
        changed_at__gt=now - (n_windows + 1) * window,
        changed_at__lte=now,
        quarantined_at__isnull=True,
        released_at__isnull=True,
    )
    for pk, subject, said, at in rows.values_list("pk", "subject", "said", "changed_at"):
        place = min(int((now - at) / window), n_windows)
        found[place].append({"pk": pk, "subject": subject, "value": str(said), "project": str(project.pk)})
    return found


def quarantined(*, project: Project, n: int = 200) -> list[CurrentVerdict]:
    """The verdicts that are set aside, the latest first."""
    rows = CurrentVerdict.objects.filter(project=project, quarantined_at__isnull=False)
    return list(rows.select_related("event").order_by("-quarantined_at", "-pk")[:n])
