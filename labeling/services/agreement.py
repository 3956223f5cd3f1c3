"""How far people agree, measured in a worker and stored once, so that no page computes it."""

from dataclasses import asdict
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from django.db.models import Avg, Count
from django.utils import timezone

from labeling.core.shares import wilson
from labeling.models import (
    AgreementReport,
    Annotation,
    AnnotatorFit,
    ConsensusFit,
    Item,
    Job,
    LabelSchema,
    ModelVoter,
    Project,
    Resolution,
    SecondLook,
)
from labeling.selectors import has_shared_items
from labeling.services.consensus import overlap_savings
from labeling.services.crowd import Crowd, known_answers, load_crowd, names_on_screen
from labeling.services.doubts import doubtful_items
from labeling.services.influence import share_body, suggestion_influence
from labeling.services.jobs import RunningJob, enqueue_job, running_job
from labeling.services.resolve import person_name
from labeling.services.versions import agreement_between_versions

if TYPE_CHECKING:
    from labeling.core.agreement.answers import Answers

# Measured again after so many new answers, or this share of those it knew.
NEW_ANSWERS = 20
NEW_SHARE = 0.05
# Fewer items of the random share say nothing yet.
LEAST_IN_SAMPLE = 20


def request_agreement(*, project: Project, reason: str, user: Any = None) -> Job:
    """The queued job that measures how far the project's people agree."""
    return enqueue_job(
        kind="agreement",
        task="labeling.measure_agreement",
        project=project,
        reason=reason,
        created_by=user,
        lane=_lane(project),
    )


def _lane(project: Project) -> str:
    return f"agreement:{project.pk}"


def check_agreement() -> int:
    """Requests a measurement for every project that has something new to measure: how many.

    That is enough answers that came or went, where items have two, or a second look that has ended.
    """
    n_requested = 0
    for project in Project.objects.select_related("agreement_report"):
        reason = _whats_new(project)
        if not reason or Job.objects.filter(lane=_lane(project), state=Job.State.RUNNING).exists():
            continue
        request_agreement(project=project, reason=reason)
        n_requested += 1
    return n_requested


def _whats_new(project: Project) -> str:
    report = getattr(project, "agreement_report", None)
    if report is not None and not report.is_readable:
        report = None
    ended = SecondLook.objects.filter(project=project, closed_at__isnull=False)
    if ended.filter(closed_at__gt=report.computed_at).exists() if report else ended.exists():
        return "a second look has ended"
    enough = max(NEW_ANSWERS, int(NEW_SHARE * report.n_annotations)) if report else NEW_ANSWERS
    live = Annotation.objects.live().filter(project=project)
    n_new = live.filter(pk__gt=report.last_annotation if report else 0)[:enough].count()
    if n_new >= enough and has_shared_items(project=project):
        return f"{enough:,} new answers or more"
    if report is None:
        return ""
    # Counting them all walks along one index.
    n_gone = report.n_annotations - live.filter(pk__lte=report.last_annotation).count()
    return f"{n_new:,} new answers, {n_gone:,} taken back" if n_gone > 0 and n_gone + n_new >= enough else ""


def measure_agreement(*, job_id: str) -> None:
    """Runs an agreement job. Done again over the same answers it finds the same numbers."""
    with running_job(job_id) as job:
        if job is not None:
            job.finish(_measure(job))


def _measure(job: RunningJob) -> dict[str, Any]:
    project = job.project
    schema = LabelSchema.objects.current(project.pk)
    crowd = load_crowd(project=project, rules=schema.rules)
    # Those to excluded items too: whether answers were taken back shows when they are counted again.
    n_live = Annotation.objects.live().filter(project=project, pk__lte=crowd.last).count()
    job.report(0.4, f"{len(crowd.answers):,} answers of {len(crowd.people):,} people")
    result = _report(project, schema, crowd)
    known = {
        "result": result,
        "n_annotations": n_live,
        "last_annotation": crowd.last,
        "computed_at": timezone.now(),
    }
    AgreementReport.objects.update_or_create(project=project, defaults=known)
    return {"items": result["n"]["items"], "answers": result["n"]["labels"], "people": len(result["people"])} | (
        {"why": result["why"]} if result["why"] else {}
    )


