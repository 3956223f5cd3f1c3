"""How many audit items it takes, and how fast people are asked about them."""

import math

from labeling.core.shares import Z95

# Fewer audited items than this say nothing about a model that a person should act on.
MIN_AUDITED = 20
# Fewer than this many fill no two bins of a reliability curve.
MIN_CALIBRATED = 40
# A group with fewer audit items is not shown; a ratio needs as many in both of its groups.
MIN_GROUP = 10
# Until so many are audited (an accuracy of 0.8 is then known to about 8 points) the queue holds more of them.
FIRST_AUDITED = 100
SHARE_AT_FIRST = 0.15
SHARE_LATER = 0.05


def audit_share_of_queue(n_audited: int) -> float:
    """Which share of the queue's places goes to audit items, as long as any are open."""
    return SHARE_AT_FIRST if n_audited < FIRST_AUDITED else SHARE_LATER


def audit_wanted(half_width: float = 0.05, accuracy: float = 0.8) -> int:
    """How many audited items give an accuracy near `accuracy` an interval of about plus or minus `half_width`."""
    return math.ceil(Z95 * Z95 * accuracy * (1 - accuracy) / (half_width * half_width))


# As many versions measured on one sample may flatter the best of them by three standard errors: more than the 95 %
# interval shown beside it, and half as much again. exp(3 * 3 / 2) = 90.02.
WORN_AFTER = 91


def optimism(accuracy: float, n: int, n_looks: int) -> float:
    """By how much at most the best of `n_looks` versions looks better than it is on `n` audit items, on average.

    The expected largest of k errors with standard error s is at most s * sqrt(2 ln k), however they hang together
    (Boucheron, Lugosi and Massart 2013, theorem 2.5). Versions of one campaign err on the same items, so it is less.
    """
    if n_looks <= 1 or n <= 0:
        return 0.0
    return math.sqrt(accuracy * (1 - accuracy) / n) * math.sqrt(2 * math.log(n_looks))
