"""What to ask next: measure the pool, pick a batch, put it in line.

A query strategy has modAL's form, `(estimator, X, n_instances=..., **kwargs) -> indices`, so modAL's own functions
and an owner's fit in. It is never called on the whole pool: `best_of_shard` takes the best of each shard (map),
`Candidates.merge` keeps the best of those (reduce), and only then is a batch ordered.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.stats import entropy as shannon_entropy
from threadpoolctl import threadpool_limits

from active_learning.core.blocks import FeatureBlock, stack_blocks
from active_learning.core.committee import disagreement
from active_learning.core.design import Weighted, most_telling
from active_learning.core.diversity import as_points, near_duplicates
from active_learning.core.strategies import RANDOM, RECOMMENDED

# A batch is chosen from the twenty times as many items that the model is least sure of, at most from MOST_OFFERED.
BREADTH = 20
MOST_OFFERED = 1_000
# How many batches are chosen so before the rest follows in plain order: more than is labeled before the next model.
CHOSEN_BATCHES = 3
# So many random items stand for the whole pool.
POOL_SAMPLE = 1_000
# A label that the model gives hardly anything counts at most so many times what it would.
MOST_RARITY = 1_000.0
FLOOR_PER_LABEL = 5
# Every so many places, one goes to a label that has too few examples.
FLOOR_EVERY = 8


class Estimator(Protocol):
    classes_: NDArray[Any]

    def predict_proba(self, X: Any) -> NDArray[np.floating]: ...


# Any: modAL's functions return (indices, values), its documentation and ours allow indices alone.
Query = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Strategy:
    """A way to order the pool. `narrow` picks the best of many cheaply; `query` puts those in order.

    `is_ordered` says that `query` returns the best first; otherwise its order is found by asking for ever more.
    `narrowest` bounds what `query` sees where its cost grows faster than its input. `sees_labeled` says that it looks
    at what is labeled already, `asks_committee` that the probabilities it sees are to be the shares of a committee's
    votes (active_learning.core.committee).
    """

    name: str
    query: Query
    narrow: Query
    is_ordered: bool = True
    narrowest: int | None = None
    sees_labeled: bool = False
    asks_committee: bool = False


@dataclass(frozen=True, slots=True)
class Candidates:
    """Items that may be asked about, with all that a strategy may look at."""

    ids: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    block: FeatureBlock

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: NDArray[Any]) -> "Candidates":
        return Candidates(self.ids[rows], self.probabilities[rows], self.block.take(rows))

    @staticmethod
    def merge(parts: Sequence["Candidates"]) -> "Candidates":
        return Candidates(
            np.concatenate([part.ids for part in parts]),
            np.concatenate([part.probabilities for part in parts]),
            stack_blocks([part.block for part in parts]),
        )


class PoolEstimator:
    """A fitted model as query strategies see it: probabilities that are already known, for exactly these rows."""

    on_transformed = False

    def __init__(
        self,
        candidates: Candidates,
        *,
        is_multilabel: bool,
        seed: int,
        labeled: NDArray[Any] | None = None,
        n_labels: int = 0,
        floor_labels: Sequence[int] = (),
    ) -> None:
        self.ids = candidates.ids
        self.block = candidates.block
        self.X = geometry(candidates.block)
        self.is_multilabel = is_multilabel
        self.seed = seed
        self.n_labels = n_labels
        self.floor_labels = tuple(floor_labels)
        self.classes_ = np.arange(candidates.probabilities.shape[1])
        # Some of what is labeled already, of `n_labels` in all: strategies keep away from it.
        self.X_training = labeled
        self._probabilities = candidates.probabilities

    def predict_proba(self, X: Any) -> NDArray[np.float32]:
        if X.shape[0] != len(self._probabilities):
            raise ValueError("the probabilities of other rows are not known here")
        return self._probabilities

    def predict(self, X: Any) -> NDArray[Any]:
        p = self.predict_proba(X)
        return (p > 0.5).astype(np.int64) if self.is_multilabel else p.argmax(axis=1)

    def transform_without_estimating(self, X: Any) -> Any:
        return X


def geometry(block: FeatureBlock) -> Any:
    """The matrix in which distances between items mean something: the dense part, else the hashed words."""
    return block.dense if block.dense.shape[1] else block.sparse


def margins(p: NDArray[np.floating], *, is_multilabel: bool = False) -> NDArray[np.floating]:
    """How torn the model is, higher = more: 1 less the lead of the first over the second label.

    With several labels per item: the least decided of them.
    """
    if is_multilabel:
        return 1.0 - np.abs(2.0 * p - 1.0).min(axis=1)
    if p.shape[1] < 2:
        return np.zeros(len(p))
    top = np.partition(p, p.shape[1] - 2, axis=1)
    return 1.0 - (top[:, -1] - top[:, -2])


def entropies(p: NDArray[np.floating], *, is_multilabel: bool = False) -> NDArray[np.floating]:
    """Shannon entropy in nats; of several labels the mean over them."""
    if is_multilabel:
        return np.asarray(shannon_entropy(np.stack([p, 1.0 - p]), axis=0)).mean(axis=1)
    return np.asarray(shannon_entropy(p, axis=1))


def least_confidences(p: NDArray[np.floating], *, is_multilabel: bool = False) -> NDArray[np.floating]:
    """1 less the probability of what the model would say."""
    if is_multilabel:
        return 1.0 - np.maximum(p, 1.0 - p).prod(axis=1)
    return 1.0 - p.max(axis=1)


def random_keys(ids: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    """A number in [0, 1) for each id, the same in every shard and every run with this seed (SplitMix64)."""
    with np.errstate(over="ignore"):
        x = ids.astype(np.uint64) + np.uint64(seed % 2**64) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
    return (x >> np.uint64(11)) / float(2**53)


def top(values: NDArray[Any], n: int) -> NDArray[np.intp]:
    """Positions of the `n` largest values, largest first; equal ones in order of position."""
    n = min(n, len(values))
    if n <= 0:
        return np.zeros(0, dtype=np.intp)
    if n < len(values):
        reached = np.partition(values, len(values) - n)[len(values) - n]
        above = np.flatnonzero(values > reached)
        equal = np.flatnonzero(values == reached)[: n - len(above)]
        chosen = np.sort(np.concatenate([above, equal]))
    else:
        chosen = np.arange(len(values))
    return chosen[np.argsort(-values[chosen], kind="stable")]


Measure = Callable[..., NDArray[np.floating]]


def by_measure(measure: Measure, estimator: PoolEstimator, X: Any, n_instances: int = 1, **_: Any) -> NDArray[np.intp]:
    return top(measure(estimator.predict_proba(X), is_multilabel=estimator.is_multilabel), n_instances)


margin_query = partial(by_measure, margins)
entropy_query = partial(by_measure, entropies)
least_confidence_query = partial(by_measure, least_confidences)


def random_query(estimator: PoolEstimator, X: Any, n_instances: int = 1, **_: Any) -> NDArray[np.intp]:
    return top(random_keys(estimator.ids, estimator.seed), n_instances)


def recommended_query(
    estimator: PoolEstimator, X: Any, n_instances: int = 1, *, batch: int = 20, **_: Any
) -> NDArray[np.intp]:
    """Of the torn items first those whose answers would tell most of the whole pool; near-duplicates last.

    Told of the pool is what A-optimal design says (active_learning.core.design), on a random sample of it in which all
    labels count the same, as they do in macro-F1.

    Labels in `estimator.floor_labels` get every eighth place, by the probability that an item has them: a rare
    label that the model hardly knows is never torn, so margin alone would not find it.
    """
    p = estimator.predict_proba(X)
    order = top(margins(p, is_multilabel=estimator.is_multilabel), len(p))
    repeats = near_duplicates(estimator.block, order[: BREADTH * batch])
    is_repeat = np.zeros(len(p), dtype=bool)
    is_repeat[repeats] = True
    fresh = order[~is_repeat[order]]
    torn = fresh[: min(BREADTH * batch, MOST_OFFERED)]
    first = torn[_most_telling(estimator, X, p, torn, min(n_instances, CHOSEN_BATCHES * batch))]
    line = np.concatenate([first, fresh[~np.isin(fresh, first)], order[is_repeat[order]]])
    return _with_floor(line, p, estimator.floor_labels)[:n_instances]


def _most_telling(
    estimator: PoolEstimator, X: Any, p: NDArray[np.floating], torn: NDArray[np.intp], n: int
) -> NDArray[np.intp]:
    """Positions in `torn`, best first."""
    sample = _pool_sample(estimator.ids, estimator.seed)
    rows = np.concatenate([torn, sample])
    labeled = X[:0] if estimator.X_training is None else estimator.X_training
    stack = sp.vstack if sp.issparse(X) else np.concatenate
    with threadpool_limits(limits=1):
        points = as_points(stack([X[rows], labeled]), np.random.default_rng(estimator.seed))
        offered, pool, known = np.split(points, [len(torn), len(rows)])
        doubt = _doubts(p[rows], is_multilabel=estimator.is_multilabel)
        of_torn, of_pool = np.split(doubt, [len(torn)])
        # The labeled ones that are seen stand for all of them. What the model says of them, having learned them by
        # heart, tells nothing: each counts as much as a random item.
        of_known = np.full(len(known), of_pool.mean() * max(estimator.n_labels, len(known)) / max(len(known), 1))
        aim = Weighted(pool, of_pool * _rarities(p[sample]))
        return most_telling(Weighted(offered, of_torn), Weighted(known, of_known), aim, n)


def torn_and_random_query(estimator: PoolEstimator, X: Any, n_instances: int = 1, **_: Any) -> NDArray[np.intp]:
    """The most torn items, and the random ones that stand for the pool: the same few in whatever parts it comes."""
    torn = margin_query(estimator, X, n_instances)
    return np.union1d(torn, _pool_sample(estimator.ids, estimator.seed))


def _pool_sample(ids: NDArray[np.int64], seed: int) -> NDArray[np.intp]:
    return top(random_keys(ids, seed), POOL_SAMPLE)


def _doubts(p: NDArray[np.floating], *, is_multilabel: bool) -> NDArray[np.float64]:
    """The variance of the label under the model (Gini impurity); of several labels the mean over them."""
    wide = p.astype(np.float64)
    return (2.0 * wide * (1.0 - wide)).mean(axis=1) if is_multilabel else 1.0 - np.square(wide).sum(axis=1)


def _rarities(p: NDArray[np.floating]) -> NDArray[np.float64]:
    """Weights with which all labels have the same share of these rows, by what the model says."""
    return np.asarray(p @ np.minimum(1.0 / np.maximum(p.mean(axis=0), 1e-9), MOST_RARITY)) / p.shape[1]


def _with_floor(line: NDArray[np.intp], p: NDArray[np.floating], labels: Sequence[int]) -> NDArray[np.intp]:
    if not labels:
        return line
    wanted = [
        int(top(p[:, label], FLOOR_PER_LABEL)[rank]) for rank in range(min(FLOOR_PER_LABEL, len(p))) for label in labels
    ]
    wanted = list(dict.fromkeys(wanted))
    rest = [i for i in line.tolist() if i not in set(wanted)]
    result: list[int] = []
    while wanted or rest:
        result += rest[: FLOOR_EVERY - 1]
        rest = rest[FLOOR_EVERY - 1 :]
        if wanted:
            result.append(wanted.pop(0))
    return np.array(result, dtype=np.intp)


def committee_query(estimator: PoolEstimator, X: Any, n_instances: int = 1, **_: Any) -> NDArray[np.intp]:
    """What the members disagree about most, by modAL's vote entropy. Five votes tie often: chance decides then."""
    torn = disagreement(estimator.predict_proba(X), X)
    return top(torn + 1e-6 * random_keys(estimator.ids, estimator.seed), n_instances)


