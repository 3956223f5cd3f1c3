"""What follows from the answers that an item has: settle it, ask more people, or put it before a reviewer."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from labeling.core.judges import Judges, soft_label
from labeling.core.overlap import OverlapRule
from labeling.core.schema import SchemaRules, Value


@dataclass(frozen=True, slots=True)
class Verdict:
    """The value most people gave and its share of the answers; `value` is None when the answers are tied."""

    value: Value | None
    share: float
    n: int


def plurality(values: Sequence[Value]) -> Verdict:
    """The most frequent answer. Sets of labels are decided label by label: in when more than half chose it.

    Raises ValueError without answers: there is nothing to settle.
    """
    if not values:
        raise ValueError("plurality of no answers")
    n = len(values)
    if isinstance(values[0], list):
        return _labelwise([set(v) for v in values if isinstance(v, list)], n)
    counts = Counter(values).most_common()
    top, votes = counts[0]
    if len(counts) > 1 and counts[1][1] == votes:
        return Verdict(None, votes / n, n)
    return Verdict(top, votes / n, n)


def _labelwise(answers: list[set[str]], n: int) -> Verdict:
    votes = Counter(label for answer in answers for label in answer)
    share = min((max(count, n - count) / n for count in votes.values()), default=1.0)
    if any(2 * count == n for count in votes.values()):
        return Verdict(None, share, n)
    return Verdict(sorted(label for label, count in votes.items() if 2 * count > n), share, n)


@dataclass(frozen=True, slots=True)
class Opinion:
    """One live answer. `person` is None for somebody who cannot be told from others."""

    person: str | None
    value: Value


@dataclass(frozen=True, slots=True)
class SettlingPolicy:
    """How many people a project asks, and whether it wants one value from them."""

    rule: OverlapRule
    is_adaptive: bool = False
    has_single_truth: bool = True

    def n_wanted(self, n_given: int, *, is_forced: bool) -> int:
        """Opinions that an open item still wants. An open item with all it had to have wants one more."""
        return max(self.least(is_forced) - n_given, 1)

    def least(self, is_forced: bool) -> int:
        """Opinions without which nothing is decided."""
        return self.rule.cap if is_forced and self.stops_early else self.rule.start

    def is_forced(self, content_hash: str) -> bool:
        """Whether an item belongs to the random share that always gets the most people."""
        return self.stops_early and self.rule.is_forced(content_hash)

    @property
    def stops_early(self) -> bool:
        return self.is_adaptive and self.has_single_truth


@dataclass(frozen=True, slots=True)
class Settlement:
    """What becomes of an item. `value` is None where every opinion is kept side by side."""

    action: Literal["ask", "settle", "dispute"]
    n_more: int = 0
    value: Value | None = None
    # Of the value; None for a single answer, which is taken at its word.
    posterior: float | None = None
    distribution: dict[str, float] = field(default_factory=dict)
    # What a model said of it, where that counted.
    model_vote: Value | None = None


def settle(
    opinions: Sequence[Opinion],
    *,
    rules: SchemaRules,
    judges: Judges,
    policy: SettlingPolicy,
    is_forced: bool = False,
    model_vote: Value | None = None,
) -> Settlement:
    """What follows from the opinions on one item.

    With a fixed overlap the item takes its likeliest value when that has more than half of the probability and is not
    tied in votes; a tie needs the target posterior, from what other items tell of these people. With an adaptive one it
    is asked on until the target is reached.

    `model_vote` moves the probabilities, and is no opinion: it is not counted among those that are wanted, it counts
    only beside two people's answers, and it does not settle an item as what nobody said.

    Answers with a label that the schema no longer has are no votes. Where they are half of the answers or more, the
    others do not settle the item.
    """
    n, least = len(opinions), policy.least(is_forced)
    if n < least:
        return Settlement("ask", n_more=least - n)
    values = [opinion.value for opinion in opinions]
    if not policy.has_single_truth:
        return Settlement("settle", distribution=vote_shares(values))
    verdict = plurality(values)
    if n == 1:
        return Settlement("settle", value=verdict.value)
    n_votes = sum(all(label in rules.labels for label in _labels_of(value)) for value in values)
    if rules.kind == "choices":
        model_vote = None
        value, posterior, distribution = verdict.value, verdict.share, vote_shares(values)
    else:
        votes = [(opinion.person, str(opinion.value)) for opinion in opinions]
        if judges.model is None or n_votes < 2 or str(model_vote) not in rules.labels:
            model_vote = None
        model_said = None if model_vote is None else str(model_vote)
        chances = judges.posterior(votes, model_said)
        if verdict.value is None:
            # Only what is known of people from other items may break a tie.
            chances = judges.posterior(votes, model_said, taught=chances)
        likeliest = max(chances, key=lambda label: chances[label])
        posterior, distribution = chances[likeliest], soft_label(chances)
        value = int(likeliest) if rules.kind == "rating" else likeliest
        if model_vote is not None and value not in values:
            value = None
    if 2 * n_votes <= n:
        value = None
    if policy.stops_early:
        step = policy.rule.next_step(n, posterior if value is not None else 0.0, forced=is_forced)
        return Settlement(step.action, step.n_more, value, posterior, distribution, model_vote)
    is_tied = verdict.value is None
    is_clear = value is not None and posterior > 0.5 and not (is_tied and posterior < policy.rule.target)
    return Settlement("settle" if is_clear else "dispute", 0, value, posterior, distribution, model_vote)


def vote_shares(values: Sequence[Value]) -> dict[str, float]:
    """The share of the answers that name each label: soft labels as people gave them."""
    named = Counter(label for value in values for label in _labels_of(value))
    return {label: round(count / len(values), 4) for label, count in named.most_common()}


def _labels_of(value: Value) -> list[str]:
    return value if isinstance(value, list) else [str(value)]
