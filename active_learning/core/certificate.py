"""A threshold that was earned: "of what the model decides alone, at most 2 % is wrong", shown on random audit labels.

Learn then Test (Angelopoulos, Bates, Candès, Jordan and Lei 2021, arXiv:2110.01052) with fixed-sequence testing: the
thresholds are tried from the strictest to the loosest, each by an exact binomial test of "more than that is wrong", and
the last one before the first that is not rejected is taken. Whatever the model, the probability of taking one that
breaks the promise is at most delta.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

# Tried in this order. Which of them comes first depends on how many labels lie above each, never on what they say.
THRESHOLDS = (0.995, 0.99, 0.98, 0.97, 0.96, 0.95, 0.93, 0.9, 0.87, 0.85, 0.8, 0.75, 0.7, 0.6, 0.5, 0.25, 0.0)
DELTA = 0.05
# The first threshold to be tried has so many times the labels that suffice without any mistake among them: one that can
# only be rejected by a perfect record would end the sequence at the first mistake.
ROOM = 2.0
_FURTHEST = 1_000_000


@dataclass(frozen=True, slots=True)
class AuditLabel:
    """A random prediction that a person has judged: how certain the model was, and whether it was right."""

    certainty: float
    is_right: bool


@dataclass(frozen=True, slots=True)
class Certificate:
    """`threshold`: above it the promise is earned; None while it is not.

    `n` labels lie above the threshold (the strictest tried one, where none is earned), `n_wrong` of them mistakes;
    `error_at_most` bounds the error there with confidence 1 - delta. `n_more` random labels would about suffice, if
    mistakes stay as rare as they were; None where it is earned, or where no number would suffice.
    """

    threshold: float | None
    alpha: float
    delta: float
    n: int
    n_wrong: int
    error_at_most: float
    n_labels: int
    n_more: int | None

    @property
    def is_earned(self) -> bool:
        return self.threshold is not None


def certify(labels: Sequence[AuditLabel], alpha: float, delta: float = DELTA) -> Certificate:
    """The loosest threshold above which at most `alpha` is wrong, with probability 1 - `delta` over the labels.

    Raises ValueError unless both lie between 0 and 1.
    """
    if not 0.0 < alpha < 1.0 or not 0.0 < delta < 1.0:
        raise ValueError("the share that may be wrong, and delta, lie between 0 and 1")
    wanted = ROOM * least_labels(alpha, delta)
    counted = [(threshold, *_above(labels, threshold)) for threshold in THRESHOLDS]
    first = next((place for place, (_, n, _) in enumerate(counted) if n >= wanted), len(counted) - 1)
    earned = None
    for threshold, n, n_wrong in counted[first:]:
        if binomial_cdf(n_wrong, n, alpha) > delta:
            break
        earned = (threshold, n, n_wrong)
    threshold, n, n_wrong = earned or counted[first]
    return Certificate(
        threshold=earned[0] if earned else None,
        alpha=alpha,
        delta=delta,
        n=n,
        n_wrong=n_wrong,
        error_at_most=upper_bound(n_wrong, n, delta),
        n_labels=len(labels),
        n_more=None if earned else _more(n, n_wrong, len(labels), alpha, delta, wanted),
    )


def is_broken(labels: Sequence[AuditLabel], threshold: float, alpha: float, delta: float = DELTA) -> bool:
    """Whether newer random labels show that more than `alpha` is wrong above the threshold: then it is revoked."""
    n, n_wrong = _above(labels, threshold)
    return n_wrong > 0 and 1.0 - binomial_cdf(n_wrong - 1, n, alpha) <= delta


def least_labels(alpha: float, delta: float) -> int:
    """How many labels without a mistake reject "more than alpha is wrong"."""
    return math.ceil(math.log(delta) / math.log1p(-alpha))


def binomial_cdf(k: int, n: int, p: float) -> float:
    """P(X <= k) for n draws that succeed with probability p."""
    if k >= n:
        return 1.0
    if k < 0:
        return 0.0
    log_p, log_q = math.log(p), math.log1p(-p)
    whole = math.lgamma(n + 1)
    terms = [whole - math.lgamma(i + 1) - math.lgamma(n - i + 1) + i * log_p + (n - i) * log_q for i in range(k + 1)]
    most = max(terms)
    return min(1.0, math.exp(most) * math.fsum(math.exp(term - most) for term in terms))


def upper_bound(k: int, n: int, delta: float) -> float:
    """The one-sided Clopper-Pearson bound: the error that k mistakes of n leave possible with confidence 1 - delta."""
    if n == 0 or k >= n:
        return 1.0
    low, high = k / n, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if binomial_cdf(k, n, middle) > delta else (low, middle)
    return high


def _above(labels: Sequence[AuditLabel], threshold: float) -> tuple[int, int]:
    taken = [label.is_right for label in labels if label.certainty > threshold]
    return len(taken), len(taken) - sum(taken)


def _more(n: int, n_wrong: int, n_labels: int, alpha: float, delta: float, wanted: float) -> int | None:
    """How many more random labels would about do, at the rate of mistakes so far and the share that lies above."""
    share = (n + 1) / (n_labels + 2)
    rate = n_wrong / n if n else 0.0
    if rate >= alpha:
        return None
    size = max(n + 1, math.ceil(wanted))
    while binomial_cdf(math.ceil(rate * size), size, alpha) > delta:
        size = math.ceil(size * 1.1)
        if size > _FURTHEST:
            return None
    return max(1, math.ceil((size - n) / share))
