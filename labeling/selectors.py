"""What screens and programs read of the labeling tables."""

import itertools
import json
import math
import statistics
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core.cache import cache
from django.db import connection
from django.db.models import Count, Exists, Max, Min, OuterRef, Q, QuerySet, TextField
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast
from django.utils import timezone

from labeling.core.inbox_order import Standing, standing_in_line, usual_seconds
from labeling.core.search import holds_words, like_patterns
from labeling.core.second_look import Comparison, Rejudged, alphas_between, compare, differing_within, verdict
from labeling.core.shares import Share, wilson
from labeling.core.sides import clear_majority, most_frequent
from labeling.core.wording import found_words
from labeling.models import (
    AgreementReport,
    Annotation,
    ApiKey,
    Assignment,
    Comment,
    Invitation,
    Item,
    Job,
    LabelSchema,
    Membership,
    Project,
    QueueEntry,
    Resolution,
    ReviewItem,
    SecondLook,
    SecondLookItem,
    Suggestion,
)

# Counts of a large project are read at most this often; they come from the rows, so they cannot drift.
PROGRESS_SECONDS = 5
MEDIAN_OVER = 50
# Among so many of the newest answers some item has two, where people share items at all.
SHARED_AMONG = 500
# A search for words looks at so many ids at a time, and stops after the first such step that ends later than this.
SEARCH_STEP = 20_000
SEARCH_ROWS = 500
SEARCH_SECONDS = 1.5
# Written by the main process of every living worker: services.jobs.note_worker_alive.
WORKER_ALIVE_KEY = "labeling:worker-alive"
BEATING_SECONDS = 45


def watched(job: Job | None) -> dict[str, Any]:
    """What a page that watches a job shows: the job, if there is one, and whether it can be hoped for."""
    return {
        "job": job,
        "is_busy": job is not None and job.is_under_way,
        "has_failed": job is not None and job.state == Job.State.FAILED,
        "no_worker": not worker_alive(),
    }


def worker_alive() -> bool:
    """Whether a worker has signed, or its job's heart has beaten, within the last 45 seconds.

    The jobs tell when the cache is away, where workers sign.
    """
    if cache.get(WORKER_ALIVE_KEY) is not None:
        return True
    since = timezone.now() - timedelta(seconds=BEATING_SECONDS)
    return Job.objects.filter(state=Job.State.RUNNING, heartbeat_at__gt=since).exists()


def item_counts(*, project: Project) -> dict[str, int]:
    """Items in all and by state, and live annotations; at most PROGRESS_SECONDS old."""
    return item_counts_of(projects=[project])[project.pk]


def item_counts_of(*, projects: Iterable[Project]) -> dict[int, dict[str, int]]:
    """The counts of several projects by their ids. Two queries, whatever their number; none when all are cached."""
    keys = {f"labeling:counts:{project.pk}": project.pk for project in projects}
    cached = cache.get_many(keys)
    counts = {pk: cached[key] for key, pk in keys.items() if key in cached}
    missing = [pk for pk in keys.values() if pk not in counts]
    if missing:
        counts |= _counted(missing)
        cache.set_many({key: counts[pk] for key, pk in keys.items() if pk in missing}, PROGRESS_SECONDS)
    return counts


def _counted(project_ids: list[int]) -> dict[int, dict[str, int]]:
    states = (
        Item.objects.filter(project_id__in=project_ids)
        .values_list("project", "state")
        .order_by("project", "state")
        .annotate(n=Count("id"))
    )
    annotations = (
        Annotation.objects.live()
        .filter(project_id__in=project_ids)
        .values_list("project")
        .order_by("project")
        .annotate(n=Count("id"))
    )
    counts = {pk: dict.fromkeys([*Item.State.values, "items", "annotations"], 0) for pk in project_ids}
    for pk, state, n in states:
        counts[pk][state] = n
        counts[pk]["items"] += n
    for pk, n in annotations:
        counts[pk]["annotations"] = n
    return counts


def memberships_of(*, user: Any) -> list[Membership]:
    """The person's projects with their role in each, by name."""
    return list(Membership.objects.filter(user=user).select_related("project").order_by("project__name", "project_id"))


def progress(*, project: Project, user: Any) -> dict[str, Any]:
    """Counts of the project, the caller's own part, and whether anything works in the background."""
    mine = Annotation.objects.live().filter(project=project, user=user)
    midnight = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    latest = mine.filter(seconds__isnull=False).order_by("-created_at").values_list("seconds", flat=True)
    seconds = [value for value in latest[:MEDIAN_OVER] if value is not None]
    return item_counts(project=project) | {
        "mine": {
            "annotations": mine.count(),
            "today": mine.filter(created_at__gte=midnight).count(),
            "median_seconds": round(statistics.median(seconds), 1) if seconds else None,
            "limit": project.person_limit,
        },
        "model": None
        if project.ordered_at is None
        else {
            "version": project.ordered_by,
            "learned_at": project.ordered_at.isoformat(),
        },
        "training": Job.objects.filter(project=project, kind="train", state=Job.State.RUNNING).exists(),
        "worker_alive": worker_alive(),
    }


def last_answers(*, project: Project, user: Any, n: int) -> list[dict[str, Any]]:
    """The person's last `n` answers, newest first, withdrawn ones left out. One that `stands` cannot be undone."""
    answers = (
        Annotation.objects.live()
        .filter(project=project, user=user, assignment__isnull=False)
        .select_related("item", "assignment")
        .order_by("-created_at", "-id")[:n]
    )
    return [
        {
            "id": a.pk,
            "assignment": a.assignment_id,
            "value": a.value,
            "stands": a.assignment is not None and a.assignment.answer_shown,
            "created_at": a.created_at.isoformat(),
            "item": {"id": a.item_id, "data": a.item.data},
        }
        for a in answers
    ]