def modal_query(module: str, function: str, estimator: Any, X: Any, n_instances: int = 1, **_: Any) -> Any:
    """Calls one of modAL's query functions.

    They are imported when first asked for (modAL pulls in pandas), and never shuffle: equal input, equal queue.
    """
    query = getattr(import_module(f"modAL.{module}"), function)
    if function == "uncertainty_batch_sampling":
        return query(estimator, X, n_instances=n_instances)
    return query(estimator, X, n_instances=n_instances, random_tie_break=False)


def _modal(module: str, function: str, **options: Any) -> Strategy:
    query = partial(modal_query, module, function)
    defaults: dict[str, Any] = {"narrow": query, "is_ordered": False} | options
    return Strategy(f"modal:{function}", query, **defaults)


STRATEGIES: dict[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        Strategy(RECOMMENDED, recommended_query, torn_and_random_query, sees_labeled=True),
        Strategy("margin", margin_query, margin_query),
        Strategy("entropy", entropy_query, entropy_query),
        Strategy("uncertainty", least_confidence_query, least_confidence_query),
        Strategy(RANDOM, random_query, random_query),
        _modal("uncertainty", "margin_sampling"),
        _modal("uncertainty", "entropy_sampling"),
        _modal("uncertainty", "uncertainty_sampling"),
        # Its cost grows with candidates x picks, so it sees the 500 most torn.
        _modal(
            "batch",
            "uncertainty_batch_sampling",
            narrow=margin_query,
            is_ordered=True,
            narrowest=500,
            sees_labeled=True,
        ),
        Strategy("modal:vote_entropy", committee_query, committee_query, asks_committee=True),
        _modal("multilabel", "min_confidence"),
        _modal("multilabel", "avg_confidence"),
        _modal("multilabel", "max_score"),
        _modal("multilabel", "avg_score"),
    )
}


