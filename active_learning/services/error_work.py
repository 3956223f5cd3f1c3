"""Groups of errors turned into work: items like them asked next, labels checked, guidelines made clearer."""

from typing import Any

from active_learning import selectors
from active_learning.core.error_words import group_words, guideline_section
from labeling.core.errors import Invalid
from labeling.core.search import MAX_QUERY
from labeling.core.wording import first_words, value_words
from labeling.models import Job, Project
from labeling.services.ask_next import MOST_AT_ONCE, take_out
from labeling.services.jobs import enqueue_job
from labeling.services.label_errors import LabelSuspect, SuspectsSent, send_label_errors, withdraw_label_errors

DEFAULT_SLICE = 50
# In place of a group: all labels that are probably wrong.
ALL = "all"


def request_error_analysis(*, project: Project, user: Any, version: int | None = None) -> Job:
    """The job that looks at the errors of a version: of the live one, else of the newest.

    Raises NotFound for a version that is not there, Invalid without any.
    """
    if version is not None:
        selectors.version_numbered(project=project, number=version)
    elif selectors.newest_version(project=project) is None:
        raise Invalid("There is no model yet whose errors could be looked at. Label some items, and it learns.")
    return enqueue_job(
        kind="errors",
        task="active_learning.run_error_analysis",
        project=project,
        params={"version": version},
        reason=f"{user.get_username()} asked for it",
        created_by=user,
        lane=f"errors:{project.pk}",
        queue="train",
    )


def request_slice(*, project: Project, key: str, n: int, user: Any) -> Job:
    """The job that puts up to `n` open items like a group of errors in front of the queue.

    One that waits already does the same work. Raises NotFound for an unknown group, Invalid for an `n` out of bounds.
    """
    if not 1 <= n <= MOST_AT_ONCE:
        raise Invalid(f"Between 1 and {MOST_AT_ONCE} items can be asked about at once.", fields={"n": str(n)})
    found, row = selectors.error_group(project=project, key=key)
    return enqueue_job(
        kind="error_slice",
        task="active_learning.run_error_slice",
        project=project,
        params={"group": key, "n": n, "version": found["version"], "row": _about(row)},
        reason=f"{n} items like those of “{group_words(row)}”",
        created_by=user,
        lane=f"error_slice:{project.pk}:{key}",
    )


def _about(row: dict[str, Any]) -> dict[str, Any]:
    """What the job needs of a group: the next analysis may replace the rest meanwhile."""
    return {name: row[name] for name in ("key", "kind", "definition", "words")}


def slice_detail(*, version: int, row: dict[str, Any]) -> dict[str, Any]:
    """How items of a slice are named in the queue and in the trail."""
    return {"errors": f"{group_words(row)} (model {version})"[:MAX_QUERY]}


def take_slice_out(*, project: Project, key: str, user: Any) -> int:
    """Takes the slice of a group out of the front again, as far as it is not answered: how many items."""
    found, row = selectors.error_group(project=project, key=key)
    return take_out(project=project, detail=slice_detail(version=found["version"], row=row), actor=user)


def check_labels(*, project: Project, key: str, n: int | None = None, user: Any) -> SuspectsSent:
    """Puts the labels of a group (or of ALL) that are probably wrong before a reviewer, at most `n` of those that wait
    nowhere yet. Raises NotFound for an unknown group."""
    found, suspects = suspects_of(project=project, key=key)
    return send_label_errors(
        project=project,
        suspects=[
            LabelSuspect(
                item_id=one["item"],
                value=one["given"],
                model_value=one["said"],
                p_value=one["p_given"],
                p_model=one["p_said"],
                place=one["place"],
            )
            for one in suspects
        ],
        source=f"model {found['version']}",
        n_looked_at=found["picked"]["n"],
        most=n,
        user=user,
    )


def suspects_of(*, project: Project, key: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The last analysis, and the probable label errors of a group in it, each with its place among all."""
    if key == ALL:
        job = selectors.analysed_errors(project=project)
        found: dict[str, Any] = (job.result or {}) if job else {}
        if not found:
            raise Invalid("Errors have not been looked at yet: do that first.")
    else:
        found, _ = selectors.error_group(project=project, key=key)
    placed = [one | {"place": place} for place, one in enumerate(found["suspects"], start=1)]
    return found, [one for one in placed if key == ALL or key in one["groups"]]


def take_check_back(*, project: Project, key: str, user: Any) -> int:
    """Takes the open label checks of a group (or of ALL) out of the review inbox again: how many."""
    _, suspects = suspects_of(project=project, key=key)
    return withdraw_label_errors(project=project, item_ids=[one["item"] for one in suspects], user=user)


def prepare_guideline(*, project: Project, key: str) -> str:
    """A Markdown section about a group, to be edited and saved under Labels and guidelines.

    Its examples are labeled items of the pool alone: whoever reads an audit item's answer does not judge it blind.
    """
    _, row = selectors.error_group(project=project, key=key)
    schema, _ = selectors.current_rules(project)
    shown = [one for one in row["examples"] if not one["is_audit"]]
    data = selectors.item_data(ids=[one["item"] for one in shown])
    examples = [
        (
            first_words(data[one["item"]], 200),
            ", ".join(word.text for word in value_words(schema.kind, schema.config, one["given"])) or "none",
        )
        for one in shown
        if one["item"] in data
    ]
    return guideline_section(row, examples)
