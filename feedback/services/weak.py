"""What verified users say becomes weak labels of items that wait for a person; trainings decide whether they count."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from active_learning.selectors import current_rules
from active_learning.services.weak import Offered, offer_weak_labels
from feedback import selectors
from feedback.core.evidence import weak_label
from feedback.core.guard import trust
from feedback.models import CurrentVerdict
from feedback.selectors import Belief, Statement
from labeling.core.schema import SchemaRules
from labeling.models import Project

log = structlog.get_logger(__name__)


def refresh_weak_labels(*, now: datetime | None = None) -> dict[str, int]:
    """Weighs anew what was said in every project where somebody says something: how many weak labels there are."""
    now = now or timezone.now()
    n_labels = 0
    for project in selectors.spoken_about(now=now):
        try:
            n_labels += refresh_project(project=project, now=now)
        except Exception:  # one project's trouble must not stop the others
            log.exception("weak_labels_failed", project=project.slug)
    return {"labels": n_labels}


def refresh_project(*, project: Project, now: datetime) -> int:
    """Weighs anew what was said in one project. Doing it twice does no harm.

    Only verified subjects whose verdict stands are heard, and only signals that have earned a weight.
    """
    weights = selectors.signal_weights(project=project)
    said = selectors.statements(project=project, now=now) if any(weights.values()) else {}
    _, rules = current_rules(project)
    belief = selectors.belief_earned(project=project)
    with transaction.atomic():
        # Whoever takes something back from here on waits, and then takes the label away as well.
        standing = _held({one.verdict: one.revision for about in said.values() for one in about})
        _link(said)
        offered = _labels(said, standing, weights, belief, rules)
        return offer_weak_labels(project=project, offered=offered, now=now)


def _held(revisions: dict[int, int]) -> set[int]:
    """The verdicts of these that still are what they were; their rows are held."""
    ids, found = sorted(revisions), set()
    for start in range(0, len(ids), 500):
        rows = CurrentVerdict.objects.select_for_update().filter(
            pk__in=ids[start : start + 500], quarantined_at__isnull=True
        )
        found |= {pk for pk, revision in rows.order_by("pk").values_list("pk", "revision") if revision == revisions[pk]}
    return found


def _link(said: dict[int, list[Statement]]) -> None:
    """The verdicts name the item from now on: who is forgotten, and who agreed with people, is told by it."""
    for item_id, about in said.items():
        if missing := [one.verdict for one in about if not one.is_linked]:
            CurrentVerdict.objects.filter(pk__in=missing, item__isnull=True).update(item=item_id)


def _labels(
    said: dict[int, list[Statement]],
    standing: set[int],
    weights: dict[str, float],
    belief: Belief,
    rules: SchemaRules,
) -> dict[int, Offered]:
    found = {}
    for item_id, about in said.items():
        heard = [one for one in about if one.verdict in standing]
        if not heard:
            continue
        # The same input may have been answered otherwise by another version: what most were told is looked at.
        answered, confidence = _commonest(heard)
        own = [one for one in heard if one.answered == answered]
        label = weak_label(
            answered,
            confidence,
            [one.said for one in own],
            weights=weights,
            trust=lambda subject: trust(*belief.agreement.get(subject, (0, 0))),
            corrections_right=belief.corrections_right,
            other=_other(rules, answered),
        )
        if label is not None:
            found[item_id] = Offered(label, _predictions(own))
    return found


def _commonest(heard: Iterable[Statement]) -> tuple[Any, float]:
    groups: dict[str, list[Statement]] = defaultdict(list)
    for one in heard:
        groups[repr(one.answered)].append(one)
    own = max(groups.values(), key=lambda group: (len(group), group[-1].verdict))
    return own[-1].answered, own[-1].confidence


def _other(rules: SchemaRules, answered: Any) -> Any:
    """The other of two answers; None where there are more."""
    if rules.kind not in ("choice", "pair") or len(rules.labels) != 2:
        return None
    return next(label for label in rules.labels if label != answered)


def _predictions(heard: Iterable[Statement]) -> dict[str, set[Any]]:
    found: dict[str, set[Any]] = defaultdict(set)
    for one in heard:
        found[one.said.subject].add(one.prediction)
    return found