def strategy_named(name: str) -> Strategy:
    """The strategy of that name. Raises KeyError for an unknown one."""
    return STRATEGIES[name]


def strategy_at(path: str) -> Strategy:
    """An operator's own strategy: a function of modAL's form at a dotted path. It picks from each shard, and orders.

    Raises ImportError where there is no such function. Never call it with a path that came from a request.
    """
    module, _, function = path.rpartition(".")
    try:
        query = getattr(import_module(module), function)
    except (AttributeError, ValueError) as error:
        raise ImportError(f"there is no {path} ({error})") from error
    if not callable(query):
        raise ImportError(f"{path} is not a function")
    return Strategy(path, query, query, is_ordered=False)


@dataclass(frozen=True, slots=True)
class Search:
    """One search through the pool: how, for how many, and what may be looked at beside the rows.

    `n_labels` are the labeled items that the model learned from.
    """

    strategy: Strategy
    n: int
    is_multilabel: bool
    seed: int
    batch: int = 20
    n_labels: int = 0
    floor_labels: tuple[int, ...] = ()

    @property
    def keep(self) -> int:
        """How many candidates the reduce step holds on to."""
        wanted = max(self.n, BREADTH * self.batch)
        return min(wanted, self.strategy.narrowest) if self.strategy.narrowest else wanted

    def estimator(self, candidates: Candidates, labeled: NDArray[Any] | None = None) -> PoolEstimator:
        return PoolEstimator(
            candidates,
            is_multilabel=self.is_multilabel,
            seed=self.seed,
            labeled=labeled,
            n_labels=self.n_labels,
            floor_labels=self.floor_labels,
        )