def last_skips(*, project: Project, user: Any, n: int) -> list[dict[str, Any]]:
    """The person's last `n` skips, newest first, those taken back left out."""
    skips = (
        Assignment.objects.filter(project=project, user=user, state=Assignment.State.SKIPPED, skipped_at__isnull=False)
        .select_related("item")
        .order_by("-skipped_at")[:n]
    )
    return [
        {
            "assignment": a.pk,
            "reason": a.skip_reason,
            "skipped_at": a.skipped_at.isoformat() if a.skipped_at else None,
            "item": {"id": a.item_id, "data": a.item.data},
        }
        for a in skips
    ]


def queue_composition(*, project: Project) -> list[dict[str, Any]]:
    """How many queue entries there are for each reason, most first."""
    rows = QueueEntry.objects.filter(project=project).values_list("reason").annotate(n=Count("id")).order_by("-n")
    return [{"reason": reason, "label": QueueEntry.Reason(reason).label, "n": n} for reason, n in rows]


def recent_jobs(*, project: Project, n: int = 20, before: datetime | None = None) -> list[Job]:
    """The project's latest jobs, newest first; only those created before a moment, if given."""
    jobs = Job.objects.filter(project=project).select_related("created_by").order_by("-created_at")
    return list(jobs.filter(created_at__lt=before)[:n] if before else jobs[:n])


def busiest_job(*, user: Any) -> Job | None:
    """A job that runs in one of the person's projects, the latest one, or None."""
    return Job.objects.filter(state=Job.State.RUNNING, project__memberships__user=user).order_by("-started_at").first()


def team(*, project: Project) -> list[dict[str, Any]]:
    """The members with their live answers, in all and of the last seven days, and the items they hold now."""
    belonging = list(
        Membership.objects.filter(project=project).select_related("user").order_by("role", "user__username")
    )
    # By name, so that the index of persons is read and not every imported answer.
    given = (
        Annotation.objects.live()
        .filter(project=project, user__in=[member.user_id for member in belonging])
        .values_list("user")
        .order_by("user")
        .annotate(n=Count("id"))
    )
    now = timezone.now()
    in_all, this_week = dict(given), dict(given.filter(created_at__gte=now - timedelta(days=7)))
    held = dict(
        Assignment.objects.filter(project=project, state=Assignment.State.LEASED, expires_at__gt=now)
        .values_list("user")
        .order_by("user")
        .annotate(n=Count("id"))
    )
    return [
        {
            "membership": member,
            "annotations": in_all.get(member.user_id, 0),
            "this_week": this_week.get(member.user_id, 0),
            "holding": held.get(member.user_id, 0),
        }
        for member in belonging
    ]


def remarks(*, project: Project, user: Any = None, n: int = 50) -> list[Comment]:
    """The latest comments and flags of the project, or only those of one person."""
    found = Comment.objects.filter(project=project)
    if user is not None:
        found = found.filter(user=user)
    return list(found.select_related("user", "item").order_by("-created_at")[:n])


@dataclass(frozen=True, slots=True)
class ItemPage:
    """Some items in order of arrival, and whether there are more on either side."""

    items: list[Item]
    has_earlier: bool
    has_later: bool


def item_page(
    *,
    project: Project,
    state: str = "",
    split: str = "",
    is_flagged: bool = False,
    after: int | None = None,
    before: int | None = None,
    n: int = 50,
) -> ItemPage:
    """`n` items after (or before) an item's id. Two queries that read about `n` rows, whatever the project's size."""
    backwards = before is not None and after is None
    if is_flagged:
        ids = _flagged_ids(project, state, split, before if backwards else after, backwards, n + 1)
    else:
        ids = _ids_in_order(project, state, split, before if backwards else after, backwards, n + 1)
    has_more = len(ids) > n
    items = sorted(Item.objects.filter(pk__in=ids[:n]).defer("features"), key=lambda item: item.pk)
    if backwards:
        return ItemPage(items, has_earlier=has_more, has_later=True)
    return ItemPage(items, has_earlier=after is not None, has_later=has_more)


def _ids_in_order(project: Project, state: str, split: str, edge: int | None, backwards: bool, limit: int) -> list[int]:
    # The index ends in state, split, id: each pair of them is one short walk along it, and the walks are merged.
    comparison, order = ("<", "DESC") if backwards else (">", "ASC")
    if connection.vendor == "postgresql":
        # Ordered by id alone it may walk along the primary key instead, past every other project's items. Ordered by
        # split too, a walk may end in the next split; those items are dropped.
        along = f"(split, id) {comparison} (%s, %s) ORDER BY split {order}, id {order}"
    else:
        # SQLite finds no place in the index by a pair.
        along = f"split = %s AND id {comparison} %s ORDER BY id {order}"
    walk = (
        "SELECT id FROM (SELECT id, split FROM labeling_item WHERE project_id = %s AND state = %s AND "
        f"{along} LIMIT %s) AS walk WHERE split = %s"
    )
    walks: list[list[Any]] = [
        [project.pk, one_state, one_split, edge or 0, limit, one_split]
        for one_state in ([state] if state else Item.State.values)
        for one_split in ([split] if split else Item.Split.values)
    ]
    sql = f"{' UNION ALL '.join([walk] * len(walks))} ORDER BY id {order} LIMIT %s"
    with connection.cursor() as cursor:
        cursor.execute(sql, [*itertools.chain(*walks), limit])
        return [pk for (pk,) in cursor.fetchall()]


