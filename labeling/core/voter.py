"""On what a model's vote in the consensus rests."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class VoterEvidence:
    """Of `n` audit items a model is right on `n_right`, their commonest label on `n_common`. It learned from
    `n_labels` items of the pool."""

    n: int
    n_right: int
    n_common: int
    n_labels: int
