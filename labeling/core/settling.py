"""What follows from the answers that one item has."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from labeling.core.schema import Value

TINY = 1e-12


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


def weigh(shares: Sequence[float], likelihoods: Sequence[Sequence[float]], temperature: float = 1.0) -> list[float]:
    """The posterior of each label from its share and, for each answer given, P(that answer | the label is true).

    Shares and P are learned from all items by `consensus.dawid_skene`, `temperature` from known ones by
    `consensus.fit_temperature`; above 1 it makes the posterior less sure.
    """
    logs = [math.log(max(share, TINY)) for share in shares]
    for column in likelihoods:
        logs = [log + math.log(max(p, TINY)) for log, p in zip(logs, column, strict=True)]
    most = max(logs)
    found = [math.exp((log - most) / temperature) for log in logs]
    total = sum(found)
    return [p / total for p in found]
