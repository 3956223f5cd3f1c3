"""How likely an answer is wrong that users complain about: what a look at it is expected to mend."""

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass

from feedback.core.evidence import Vote, odds_of_wrong, probability
from labeling.core.shares import Z95

# What a signal counts for before its reliability is known, as a logarithm: a complaint comes three times as often of a
# mistake as of a right answer. What users only do counts for nothing before.
UNPROVEN = math.log(3)
_AGAINST = frozenset(["thumbs_down", "rating_down", "flag_down", "correction"])
_FOR = frozenset(["thumbs_up", "rating_up"])
# Of an answer by the rules, which say nothing of how sure they are.
UNSURE = 0.5


@dataclass(frozen=True, slots=True)
class Known:
    """What a signal has shown itself to be worth: the logarithm of its likelihood ratio, and its standard error."""

    log_ratio: float
    error: float


@dataclass(frozen=True, slots=True)
class Chance:
    """The probability that an answer is wrong; its 95 % interval where all that moved it was measured, else None."""

    value: float
    low: float | None = None
    high: float | None = None


def chance_wrong(
    confidence: float | None, signals: Mapping[Hashable, Iterable[str]], known: Mapping[str, Known]
) -> Chance:
    """The probability that the answer is wrong, after the model's own and what each subject says and does.

    `signals`: the names of each subject's signals (core.report.SIGNALS); of one subject the strongest counts, and of
    equally strong ones that which speaks for a mistake. `known`: those whose reliability is known. The interval is that
    of their ratios: the model's own doubt is taken as it is, and one ratio is off alike for all whose signal it is.
    """
    strongest: dict[Hashable, tuple[float, str]] = {}
    for subject, names in signals.items():
        votes = [(_ratio(name, known), name) for name in names]
        if votes:
            strongest[subject] = max(votes, key=lambda vote: (abs(vote[0]), vote[0]))
    heard = {subject: Vote(subject, ratio) for subject, (ratio, _) in strongest.items()}
    odds = odds_of_wrong(UNSURE if confidence is None else confidence, list(heard.values()))
    counted = Counter(name for ratio, name in strongest.values() if ratio)
    if not counted or any(name not in known for name in counted):
        return Chance(probability(odds))
    # Beyond MAX_LOG_RATIO a ratio may be off without moving anything; that is left in, which makes the interval wider.
    half = Z95 * math.sqrt(sum((n * known[name].error) ** 2 for name, n in counted.items()))
    return Chance(probability(odds), probability(odds - half), probability(odds + half))


def _ratio(name: str, known: Mapping[str, Known]) -> float:
    found = known[name].log_ratio if name in known else None
    if name in _AGAINST:
        # A channel in which people complain of what is right is worth nothing, and not the contrary.
        return max(0.0, UNPROVEN if found is None else found)
    if name in _FOR:
        return min(0.0, -UNPROVEN if found is None else found)
    return found or 0.0
