"""Several models instead of one: what they disagree about is what they would learn most from.

Query by committee (Seung, Opper and Sompolinsky 1992) with members from bootstrap resamples (bagging, Abe and Mamitsuka
1998) and their vote entropy (Dagan and Engelson 1995), which is modAL's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from active_learning.core.blocks import FeatureBlock
from active_learning.core.learners import Learner, Model
from active_learning.core.material import Material
from active_learning.core.targets import Targets, decide

MEMBERS = 5
# Resamples of few labels may hold one label only, which teaches nothing.
_ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class Committee:
    """Models of the same labels, one label an item."""

    members: Sequence[Model]

    def vote_shares(self, block: FeatureBlock) -> NDArray[np.float32]:
        """Which share of the members say each label: rows x labels."""
        said = [decide(member.predict_proba(block), is_multilabel=False) for member in self.members]
        labels = np.arange(len(self.members[0].labels))
        return np.mean([one[:, None] == labels for one in said], axis=0, dtype=np.float32)


def fit_committee(learner: Learner, material: Material, rng: np.random.Generator) -> Committee:
    """MEMBERS models, each of as many rows drawn with replacement. Raises ValueError like the learner."""
    return Committee([learner.fit(material.take(_resample(material.targets, rng))) for _ in range(MEMBERS)])


def _resample(targets: Targets, rng: np.random.Generator) -> NDArray[np.int64]:
    for _ in range(_ATTEMPTS):
        rows = rng.integers(len(targets), size=len(targets))
        if np.count_nonzero(targets.take(rows).counts()) > 1:
            return rows
    return np.arange(len(targets))


class Ballots:
    """The votes behind vote shares, in the form of modAL's Committee. Who cast which does not matter."""

    def __init__(self, shares: NDArray[np.floating]) -> None:
        self.classes_ = np.arange(shares.shape[1])
        # Each member sits in the middle of its fifth, and votes for the label whose part reaches there.
        seats = (np.arange(MEMBERS) + 0.5) / MEMBERS
        reached = shares.astype(np.float64).cumsum(axis=1)[:, None, :-1]
        self._votes = np.asarray((reached <= seats[None, :, None]).sum(axis=2))

    def __len__(self) -> int:
        return MEMBERS

    def vote(self, X: Any) -> NDArray[np.int64]:
        return self._votes


def disagreement(shares: NDArray[np.floating], X: Any) -> NDArray[np.float64]:
    """The entropy in nats of the votes on each row of X, by modAL."""
    from modAL.disagreement import vote_entropy  # here, because modAL pulls in pandas

    return np.asarray(vote_entropy(Ballots(shares), X))
