"""A share with what is known about it. Plain arithmetic, so that a page can have it without loading scipy."""

import math
from dataclasses import dataclass

Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Share:
    """`value` of `n` cases, with the 95 % interval from `low` to `high`."""

    value: float
    low: float
    high: float
    n: float

    @property
    def rest(self) -> "Share":
        """The share of the other cases."""
        return Share(1 - self.value, 1 - self.high, 1 - self.low, self.n)


def wilson(successes: float, n: float, design_effect: float = 1.0) -> Share | None:
    """The share of successes with Wilson's interval (1927); None without cases.

    Cases that come in clusters say as much as n / `design_effect` that have nothing to do with each other (Korn and
    Graubard 1998, Survey Methodology 24): the interval is then that of so many.
    """
    if n == 0:
        return None
    share, effective, z2 = successes / n, n / design_effect, Z95 * Z95
    middle = (share + z2 / (2 * effective)) / (1 + z2 / effective)
    half = Z95 / (1 + z2 / effective) * math.sqrt(share * (1 - share) / effective + z2 / (4 * effective * effective))
    # At 0 and 1 a bound meets the share exactly; rounding must not push it past.
    return Share(share, max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half)), n)
