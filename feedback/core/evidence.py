"""What all that was said and done makes of one item, and what of it a model may learn from.

Thumbs down alone says that an answer is wrong, and among many labels not which one is right: it opens a review and is
no label. A correction is a proposed label; of two labels, the other one is.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from active_learning.core.weak import WeakLabel
from feedback.core.signals import speaks_against

# One subject moves the log-odds by at most so much, whatever they say in however many channels.
MAX_LOG_RATIO = 3.0
# Before so many independent subjects agree, nothing that users say makes an item anything but what was answered.
QUORUM = 3


@dataclass(frozen=True, slots=True)
class Vote:
    """What one subject said or did: the log likelihood ratio of it (reliability.Reliability.weight)."""

    subject: Hashable
    log_ratio: float


def p_wrong(confidence: float, votes: Sequence[Vote]) -> float:
    """The probability that the prediction is wrong, after the model's own and what users say."""
    return probability(odds_of_wrong(confidence, votes))


def odds_of_wrong(confidence: float, votes: Sequence[Vote]) -> float:
    """The logarithm of the odds that it is wrong.

    logit(1 - confidence) plus one vote a subject: their strongest, cut at MAX_LOG_RATIO. Channels of one subject say
    the same thing twice, so they are not added up.
    """
    doubt = min(max(1 - confidence, 0.001), 0.999)
    strongest: dict[Hashable, float] = {}
    for vote in votes:
        if abs(vote.log_ratio) >= abs(strongest.get(vote.subject, 0.0)):
            strongest[vote.subject] = vote.log_ratio
    odds = math.log(doubt / (1 - doubt))
    return odds + sum(max(-MAX_LOG_RATIO, min(MAX_LOG_RATIO, ratio)) for ratio in strongest.values())


def probability(log_odds: float) -> float:
    """What these odds are, however large a crowd has made them."""
    if log_odds >= 0:
        return 1 / (1 + math.exp(-log_odds))
    odds = math.exp(log_odds)
    return odds / (1 + odds)


@dataclass(frozen=True, slots=True)
class Said:
    """What one verified subject said and did about one prediction: signals by name, and what they say is right."""

    subject: str
    network: str
    signals: tuple[str, ...]
    correction: Any = None


def weak_label(
    answered: Any,
    confidence: float,
    said: Sequence[Said],
    *,
    weights: Mapping[str, float],
    trust: Callable[[str], float],
    corrections_right: float,
    other: Any = None,
) -> WeakLabel | None:
    """The label that a model may learn for an item that was answered with `answered`; None where users leave it open.

    `weights` are those of the signals (0 for one that has not earned any), `trust` how far each subject is believed, 0
    to 1, `corrections_right` the share of corrections that are right where the answer was wrong, and `other` the other
    label where there are two. Against the answer it takes QUORUM subjects.
    """
    votes: list[Vote] = []
    against: dict[str, str] = {}
    backing: dict[str, str] = {}
    for one in said:
        for name in one.signals:
            ratio = weights.get(name, 0.0) * trust(one.subject)
            votes.append(Vote(one.subject, ratio))
            if ratio:
                (against if speaks_against(name) else backing)[one.subject] = one.network
    doubt = p_wrong(confidence, votes)
    if doubt <= 0.5:
        return WeakLabel(answered, 1 - doubt, tuple(sorted(backing.items())), other) if backing else None
    if other is not None:
        enough = len(against) >= QUORUM
        return WeakLabel(other, doubt, tuple(sorted(against.items())), answered) if enough else None
    if not weights.get("correction"):
        return None
    proposals = [(one.subject, one.correction) for one in said if one.correction is not None]
    proposed, backers = _proposed(proposals)
    if proposed is None:
        return None
    network_of = {one.subject: one.network for one in said}
    return WeakLabel(proposed, doubt * corrections_right, tuple((who, network_of[who]) for who in sorted(backers)))


def _proposed(corrections: Sequence[tuple[str, Any]]) -> tuple[Any, list[str]]:
    """The value that at least QUORUM subjects propose, of (subject, value) pairs, and who does; None where fewer do, or
    two values have so many. The last word of a subject counts."""
    backers: dict[str, list[str]] = defaultdict(list)
    values = {}
    for subject, value in dict(corrections).items():
        backers[repr(value)].append(subject)
        values[repr(value)] = value
    enough = [key for key, subjects in backers.items() if len(subjects) >= QUORUM]
    return (values[enough[0]], backers[enough[0]]) if len(enough) == 1 else (None, [])