def _flagged_ids(project: Project, state: str, split: str, edge: int | None, backwards: bool, limit: int) -> list[int]:
    flags = Comment.objects.filter(project=project, is_flag=True)
    if state:
        flags = flags.filter(item__state=state)
    if split:
        flags = flags.filter(item__split=split)
    if edge is not None:
        flags = flags.filter(item_id__lt=edge) if backwards else flags.filter(item_id__gt=edge)
    order = "-item_id" if backwards else "item_id"
    return list(flags.order_by(order).values_list("item_id", flat=True).distinct()[:limit])


@dataclass(frozen=True, slots=True)
class FoundItems:
    """Items that hold some words, in order of arrival. `more_after`: the id behind which the search can go on."""

    items: list[Item]
    more_after: int | None


def search_items(
    *,
    project: Project,
    words: Sequence[str],
    state: str = "",
    split: str = "",
    is_flagged: bool = False,
    after: int = 0,
    n: int = 200,
    seconds: float = SEARCH_SECONDS,
) -> FoundItems:
    """The first `n` items behind an id whose data hold all the words, or as many as are found in about `seconds`.

    Without an index it reads every item's data: the time, and not the number of items, bounds what it costs.
    """
    oldest, newest = _id_range(project)
    at, deadline = max(after, oldest - 1), time.monotonic() + seconds
    found: list[int] = []
    while at < newest:
        upto = at + SEARCH_STEP
        rows = _rows_like(project, words, state, split, is_flagged, at, upto)
        for pk, data in rows:
            if holds_words(json.loads(data), words):
                found.append(pk)
                if len(found) == n:
                    return FoundItems(_in_order(found), pk if pk < newest else None)
        at = rows[-1][0] if len(rows) == SEARCH_ROWS else upto
        if time.monotonic() > deadline:
            break
    return FoundItems(_in_order(found), at if at < newest else None)


def _in_order(ids: list[int]) -> list[Item]:
    return list(Item.objects.filter(pk__in=ids).defer("features").order_by("pk"))


def _id_range(project: Project) -> tuple[int, int]:
    # The index is ordered by id within state and split only.
    ends = [
        Item.objects.filter(project=project, state=state, split=split).aggregate(first=Min("id"), last=Max("id"))
        for state in Item.State.values
        for split in Item.Split.values
    ]
    there = [(end["first"], end["last"]) for end in ends if end["first"] is not None]
    return (min(first for first, _ in there), max(last for _, last in there)) if there else (0, 0)


def _rows_like(
    project: Project, words: Sequence[str], state: str, split: str, is_flagged: bool, after: int, upto: int
) -> list[tuple[int, str]]:
    """Ids and JSON of at most SEARCH_ROWS items that may hold the words."""
    is_postgres = connection.vendor == "postgresql"
    one = "data::text COLLATE \"C\" ILIKE %s ESCAPE '!'" if is_postgres else "data LIKE %s ESCAPE '!'"
    # The plus keeps SQLite from walking the index of states through the whole project at each step.
    where = ["+project_id = %s", "id > %s", "id <= %s"]
    values: list[Any] = [project.pk, after, upto]
    if is_flagged:
        where.append("EXISTS (SELECT 1 FROM labeling_comment c WHERE c.item_id = labeling_item.id AND c.is_flag)")
    for name, value in (("state", state), ("split", split)):
        if value:
            where.append(f"{name} = %s")
            values.append(value)
    for word in words:
        patterns = like_patterns(word, is_ascii=not is_postgres)
        where.append(f"({' OR '.join([one] * len(patterns))})")
        values += patterns
    sql = f"SELECT id, CAST(data AS text) FROM labeling_item WHERE {' AND '.join(where)} ORDER BY id LIMIT %s"
    with connection.cursor() as cursor:
        cursor.execute(sql, [*values, SEARCH_ROWS])
        return list(cursor.fetchall())


def find_item(*, project: Project, words: str) -> Item | None:
    """The item with this external id, else the one whose number it is ("123" or "#123")."""
    words = words.strip()
    items = Item.objects.filter(project=project).defer("features")
    found = items.filter(external_id=words).first()
    number = words.removeprefix("#")
    # Sixteen digits are beyond any id, and within what every database can compare.
    if found is None and number.isascii() and number.isdigit() and len(number) <= 16:
        found = items.filter(pk=int(number)).first()
    return found


def items_named(*, project: Project, names: Sequence[str]) -> dict[str, int]:
    """The ids of items by their external ids; those that there are not are missing."""
    rows = Item.objects.filter(project=project, external_id__in=list(names)).values_list("external_id", "pk")
    return {name: pk for name, pk in rows if name is not None}


def items_by_id(*, project: Project, ids: Sequence[int]) -> dict[int, Item]:
    """Those of the items that belong to the project, by id."""
    return Item.objects.filter(project=project).defer("features").in_bulk(list(ids))


@dataclass(frozen=True, slots=True)
class Asked:
    """A search whose items stand in front of the queue: how they were found, and how many still wait."""

    detail: dict[str, Any]
    n: int

    @property
    def words(self) -> str:
        return found_words(self.detail)


