"""Learning how people judge, in a worker: fitted anew when enough answers are new, then the items that it moves."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q
from django.utils import timezone

from labeling.core.schema import SchemaRules
from labeling.core.shares import wilson
from labeling.models import (
    Annotation,
    AnnotatorFit,
    ConsensusFit,
    Item,
    Job,
    LabelSchema,
    ModelVote,
    ModelVoter,
    Project,
    Resolution,
)
from labeling.selectors import several_judge
from labeling.services.crowd import load_crowd
from labeling.services.jobs import RunningJob, enqueue_job, running_job
from labeling.services.resolve import NOTABLE, settle_items

if TYPE_CHECKING:
    from labeling.core.agreement.answers import Ints
    from labeling.core.consensus import Consensus
    from labeling.services.crowd import Crowd

# Fewer items with two answers teach nothing about people that their prior does not say better.
LEAST_ITEMS = 20
# Fitted again after so many new answers, or this share of those it knew.
NEW_ANSWERS = 50
NEW_SHARE = 0.1
_BATCH = 500


def request_consensus(*, project: Project, reason: str, user: Any = None) -> Job:
    """The queued job that learns how the project's people judge and settles again what that changes."""
    return enqueue_job(
        kind="consensus",
        task="labeling.fit_consensus",
        project=project,
        reason=reason,
        created_by=user,
        lane=consensus_lane(project),
    )


def consensus_lane(project: Project) -> str:
    return f"consensus:{project.pk}"


def check_consensus() -> int:
    """Requests a fit for every project that has something new to learn: how many.

    That is enough new answers where several people judge items, or labels that the last fit does not know.
    """
    n_requested = 0
    for project in Project.objects.filter(has_single_truth=True).select_related("consensus_fit"):
        reason = _whats_new(project)
        if reason:
            request_consensus(project=project, reason=reason)
            n_requested += 1
    return n_requested


def _whats_new(project: Project) -> str:
    """Why to fit again, "" when there is no reason to. Counts at most what is new."""
    fit = getattr(project, "consensus_fit", None)
    learned = tuple(fit.parameters["labels"]) if fit else ()
    if learned and learned != LabelSchema.objects.current(project.pk).rules.labels:
        return "the labels have changed"
    enough = NEW_ANSWERS if fit is None else max(NEW_ANSWERS, int(NEW_SHARE * fit.n_annotations))
    live = Annotation.objects.live().filter(project=project)
    new = live.filter(pk__gt=fit.last_annotation if fit else 0)[:enough].count()
    return f"{new:,} new answers" if new >= enough and several_judge(project=project) else ""


def fit_consensus(*, job_id: str) -> None:
    """Runs a consensus job. Done again it finds the same."""
    with running_job(job_id) as job:
        if job is not None:
            job.finish(_fit(job))


def _fit(job: RunningJob) -> dict[str, Any]:
    project = job.project
    schema = LabelSchema.objects.current(project.pk)
    crowd = load_crowd(project=project, rules=schema.rules)
    items, people, answers, last = crowd.items.tolist(), crowd.people, crowd.answers, crowd.last
    n_several = int((answers.n_of_item >= 2).sum()) if len(answers) else 0
    why = ""
    if not project.has_single_truth:
        why = "every opinion is kept"
    elif schema.kind == LabelSchema.Kind.CHOICES:
        why = "several labels are settled one by one, by votes"
    elif n_several < LEAST_ITEMS:
        why = f"{n_several} items have two answers; {LEAST_ITEMS} are needed"
    if why:
        # Written down too, so that it is not tried again before there is something new.
        _store(project, {"labels": []}, [], len(answers), last)
        return {"people": 0, "why": why} | _settle_again(job, _unsettled(project))
    job.report(0.1, f"{len(answers):,} answers of {len(people):,} people")
    found, model = _weighed(project, schema.rules, crowd)
    temperature = _temperature(project, schema.rules, items, found)
    parameters = {
        "labels": list(schema.rules.labels),
        "shares": found.shares.round(6).tolist(),
        "shared": found.shared_confusion.round(6).tolist(),
        "temperature": round(temperature, 4),
    }
    if model is not None:
        # Beside the people, not among them: somebody may be called anything.
        parameters["model"] = model
    _store(project, parameters, _people(people, schema.rules, found), len(answers), last)
    job.report(0.4, "settling again what it changes")
    moved = _moved(project, schema.rules, items, answers.n_of_item, found, temperature)
    facts = {"people": len(people), "items": n_several, "temperature": temperature}
    facts["model_votes"] = model["n"] if model else 0
    return facts | _settle_again(job, moved)


