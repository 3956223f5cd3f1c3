"""What changed settings would have done to the predictions of late, before they are saved."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from active_learning import selectors
from active_learning.core.routing import Confidence, route
from active_learning.core.weighted import Judged, LiveAccuracy, live_accuracy
from active_learning.models import Prediction, ServingPolicy
from active_learning.selectors import JudgedPrediction
from active_learning.services.serving_policy import (
    SETTINGS,
    check_policy,
    edge_rules_of,
    routing_rules,
    segment_of,
)
from labeling.core.errors import Invalid
from labeling.core.shares import wilson
from labeling.models import Project

MAX_LOOKED_AT = 2_000
EXAMPLES = 3


def tentative(*, project: Project, **changes: Any) -> ServingPolicy:
    """The policy with changed settings, checked and not saved. Raises Invalid like change_serving."""
    unknown = sorted(set(changes) - set(SETTINGS))
    if unknown:
        raise Invalid(f"{unknown[0]} is not a setting of serving.", fields={unknown[0]: "unknown"})
    _, now = selectors.serving_state(project=project)
    then = ServingPolicy(project=project)
    for name in (*SETTINGS, "certificate"):
        setattr(then, name, changes.get(name, getattr(now, name)))
    check_policy(then)
    return then


def preview(*, project: Project, **changes: Any) -> dict[str, Any]:
    """How the last predictions would be routed: `now` and `then` counts by decision, which `moves` there would be, what
    each edge rule would take, and the error to expect above each threshold, from those judged blind. Raises Invalid
    like change_serving."""
    then = tentative(project=project, **changes)
    live, now = selectors.serving_state(project=project)
    rows = selectors.latest_predictions(project=project, n=MAX_LOOKED_AT)
    before, after = (_decisions(rows, policy, live) for policy in (now, then))
    judged = selectors.judged_predictions(project=project, version_id=live.version_id if live else None)
    moves = Counter(pair for pair in zip(before, after, strict=True) if pair[0] != pair[1])
    return {
        "n": len(rows),
        "now": _counts(before),
        "then": _counts(after),
        "moved": moves.total(),
        "moves": [{"from": old, "to": new, "n": n} for (old, new), n in moves.most_common()],
        "edge_rules": [_taken(rule, rows) for rule in edge_rules_of(then)],
        "error_now": expected_error(judged, routing_rules(now, live).bands.auto_above),
        "error_then": expected_error(judged, routing_rules(then, live).bands.auto_above),
    }


def expected_error(judged: Sequence[JudgedPrediction], auto_above: float) -> dict[str, Any] | None:
    """The share of mistakes among random draws above the threshold, with its interval; None without any."""
    taken = [one for one in judged if one.certainty > auto_above]
    share = wilson(sum(not one.is_right for one in taken), len(taken))
    return None if share is None else asdict(share)


def accuracy_in_production(*, project: Project) -> LiveAccuracy | None:
    """How often the live version was right of late, from random draws that were judged blind; None on too few."""
    live, _ = selectors.serving_state(project=project)
    if live is None:
        return None
    judged = selectors.judged_predictions(project=project, version_id=live.version_id)
    rarest = min((one.propensity for one in judged if one.propensity), default=1.0)
    return live_accuracy([Judged(one.is_right, one.propensity) for one in judged], clip=max(1 / rarest, 1.0))


def _decisions(rows: Sequence[Prediction], policy: ServingPolicy, live: Any) -> list[str]:
    routing, edges = routing_rules(policy, live), edge_rules_of(policy)
    found: list[str] = []
    for row in rows:
        data = row.input or {}
        labels = [str(label) for label in (row.value if isinstance(row.value, list) else [row.value])]
        segment = segment_of(policy, data) or row.segment
        edge = next((rule.why for rule in edges if rule.when.applies(data)), "")
        # The number that the bands looked at was logged: on which scale does not matter any more.
        certainty = Confidence(row.certainty or 0.0, row.certainty or 0.0, "probability")
        found.append(route(certainty, labels, routing, draw=1.0, segment=segment, edge=edge).decision)
    return found


def _taken(rule: Any, rows: Sequence[Prediction]) -> dict[str, Any]:
    said = [(row, rule.when.applies(row.input or {})) for row in rows]
    taken = [row for row, applies in said if applies]
    return {
        "when": rule.when.text,
        "taken": len(taken),
        "unknown": sum(applies is None for _, applies in said),
        "examples": [str(row.pk) for row in taken[:EXAMPLES]],
    }


def _counts(decisions: Sequence[str]) -> dict[str, int]:
    found = Counter(decisions)
    return {name: found[name] for name in Prediction.Decision.values}
