"""What is asked before a model can be torn: when the cluster start ends, and which labels need help after it."""

import random
from collections.abc import Sequence

# The cluster start ends when every label has this many examples, or at the latest after so many labels: beside an
# embedding more of it was measured to gain nothing (docs/learning.md).
ENOUGH_PER_LABEL = 5
COLD_START_ENDS = 20
# Many rare labels at once would crowd out everything else.
MOST_FLOOR_LABELS = 10


def is_cold(counts: Sequence[int], n_labels: int) -> bool:
    """Whether typical items come first still. `counts` are the examples of each label, `n_labels` the labeled items."""
    return n_labels < COLD_START_ENDS and min(counts, default=0) < ENOUGH_PER_LABEL


def floor_labels(counts: Sequence[int]) -> tuple[int, ...]:
    """The positions of labels that have some examples, but too few for the model to know them.

    Of very many those with the fewest, equal ones by chance (the same for the same counts): the first of the schema
    would have the help, and no other.
    """
    found = [label for label, n in enumerate(counts) if 0 < n < ENOUGH_PER_LABEL]
    if len(found) <= MOST_FLOOR_LABELS:
        return tuple(found)
    chance = random.Random(sum(counts))
    return tuple(sorted(found, key=lambda label: (counts[label], chance.random()))[:MOST_FLOOR_LABELS])