def _report(project: Project, schema: LabelSchema, crowd: Crowd) -> dict[str, Any]:
    from labeling.core.agreement.summary import Asked, summarize

    rules = schema.rules
    asked = Asked(rules.labels, "ordinal" if rules.kind == "rating" else "nominal", crowd.sets)
    sample = _sample(project, crowd)
    answers, when = crowd.answers, crowd.when
    n_all = _n_several(answers)
    too_few = ""
    if sample is not None:
        answers, when = answers.where(sample), when[sample]
        too_few = _too_few(_n_several(answers), n_all, project)
        if too_few:
            answers, when = answers.where(sample[:0].astype(bool)), when[:0]
    result = summarize(answers, when, asked, len(crowd.people))
    result["format"] = AgreementReport.FORMAT
    result["method"] |= {"kind": rules.kind, "labels": list(rules.labels), "schema_version": schema.version}
    result["filter"] = {
        "items": "all" if sample is None else "random full-overlap share",
        "share": None if sample is None else project.policy.rule.forced_share,
        "n_items_all": n_all,
        "n_answers_all": len(crowd.answers),
        "n_people_named": len(crowd.people),
        "n_left_out": crowd.n_left_out,
    }
    result["why"] = too_few or _why_nothing(result, crowd)
    result["too_few"] = bool(too_few)
    result["versions"] = _versions(project, crowd, result["windows"])
    result["people"], result["names"] = _people(project, crowd, result)
    result["between_versions"] = agreement_between_versions(project=project, rules=rules, crowd=crowd, sample=sample)
    result["influence"] = suggestion_influence(project=project, crowd=crowd)
    result["doubtful"] = doubtful_items(project=project, rules=rules, crowd=crowd)
    result["consensus"] = _consensus(project)
    return result


def _n_several(answers: "Answers") -> int:
    return int((answers.without_repeats().n_of_item >= 2).sum()) if len(answers) else 0


def _sample(project: Project, crowd: Crowd) -> Any:
    """Which answers are to items of the random share; None where all items are asked alike.

    Where clear items are asked of fewer people, those with many answers are the hard ones.
    """
    import numpy as np

    policy = project.policy
    if not policy.stops_early:
        return None
    hashes = Item.objects.filter(project=project).values_list("pk", "content_hash").order_by()
    forced = {pk for pk, key in hashes.iterator(chunk_size=10_000) if policy.is_forced(key)}
    is_forced = np.array([pk in forced for pk in crowd.items.tolist()], dtype=bool)
    return is_forced[crowd.answers.item] if len(crowd.answers) else np.zeros(0, dtype=bool)


def _too_few(n: int, n_all: int, project: Project) -> str:
    if n >= LEAST_IN_SAMPLE:
        return ""
    share = project.policy.rule.forced_share
    more = LEAST_IN_SAMPLE - n
    text = (
        f"Not enough yet: about {more} more items of the random share that is always asked to the full. Of its items "
        f"{n} have two answers, {LEAST_IN_SAMPLE} are needed."
    )
    if share == 0:
        text = "The random share that is always asked to the full is 0: agreement cannot be measured without bias."
    return f"{text} The other items stop early where people agree, so they would flatter or blame the team."


def _why_nothing(result: dict[str, Any], crowd: Crowd) -> str:
    """Why there is no agreement at all to show; empty when there is."""
    if result["n"]["items"]:
        return ""
    if not len(crowd.answers):
        return "Nobody has answered yet."
    if len(crowd.people) == 1 and int(crowd.answers.n_annotators) == 1:
        return "All answers are one person's. Agreement needs a second person on the same items."
    return "No item has answers of two people yet."


