"""Settling what an item is, from the answers that count."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from labeling.core.judges import Judges, judges_from, unfitted
from labeling.core.schema import SchemaRules, Value
from labeling.core.settling import Opinion, Settlement, settle
from labeling.models import (
    Annotation,
    AnnotatorFit,
    ConsensusFit,
    Item,
    LabelSchema,
    ModelVote,
    Project,
    QueueEntry,
    Resolution,
)
from labeling.services.inbox import awaiting_one_more, close_reviews, open_review

# A partly answered item goes behind the fresh ones of its batch: for a model breadth beats repetition.
BEHIND_THE_BATCH = 1_000_000.0
# What settling reads of an item.
SETTLED_BY = ("id", "project_id", "state", "split", "content_hash", "gold", "gold_retired_at")
# A change of the posterior that is worth a new resolution.
NOTABLE = 0.05
_BATCH = 500


def settle_item(*, item: Item, project: Project, now: datetime, is_answered: bool = False) -> str:
    """The item's state after counting its answers; queue, resolution and review inbox follow it.

    The caller holds the item's row. An adjudicated value stands, whatever is answered later. `is_answered`: an answer
    has just come, so that nobody waits for one any more.
    """
    return _settle([item], project, now, is_answered=is_answered)[item.pk]


def settle_by_known_answer(*, item: Item, now: datetime) -> None:
    """Settles an open item by its known answer, whatever people say of it. The caller holds the item's row."""
    Resolution.objects.filter(item_id=item.pk, superseded_at__isnull=True).update(superseded_at=now)
    Resolution.objects.create(
        project_id=item.project_id,
        item_id=item.pk,
        value=item.gold,
        method=Resolution.Method.KNOWN,
        n_annotations=Annotation.objects.live().filter(item_id=item.pk).count(),
        created_at=now,
    )
    QueueEntry.objects.filter(item_id=item.pk).delete()
    Item.objects.filter(pk=item.pk).update(state=Item.State.RESOLVED)
    item.state = Item.State.RESOLVED


def settle_items(*, project: Project, item_ids: Iterable[int]) -> dict[str, int]:
    """Settles many items, for answers that came in bulk: how many ended in each state."""
    now = timezone.now()
    counts: dict[str, int] = {}
    ids = sorted(item_ids)
    for start in range(0, len(ids), _BATCH):
        with transaction.atomic():
            items = Item.objects.select_for_update(no_key=True).filter(
                project=project, pk__in=ids[start : start + _BATCH]
            )
            locked = list(items.only(*SETTLED_BY).order_by("pk"))
            for state in _settle(locked, project, now).values():
                counts[state] = counts.get(state, 0) + 1
    return counts


def _settle(items: Sequence[Item], project: Project, now: datetime, *, is_answered: bool = False) -> dict[int, str]:
    ids = [item.pk for item in items]
    current = {r.item_id: r for r in Resolution.objects.filter(item_id__in=ids, superseded_at__isnull=True)}
    moving = [item for item in items if not _stands(item, current.get(item.pk))]
    opinions = _opinions([item.pk for item in moving])
    policy = project.policy
    # One opinion is taken at its word, so nobody has to know whose it is.
    crowds = {pk: given for pk, given in opinions.items() if len(given) > 1}
    rules = LabelSchema.objects.current(project.pk).rules if crowds else _NO_RULES
    judges = _judges(project, rules, crowds.values()) if crowds else _NO_JUDGES
    model_votes = _model_votes(crowds) if judges.model is not None else {}
    found = {
        item.pk: settle(
            opinions.get(item.pk, []),
            rules=rules,
            judges=judges,
            policy=policy,
            is_forced=policy.stops_early and policy.is_forced(item.content_hash),
            model_vote=model_votes.get(item.pk),
        )
        for item in moving
    }
    still_open = [] if is_answered else [item.pk for item in moving if item.state == Item.State.OPEN]
    if still_open and (waiting := awaiting_one_more(item_ids=still_open)):
        # A reviewer has seen these answers and asked for a further one: whatever they say, they stay in front of the
        # queue until it comes.
        moving = [item for item in moving if item.pk not in waiting]
    _write(moving, found, {pk: len(given) for pk, given in opinions.items()}, current, project, now)
    return {item.pk: item.state for item in items}


def _stands(item: Item, resolution: Resolution | None) -> bool:
    if item.state == Item.State.EXCLUDED or resolution is None:
        return item.state == Item.State.EXCLUDED
    # Answers to a settled item with a known answer say something about people, not about the item; unless good people
    # miss it.
    is_gold = item.gold is not None and item.gold_retired_at is None and item.state == Item.State.RESOLVED
    return is_gold or resolution.method == Resolution.Method.ADJUDICATED


_NO_RULES = SchemaRules("choice", ())
_NO_JUDGES = Judges((), (), ())


def _opinions(item_ids: list[int]) -> dict[int, list[Opinion]]:
    rows = Annotation.objects.live().filter(item_id__in=item_ids).order_by("id")
    found: dict[int, list[Opinion]] = {}
    for item_id, user_id, rater, value in rows.values_list("item_id", "user_id", "rater", "value"):
        found.setdefault(item_id, []).append(Opinion(person_name(user_id, rater), value))
    return found


