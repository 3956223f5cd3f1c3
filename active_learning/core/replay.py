"""What replayed campaigns say: which strategy would have learned faster, by how much, and how sure that is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from active_learning.core.campaign import Round
from active_learning.core.strategies import RANDOM, RECOMMENDED

Floats = NDArray[np.float64]
# Looks at a campaign: more would cost more fits and show nothing new.
MOST_LOOKS = 20
LEAST_LABELS = 40
# So much of the labeled items a campaign may use up: near the end all strategies have the same.
SHARE_PLAYED = 0.6
MOST_LABELS = 1_000


def looks_of(n_pool: int, batch: int) -> list[int]:
    """How many labels there are at each look: batches of that size, at first; longer ones where that were too many.

    Empty when the pool is too small for a campaign that says anything.
    """
    end = min(MOST_LABELS, int(SHARE_PLAYED * n_pool))
    if end < LEAST_LABELS:
        return []
    step = max(min(batch, end // 4), -(-end // MOST_LOOKS), 5)
    return list(range(step, end + 1, step))


@dataclass(frozen=True, slots=True)
class Difference:
    """A mean over seeds with its 95 % interval (Student's t, paired by seed); no interval for one seed."""

    value: float
    low: float | None
    high: float | None
    n: int

    @property
    def is_clear(self) -> bool:
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


@dataclass(frozen=True, slots=True)
class Played:
    """One strategy's campaigns. `macro_f1` and `accuracy` have a row a seed, a column a look.

    `area` is the mean macro-F1 over the campaign; `against_random` and `against_recommended` its differences to those,
    None for the strategy itself or where that was not played.
    """

    name: str
    sizes: tuple[int, ...]
    macro_f1: Floats
    accuracy: Floats
    area: float
    against_random: Difference | None
    against_recommended: Difference | None

    def labels_to(self, goal: float) -> float | None:
        return labels_to(self.sizes, self.macro_f1.mean(axis=0), goal)


def difference(ours: Floats, theirs: Floats) -> Difference:
    """The mean of `ours - theirs`, a number a seed each."""
    gains = np.asarray(ours) - np.asarray(theirs)
    mean, n = float(gains.mean()), len(gains)
    if n < 2:
        return Difference(mean, None, None, n)
    half = float(stats.t.ppf(0.975, n - 1) * gains.std(ddof=1) / np.sqrt(n))
    return Difference(mean, mean - half, mean + half, n)


def areas(sizes: Sequence[int], curves: Floats) -> Floats:
    """The mean height of each curve (a row) between the first look and the last."""
    if len(sizes) < 2:
        return curves[:, 0]
    return np.asarray(np.trapezoid(curves, sizes, axis=1)) / (sizes[-1] - sizes[0])


def labels_to(sizes: Sequence[int], curve: Floats, goal: float) -> float | None:
    """The labels at which the curve first reaches the goal, on straight lines between looks; None if it never does."""
    above = np.flatnonzero(curve >= goal)
    if not len(above):
        return None
    place = int(above[0])
    if place == 0:
        return float(sizes[0])
    low, high = float(curve[place - 1]), float(curve[place])
    return sizes[place - 1] + (sizes[place] - sizes[place - 1]) * (goal - low) / (high - low)


def summarize(campaigns: Mapping[str, Sequence[Sequence[Round]]]) -> list[Played]:
    """What the campaigns of each strategy (the same seeds for all, in the same order) come to; the best area first."""
    sizes = tuple(one.n_labels for one in next(iter(campaigns.values()))[0])
    f1 = {name: np.array([[one.macro_f1 for one in run] for run in runs]) for name, runs in campaigns.items()}
    accuracy = {name: np.array([[one.accuracy for one in run] for run in runs]) for name, runs in campaigns.items()}
    area = {name: areas(sizes, curves) for name, curves in f1.items()}

    def against(name: str, other: str) -> Difference | None:
        return difference(area[name], area[other]) if other in area and other != name else None

    found = [
        Played(
            name,
            sizes,
            f1[name],
            accuracy[name],
            float(area[name].mean()),
            against(name, RANDOM),
            against(name, RECOMMENDED),
        )
        for name in campaigns
    ]
    return sorted(found, key=lambda one: -one.area)


@dataclass(frozen=True, slots=True)
class Advice:
    """The strategy to take and why; `is_clear` when the reason is more than chance would give."""

    strategy: str
    why: str
    is_clear: bool


def advise(played: Sequence[Played]) -> Advice:
    """The strategy that these campaigns speak for: `recommended` unless another was clearly better."""
    by_name = {one.name: one for one in played}
    usual = by_name.get(RECOMMENDED)
    rivals = [one for one in played if one.against_recommended and (one.against_recommended.low or 0.0) > 0]
    if usual is None or rivals:
        best = rivals[0] if rivals else played[0]
        why = "it had the highest mean macro-F1 of those that were played"
        if best.against_recommended:
            why = f"its mean macro-F1 was {_points(best.against_recommended)} higher than that of recommended"
        return Advice(best.name, why, bool(rivals))
    gain = usual.against_random
    if gain is None or not gain.is_clear:
        return Advice(RECOMMENDED, "no strategy was clearly better than another on these items", False)
    if gain.value < 0:
        return Advice(RANDOM, f"recommended was {_points(gain)} worse than random order here", True)
    return Advice(
        RECOMMENDED, f"it was {_points(gain)} better than random order, and no other was clearly better still", True
    )


def _points(gain: Difference) -> str:
    """A difference of shares in points, without its sign."""
    words = f"{100 * abs(gain.value):.1f} points"
    if gain.low is None or gain.high is None:
        return words
    low, high = sorted((abs(gain.low), abs(gain.high))) if gain.is_clear else (gain.low, gain.high)
    return f"{words} ({100 * low:.1f} to {100 * high:.1f})"


def to_json(played: Sequence[Played]) -> list[dict[str, Any]]:
    """The summary as it is stored and drawn: mean curves with Student's band over the seeds."""
    return [
        {
            "strategy": one.name,
            "area": round(one.area, 4),
            "against_random": _json(one.against_random),
            "against_recommended": _json(one.against_recommended),
            "macro_f1": [_look(column) for column in one.macro_f1.T],
            "accuracy": [round(float(a), 4) for a in one.accuracy.mean(axis=0)],
        }
        for one in played
    ]


def _look(seeds: Floats) -> list[float | None]:
    found = difference(seeds, np.zeros(len(seeds)))
    return [None if x is None else round(x, 4) for x in (found.value, found.low, found.high)]


def _json(found: Difference | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "value": round(found.value, 4),
        "low": None if found.low is None else round(found.low, 4),
        "high": None if found.high is None else round(found.high, 4),
        "n": found.n,
    }