def asked_next(*, project: Project) -> list[Asked]:
    """What somebody searched for and put in front of the queue, in order of asking."""
    waiting = QueueEntry.objects.filter(project=project, rank__lt=0, reason=QueueEntry.Reason.SEARCH)
    counts = Counter(
        json.dumps(detail, sort_keys=True) for detail in waiting.order_by("rank", "id").values_list("detail", flat=True)
    )
    return [Asked(json.loads(detail), n) for detail, n in counts.items()]


def in_front(*, items: Sequence[Item]) -> set[int]:
    """Those of the items that wait in front of the queue because somebody found them."""
    ids = [item.pk for item in items]
    waiting = QueueEntry.objects.filter(item_id__in=ids, reason=QueueEntry.Reason.SEARCH)
    return set(waiting.values_list("item_id", flat=True))


@dataclass(frozen=True, slots=True)
class ItemFacts:
    """What stands beside an item in a list."""

    n_answers: int = 0
    resolution: Resolution | None = None
    n_flags: int = 0


def item_facts(*, items: Sequence[Item]) -> dict[int, ItemFacts]:
    """Live answers, current resolution and flags of each item. Three queries."""
    ids = [item.pk for item in items]
    answers = dict(
        Annotation.objects.live().filter(item_id__in=ids).values_list("item").order_by("item").annotate(n=Count("id"))
    )
    flags = dict(
        Comment.objects.filter(item_id__in=ids, is_flag=True)
        .values_list("item")
        .order_by("item")
        .annotate(n=Count("id"))
    )
    settled = {r.item_id: r for r in Resolution.objects.filter(item_id__in=ids, superseded_at__isnull=True)}
    return {pk: ItemFacts(answers.get(pk, 0), settled.get(pk), flags.get(pk, 0)) for pk in ids}


def own_answers(*, items: Sequence[Item], user: Any) -> dict[int, Any]:
    """What one person answered, by item. An annotator sees nothing else of what was said."""
    mine = Annotation.objects.live().filter(item_id__in=[item.pk for item in items], user=user)
    return dict(mine.values_list("item_id", "value"))


def answers_to(*, item: Item, user: Any = None) -> list[Annotation]:
    """The live answers to an item in order, or only one person's."""
    answers = Annotation.objects.live().filter(item=item)
    if user is not None:
        answers = answers.filter(user=user)
    return list(answers.select_related("user", "schema", "assignment").order_by("created_at", "id"))


def remarks_on(*, item: Item, user: Any = None) -> list[Comment]:
    """Comments and flags on an item in order, or only one person's."""
    found = Comment.objects.filter(item=item)
    if user is not None:
        found = found.filter(user=user)
    return list(found.select_related("user").order_by("created_at"))


def why_asked(*, item: Item, user: Any = None, n: int = 5) -> list[tuple[str, dict[str, Any], datetime | None]]:
    """Why people were asked about an item: reason, its detail and when, the latest first; one person's if given.

    The first may be the item's place in the queue now, whose time is None.
    """
    leases = Assignment.objects.filter(item=item)
    waiting: list[tuple[str, dict[str, Any], datetime | None]] = []
    if user is None:
        entries = QueueEntry.objects.filter(item=item).values_list("reason", "detail")
        waiting = [(reason, detail, None) for reason, detail in entries]
    else:
        leases = leases.filter(user=user)
    return waiting + list(leases.order_by("-id").values_list("reason", "detail", "leased_at")[:n])


def resolutions_of(*, item: Item) -> list[Resolution]:
    """What an item was settled as, the current one first."""
    return list(Resolution.objects.filter(item=item).order_by("-id"))


def suggestion_for(*, item: Item) -> Suggestion | None:
    """What the model proposes for an item now."""
    return Suggestion.objects.filter(item=item).first()


def schema_versions(*, project: Project) -> list[LabelSchema]:
    """All versions of the schema, the current one first."""
    return list(LabelSchema.objects.filter(project=project).select_related("created_by").order_by("-version"))


def open_invitations(*, project: Project) -> list[Invitation]:
    """Invitations that still let somebody in, the latest first."""
    invitations = Invitation.objects.filter(project=project, revoked_at__isnull=True, expires_at__gt=timezone.now())
    return list(invitations.select_related("created_by").order_by("-id"))


def gold_shares(*, project: Project, user_ids: Iterable[int], reason: str = "") -> dict[int, Share]:
    """How often people were right on items whose answer is known, with Wilson's interval; only who had any.

    With a `reason` only on those that were leased for it.
    """
    known = Annotation.objects.live().filter(
        project=project, user__in=list(user_ids), item__gold__isnull=False, item__gold_retired_at__isnull=True
    )
    if reason:
        known = known.filter(assignment__reason=reason)
    right: dict[int, int] = {}
    n: dict[int, int] = {}
    for user_id, value, gold in known.values_list("user_id", "value", "item__gold").iterator(chunk_size=5_000):
        if user_id is not None:
            n[user_id] = n.get(user_id, 0) + 1
            right[user_id] = right.get(user_id, 0) + (value == gold)
    return {user_id: share for user_id, count in n.items() if (share := wilson(right[user_id], count))}


def practice_done(*, project: Project) -> dict[int, int]:
    """How many practice items each person has answered or skipped; only who had any."""
    done = (Assignment.State.SUBMITTED, Assignment.State.SKIPPED)
    rows = Assignment.objects.filter(project=project, reason=QueueEntry.Reason.PRACTICE.value, state__in=done)
    return dict(rows.values_list("user").order_by("user").annotate(n=Count("pk")))


