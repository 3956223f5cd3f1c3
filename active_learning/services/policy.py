"""An owner sets how the project learns."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from active_learning.core.cost_lines import check_costs
from active_learning.core.rules import parse_rules
from active_learning.models import LearningPolicy, TrainingRun
from active_learning.selectors import current_rules, field_names, latest_run, policy_of, strategy_titles
from active_learning.services.triggers import request_features, request_training
from labeling.core.errors import Invalid
from labeling.core.schema import SchemaRules
from labeling.models import Project
from labeling.services.audit import record_audit

SETTINGS = (
    "is_enabled",
    "strategy",
    "learner",
    "exploration_share",
    "retrain_after",
    "retrain_days",
    "retrain_drop",
    "min_seconds_between",
    "queue_size",
    "promotion",
    "uses_weak_labels",
    "rules",
    "fields_left_out",
    "fields_trusted",
    "costs",
    "protected",
    "favourable",
)
_FIELDS = ("fields_left_out", "fields_trusted")
MAX_PROTECTED = 8


def change_policy(*, project: Project, actor: Any, **changes: Any) -> LearningPolicy:
    """The policy with changed settings. They hold from the next training or ordering on."""
    unknown = sorted(set(changes) - set(SETTINGS))
    if unknown:
        raise Invalid(f"{unknown[0]} is not a setting of learning.", fields={unknown[0]: "unknown"})
    schema, rules = current_rules(project)
    if "strategy" in changes and changes["strategy"] not in strategy_titles(schema.kind):
        known = ", ".join(strategy_titles(schema.kind))
        raise Invalid(f"{changes['strategy']} is not a strategy. Strategies: {known}.", fields={"strategy": "unknown"})
    if "rules" in changes:
        try:
            for rule in parse_rules(changes["rules"]):
                rules.check(rule.value)
        except ValueError as error:
            raise Invalid(str(error), fields={"rules": str(error)}) from None
    _check_judging(changes, rules)
    policy = policy_of(project)
    for name in _FIELDS:
        if name in changes:
            changes[name] = _known_fields(policy, name, changes[name])
    before = {name: getattr(policy, name) for name in changes}
    for name, value in changes.items():
        setattr(policy, name, value)
    try:
        policy.clean_fields(exclude=["project", "featurizer"])
    except ValidationError as error:
        fields = {name: " ".join(texts) for name, texts in error.message_dict.items()}
        raise Invalid("Some settings are out of range.", fields=fields) from None
    changed = {name: [before[name], value] for name, value in changes.items() if before[name] != value}
    if changed:
        with transaction.atomic():
            policy.save(update_fields=list(changed))
            record_audit(action="learning.change", actor=actor, project=project, target=project.slug, detail=changed)
            _learn_by_other_fields(project, actor, policy, changed)
    return policy


def _known_fields(policy: LearningPolicy, setting: str, names: list[str]) -> list[str]:
    """The names in order, each once. Raises Invalid for one that no item has, as far as the items were looked at."""
    chosen = sorted(set(names))
    known = field_names(policy)
    unknown = [name for name in chosen if name not in known]
    if known and unknown:
        text = f"No field is called {unknown[0]}. There are: {', '.join(known[:20])}."
        raise Invalid(text, fields={setting: text})
    return chosen


def _learn_by_other_fields(project: Project, actor: Any, policy: LearningPolicy, changed: dict[str, Any]) -> None:
    """What has been learned, or refused, was learned from other fields: asks for features and a training."""
    if not policy.is_enabled or latest_run(project=project) is None:
        return
    if "fields_left_out" in changed:
        reason = f"fields left out: {', '.join(policy.fields_left_out) or 'none'}"
        request_features(project=project, reason=reason)
    elif "fields_trusted" in changed:
        reason = f"fields trusted: {', '.join(policy.fields_trusted) or 'none'}"
    else:
        return
    request_training(project=project, reason=reason, trigger=TrainingRun.Trigger.FEATURES, actor=actor)


def _check_judging(changes: dict[str, Any], rules: SchemaRules) -> None:
    if "costs" in changes:
        try:
            check_costs(changes["costs"], rules.labels, is_multilabel=rules.kind == "choices")
        except ValueError as error:
            raise Invalid(str(error), fields={"costs": str(error)}) from None
    if "protected" in changes:
        keys = changes["protected"]
        is_list = isinstance(keys, list) and all(isinstance(key, str) and key.strip() for key in keys)
        if not is_list or len(keys) > MAX_PROTECTED:
            text = f"Protected segments are up to {MAX_PROTECTED} keys of meta."
            raise Invalid(text, fields={"protected": text})
    if changes.get("favourable") and changes["favourable"] not in rules.labels:
        text = f"{changes['favourable']} is not a label of the schema."
        raise Invalid(text, fields={"favourable": text})
