"""What follows from the answers that one item has."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from labeling.core.schema import Value


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
