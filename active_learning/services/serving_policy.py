"""An owner sets how the project answers its product."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from active_learning.core.expressions import Expression, ExpressionError, parse_expression
from active_learning.core.redaction import KEEPINGS
from active_learning.core.routing import Bands, RoutingRules
from active_learning.models import ServingPolicy, new_stamp
from active_learning.selectors import LiveVersion, current_rules
from labeling.core.drafts import BadValueError, canonical
from labeling.core.errors import Invalid
from labeling.models import Project
from labeling.services.audit import record_audit

SETTINGS = (
    "score_field",
    "score_label",
    "auto_above",
    "review_below",
    "label_bands",
    "segment_field",
    "segment_bands",
    "person_labels",
    "edge_rules",
    "exploration_share",
    "max_wrong",
    "log_fields",
    "keeps_input",
    "keep_days",
)
# What an answer has beside the score.
TAKEN = frozenset(
    [
        "id",
        "value",
        "probabilities",
        "confidence",
        "certainty",
        "wording",
        "reasons",
        "decision",
        "why",
        "model",
        "source",
        "token",
        "input",
        "notice",
    ]
)
MAX_OF_ITS_OWN = 500
MAX_EDGE_RULES = 50
MAX_WHY = 200


@dataclass(frozen=True, slots=True)
class EdgeRule:
    """Inputs of which `when` is true go to a person; `why` is what the person reads."""

    when: Expression
    why: str


def edge_rules_of(policy: ServingPolicy) -> tuple[EdgeRule, ...]:
    """The policy's rules, read. Raises ExpressionError for what was never checked."""
    return _edge_rules(tuple((rule["when"], rule["why"]) for rule in policy.edge_rules))


@lru_cache(maxsize=1_000)
def _edge_rules(stored: tuple[tuple[str, str], ...]) -> tuple[EdgeRule, ...]:
    return tuple(EdgeRule(parse_expression(when), why) for when, why in stored)


def segment_of(policy: ServingPolicy, data: Mapping[str, Any]) -> str:
    """The segment of an input, as its field says; empty without."""
    found = data.get(policy.segment_field) if policy.segment_field else None
    return "" if found is None else str(found)[:100]


def routing_rules(policy: ServingPolicy, live: LiveVersion | None) -> RoutingRules:
    """The policy as the routing reads it, for this version.

    Where a share of mistakes is promised, the model decides alone above the threshold that this version has earned, and
    nothing before it has earned one. Labels that people can no longer give are theirs to replace.
    """
    auto_above = policy.auto_above
    if policy.max_wrong is not None:
        auto_above = max(earned_threshold(policy, live), policy.review_below)
    return RoutingRules(
        bands=Bands(policy.review_below, auto_above),
        by_label={label: _own_bands(bands, policy, auto_above) for label, bands in policy.label_bands.items()},
        by_segment={name: _own_bands(bands, policy, auto_above) for name, bands in policy.segment_bands.items()},
        person_labels=frozenset(map(str, policy.person_labels)) | (live.gone_labels if live else frozenset()),
        exploration_share=policy.exploration_share,
    )


def earned_threshold(policy: ServingPolicy, live: LiveVersion | None) -> float:
    """What this version has earned under the present promise; 1, above which nothing is, before that."""
    found = policy.certificate
    is_of_now = live is not None and found.get("version") == live.number and found.get("alpha") == policy.max_wrong
    threshold = found.get("threshold") if is_of_now else None
    return 1.0 if threshold is None else float(threshold)


def _own_bands(bands: Sequence[float], policy: ServingPolicy, auto_above: float) -> Bands:
    """Bands of a label or a segment may be stricter than what was earned, never looser."""
    own = Bands(*bands)
    return own if policy.max_wrong is None else Bands(own.review_below, max(own.auto_above, auto_above))


