"""How sure the answers to one item make each label, from what is known of who gave them.

Plain Python, because it runs inside every submit: the fit itself (consensus.py) needs arrays and runs in a worker.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# An unknown person is taken to know the answer with this probability and else to guess.
KNOWS = 0.7
# What a person's own confusion has to stand up against, in answers for each true label.
OWN_STRENGTH = 4.0
TINY = 1e-12
# Less likely labels are not kept in a soft label.
LEAST_KEPT = 0.001


def weigh(shares: Sequence[float], likelihoods: Iterable[Sequence[float]], temperature: float = 1.0) -> list[float]:
    """The posterior of each label from its share and, for each answer given, P(that answer | the label is true).

    Above 1 the temperature makes it less sure.
    """
    logs = [math.log(max(share, TINY)) for share in shares]
    for column in likelihoods:
        logs = [log + math.log(max(p, TINY)) for log, p in zip(logs, column, strict=True)]
    most = max(logs)
    found = [math.exp((log - most) / temperature) for log in logs]
    total = sum(found)
    return [p / total for p in found]


@dataclass(frozen=True, slots=True)
class Judge:
    """What one person was found to say. `seen`: answers for each true label; `said`: P(answer | each true label)."""

    seen: Sequence[float]
    said: Mapping[str, Sequence[float]]


@dataclass(frozen=True, slots=True)
class Judges:
    """Everybody's confusion, and that of each person who is known.

    `shares`: how common each label is; `shared`: a row a true label, a column an answer. `temperature` is what the
    posterior was found to be too sure by on items whose answer is known. `model` is how a model judges, where one has
    a vote; it has no name among `people`, because a person may be called anything.
    """

    labels: Sequence[str]
    shares: Sequence[float]
    shared: Sequence[Sequence[float]]
    people: Mapping[str, Judge] = field(default_factory=dict)
    temperature: float = 1.0
    model: Judge | None = None

    def posterior(
        self,
        votes: Iterable[tuple[str | None, str]],
        model: str | None = None,
        *,
        taught: Mapping[str, float] | None = None,
    ) -> dict[str, float]:
        """The probability of each label after the votes (person, label); None is a person of whom nothing is known.

        Dawid and Skene (1979): each answer multiplies the odds by how often this person gives it for each truth.
        `model` is the model's vote. Votes for labels that are not among `labels` count for nothing, and so does the
        vote of a model of which nothing is known.

        `taught` is the item's posterior as its people were learned from it: what their votes on it taught about them is
        then taken out again. With many labels a person has few answers for each, and believes themself.
        """
        place = {label: number for number, label in enumerate(self.labels)}
        known = [(self.people.get(person) if person is not None else None, label) for person, label in votes]
        if taught is not None:
            own = [taught.get(label, 0.0) for label in self.labels]
            known = [(judge and self._without(judge, label, place, own), label) for judge, label in known]
        if model is not None and self.model is not None:
            known.append((self.model, model))
        columns = [self._likelihood(judge, label, place[label]) for judge, label in known if label in place]
        found = weigh(self.shares, columns, self.temperature)
        return dict(zip(self.labels, found, strict=True))

    def _without(self, judge: Judge, label: str, place: Mapping[str, int], own: Sequence[float]) -> Judge:
        """The judge as if they had not given one answer, to an item whose truth has the probabilities `own`."""
        if label not in judge.said or label not in place:
            return judge
        # One or two answers fill few of a row's many cells; the prior is worth at least an answer for each.
        strength = max(OWN_STRENGTH, float(len(self.labels)))
        rows = zip(judge.said[label], (row[place[label]] for row in self.shared), judge.seen, own, strict=True)
        said = []
        for p, everybody, seen, truth in rows:
            n_said = max(0.0, p * (seen + OWN_STRENGTH) - OWN_STRENGTH * everybody - truth)
            said.append((n_said + strength * everybody) / (max(0.0, seen - truth) + strength))
        return Judge(judge.seen, {label: said})

    def _likelihood(self, judge: Judge | None, label: str, column: int) -> Sequence[float]:
        everybody = [row[column] for row in self.shared]
        if judge is None:
            return everybody
        if label in judge.said:
            return judge.said[label]
        return [p * OWN_STRENGTH / (seen + OWN_STRENGTH) for p, seen in zip(everybody, judge.seen, strict=True)]


def unfitted(labels: Sequence[str]) -> Judges:
    """Before anything is known of the people: each knows the answer with probability KNOWS, labels are as common."""
    n = len(labels)
    guess = (1 - KNOWS) / n
    shared = [[guess + KNOWS * (truth == answer) for answer in range(n)] for truth in range(n)]
    return Judges(labels, [1 / n] * n, shared)


def judges_from(parameters: Mapping[str, Any], people: Mapping[str, Mapping[str, Any]]) -> Judges:
    """The judges of a stored fit and of the people that matter now."""
    model = parameters.get("model")
    return Judges(
        parameters["labels"],
        parameters["shares"],
        parameters["shared"],
        {name: Judge(one["seen"], one["said"]) for name, one in people.items()},
        parameters.get("temperature", 1.0),
        Judge(model["seen"], model["said"]) if model else None,
    )


def soft_label(posterior: Mapping[str, float]) -> dict[str, float]:
    """The posterior as it is stored: likeliest first, rounded, without what is next to impossible."""
    likely = sorted(posterior.items(), key=lambda one: -one[1])
    return {label: round(p, 4) for label, p in likely if p >= LEAST_KEPT}