def _versions(project: Project, crowd: Crowd, windows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The schema versions after the first with the window in which each was first answered under."""
    import numpy as np

    versions = LabelSchema.objects.filter(project=project).order_by("version")
    rows = list(versions.values_list("pk", "version", "kind", "config"))
    used, place = np.unique(crowd.schema, return_inverse=True)
    began = np.full(len(used), np.inf)
    np.minimum.at(began, place, crowd.when)
    first_of = dict(zip(used.tolist(), began.tolist(), strict=True))
    found = []
    for before, (pk, version, kind, config) in pairwise(rows):
        first = first_of.get(pk)
        if first is None:
            continue
        inside = next((n for n, window in enumerate(windows) if first <= window["last"]), None)
        what = "guidelines" if (kind, config) == before[2:] else "labels"
        at = datetime.fromtimestamp(first, UTC).isoformat()
        found.append({"version": version, "what": what, "first_seen": at, "window": inside})
    return found


def _people(
    project: Project, crowd: Crowd, result: dict[str, Any]
) -> tuple[list[dict[str, Any]], dict[str, dict[str, str]]]:
    """Everybody who is named, those with most answers first, and the names of all whom the report mentions.

    Answers, seconds and known answers count whether or not somebody shares an item with others.
    """
    import numpy as np

    from labeling.core.agreement.summary import LEAST_ANSWERS, MOST_PEOPLE, medians_by, shares_by

    n_people = len(crowd.people)
    person = crowd.answers.annotator
    named = person < n_people
    medians = medians_by(person[named], crowd.seconds[named], n_people)
    n_answers = np.bincount(person[named], minlength=n_people)
    gold = known_answers(project=project, crowd=crowd)
    # -2 is a known answer too, one that nobody gave.
    known = named & (gold[crowd.answers.item] != -1)
    n_gold, n_right = shares_by(person[known], gold[crowd.answers.item[known]] == crowd.answers.label[known], n_people)
    weights = _weights(project)
    agreeing = {row["person"]: row for row in result["people"]}
    usual = [one.value for number, one in enumerate(medians) if one is not None and n_answers[number] >= LEAST_ANSWERS]
    typical = float(np.median(usual)) if len(usual) >= 3 else None
    rows = []
    for number in np.argsort(-n_answers, kind="stable")[:MOST_PEOPLE].tolist():
        took = medians[number]
        rows.append(
            {
                "person": number,
                "n": int(n_answers[number]),
                "seconds": None if took is None else asdict(took),
                "is_fast": typical is not None
                and took is not None
                and took.n >= LEAST_ANSWERS
                and took.value < typical / 3,
                "gold": share_body(wilson(int(n_right[number]), int(n_gold[number]))),
                "weight": weights.get(crowd.people[number]),
                "with_others": agreeing.get(number),
            }
        )
    mentioned = {row["person"] for row in rows} | set(result["pairs"]["order"])
    numbers = sorted(mentioned)
    called = names_on_screen([crowd.people[number] for number in numbers])
    names = {
        str(number): {"key": crowd.people[number], "name": name} for number, name in zip(numbers, called, strict=True)
    }
    return rows, names


def _weights(project: Project) -> dict[str, dict[str, Any]]:
    """What the consensus takes each person to be, and how many of their answers taught it that."""
    rows = AnnotatorFit.objects.filter(fit__project=project).values_list("user_id", "rater", "parameters")
    return {
        person_name(user_id, rater) or "": {"value": parameters["accuracy"], "n": round(sum(parameters["seen"]))}
        for user_id, rater, parameters in rows
    }


def _consensus(project: Project) -> dict[str, Any]:
    """What is settled, by whom, and at what cost in answers."""
    states = dict(Item.objects.filter(project=project).values_list("state").order_by().annotate(n=Count("pk")))
    current = Resolution.objects.filter(project=project, superseded_at__isnull=True)
    methods = dict(current.values_list("method").order_by().annotate(n=Count("pk")))
    consensus = current.filter(method=Resolution.Method.CONSENSUS)
    return {
        "items": sum(states.values()),
        "states": states,
        "methods": methods,
        "answers_per_item": consensus.aggregate(mean=Avg("n_annotations"))["mean"],
        "savings": overlap_savings(project=project),
        "has_single_truth": project.has_single_truth,
        "is_adaptive": project.policy.stops_early,
        "model": _model_voter(project),
    }


def _model_voter(project: Project) -> dict[str, Any] | None:
    """Whether a model votes, on what evidence, on how many items and how right it is taken to be; None where no model
    was judged yet.
    """
    voter = ModelVoter.objects.filter(project=project).first()
    if voter is None:
        return None
    fit = ConsensusFit.objects.filter(project=project).first()
    judge = (fit.parameters.get("model") if fit else None) or {}
    n = voter.evidence.get("n", 0)
    right, common = voter.evidence.get("n_right", 0), voter.evidence.get("n_common", 0)
    return {
        "source": voter.source,
        "why_not": voter.why_not,
        # It takes a fit after the votes have come until they count.
        "n_items": judge.get("n", 0),
        "weight": judge.get("accuracy"),
        "n_right": right,
        "right": share_body(wilson(right, n)),
        "n_common": common,
        "common": share_body(wilson(common, n)),
    }
