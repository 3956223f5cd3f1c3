"""An owner sets how the project answers its product."""

import re
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from active_learning.core.redaction import KEEPINGS
from active_learning.core.routing import Bands
from active_learning.models import ServingPolicy
from active_learning.selectors import current_rules
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
    "exploration_share",
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
        _check(policy)
        changed = {name: [before[name], value] for name, value in changes.items() if before[name] != value}
        if changed:
            policy.save(update_fields=list(changed))
            record_audit(action="serving.change", actor=actor, project=project, target=project.slug, detail=changed)
    return policy


def _check(policy: ServingPolicy) -> None:
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
        if len(getattr(policy, name)) > MAX_OF_ITS_OWN:
            raise Invalid(f"{name} has more than {MAX_OF_ITS_OWN} entries.", fields={name: "too many"})
    for name in ("label_bands", "segment_bands"):
        for bands in getattr(policy, name).values():
            _check_bands(name, bands)
    if policy.segment_bands and not policy.segment_field:
        raise Invalid("Say which field holds the segment.", fields={"segment_field": "required"})
    if any(keeping not in KEEPINGS for keeping in policy.log_fields.values()):
        raise Invalid(f"A field is kept as {', '.join(KEEPINGS)}.", fields={"log_fields": "unknown"})


def _check_bands(name: str, bands: list[float]) -> None:
    try:
        Bands(*bands)
    except (TypeError, ValueError) as error:
        raise Invalid(str(error), fields={name: str(error)}) from None
