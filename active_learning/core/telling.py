"""Words that tell one set of texts from another."""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

# The prior weighs as much as this many words of ordinary text.
PRIOR_WORDS = 500.0
# A word in fewer texts of the group says nothing about a group; below this z chance explains it.
LEAST_TEXTS = 3
LEAST_Z = 2.0


@dataclass(frozen=True, slots=True)
class TellingWord:
    """A word, in how many texts of the group it stands, and how far from chance it is (a z score)."""

    word: str
    n: int
    z: float


def telling_words(
    group: Iterable[Collection[str]], others: Iterable[Collection[str]], n: int = 6
) -> Sequence[TellingWord]:
    """Up to `n` words that the group's texts have more than the others', the most telling first.

    Weighted log-odds with an informative Dirichlet prior (Monroe, Colaresi and Quinn 2008, section 3.5), the prior from
    both sets together. Each text counts a word once: one that repeats a word a hundred times does not make it telling.
    """
    inside = Counter(word for text in group for word in set(text))
    outside = Counter(word for text in others for word in set(text))
    n_inside, n_outside = inside.total(), outside.total()
    if not n_inside or not n_outside:
        return []
    found = []
    for word, count in inside.items():
        if count < LEAST_TEXTS:
            continue
        prior = PRIOR_WORDS * (count + outside[word]) / (n_inside + n_outside)
        a, b = count + prior, outside[word] + prior
        odds = math.log(a / (n_inside + PRIOR_WORDS - a)) - math.log(b / (n_outside + PRIOR_WORDS - b))
        z = odds / math.sqrt(1 / a + 1 / b)
        if z >= LEAST_Z:
            found.append(TellingWord(word, count, z))
    return sorted(found, key=lambda one: (-one.z, one.word))[:n]