def person_name(user_id: int | None, rater: str) -> str | None:
    """One name for each annotator of a project; None for an anonymous one, who cannot be told from others."""
    if user_id is not None:
        return f"user:{user_id}"
    return f"rater:{rater}" if rater else None


def _model_votes(item_ids: Iterable[int]) -> dict[int, Value]:
    return dict(ModelVote.objects.counting().filter(item_id__in=list(item_ids)).values_list("item_id", "value"))


def _judges(project: Project, rules: SchemaRules, crowds: Collection[list[Opinion]]) -> Judges:
    """What is known of those who gave these opinions. Two queries."""
    fit = ConsensusFit.objects.filter(project=project).first() if project.has_single_truth else None
    if fit is None or tuple(fit.parameters["labels"]) != rules.labels:
        return unfitted(rules.labels)
    people = {opinion.person for given in crowds for opinion in given if opinion.person is not None}
    users = [int(name.removeprefix("user:")) for name in people if name.startswith("user:")]
    raters = [name.removeprefix("rater:") for name in people if name.startswith("rater:")]
    rows = AnnotatorFit.objects.filter(Q(user_id__in=users) | Q(rater__in=raters, user__isnull=True), fit=fit)
    known: dict[str, Any] = {
        person_name(user_id, rater) or "": parameters
        for user_id, rater, parameters in rows.values_list("user_id", "rater", "parameters")
    }
    return judges_from(fit.parameters, known)


def _write(
    items: Sequence[Item],
    found: dict[int, Settlement],
    n_given: dict[int, int],
    current: dict[int, Resolution],
    project: Project,
    now: datetime,
) -> None:
    asked = [item for item in items if found[item.pk].action == "ask"]
    settled = [item for item in items if found[item.pk].action == "settle"]
    disputed = [item for item in items if found[item.pk].action == "dispute"]
    fresh = [item for item in settled if _says_something_new(found[item.pk], n_given[item.pk], current.get(item.pk))]
    outdated = [current[item.pk] for item in [*asked, *disputed, *fresh] if item.pk in current]
    for resolution in outdated:
        Resolution.objects.filter(pk=resolution.pk).update(superseded_at=max(now, resolution.created_at))
    Resolution.objects.bulk_create(
        Resolution(
            project_id=project.pk,
            item_id=item.pk,
            value=found[item.pk].value,
            posterior=found[item.pk].posterior,
            distribution=found[item.pk].distribution,
            method=Resolution.Method.CONSENSUS if project.has_single_truth else Resolution.Method.OPINIONS,
            n_annotations=n_given[item.pk],
            model_vote=found[item.pk].model_vote,
            created_at=now,
        )
        for item in fresh
    )
    if settled or disputed:
        QueueEntry.objects.filter(item_id__in=[item.pk for item in [*settled, *disputed]]).delete()
    _want_opinions(asked, found, n_given)
    for item in disputed:
        facts = {"distribution": found[item.pk].distribution, "n": n_given[item.pk]}
        if found[item.pk].model_vote is not None:
            facts["model_vote"] = found[item.pk].model_vote
        doubt = 1 - (found[item.pk].posterior or 0.0)
        open_review(project_id=project.pk, item_id=item.pk, reason="dispute", evidence=facts, priority=doubt, now=now)
    close_reviews(item_ids=[i.pk for i in [*asked, *settled] if i.state == Item.State.DISPUTED], now=now)
    for state, group in ((Item.State.OPEN, asked), (Item.State.RESOLVED, settled), (Item.State.DISPUTED, disputed)):
        moved = [item for item in group if item.state != state]
        if moved:
            Item.objects.filter(pk__in=[item.pk for item in moved]).update(state=state)
        for item in moved:
            item.state = state


def _says_something_new(settlement: Settlement, n: int, current: Resolution | None) -> bool:
    if current is None or current.value != settlement.value or current.n_annotations != n:
        return True
    return abs((current.posterior or 0.0) - (settlement.posterior or 0.0)) > NOTABLE


def _want_opinions(items: Sequence[Item], found: dict[int, Settlement], n_given: dict[int, int]) -> None:
    """Puts items into the queue, or moves them back in it when they have some of their opinions."""
    if not items:
        return
    entries = {entry.item_id: entry for entry in QueueEntry.objects.filter(item_id__in=[item.pk for item in items])}
    missing, changed = [], []
    for item in items:
        entry, n, needed = entries.get(item.pk), n_given.get(item.pk, 0), found[item.pk].n_more
        if entry is None:
            missing.append(_new_entry(item, n, needed))
            continue
        if n and entry.rank < BEHIND_THE_BATCH:
            entry.rank += BEHIND_THE_BATCH
            entry.reason = QueueEntry.Reason.SECOND_OPINION
        entry.needed = needed
        changed.append(entry)
    QueueEntry.objects.bulk_create(missing)
    QueueEntry.objects.bulk_update(changed, ["rank", "reason", "needed"])


def _new_entry(item: Item, n_given: int, needed: int) -> QueueEntry:
    if n_given or item.split == Item.Split.AUDIT:
        reason = QueueEntry.Reason.SECOND_OPINION if n_given else QueueEntry.Reason.AUDIT
    else:
        reason = QueueEntry.Reason.IMPORT_ORDER
    return QueueEntry(project_id=item.project_id, item_id=item.pk, rank=BEHIND_THE_BATCH, reason=reason, needed=needed)