def members(*, project: Project) -> list[Membership]:
    """Who belongs to the project, by name."""
    return list(Membership.objects.filter(project=project).select_related("user").order_by("user__username"))


def keys_of(*, user: Any, project: Project) -> list[ApiKey]:
    """The person's keys that work in the project, the latest first; not those that were revoked."""
    keys = ApiKey.objects.filter(Q(project=project) | Q(project__isnull=True), user=user, revoked_at__isnull=True)
    return list(keys.order_by("-id"))


# The review inbox


@dataclass(frozen=True, slots=True)
class ReviewFilter:
    """Which open reviews. `labels` are values that somebody gave; `people` are "user:7" or "rater:name"."""

    reason: str = ""
    labels: tuple[Any, ...] = ()
    people: tuple[str, ...] = ()
    segment: tuple[str, str] | None = None


def open_reviews(
    *, project: Project, wanted: ReviewFilter, after: ReviewItem | None = None, n: int = 50
) -> list[ReviewItem]:
    """`n` open reviews with their items, those first that a second of looking is worth most at; those behind `after` in
    that order, if given."""
    now, seconds = timezone.now(), review_seconds(project=project)
    rows = _wanted_reviews(project, wanted).values_list("pk", "reason", "priority", "opened_at")
    order = sorted((_place(*row, now=now, seconds=seconds) for row in rows), reverse=True)
    if after is not None:
        place = _place(after.pk, after.reason, after.priority, after.opened_at, now=now, seconds=seconds)
        order = [other for other in order if other < place]
    ids = [-pk for _, pk in order[:n]]
    found = ReviewItem.objects.select_related("item").defer("item__features").in_bulk(ids)
    return [found[pk] for pk in ids if pk in found]


def _place(
    pk: int, reason: str, priority: float, opened_at: datetime, *, now: datetime, seconds: dict[str, float]
) -> tuple[float, int]:
    # Of equal score the one that came first: a difference that only rounding makes is none.
    given = standing_in_line(reason=reason, priority=priority, opened_at=opened_at, now=now, seconds=seconds[reason])
    return round(given.score, 9), -pk


def review_seconds(*, project: Project, most: int = 1_000) -> dict[str, float]:
    """The usual seconds of reviewing each kind, from the last that were timed. One query."""
    timed = ReviewItem.objects.filter(project=project, closed_at__isnull=False, seconds__isnull=False)
    measured: dict[str, list[float]] = {}
    for reason, seconds in timed.order_by("-closed_at").values_list("reason", "seconds")[:most]:
        measured.setdefault(reason, []).append(seconds or 0.0)
    return usual_seconds(measured, ReviewItem.Reason.values)


def standing_of(*, review: ReviewItem, seconds: dict[str, float]) -> Standing:
    """Why the review stands where it stands, given the usual seconds of its kind."""
    return standing_in_line(
        reason=review.reason,
        priority=review.priority,
        opened_at=review.opened_at,
        now=timezone.now(),
        seconds=seconds[review.reason],
    )


def n_open_reviews(*, project: Project, wanted: ReviewFilter | None = None) -> int:
    """How many reviews are open."""
    return _wanted_reviews(project, wanted or ReviewFilter()).count()


def _wanted_reviews(project: Project, wanted: ReviewFilter) -> QuerySet[ReviewItem]:
    found = ReviewItem.objects.filter(project=project, state=ReviewItem.State.OPEN)
    if wanted.reason:
        found = found.filter(evidence__has_key=wanted.reason)
        if wanted.reason != ReviewItem.Reason.EXPLORE:
            # What else is known of a random check would be told by its being in the list.
            found = found.exclude(evidence__has_key=ReviewItem.Reason.EXPLORE.value)
    answers = Annotation.objects.live().filter(item_id=OuterRef("item_id"))
    for label in wanted.labels:
        found = found.filter(Exists(_saying(answers, label)))
    for person in wanted.people:
        found = found.filter(Exists(_by(answers, person)))
    if len(wanted.people) == 2:
        one, other = (_by(answers, person) for person in wanted.people)
        # Two people who said the same have nothing to settle between them.
        differs = other.filter(item_id=OuterRef("item_id")).exclude(value=OuterRef("value"))
        found = found.filter(Exists(one.filter(Exists(differs))))
    if wanted.segment:
        key, value = wanted.segment
        found = found.annotate(segment=Cast(KeyTextTransform(key, "item__meta"), TextField())).filter(segment=value)
    return found


def _saying(answers: QuerySet[Annotation], label: Any) -> QuerySet[Annotation]:
    # A set of labels is a list in the database, and SQLite cannot look into it: its text is the same on both, but for
    # characters beyond ASCII.
    inside = answers.annotate(said=Cast("value", TextField()))
    spellings = {json.dumps(label), json.dumps(label, ensure_ascii=False)}
    match = Q(value=label)
    for spelling in spellings:
        match |= Q(said__startswith="[", said__contains=spelling)
    return inside.filter(match)


def _by(answers: QuerySet[Annotation], person: str) -> QuerySet[Annotation]:
    kind, _, name = person.partition(":")
    if kind == "user" and name.isascii() and name.isdigit() and len(name) < 16:
        return answers.filter(user_id=int(name))
    return answers.filter(rater=name, user__isnull=True) if kind == "rater" and name else answers.none()


