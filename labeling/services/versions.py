"""How far labels hold when they are judged again under another version, for the report on agreement."""

from typing import TYPE_CHECKING, Any

from labeling import selectors
from labeling.core.schema import SchemaRules
from labeling.core.second_look import LEAST, Rejudged, by_versions
from labeling.models import LabelSchema, Project
from labeling.services.crowd import Crowd

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def agreement_between_versions(
    *, project: Project, rules: SchemaRules, crowd: Crowd, sample: "NDArray[np.bool_] | None"
) -> dict[str, Any]:
    """Alpha between old and new of each second look, and how often two people agree within one version.

    `sample` are the answers by which the project measures agreement; None: all. Too few of anything are left out.
    """
    alphas = []
    used: set[int] = set()
    for look in selectors.second_looks(project=project):
        for (old, new), pairs in by_versions(selectors.rejudged(look=look)).items():
            used |= {old, new}
            for who, some in _groups(pairs).items():
                if len(some) >= LEAST:
                    row = {"look": look.pk, "old_version": old, "new_version": new, "who": who}
                    alphas.append(row | {"alpha": _alpha(some, rules)})
    return {"alphas": alphas, "within": _within(project, rules, crowd, sample, used)}


def _groups(pairs: list[Rejudged]) -> dict[str, list[Rejudged]]:
    return {
        "all": pairs,
        "author": [one for one in pairs if one.by_author],
        "others": [one for one in pairs if not one.by_author],
    }


def _alpha(pairs: list[Rejudged], rules: SchemaRules) -> dict[str, Any]:
    from labeling.core.agreement.summary import coefficient
    from labeling.core.agreement.versions import alpha_between

    return coefficient(alpha_between([one.old for one in pairs], [one.new for one in pairs], rules.kind))


def _within(
    project: Project, rules: SchemaRules, crowd: Crowd, sample: "NDArray[np.bool_] | None", versions: set[int]
) -> list[dict[str, Any]]:
    from labeling.core.agreement.summary import coefficient
    from labeling.core.agreement.versions import percent_equal

    found = []
    for schema in LabelSchema.objects.filter(project=project, version__in=versions).order_by("version"):
        if not set(schema.rules.labels) <= set(rules.labels):
            continue  # answers with a label that is gone are left out of the crowd: the others agree too well
        given = crowd.schema == schema.pk
        percent = percent_equal(crowd.answers.where(given if sample is None else given & sample), crowd.sets)
        if percent.n.items >= LEAST:
            found.append({"version": schema.version, "percent": coefficient(percent)})
    return found
