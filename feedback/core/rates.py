"""How often the answers are wrong, from what users say, corrected for how they say it."""

import math
from dataclasses import dataclass

from feedback.core.reliability import MIN_PAIRS, Pairs
from labeling.core.shares import Z95, Share


@dataclass(frozen=True, slots=True)
class Corrected:
    """The share of wrong answers behind the share of complaints, or why it cannot be told (`why`; then no share)."""

    share: Share | None
    why: str = ""


def corrected_rate(n_signals: int, n: int, pairs: Pairs) -> Corrected:
    """The error rate behind `n_signals` of `n` predictions that carry a signal (Rogan and Gladen 1978).

    (observed - false alarms) / (sensitivity - false alarms), cut to 0..1. The 95 % interval is that of Lang and
    Reiczigel (2014, Preventive Veterinary Medicine 113): sensitivity and false alarms are estimates too.
    Undefined below MIN_PAIRS judged wrong or right, and for a signal that does not surely tell the two apart.
    """
    if min(pairs.n_wrong, pairs.n_right) < MIN_PAIRS:
        return Corrected(None, f"fewer than {MIN_PAIRS} judged wrong or judged right")
    if n == 0:
        return Corrected(None, "no predictions")
    # Their adjusted counts: those of Agresti and Coull for the rate, one more of each kind for the test.
    z2 = Z95 * Z95
    n_seen, n_wrong, n_right = n + z2, pairs.n_wrong + 2, pairs.n_right + 2
    seen = (n_signals + z2 / 2) / n_seen
    hit = (pairs.on_wrong + 1) / n_wrong
    silent = 1 - (pairs.on_right + 1) / n_right
    tells = hit + silent - 1
    spread = math.sqrt(hit * (1 - hit) / n_wrong + silent * (1 - silent) / n_right)
    if tells - Z95 * spread <= 0:
        return Corrected(None, "the signal does not tell wrong from right")
    rate = (seen + silent - 1) / tells
    shift = 2 * z2 * (rate * hit * (1 - hit) / n_wrong - (1 - rate) * silent * (1 - silent) / n_right)
    variance = (
        seen * (1 - seen) / n_seen
        + rate**2 * hit * (1 - hit) / n_wrong
        + (1 - rate) ** 2 * silent * (1 - silent) / n_right
    )
    half = Z95 * math.sqrt(variance) / tells
    low, high = _cut(rate + shift - half), _cut(rate + shift + half)
    sensitivity, false_alarm = pairs.on_wrong / pairs.n_wrong, pairs.on_right / pairs.n_right
    value = _cut((n_signals / n - false_alarm) / (sensitivity - false_alarm)) if sensitivity > false_alarm else low
    return Corrected(Share(min(max(value, low), high), low, high, n))


def _cut(value: float) -> float:
    return min(1.0, max(0.0, value))
