"""Accuracy in production, without the bias of which predictions came before a person.

Whoever looks mostly at what the model is unsure of sees more mistakes than there are. Each judged prediction counts by
the inverse of the probability with which it was to be judged (Horvitz and Thompson 1952; self-normalized: Hájek 1971),
clipped so that no single one decides.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import NormalDist

MIN_JUDGED = 30
_Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True)
class Judged:
    """A prediction that a person judged, and the probability with which it was to be judged."""

    is_right: bool
    propensity: float


@dataclass(frozen=True, slots=True)
class LiveAccuracy:
    """The share of right predictions with its 95 % interval, from `n` judged ones.

    `effective_n`: so many equally weighted ones would say as much. `naive` is the plain share of right ones among those
    judged; it is biased and only here to be compared.
    """

    value: float
    low: float
    high: float
    n: int
    effective_n: float
    naive: float


def live_accuracy(judged: Iterable[Judged], clip: float) -> LiveAccuracy | None:
    """The weighted accuracy; None on fewer than MIN_JUDGED, or where nothing has a known propensity.

    Weights are at most `clip`: 1 / the exploration share. The interval is that of a ratio of sums (linearized), on the
    logit scale so that it stays between 0 and 1. Where all or none were right it is Wilson's for the effective n.
    """
    rows = [(one.is_right, min(1.0 / one.propensity, clip)) for one in judged if one.propensity > 0.0]
    n = len(rows)
    if n < MIN_JUDGED:
        return None
    total = math.fsum(weight for _, weight in rows)
    value = math.fsum(weight for right, weight in rows if right) / total
    effective = total**2 / math.fsum(weight**2 for _, weight in rows)
    naive = sum(right for right, _ in rows) / n
    if 0.0 < value < 1.0:
        variance = math.fsum((weight * (right - value)) ** 2 for right, weight in rows) / total**2 * n / (n - 1)
        spread = _Z * math.sqrt(variance) / (value * (1.0 - value))
        middle = math.log(value / (1.0 - value))
        low, high = (1.0 / (1.0 + math.exp(-(middle + side))) for side in (-spread, spread))
    else:
        low, high = _wilson(value, effective)
    return LiveAccuracy(value, low, high, n, effective, naive)


def _wilson(share: float, n: float) -> tuple[float, float]:
    middle = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    return max(0.0, middle - half), min(1.0, middle + half)
