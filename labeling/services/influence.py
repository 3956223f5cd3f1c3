"""How much showing the model's suggestion moves people, from the random share on which it was hidden."""

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from labeling.core.influence import LEAST_IN_GROUP, stamps
from labeling.core.shares import Share, wilson
from labeling.models import Annotation, AuditEntry, Item, Project, Resolution
from labeling.services.crowd import Crowd, known_answers, names_on_screen

if TYPE_CHECKING:
    from labeling.core.agreement.answers import Floats, Ints
    from labeling.core.clusters import Grouped

# A table of the votes for every item and label must fit.
_MOST_VOTES = 20_000_000


def suggestion_influence(*, project: Project, crowd: Crowd) -> dict[str, Any]:
    """How much showing a suggestion moves answers; with `why` alone where that cannot be known."""
    policy = Project.SuggestionPolicy
    if project.suggestion_policy != policy.RANDOM or not 0 < project.suggestion_hidden_share < 1:
        seen = "always" if project.suggestion_policy == policy.SHOWN else "never"
        if project.suggestion_policy == policy.RANDOM:
            seen = "never" if project.suggestion_hidden_share >= 1 else "always"
        return {
            "why": f"Suggestions are {seen} shown here, so nobody can know what people would have said otherwise. "
            "Under Settings they can be hidden on a random share."
        }
    import numpy as np

    since = _randomized_since(project)
    drawn = Annotation.objects.live().filter(
        project=project, assignment__suggestion__isnull=False, item__split=Item.Split.POOL
    )
    if since is not None:
        drawn = drawn.filter(assignment__leased_at__gte=since)
    columns = ("pk", "value", "assignment__suggestion_shown", "assignment__suggestion__value")
    places, shown, taken = [], [], []
    at = {pk: number for number, pk in enumerate(crowd.annotation.tolist())}
    for pk, value, was_shown, suggested in drawn.order_by("pk").values_list(*columns).iterator(chunk_size=10_000):
        number = at.get(pk)
        if number is not None:
            places.append(number)
            shown.append(was_shown)
            taken.append(value == suggested)
    place, was_shown, took = np.array(places, dtype=np.int64), np.array(shown, dtype=bool), np.array(taken, dtype=bool)
    n_shown, n_hidden = int(was_shown.sum()), int((~was_shown).sum())
    found: dict[str, Any] = {"why": "", "since": since.isoformat() if since else None}
    found |= {"n_shown": n_shown, "n_hidden": n_hidden}
    if min(n_shown, n_hidden) < LEAST_IN_GROUP:
        found["why"] = (
            f"Not enough data yet: {n_shown:,} answers with the suggestion on screen and {n_hidden:,} with it hidden; "
            f"{LEAST_IN_GROUP} of each are needed."
        )
        return found
    from labeling.core.clusters import LEAST_PEOPLE, Grouped

    grouped = Grouped(crowd.answers.annotator[place], crowd.answers.item[place], was_shown)
    found |= {"n_people": grouped.n_people, "speaks_of_others": grouped.speaks_of_others, "least_people": LEAST_PEOPLE}
    found["taken"] = _compared(took, grouped)
    correct = _correct(project, crowd)[place]
    judged = correct >= 0
    found["accuracy"] = _compared(correct[judged] == 1, grouped.where(judged))
    found["seconds"] = _seconds(crowd.seconds[place], grouped)
    found["people"] = _takers(crowd, crowd.answers.annotator[place], took, was_shown)
    return found


def _randomized_since(project: Project) -> datetime | None:
    """When the share that is hidden was last changed: what was drawn before was drawn otherwise."""
    changes = AuditEntry.objects.filter(project=project, action="project.change").order_by("-pk")
    for at, detail in changes.values_list("at", "detail")[:500]:
        if {"suggestion_policy", "suggestion_hidden_share"} & set(detail):
            return at
    return None


def _compared(is_so: Any, grouped: "Grouped") -> dict[str, Any] | None:
    """A share with suggestions shown and with them hidden, and the difference; None with too few of either."""
    from labeling.core.clusters import compare_shares

    found = compare_shares(is_so, grouped)
    if found is None or min(found.shown.n, found.hidden.n) < LEAST_IN_GROUP:
        return None
    change = {name: round(number, 6) for name, number in asdict(found.change).items()}
    return {
        "shown": share_body(found.shown),
        "hidden": share_body(found.hidden),
        "difference": change,
        "speaks_of_others": grouped.speaks_of_others,
    }


