"""Labels that are probably wrong: confident learning (Northcutt, Jiang and Chuang 2021, JAIR 70).

It asks where a model that did not learn from an item is surer of another label than it usually is of that one.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Suspects are probable from this margin on. Of labels made wrong on purpose those above it are drowned by labels that
# are merely hard (docs/errors.md).
PROBABLE = -0.5


@dataclass(frozen=True, slots=True)
class Suspects:
    """Rows whose label is probably wrong, the most suspicious first.

    `said`: the label (a position) that the model would give instead. `margin`: the probability of the given label less
    that of the best other one, from -1 to 0; the lower, the worse.
    """

    rows: NDArray[np.intp]
    said: NDArray[np.int64]
    margin: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def probable(self) -> "Suspects":
        """Those with a margin of PROBABLE or below."""
        n = int(np.searchsorted(self.margin, PROBABLE, side="right"))
        return Suspects(self.rows[:n], self.said[:n], self.margin[:n])


def label_errors(probabilities: NDArray[Any], given: NDArray[np.int64]) -> Suspects:
    """The rows off the diagonal of the confident joint, whose given label is not even the likeliest.

    `probabilities` come from models that did not learn from the rows (rows x labels); `given` holds positions. A row is
    counted under a label when the model gives it at least the mean probability that it gives that label on the rows
    that carry it; under the likeliest of several. A label that no row carries is never suspected.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    n, n_labels = p.shape
    own = p[np.arange(n), given]
    counts = np.bincount(given, minlength=n_labels)
    sums = np.bincount(given, own, n_labels)
    threshold = np.divide(sums, counts, out=np.full(n_labels, np.inf), where=counts > 0)
    # A hair below, so that rounding does not keep a row from equalling the mean of rows like it.
    confident = np.where(p >= threshold - 1e-9, p, -1.0)
    said = confident.argmax(axis=1)
    others = p.copy()
    others[np.arange(n), given] = -1.0
    margin = own - others.max(axis=1)
    rows = np.flatnonzero((confident.max(axis=1) >= 0) & (said != given) & (margin < 0))
    rows = rows[np.argsort(margin[rows], kind="stable")]
    return Suspects(rows, said[rows].astype(np.int64), margin[rows])


def several_label_errors(probabilities: NDArray[Any], given: NDArray[np.bool_]) -> Suspects:
    """The same with several labels a row: each label is a question of yes and no, and a row counts by its worst.

    `said` is then the position of the label that is probably missing or too many.
    """
    n = len(given)
    worst = np.zeros(n)
    label = np.full(n, -1, dtype=np.int64)
    for place in range(given.shape[1]):
        p = np.asarray(probabilities[:, place], dtype=np.float64)
        found = label_errors(np.column_stack([1 - p, p]), given[:, place].astype(np.int64))
        worse = found.margin < worst[found.rows]
        worst[found.rows[worse]] = found.margin[worse]
        label[found.rows[worse]] = place
    rows = np.flatnonzero(label >= 0)
    rows = rows[np.argsort(worst[rows], kind="stable")]
    return Suspects(rows, label[rows], worst[rows])