def best_of_shard(
    search: Search,
    block: FeatureBlock,
    ids: NDArray[np.int64],
    probabilities: NDArray[np.float32],
    eligible: NDArray[np.bool_],
) -> Candidates | None:
    """The rows of one shard that may reach the queue; None when no row is eligible."""
    rows = np.flatnonzero(eligible)
    if not len(rows):
        return None
    # Whole rows are copied only for those that stay: the measure needs no more than probabilities and ids.
    thin = Candidates(ids[rows], probabilities[rows], _no_features(len(rows)))
    chosen = rows[_narrow(search, thin)]
    return Candidates(ids[chosen], probabilities[chosen], block.take(chosen))


def reduce_candidates(search: Search, kept: Candidates | None, more: Candidates | None) -> Candidates | None:
    """The best of two sets, hardly more than `search.keep` of them: memory does not grow with the pool."""
    parts = [part for part in (kept, more) if part is not None]
    if not parts:
        return None
    merged = Candidates.merge(parts)
    return merged.take(_narrow(search, merged)) if len(merged) > search.keep else merged


def _narrow(search: Search, candidates: Candidates) -> NDArray[np.intp]:
    n = min(search.keep, len(candidates))
    estimator = search.estimator(candidates)
    chosen = indices_of(search.strategy.narrow(estimator, estimator.X, n_instances=n))
    floor = [top(candidates.probabilities[:, label], FLOOR_PER_LABEL) for label in search.floor_labels]
    return np.unique(np.concatenate([chosen, *floor])) if floor else chosen


def order_candidates(search: Search, candidates: Candidates, labeled: NDArray[Any] | None = None) -> Candidates:
    """The candidates in the strategy's order, best first, at most `search.n`."""
    n = min(search.n, len(candidates))
    if n == 0:
        return candidates
    estimator = search.estimator(candidates, labeled)
    ask = partial(search.strategy.query, estimator, estimator.X, batch=search.batch)
    if search.strategy.is_ordered:
        return candidates.take(indices_of(ask(n_instances=n)))
    # The best 1 is in every answer, the best 2 in all but the first: who enters earlier stands further in front.
    line: dict[int, None] = {}
    size = min(search.batch, n)
    while len(line) < n:
        for index in indices_of(ask(n_instances=size)).tolist():
            line.setdefault(index)
        if size == n:
            break
        size = min(2 * size, n)
    return candidates.take(np.array(list(line), dtype=np.intp))


def indices_of(answer: Any) -> NDArray[np.intp]:
    """The indices in a query function's answer: modAL's are (indices, values) pairs."""
    if isinstance(answer, tuple):
        answer = answer[0]
    return np.atleast_1d(np.asarray(answer, dtype=np.intp))


def _no_features(n: int) -> FeatureBlock:
    return FeatureBlock(sp.csr_matrix((n, 1), dtype=np.float32), np.zeros((n, 0), dtype=np.float16))