@dataclass(frozen=True, slots=True)
class ReviewPace:
    """How large the inbox is and how fast it empties: `a_day` since the first decision of the last seven days."""

    backlog: int
    oldest: datetime | None
    today: int
    a_day: float
    capacity: int | None

    @property
    def left_today(self) -> int | None:
        """How many more can be decided today; None without a limit."""
        return None if self.capacity is None else max(0, self.capacity - self.today)

    @property
    def n_for_tomorrow(self) -> int:
        """How many wait beyond what can be decided today."""
        return 0 if self.left_today is None else max(0, self.backlog - self.left_today)

    @property
    def days_left(self) -> int | None:
        """Days until the inbox is empty at this pace, rounded up; None when nobody decides anything."""
        return math.ceil(self.backlog / self.a_day) if self.a_day else None


def review_pace(*, project: Project) -> ReviewPace:
    """The backlog and the decisions of today and the last week. Three queries."""
    now = timezone.now()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    waiting = ReviewItem.objects.filter(project=project, state=ReviewItem.State.OPEN)
    came = waiting.aggregate(n=Count("pk"), oldest=Min("opened_at"))
    decided = ReviewItem.objects.filter(project=project, state__in=(ReviewItem.State.DECIDED, ReviewItem.State.UNCLEAR))
    lately = decided.filter(closed_at__gte=now - timedelta(days=7)).aggregate(n=Count("pk"), first=Min("closed_at"))
    days = math.ceil((now - lately["first"]) / timedelta(days=1)) if lately["first"] else 1
    return ReviewPace(
        backlog=came["n"],
        oldest=came["oldest"],
        today=decided.filter(closed_at__gte=midnight).count(),
        a_day=lately["n"] / max(1, days),
        capacity=project.reviews_a_day,
    )


@dataclass(frozen=True, slots=True)
class ReviewFacts:
    """What a reviewer weighs: the live answers in order, remarks, what stands, and what the model proposes.

    Of an audit item, and of a random check of the model's answers, there is no suggestion: the model is measured by it,
    and so it is decided blind.
    """

    answers: list[Annotation]
    remarks: list[Comment]
    resolution: Resolution | None
    suggestion: Suggestion | None


def review_facts(*, reviews: Sequence[ReviewItem]) -> dict[int, ReviewFacts]:
    """The facts of each review by its id. Four queries, whatever their number."""
    ids = [review.item_id for review in reviews]
    answers: dict[int, list[Annotation]] = {pk: [] for pk in ids}
    for answer in (
        Annotation.objects.live()
        .filter(item_id__in=ids)
        .select_related("user", "assignment", "schema")
        .order_by("created_at", "pk")
    ):
        answers[answer.item_id].append(answer)
    said: dict[int, list[Comment]] = {pk: [] for pk in ids}
    for comment in Comment.objects.filter(item_id__in=ids).select_related("user").order_by("created_at"):
        said[comment.item_id].append(comment)
    settled = {r.item_id: r for r in Resolution.objects.filter(item_id__in=ids, superseded_at__isnull=True)}
    suggested = {s.item_id: s for s in Suggestion.objects.filter(item_id__in=ids, item__split=Item.Split.POOL)}
    return {
        review.pk: ReviewFacts(
            answers[review.item_id],
            said[review.item_id],
            settled.get(review.item_id),
            _suggestion_in(review, suggested.get(review.item_id)),
        )
        for review in reviews
    }


def evidence_shown(review: ReviewItem) -> dict[str, Any]:
    """What a reviewer may see of why an item waits. While a random check is open, nothing but that it is one: what the
    model or its users say of the item would tell its answer."""
    if review.state == ReviewItem.State.OPEN and ReviewItem.Reason.EXPLORE.value in review.evidence:
        return {ReviewItem.Reason.EXPLORE.value: review.evidence[ReviewItem.Reason.EXPLORE.value]}
    return review.evidence


def _suggestion_in(review: ReviewItem, stored: Suggestion | None) -> Suggestion | None:
    """What the model said when it gave the item to a person, else what it proposes now."""
    if ReviewItem.Reason.EXPLORE.value in review.evidence:
        return None
    for reason in (ReviewItem.Reason.UNSURE.value, ReviewItem.Reason.EDGE.value, ReviewItem.Reason.COMPLAINT.value):
        said = review.evidence.get(reason)
        if said:
            shown = {name: said[name] for name in ("value", "probabilities", "words", "source")}
            return Suggestion(project_id=review.project_id, item_id=review.item_id, **shown)
    return stored


def reviews_with_majority(*, project: Project, wanted: ReviewFilter, n: int) -> list[tuple[ReviewItem, Any, int, int]]:
    """Of the first `n` open reviews those whose answers have a clear majority: value, how many say so, of how many."""
    reviews = open_reviews(project=project, wanted=wanted, n=n)
    given: dict[int, list[Any]] = {}
    rows = Annotation.objects.live().filter(item_id__in=[review.item_id for review in reviews])
    for item_id, value in rows.values_list("item_id", "value"):
        given.setdefault(item_id, []).append(value)
    found = []
    for review in reviews:
        values = given.get(review.item_id, [])
        top = clear_majority(values)
        if top is not None:
            found.append((review, top, values.count(top), len(values)))
    return found


def ended_reviews_of(*, project: Project, user: Any, n: int = 10) -> list[ReviewItem]:
    """What a reviewer did last and can take back, the latest first."""
    ended = (ReviewItem.State.DECIDED, ReviewItem.State.REQUEUED, ReviewItem.State.UNCLEAR)
    found = ReviewItem.objects.filter(project=project, closed_by=user, state__in=ended)
    return list(found.select_related("item", "resolution").defer("item__features").order_by("-closed_at", "-pk")[:n])


