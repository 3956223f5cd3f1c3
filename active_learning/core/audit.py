"""How many audit items it takes, and how fast people are asked about them."""

import math

from labeling.core.shares import Z95

# Fewer audited items than this say nothing about a model that a person should act on.
MIN_AUDITED = 20
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
