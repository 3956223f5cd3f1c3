"""Whether a model learns mostly from itself: what it shows comes back as labels, and what it never shows never does."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labeling.core.shares import Share, wilson

# Fewer answers than this say nothing of what is never answered.
LEAST_SHOWN = 100
# More of a training's weight than this from people who saw a suggestion, or from users, is worth a look.
MUCH = 0.5
MOST_SEGMENTS = 20


@dataclass(frozen=True, slots=True)
class Exploration:
    """Which share of a stream chance drew, beside the share that an owner set; `share` is None without anything."""

    of: str
    share: Share | None
    wanted: float

    @property
    def is_starved(self) -> bool:
        """Less than half of what was set, and surely less than all of it; or nothing was set."""
        if self.wanted <= 0:
            return True
        return self.share is not None and self.share.value < self.wanted / 2 and self.share.high < self.wanted


@dataclass(frozen=True, slots=True)
class Loop:
    """What the model shows and learns from.

    Shares of answers by label and segment, the commonest first; `never` are the labels that it never answers, empty
    below LEAST_SHOWN answers. `evenness` is that of the queue's sources.
    """

    n_shown: int
    labels: Sequence[tuple[str, Share]]
    never: Sequence[str]
    segments: Sequence[tuple[str, Share]]
    explorations: Sequence[Exploration]
    sources: Sequence[tuple[str, Share]]
    evenness: float | None
    learned: Mapping[str, Any]

    @property
    def alerts(self) -> list[str]:
        """What to look at, each with what to do."""
        found = [_starved(one) for one in self.explorations if one.is_starved]
        if self.learned.get("influenced", 0.0) > MUCH:
            found.append(
                f"{_percent(self.learned['influenced'])} of what the newest version learned was said with a model's "
                "answer in view. Hide suggestions on a share of the items, under Settings."
            )
        if self.never:
            found.append(
                f"{_list(self.never)} was never answered in {self.n_shown:,} answers. Look for such items and have "
                "them labeled: what is never shown is never corrected."
            )
        return found


def loop_of(
    *,
    shown: Iterable[tuple[Any, str, bool]],
    labels: Sequence[str],
    wanted: float,
    sources: Mapping[str, int],
    random_source: str,
    wanted_in_queue: float,
    learned: Mapping[str, Any],
) -> Loop:
    """The monitors.

    From the answers `shown` (value, segment, whether chance gave it to a person), the queue's places by source, the
    shares that chance is to have, and what a version kept of its own training (`influence`).
    """
    by_label: Counter[str] = Counter()
    by_segment: Counter[str] = Counter()
    n = n_drawn = 0
    for value, segment, is_drawn in shown:
        n, n_drawn = n + 1, n_drawn + is_drawn
        by_label.update(map(str, value) if isinstance(value, list) else [str(value)])
        if segment:
            by_segment[segment] += 1
    n_places = sum(sources.values())
    explorations = [Exploration("of the answers", wilson(n_drawn, n), wanted)]
    if n_places:
        drawn = sources.get(random_source, 0)
        explorations.append(Exploration("of the queue", wilson(drawn, n_places), wanted_in_queue))
    return Loop(
        n_shown=n,
        labels=_shares(by_label, n),
        never=[label for label in labels if not by_label[label]] if n >= LEAST_SHOWN else [],
        segments=_shares(by_segment, n)[:MOST_SEGMENTS],
        explorations=explorations,
        sources=_shares(Counter(sources), n_places),
        evenness=evenness(sources),
        learned=learned,
    )


def evenness(counts: Mapping[str, int]) -> float | None:
    """The entropy of the counts over that of as many equal ones (Pielou 1966): 0 for one source alone, 1 for all alike;
    None without any."""
    total = sum(counts.values())
    if not total:
        return None
    shares = [n / total for n in counts.values() if n]
    if len(shares) < 2:
        return 0.0
    return -sum(share * math.log(share) for share in shares) / math.log(len(shares))


def influence(
    weights: Sequence[float], in_view: Sequence[float], weak_weights: Sequence[float]
) -> dict[str, float | int]:
    """Shares of a training's weight: `in_view`, which share of each label's answers was given with a model's answer on
    screen; and what users of the answers said."""
    total = math.fsum(weights) + math.fsum(weak_weights)
    shown = math.fsum(weight * share for weight, share in zip(weights, in_view, strict=True)) / total if total else 0.0
    weak = math.fsum(weak_weights) / total if total else 0.0
    return {"in_view": round(shown, 4), "weak": round(weak, 4), "influenced": round(shown + weak, 4), "n": len(weights)}


def influence_words(found: Mapping[str, Any]) -> str:
    """A sentence for the page of a version and its card; empty where it was not kept."""
    if not found:
        return ""
    shown, weak = _percent(found["in_view"]), _percent(found["weak"])
    parts = f"{shown} of answers given with its suggestion on screen, {weak} of users' words"
    return f"{_percent(found['influenced'])} of its weight comes of what a model had said before: {parts}."


def _shares(counts: Counter[str], n: int) -> list[tuple[str, Share]]:
    rows = [(name, wilson(count, n)) for name, count in sorted(counts.items(), key=lambda row: (-row[1], row[0]))]
    return [(name, share) for name, share in rows if share is not None]


def _starved(one: Exploration) -> str:
    if one.wanted <= 0:
        return f"Chance draws nothing {one.of}: nobody can know what the model does not see. Set a share above 0."
    assert one.share is not None
    return (
        f"Chance drew {_percent(one.share.value)} {one.of}, less than half of the {_percent(one.wanted)} that are set. "
        "See whether random checks are kept out, by rules or by a queue that has run dry."
    )


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(f"“{name}”" for name in names[:5])
    return shown + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