def people_in_review(*, project: Project, n: int = 200) -> list[tuple[str, str]]:
    """Who answered something that is open for review: ("user:7" or "rater:x", name), by name."""
    waiting = ReviewItem.objects.filter(item_id=OuterRef("item_id"), state=ReviewItem.State.OPEN)
    rows = (
        Annotation.objects.live()
        .filter(Exists(waiting), project=project)
        .exclude(user__isnull=True, rater="")
        .values_list("user_id", "user__username", "rater")
        .order_by()
        .distinct()[:n]
    )
    return sorted(
        ((f"user:{pk}", name or "") if pk is not None else (f"rater:{rater}", rater) for pk, name, rater in rows),
        key=lambda person: person[1].lower(),
    )


# One's own results


@dataclass(frozen=True, slots=True)
class OwnResults:
    """A person's own answers in a project. `seconds` is the median of the last `n_timed`; None without any.

    `agreement` is with what most of the others said, one's own answer left out, of the settled items among the last
    `LATEST`; None without such items. On `n_tied` of them no answer of the others was the most frequent.
    """

    n: int
    seconds: float | None
    n_timed: int
    agreement: Share | None
    n_tied: int


LATEST = 1_000


def own_results(*, project: Project, user: Any) -> OwnResults:
    """How many answers the person gave, how fast, and how often others say the same. Five queries."""
    mine = Annotation.objects.live().filter(project=project, user=user)
    latest = mine.filter(seconds__isnull=False).order_by("-created_at").values_list("seconds", flat=True)
    seconds = [value for value in latest[:LATEST] if value is not None]
    # Open items are left out: how many differ there would tell of disputes that are nobody's to see yet.
    settled = mine.filter(item__state=Item.State.RESOLVED).order_by("-created_at", "-pk")
    own = dict(settled.values_list("item_id", "value")[:LATEST])
    others: dict[int, list[Any]] = {}
    theirs = Annotation.objects.live().filter(item_id__in=own).exclude(user=user)
    for item_id, value in theirs.values_list("item_id", "value"):
        others.setdefault(item_id, []).append(value)
    said = {item_id: most_frequent(values) for item_id, values in others.items()}
    clear = {item_id: value for item_id, value in said.items() if value is not None}
    return OwnResults(
        n=mine.count(),
        seconds=round(statistics.median(seconds), 1) if seconds else None,
        n_timed=len(seconds),
        agreement=wilson(sum(own[item_id] == value for item_id, value in clear.items()), len(clear)),
        n_tied=len(said) - len(clear),
    )


def decisions_on_own(*, project: Project, user: Any, n: int = 50) -> list[tuple[ReviewItem, Annotation]]:
    """Decisions of reviewers that stand, on items that the person judged, with their answer; the latest first.

    Hidden checks are left out: which those were is not said.
    """
    hidden = Q(assignment__reason=QueueEntry.Reason.GOLD.value, assignment__answer_shown=False)
    mine = Annotation.objects.live().filter(item_id=OuterRef("item_id"), user=user).exclude(hidden)
    reviews = list(
        ReviewItem.objects.filter(
            Exists(mine), project=project, state=ReviewItem.State.DECIDED, resolution__superseded_at__isnull=True
        )
        .select_related("item", "resolution")
        .defer("item__features")
        .order_by("-closed_at", "-pk")[:n]
    )
    answers = Annotation.objects.live().filter(item_id__in=[review.item_id for review in reviews], user=user)
    by_item = {answer.item_id: answer for answer in answers.select_related("schema")}
    return [(review, by_item[review.item_id]) for review in reviews]


# Agreement

# Beyond this many new answers it does not matter how many they are.
NEW_AT_MOST = 100_000


def several_judge(*, project: Project) -> bool:
    """Whether items get answers of more than one person: by the project's settings, or from elsewhere."""
    adaptive = Project.OverlapPolicy.ADAPTIVE
    return project.overlap > 1 or project.overlap_policy == adaptive or has_shared_items(project=project)


def has_shared_items(*, project: Project) -> bool:
    """Whether some of the newest answers share an item; two queries, whatever the number of answers."""
    live = Annotation.objects.live().filter(project=project)
    newest = list(live.order_by("-pk").values_list("item_id", flat=True)[:SHARED_AMONG])
    several = live.filter(item_id__in=newest).values("item_id").order_by().annotate(n=Count("pk")).filter(n__gte=2)
    return several.exists()


def agreement_of(*, project: Project) -> AgreementReport | None:
    """The agreement as it was last measured; None before that, also where an older version of the code measured it."""
    report = AgreementReport.objects.filter(project=project).first()
    return report if report is not None and report.is_readable else None


def n_answers_since(*, project: Project, report: AgreementReport | None) -> int:
    """Answers that the report does not know; counting stops at NEW_AT_MOST."""
    new = Annotation.objects.live().filter(project=project, pk__gt=report.last_annotation if report else 0)
    return new[:NEW_AT_MOST].count()


def agreement_job(*, project: Project) -> Job | None:
    """The latest job that measures agreement."""
    return Job.objects.filter(project=project, kind="agreement").order_by("-created_at").first()


