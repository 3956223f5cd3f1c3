"""What all that was said and done makes of one prediction, and what of it a model may learn from.

Thumbs down alone says that an answer is wrong, and among many labels not which one is right: it opens a review and is
no label. A correction is a proposed label; of two labels, the other one is.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

# One subject moves the log-odds by at most so much, whatever they say in however many channels.
MAX_LOG_RATIO = 3.0
# Before so many independent subjects agree, nothing that users say changes a label.
QUORUM = 3
# Beside a label that a person gave, which weighs 1: a weak one at most; all of a class together at most of it.
MAX_WEIGHT = 0.3
MAX_CLASS_SHARE = 0.3
MAX_SUBJECT_SHARE = 0.01
MAX_NETWORK_SHARE = 0.05
MAX_INVERSE_PROPENSITY = 20.0


@dataclass(frozen=True, slots=True)
class Vote:
    """What one subject said or did: the log likelihood ratio of it (reliability.Reliability.weight)."""

    subject: Hashable
    log_ratio: float


def p_wrong(confidence: float, votes: Sequence[Vote]) -> float:
    """The probability that the prediction is wrong, after the model's own and what users say.

    logit(1 - confidence) plus one vote a subject: their strongest, cut at MAX_LOG_RATIO. Channels of one subject say
    the same thing twice, so they are not added up.
    """
    doubt = min(max(1 - confidence, 0.001), 0.999)
    strongest: dict[Hashable, float] = {}
    for vote in votes:
        if abs(vote.log_ratio) >= abs(strongest.get(vote.subject, 0.0)):
            strongest[vote.subject] = vote.log_ratio
    odds = math.log(doubt / (1 - doubt))
    odds += sum(max(-MAX_LOG_RATIO, min(MAX_LOG_RATIO, ratio)) for ratio in strongest.values())
    return 1 / (1 + math.exp(-odds))


def proposed_label(corrections: Sequence[tuple[Hashable, Hashable]]) -> Hashable | None:
    """The value that at least QUORUM subjects propose, of (subject, value) pairs; None where fewer or two values do.

    The last word of a subject counts.
    """
    last = dict(corrections)
    backers: dict[Hashable, int] = defaultdict(int)
    for value in last.values():
        backers[value] += 1
    enough = [value for value, n in backers.items() if n >= QUORUM]
    return enough[0] if len(enough) == 1 else None


@dataclass(frozen=True, slots=True)
class WeakLabel:
    """A label that users propose. `certainty` is how likely it is right; `propensity` how likely it was to be shown."""

    value: Hashable
    certainty: float
    subject: Hashable
    network: Hashable = None
    propensity: float = 1.0


def soft_rows(p: float, weight: float) -> tuple[tuple[int, float], tuple[int, float]]:
    """A soft label of two classes as two rows of a training set: (1, weight p) and (0, weight (1 - p))."""
    return (1, weight * p), (0, weight * (1 - p))


def weights_of(labels: Sequence[WeakLabel], gold: Mapping[Hashable, float]) -> list[float]:
    """What each weak label may weigh beside the gold weight of each class (B9, B13).

    Each: its certainty above chance times MAX_WEIGHT, times 1 / propensity cut at MAX_INVERSE_PROPENSITY, and
    MAX_WEIGHT at most. All of a class: MAX_CLASS_SHARE of its total weight at most, so nothing for a class without
    gold. One subject: MAX_SUBJECT_SHARE, one network MAX_NETWORK_SHARE of all that weak labels could weigh in this run.
    """
    share = MAX_CLASS_SHARE / (1 - MAX_CLASS_SHARE)
    budget = {value: share * weight for value, weight in gold.items()}
    weights = [
        min(
            MAX_WEIGHT,
            MAX_WEIGHT
            * max(0.0, 2 * label.certainty - 1)
            * min(1 / max(label.propensity, 1e-9), MAX_INVERSE_PROPENSITY),
        )
        for label in labels
    ]
    total = sum(budget.values())
    weights = _capped(weights, [label.subject for label in labels], lambda _: MAX_SUBJECT_SHARE * total)
    weights = _capped(weights, [label.network for label in labels], lambda one: _network_cap(one, total))
    return _capped(weights, [label.value for label in labels], lambda value: budget.get(value, 0.0))


def _network_cap(network: Hashable, total: float) -> float:
    return math.inf if network is None else MAX_NETWORK_SHARE * total


def _capped(weights: Sequence[float], groups: Sequence[Hashable], cap: Callable[[Hashable], float]) -> list[float]:
    """The weights with each group brought down to its cap, in proportion."""
    sums: dict[Hashable, float] = defaultdict(float)
    for weight, group in zip(weights, groups, strict=True):
        sums[group] += weight
    factor = {group: min(1.0, cap(group) / total) if total else 0.0 for group, total in sums.items()}
    return [weight * factor[group] for weight, group in zip(weights, groups, strict=True)]