def _weighed(project: Project, rules: SchemaRules, crowd: "Crowd") -> tuple["Consensus", dict[str, Any] | None]:
    """What the answers say, and how the model judges if it has a vote among them."""
    import numpy as np

    from labeling.core.consensus import dawid_skene, with_voter

    # All whose name is not known are one: as many people of one answer each would fit any truth.
    answers = replace(crowd.answers, annotator=np.minimum(crowd.answers.annotator, len(crowd.people)))
    voter = ModelVoter.objects.filter(project=project, why_not="").first()
    votes = _model_votes(project, rules, crowd) if voter else None
    if voter is None or votes is None:
        return dawid_skene(answers), None
    model = answers.n_annotators
    found = dawid_skene(with_voter(answers, votes), model=model, model_at_most=_at_most(voter))
    return found, _judge_body(found, model, rules) | {"n": int((votes >= 0).sum())}


def _at_most(voter: ModelVoter) -> float:
    """How often a model may be taken to be right: the upper limit of what the audit split says."""
    share = wilson(voter.evidence.get("n_right", 0), voter.evidence.get("n", 0))
    return share.high if share else 1.0


def _model_votes(project: Project, rules: SchemaRules, crowd: "Crowd") -> "Ints | None":
    """The model's label of each item, -1 where it has no vote: too few answers for it to be one among several, an audit
    item, or one whose answers know what the model says. None when too few are left to learn how it judges.
    """
    import numpy as np

    found = np.full(len(crowd.items), -1, dtype=np.int64)
    place = {pk: number for number, pk in enumerate(crowd.items.tolist())}
    code = {label: number for number, label in enumerate(rules.labels)}
    votes = ModelVote.objects.counting().filter(project=project).values_list("item_id", "value")
    for pk, value in votes.iterator(chunk_size=10_000):
        if pk in place:
            found[place[pk]] = code.get(str(value), -1)
    found[crowd.answers.n_of_item < 2] = -1
    return found if (found >= 0).sum() >= LEAST_ITEMS else None


def _temperature(project: Project, rules: SchemaRules, items: list[int], found: "Consensus") -> float:
    """How much too sure the posterior is, from items whose answer is known; 1 while they are too few."""
    import numpy as np

    from labeling.core.consensus import fit_temperature

    code = {label: number for number, label in enumerate(rules.labels)}
    known = Item.objects.filter(project=project, gold__isnull=False).values_list("id", "gold")
    gold = {pk: code[str(value)] for pk, value in known.iterator() if str(value) in code}
    places = [place for place, pk in enumerate(items) if pk in gold]
    truth = np.array([gold[items[place]] for place in places], dtype=np.int64)
    return fit_temperature(found.posterior[places], truth) or 1.0


def _people(names: list[str], rules: SchemaRules, found: "Consensus") -> list[AnnotatorFit]:
    rows = []
    for number, name in enumerate(names):
        kind, _, who = name.partition(":")
        rows.append(
            AnnotatorFit(
                user_id=int(who) if kind == "user" else None,
                rater=who if kind == "rater" else "",
                parameters=_judge_body(found, number, rules),
            )
        )
    return rows


