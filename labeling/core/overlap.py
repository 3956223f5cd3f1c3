"""How many people one item is asked of: few where they are clear, more where they are not."""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

Action = Literal["ask", "settle", "dispute"]


@dataclass(frozen=True, slots=True)
class Step:
    """What happens to an item next; `n_more` people are to be asked now."""

    action: Action
    n_more: int = 0


@dataclass(frozen=True, slots=True)
class OverlapRule:
    """Ask `start` people, then one more at a time until a label's posterior reaches `target` or `cap` have answered.

    A random share of the items always gets `cap` answers. Easy items stop early, so agreement measured on all items
    would flatter or blame the team; this share measures it, and tells how right the posterior is.
    Raises ValueError when the numbers contradict each other.
    """

    start: int = 2
    target: float = 0.95
    cap: int = 5
    forced_share: float = 0.05

    def __post_init__(self) -> None:
        if not 1 <= self.start <= self.cap:
            raise ValueError("1 <= start <= cap")
        if not (0 < self.target < 1 and 0 <= self.forced_share <= 1):
            raise ValueError("the target lies between 0 and 1, the share from 0 to 1")

    def is_forced(self, key: str) -> bool:
        """Whether the item of this key (stable, as its content hash) is asked up to the cap whatever people say."""
        place = int.from_bytes(blake2b(key.encode(), digest_size=8, person=b"full-overlap").digest(), "big")
        return place < self.forced_share * 2.0**64

    def next_step(self, n_answers: int, posterior: float, *, forced: bool = False) -> Step:
        """What follows from `n_answers` and the posterior of the likeliest label."""
        least = self.cap if forced else self.start
        if n_answers < least:
            return Step("ask", least - n_answers)
        if posterior >= self.target:
            return Step("settle")
        return Step("ask", 1) if n_answers < self.cap else Step("dispute")


def fixed(k: int) -> OverlapRule:
    """The rule of asking `k` people about every item."""
    return OverlapRule(start=k, cap=k, forced_share=1.0)