def change_serving(*, project: Project, actor: Any, **changes: Any) -> ServingPolicy:
    """The policy with changed settings. They hold from the next request on, in every process."""
    unknown = sorted(set(changes) - set(SETTINGS))
    if unknown:
        raise Invalid(f"{unknown[0]} is not a setting of serving.", fields={unknown[0]: "unknown"})
    with transaction.atomic():
        policy, _ = ServingPolicy.objects.select_for_update().get_or_create(project=project)
        before = {name: getattr(policy, name) for name in changes}
        for name, value in changes.items():
            setattr(policy, name, value)
        check_policy(policy)
        changed = {name: [before[name], value] for name, value in changes.items() if before[name] != value}
        if changed:
            policy.stamp = new_stamp()
            policy.save(update_fields=[*changed, "stamp"])
            record_audit(action="serving.change", actor=actor, project=project, target=project.slug, detail=changed)
    return policy


def check_policy(policy: ServingPolicy) -> None:
    """Raises Invalid for settings that contradict the project, or each other."""
    try:
        policy.clean_fields(exclude=["project"])
    except ValidationError as error:
        fields = {name: " ".join(texts) for name, texts in error.message_dict.items()}
        raise Invalid("Some settings are out of range.", fields=fields) from None
    if not re.fullmatch(r"[A-Za-z]\w*", policy.score_field, re.ASCII) or policy.score_field in TAKEN:
        text = "A score field is a name of letters, digits and _, and none that an answer has already."
        raise Invalid(text, fields={"score_field": text})
    _, rules = current_rules(policy.project)
    for name, labels in (
        ("score_label", [policy.score_label] if policy.score_label else []),
        ("person_labels", policy.person_labels),
        ("label_bands", list(policy.label_bands)),
    ):
        strange = [label for label in labels if label not in rules.labels]
        if strange:
            raise Invalid(f"{strange[0]} is not a label of this project.", fields={name: "unknown label"})
    _check_bands("auto_above", [policy.review_below, policy.auto_above])
    for name in ("label_bands", "segment_bands", "log_fields"):
        _check_stored(name, getattr(policy, name))
        if len(getattr(policy, name)) > MAX_OF_ITS_OWN:
            raise Invalid(f"{name} has more than {MAX_OF_ITS_OWN} entries.", fields={name: "too many"})
    for name in ("label_bands", "segment_bands"):
        for of, bands in getattr(policy, name).items():
            _check_bands(name, bands, of)
    policy.edge_rules = _checked_rules(policy.edge_rules)
    if policy.segment_bands and not policy.segment_field:
        raise Invalid("Say which field holds the segment.", fields={"segment_field": "required"})
    if any(keeping not in KEEPINGS for keeping in policy.log_fields.values()):
        raise Invalid(f"A field is kept as {', '.join(KEEPINGS)}.", fields={"log_fields": "unknown"})


def _checked_rules(rules: Any) -> list[dict[str, str]]:
    if not isinstance(rules, list) or len(rules) > MAX_EDGE_RULES:
        raise Invalid(f"Rules are a list of at most {MAX_EDGE_RULES}.", fields={"edge_rules": "not a short list"})
    checked = []
    for place, rule in enumerate(rules):
        name = f"edge_rules[{place}]"
        when = rule.get("when") if isinstance(rule, dict) else None
        why = rule.get("why", "") if isinstance(rule, dict) else None
        if not isinstance(when, str) or not isinstance(why, str) or len(why) > MAX_WHY:
            text = f'A rule is {{"when": "amount > 1000", "why": at most {MAX_WHY} characters}}.'
            raise Invalid(text, fields={name: text})
        try:
            parse_expression(when)
        except ExpressionError as error:
            text = f"At character {error.position + 1}: {error.message}"
            raise Invalid(f"Rule {place + 1} cannot be read. {text}", fields={f"{name}.when": text}) from None
        checked.append({"when": when, "why": why.strip() or when[:MAX_WHY]})
    return checked


def _check_stored(name: str, value: Any) -> None:
    try:
        canonical(value, name)
    except BadValueError as error:
        raise Invalid(error.message, fields={name: error.message}) from None


def _check_bands(name: str, bands: list[float], of: str = "") -> None:
    try:
        Bands(*bands)
    except (TypeError, ValueError) as error:
        words = f"{of}: {error}" if of else str(error)
        raise Invalid(words, fields={name: words}) from None
