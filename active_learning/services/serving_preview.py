"""What changed settings would have done to the predictions of late, before they are saved."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from active_learning import selectors
from active_learning.core.routing import Confidence, route
from active_learning.core.weighted import Judged, LiveAccuracy, live_accuracy
from active_learning.models import Prediction, ServingPolicy
from active_learning.selectors import JudgedPrediction, LiveVersion
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
    each edge rule would take, and which share of mistakes to expect of what stands alone, from those judged blind: of
    all, and of each label and segment with boundaries of its own now or then. Raises Invalid like change_serving."""
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
        **_expected_errors(judged, now, then, live),
    }


def _expected_errors(
    judged: Sequence[JudgedPrediction], now: ServingPolicy, then: ServingPolicy, live: LiveVersion | None
) -> dict[str, Any]:
    alone_now, alone_then = (
        [one for one, decision in zip(judged, _decisions(judged, policy, live), strict=True) if decision == "auto"]
        for policy in (now, then)
    )
    own = [
        *(("label", name) for name in sorted({**now.label_bands, **then.label_bands})),
        *(("segment", name) for name in sorted({**now.segment_bands, **then.segment_bands})),
    ]

    def of(kind: str, name: str, alone: Sequence[JudgedPrediction], policy: ServingPolicy) -> list[JudgedPrediction]:
        return [one for one in alone if name in (_labels(one) if kind == "label" else [_segment(one, policy)])]

    return {
        "error_now": _share_wrong(alone_now),
        "error_then": _share_wrong(alone_then),
        "errors_of": [
            {
                "kind": kind,
                "name": name,
                "now": _share_wrong(of(kind, name, alone_now, now)),
                "then": _share_wrong(of(kind, name, alone_then, then)),
            }
            for kind, name in own
        ],
    }


def _share_wrong(judged: Sequence[JudgedPrediction]) -> dict[str, Any] | None:
    """The share of mistakes with its interval; None of nothing."""
    share = wilson(sum(not one.is_right for one in judged), len(judged))
    return None if share is None else asdict(share)


def accuracy_in_production(*, project: Project) -> LiveAccuracy | None:
    """How often the live version was right of late, from random draws that were judged blind; None on too few."""
    live, _ = selectors.serving_state(project=project)
    if live is None:
        return None
    judged = selectors.judged_predictions(project=project, version_id=live.version_id)
    rarest = min((one.propensity for one in judged if one.propensity), default=1.0)
    return live_accuracy([Judged(one.is_right, one.propensity) for one in judged], clip=max(1 / rarest, 1.0))


def _labels(row: Prediction | JudgedPrediction) -> list[str]:
    return [str(label) for label in (row.value if isinstance(row.value, list) else [row.value])]


def _segment(row: Prediction | JudgedPrediction, policy: ServingPolicy) -> str:
    return segment_of(policy, row.input or {}) or row.segment


def _decisions(
    rows: Sequence[Prediction] | Sequence[JudgedPrediction], policy: ServingPolicy, live: LiveVersion | None
) -> list[str]:
    routing, edges = routing_rules(policy, live), edge_rules_of(policy)
    found: list[str] = []
    for row in rows:
        data = row.input or {}
        edge = next((rule.why for rule in edges if rule.when.applies(data)), "")
        # The number that the bands looked at was logged: on which scale does not matter any more.
        certainty = Confidence(row.certainty or 0.0, row.certainty or 0.0, "probability")
        way = route(certainty, _labels(row), routing, draw=1.0, segment=_segment(row, policy), edge=edge)
        found.append(way.decision)
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
