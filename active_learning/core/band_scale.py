"""Where an answer lies among the bands, as a picture."""

from dataclasses import dataclass

from active_learning.core.routing import Bands


@dataclass(frozen=True, slots=True)
class BandScale:
    """A scale from 0 to 100: the two boundaries and the answer, each in percent of the width."""

    review: float
    auto: float
    at: float

    @property
    def monitor_width(self) -> float:
        return self.auto - self.review

    @property
    def auto_width(self) -> float:
        return 100.0 - self.auto


def draw_scale(bands: Bands, certainty: float) -> BandScale:
    return BandScale(*(round(100 * share, 2) for share in (bands.review_below, bands.auto_above, certainty)))
