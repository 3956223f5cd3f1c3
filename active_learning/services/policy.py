"""An owner sets how the project learns."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from active_learning.core.cost_lines import check_costs
from active_learning.core.rules import parse_rules
from active_learning.models import LearningPolicy
from active_learning.selectors import current_rules, policy_of, strategy_titles
from labeling.core.errors import Invalid
from labeling.core.schema import SchemaRules
from labeling.models import Project
from labeling.services.audit import record_audit

SETTINGS = (
    "is_enabled",
    "strategy",
    "exploration_share",
    "retrain_after",
    "min_seconds_between",
    "queue_size",
    "promotion",
    "rules",
    "costs",
    "protected",
    "favourable",
)
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
    return policy


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
