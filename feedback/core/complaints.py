"""How likely an answer is wrong that users complain about: what a look at it is expected to mend."""

import math
from collections.abc import Hashable, Iterable, Mapping

from feedback.core.evidence import Vote, p_wrong

# What a signal counts for before its reliability is known, as a logarithm: a complaint comes three times as often of a
# mistake as of a right answer. What users only do counts for nothing before.
UNPROVEN = math.log(3)
_AGAINST = frozenset(["thumbs_down", "rating_down", "flag_down", "correction"])
_FOR = frozenset(["thumbs_up", "rating_up"])
# Of an answer by the rules, which say nothing of how sure they are.
UNSURE = 0.5


def chance_wrong(
    confidence: float | None, signals: Mapping[Hashable, Iterable[str]], known: Mapping[str, float]
) -> float:
    """The probability that the answer is wrong, after the model's own and what each subject says and does.

    `signals`: the names of each subject's signals (core.report.SIGNALS); of one subject the strongest counts, and of
    equally strong ones that which speaks for a mistake. `known`: the logarithms of those whose reliability is known
    (reliability.Reliability.log_ratio).
    """
    votes = [Vote(subject, _ratio(name, known)) for subject, names in signals.items() for name in names]
    votes.sort(key=lambda vote: vote.log_ratio)  # p_wrong keeps the last of equally strong ones
    return p_wrong(UNSURE if confidence is None else confidence, votes)


def _ratio(name: str, known: Mapping[str, float]) -> float:
    if name in _AGAINST:
        # A channel in which people complain of what is right is worth nothing, and not the contrary.
        return max(0.0, known.get(name, UNPROVEN))
    return min(0.0, known.get(name, -UNPROVEN)) if name in _FOR else known.get(name, 0.0)
