"""A labeling campaign played again on items whose labels are all known: what would each strategy have cost?

The same steps as the product's: a cluster start or a random one, then fit, order the pool, take the next batch. The
exam is a set of items that no strategy can pick.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from active_learning.core.acquisition import Candidates, Search, Strategy, geometry, order_candidates
from active_learning.core.blocks import FeatureBlock
from active_learning.core.committee import fit_committee
from active_learning.core.diversity import CLUSTER_SAMPLE, typical_of_clusters
from active_learning.core.evaluation import evaluate
from active_learning.core.learners import Learner
from active_learning.core.material import Material
from active_learning.core.scaling import DenseScaling
from active_learning.core.start import floor_labels, is_cold
from active_learning.core.strategies import RANDOM, RECOMMENDED
from active_learning.core.targets import Targets, decide

# Labeled items that stand for all of them where a strategy keeps away from those.
MAX_COVERED = 500


@dataclass(frozen=True, slots=True)
class Known:
    """Items with their features and labels."""

    block: FeatureBlock
    targets: Targets

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True, slots=True)
class Round:
    """A model of the campaign: the labels that it learned from, how good it was, what it cost.

    `seconds` is CPU time: of choosing the batch before and of the fit. A model of one class says that class.
    """

    n_labels: int
    accuracy: float
    macro_f1: float
    select_seconds: float
    fit_seconds: float


def play(
    *,
    pool: Known,
    exam: Known,
    strategy: Strategy,
    learner: Learner,
    scaling: DenseScaling,
    sizes: Sequence[int],
    seed: int,
    exploration: float = 0.0,
) -> Iterator[Round]:
    """The rounds of one campaign, one for each of the growing `sizes` (labels in all).

    `exploration` is the share of each batch after the first that is drawn at random. The same seed gives the same
    campaign; two strategies of one seed that both start at random start with the same items.
    """
    rng = np.random.default_rng(seed)
    labeled: list[int] = []
    probabilities: NDArray[np.float32] | None = None
    for size in sizes:
        began = time.process_time()
        n = min(size, len(pool)) - len(labeled)
        if n > 0:
            labeled += _pick(pool, strategy, labeled, probabilities, n, exploration, rng)
        selected = time.process_time()
        rows = np.array(labeled)
        part = pool.targets.take(rows)
        if not part.is_multilabel and np.count_nonzero(part.counts()) < 2:
            said = np.full(len(exam), part.y[0]) if len(part) else np.zeros(len(exam), dtype=np.int64)
            probabilities = None
            fitted = time.process_time()
        else:
            learned = Material(pool.block.take(rows), part, np.ones(len(rows)), scaling)
            # Calibration takes most of the time, changes no answer, and hardly the order of what is unsure.
            model = learner.fit(learned)
            fitted = time.process_time()
            probabilities = model.predict_proba(pool.block)
            if strategy.asks_committee:
                committee = fit_committee(learner, learned, np.random.default_rng(seed))
                probabilities = committee.vote_shares(pool.block)
            said = decide(model.predict_proba(exam.block), is_multilabel=part.is_multilabel)
        judged = evaluate(exam.targets.y, said, exam.targets.labels)
        yield Round(
            n_labels=len(labeled),
            accuracy=judged.accuracy.value if judged.accuracy else 0.0,
            macro_f1=judged.macro_f1 or 0.0,
            select_seconds=round(selected - began, 4),
            fit_seconds=round(fitted - selected, 4),
        )


def _pick(
    pool: Known,
    strategy: Strategy,
    labeled: list[int],
    probabilities: NDArray[np.float32] | None,
    n: int,
    exploration: float,
    rng: np.random.Generator,
) -> list[int]:
    is_open = np.ones(len(pool), dtype=bool)
    is_open[labeled] = False
    rows = np.flatnonzero(is_open)
    # Drawn before anything else, so that campaigns of one seed share what chance decides.
    by_chance = rng.permutation(rows)
    counts = pool.targets.take(np.array(labeled, dtype=np.int64)).counts().tolist()
    if strategy.name == RECOMMENDED and is_cold(counts, len(labeled)):
        chosen = _typical(pool, rows, labeled, n, rng)
    elif probabilities is None or strategy.name == RANDOM:
        chosen = by_chance[:n].tolist()
    else:
        n_random = round(exploration * n)
        chosen = by_chance[:n_random].tolist()
        rest = rows[~np.isin(rows, chosen)]
        search = Search(
            strategy=strategy,
            n=n - n_random,
            is_multilabel=pool.targets.is_multilabel,
            seed=int(rng.integers(2**31)),
            batch=n,
            n_labels=len(labeled),
            floor_labels=floor_labels(counts) if strategy.name == RECOMMENDED else (),
        )
        candidates = Candidates(rest, probabilities[rest], pool.block.take(rest))
        covered = None
        if strategy.sees_labeled:
            seen = rng.permutation(np.array(labeled))[:MAX_COVERED]
            covered = geometry(pool.block.take(seen))
        chosen += order_candidates(search, candidates, covered).ids.tolist()
    return chosen[:n]


def _typical(pool: Known, rows: NDArray[Any], labeled: list[int], n: int, rng: np.random.Generator) -> list[int]:
    sample = np.sort(rng.choice(rows, size=min(CLUSTER_SAMPLE, len(rows)), replace=False))
    ids = np.concatenate([sample, np.array(labeled[-MAX_COVERED:], dtype=np.int64)])
    covered = np.arange(len(ids)) >= len(sample)
    found = typical_of_clusters(geometry(pool.block.take(ids)), n, rng, covered=covered)
    chosen = [int(ids[t.row]) for t in found]
    missing = [int(row) for row in rng.permutation(sample) if row not in set(chosen)][: n - len(chosen)]
    return chosen + missing