def _seconds(seconds: "Floats", grouped: "Grouped") -> dict[str, Any] | None:
    from labeling.core.clusters import compare_medians

    found = compare_medians(seconds, grouped)
    if found is None or min(found.shown.n, found.hidden.n) < LEAST_IN_GROUP:
        return None
    return {name: {key: round(number, 3) for key, number in one.items()} for name, one in asdict(found).items()} | {
        "speaks_of_others": grouped.speaks_of_others
    }


def _takers(crowd: Crowd, person: "Ints", took: Any, was_shown: Any) -> list[dict[str, Any]]:
    """How often each member takes a suggestion, shown and hidden, those who saw most of them first."""
    from labeling.core.agreement.summary import MOST_PEOPLE, shares_by

    n_people = len(crowd.people)
    n_shown, k_shown = shares_by(person[was_shown], took[was_shown], n_people)
    n_hidden, k_hidden = shares_by(person[~was_shown], took[~was_shown], n_people)
    team = wilson(int(k_hidden.sum()), int(n_hidden.sum()))
    rows: list[dict[str, Any]] = []
    for number in (-n_shown).argsort(kind="stable").tolist():
        shown = wilson(int(k_shown[number]), int(n_shown[number]))
        if shown is None or len(rows) == MOST_PEOPLE:
            break
        hidden = wilson(int(k_hidden[number]), int(n_hidden[number]))
        # Of somebody with few hidden ones nothing can be said but by comparing them with everybody.
        against = hidden if hidden is not None and hidden.n >= LEAST_IN_GROUP else team
        rows.append(
            {
                "person": number,
                "key": crowd.people[number],
                "shown": share_body(shown),
                "hidden": share_body(hidden),
                "stamps": against is not None and stamps(shown, against),
            }
        )
    for row, name in zip(rows, names_on_screen([str(row["key"]) for row in rows]), strict=True):
        row["name"] = name
    return rows


def _correct(project: Project, crowd: Crowd) -> "Ints":
    """Whether each answer is right (1), wrong (0) or nobody can tell (-1).

    Right is the item's known or adjudicated answer; else what most of two or more others said who had no suggestion
    on screen.
    """
    import numpy as np

    answers = crowd.answers
    truth = known_answers(project=project, crowd=crowd)
    place = {pk: number for number, pk in enumerate(crowd.items.tolist())}
    adjudicated = Resolution.objects.filter(
        project=project, superseded_at__isnull=True, method=Resolution.Method.ADJUDICATED
    )
    for pk, value in adjudicated.values_list("item_id", "value").iterator(chunk_size=10_000):
        if pk in place and truth[place[pk]] == -1:
            code = crowd.code_of(value)
            truth[place[pk]] = -2 if code is None else code
    seeing = Annotation.objects.live().filter(project=project, assignment__suggestion_shown=True)
    saw = np.isin(crowd.annotation, np.fromiter(seeing.values_list("pk", flat=True).iterator(), dtype=np.int64))
    correct = np.where(truth[answers.item] != -1, (truth[answers.item] == answers.label).astype(np.int64), -1)
    n_labels = len(answers.names)
    if answers.n_items * n_labels > _MOST_VOTES:
        return correct
    votes = np.bincount(answers.item[~saw] * n_labels + answers.label[~saw], minlength=answers.n_items * n_labels)
    votes = votes.reshape(answers.n_items, n_labels)
    open_ones = np.flatnonzero(correct < 0)
    for start in range(0, len(open_ones), 100_000):
        part = open_ones[start : start + 100_000]
        others = votes[answers.item[part]]
        others[np.arange(len(part)), answers.label[part]] -= (~saw[part]).astype(np.int64)
        most = others.argmax(axis=1)
        top = others[np.arange(len(part)), most]
        others[np.arange(len(part)), most] = -1
        is_clear = (top > others.max(axis=1)) & (top >= 2)
        correct[part[is_clear]] = (most == answers.label[part])[is_clear]
    return correct


def share_body(share: Share | None) -> dict[str, Any] | None:
    """A share as plain values."""
    if share is None:
        return None
    return {
        "value": round(share.value, 6),
        "low": round(share.low, 6),
        "high": round(share.high, 6),
        "n": share.n,
    }