def _judge_body(found: "Consensus", number: int, rules: SchemaRules) -> dict[str, Any]:
    judge = found.judge_of(number, rules.labels)
    return {"seen": judge.seen, "said": judge.said, "accuracy": round(found.accuracy_of(number), 4)}


def _store(project: Project, parameters: dict[str, Any], people: list[AnnotatorFit], n: int, last: int) -> None:
    known = {"parameters": parameters, "n_annotations": n, "last_annotation": last, "fitted_at": timezone.now()}
    with transaction.atomic():
        fit, _ = ConsensusFit.objects.update_or_create(project=project, defaults=known)
        AnnotatorFit.objects.filter(fit=fit).delete()
        for row in people:
            row.fit = fit
        AnnotatorFit.objects.bulk_create(people, batch_size=500)


def _unsettled(project: Project) -> list[int]:
    """Items in dispute, open ones that somebody has answered, and those settled as the project no longer does."""
    answered = Annotation.objects.live().filter(item_id=OuterRef("pk"))
    unsettled = Item.objects.filter(
        Q(state=Item.State.DISPUTED) | Q(Exists(answered), state=Item.State.OPEN), project=project
    )
    method = Resolution.Method
    other = method.OPINIONS if project.has_single_truth else method.CONSENSUS
    otherwise = Resolution.objects.filter(project=project, superseded_at__isnull=True, method=other)
    return [*unsettled.values_list("pk", flat=True), *otherwise.values_list("item_id", flat=True)]


def _moved(
    project: Project, rules: SchemaRules, items: list[int], n_of_item: Any, found: "Consensus", temperature: float
) -> list[int]:
    """The unsettled items, and the settled ones whose value or posterior this fit sees clearly otherwise."""
    from labeling.core.consensus import recalibrate

    place = {pk: number for number, pk in enumerate(items)}
    posterior = recalibrate(found.posterior, temperature)
    best, surest = posterior.argmax(axis=1), posterior.max(axis=1)
    moved = _unsettled(project)
    consensus = Resolution.objects.filter(
        project=project, superseded_at__isnull=True, method=Resolution.Method.CONSENSUS, n_annotations__gt=1
    )
    for pk, value, stored in consensus.values_list("item_id", "value", "posterior").iterator(chunk_size=10_000):
        number = place.get(pk)
        if number is None or n_of_item[number] < 2:
            continue
        if rules.labels[best[number]] != str(value) or abs(surest[number] - (stored or 0.0)) > NOTABLE:
            moved.append(pk)
    return moved


def _settle_again(job: RunningJob, item_ids: list[int]) -> dict[str, Any]:
    counts: dict[str, int] = {}
    for start in range(0, len(item_ids), _BATCH):
        part = item_ids[start : start + _BATCH]
        for state, n in settle_items(project=job.project, item_ids=part).items():
            counts[state] = counts.get(state, 0) + n
        job.report(0.4 + 0.6 * (start + len(part)) / len(item_ids), f"{start + len(part):,} items settled again")
    return {"settled_again": counts}


def overlap_savings(*, project: Project) -> dict[str, Any] | None:
    """What stopping early saved: answers on items settled by the consensus, against the cap for each of them.

    None when the overlap is fixed or nothing is settled yet. The random share that always gets the most people counts
    as what it costs.
    """
    if not project.policy.stops_early:
        return None
    settled = Resolution.objects.filter(project=project, superseded_at__isnull=True, method=Resolution.Method.CONSENSUS)
    counts = dict(settled.values_list("n_annotations").order_by().annotate(n=Count("id")))
    n_items = sum(counts.values())
    if not n_items:
        return None
    n_answers = sum(given * n for given, n in counts.items())
    return {
        "items": n_items,
        "answers": n_answers,
        "answers_per_item": n_answers / n_items,
        "cap": project.max_overlap,
        "saved": n_items * project.max_overlap - n_answers,
    }