def doubt_reviews(*, project: Project, item_ids: Sequence[int]) -> dict[int, ReviewItem]:
    """The latest review of each item that was opened because its settled value is doubtful. One query."""
    found = ReviewItem.objects.filter(
        project=project, item_id__in=list(item_ids), evidence__has_key=ReviewItem.Reason.DOUBT.value
    )
    return {review.item_id: review for review in found.select_related("resolution").order_by("pk")}


def standing(*, item_ids: Sequence[int]) -> dict[int, Resolution]:
    """What each item is settled as now. One query."""
    return {r.item_id: r for r in Resolution.objects.filter(item_id__in=list(item_ids), superseded_at__isnull=True)}


# Second looks


def labels_by_version(*, project: Project) -> dict[int, int]:
    """How many live labels were given under each version; of items that are not excluded."""
    live = Annotation.objects.live().filter(project=project).exclude(item__state=Item.State.EXCLUDED)
    return dict(live.values_list("schema__version").order_by("schema__version").annotate(n=Count("id")))


def second_looks(*, project: Project, n: int = 20) -> list[SecondLook]:
    """The latest second looks of a project, the newest first."""
    looks = SecondLook.objects.filter(project=project).select_related("schema", "created_by")
    return list(looks.order_by("-id")[:n])


def askable(project_id: int) -> QuerySet[Membership]:
    """The members who can be asked to judge something."""
    return Membership.objects.filter(project_id=project_id, user__is_active=True, paused_at__isnull=True)


@dataclass(frozen=True, slots=True)
class LookProgress:
    """How far a second look is. `n_dropped`: the old label was taken back or the item excluded meanwhile.

    `waiting_for` says whom the rest waits for: a member's name, or "" for anybody; most first.
    """

    n: int
    n_answered: int
    n_dropped: int
    waiting_for: list[tuple[str, int]]
    versions: list[int]

    @property
    def n_waiting(self) -> int:
        return self.n - self.n_answered - self.n_dropped


def look_progress(*, look: SecondLook) -> LookProgress:
    """Counts of one second look. Four queries over its items, at most a few thousand."""
    items = SecondLookItem.objects.filter(look=look)
    counts = items.aggregate(n=Count("pk"), n_answered=Count("new"))
    rows = items.waiting().values_list("asked", "asked__username").order_by().annotate(n=Count("pk"))
    there = set(askable(look.project_id).values_list("user_id", flat=True))
    asked: dict[str, int] = {}
    for user_id, name, n in rows:
        who = name if user_id in there else ""
        asked[who] = asked.get(who, 0) + n
    versions = items.values_list("old__schema__version", flat=True).order_by("old__schema__version").distinct()
    return LookProgress(
        n=counts["n"],
        n_answered=counts["n_answered"],
        n_dropped=counts["n"] - counts["n_answered"] - sum(asked.values()),
        waiting_for=sorted(asked.items(), key=lambda row: (-row[1], row[0])),
        versions=list(versions),
    )


def rejudged(*, look: SecondLook) -> list[Rejudged]:
    """What was judged again in a second look, in the items' order."""
    return [
        Rejudged(
            row["item_id"],
            row["old_value"],
            row["new_value"],
            row["old_version"],
            row["new_version"],
            row["by_author"],
        )
        for row in look_rows(look=look)
    ]


def look_rows(*, look: SecondLook) -> list[dict[str, Any]]:
    """Every old label of a second look that was judged again, with the answer: plain values, PAIR_COLUMNS by name."""
    answered = SecondLookItem.objects.filter(look=look, new__isnull=False).order_by("item_id")
    related = ("item", "old__schema", "old__user", "new__schema", "new__user")
    return [
        {
            "item_id": one.item_id,
            "external_id": one.item.external_id,
            "old_value": one.old.value,
            "new_value": one.new.value,
            "is_equal": one.old.value == one.new.value,
            "old_version": one.old.schema.version,
            "new_version": one.new.schema.version,
            "old_annotator": one.old.user.get_username() if one.old.user else one.old.rater or None,
            "new_annotator": one.new.user.get_username() if one.new.user else None,
            "by_author": one.old.user_id is not None and one.old.user_id == one.new.user_id,
            "old_annotation_id": one.old_id,
            "new_annotation_id": one.new_id,
            "old_at": one.old.created_at.isoformat(),
            "new_at": one.new.created_at.isoformat(),
            "propensity": one.propensity,
        }
        for one in answered.select_related(*related).defer("item__features", "item__data", "item__meta")
        if one.new is not None
    ]


@dataclass(frozen=True, slots=True)
class LookResult:
    """What came of a second look between two versions.

    `alphas` are those measured so far, by who judged again (all, author, others); `differing`: how often two people
    under one version differ, the old one if that is known.
    """

    comparison: Comparison
    alphas: dict[str, dict[str, Any]]
    differing: Share | None
    differing_under: int
    verdict: str


def look_results(*, look: SecondLook, report: AgreementReport | None) -> list[LookResult]:
    """What came of a second look for each pair of versions. Shares are of now, alphas as they were last measured."""
    schemas = LabelSchema.objects.filter(project_id=look.project_id)
    labels = {schema.version: frozenset(schema.rules.labels) for schema in schemas}
    between = (report.result if report else {}).get("between_versions", {"alphas": [], "within": []})
    found = []
    for one in compare(rejudged(look=look), labels):
        under = one.old_version
        differing = differing_within(between, under)
        if differing is None:
            under = one.new_version
            differing = differing_within(between, under)
        alphas = alphas_between(between, look.pk, one)
        found.append(LookResult(one, alphas, differing, under, verdict(one, differing)))
    return found
