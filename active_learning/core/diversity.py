"""Different from one another, typical of many: batches that do not ask the same question twice."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.decomposition import TruncatedSVD
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from active_learning.core.blocks import FeatureBlock

# Words in common (cosine of the hashed rows) from which two texts ask the same question; and, for items without
# words, closeness of their vectors.
SAME_WORDS = 0.8
SAME_VECTOR = 0.99
# The cluster start looks at this many random items of the pool: more would not be seen before the first model.
CLUSTER_SAMPLE = 4_000
MAX_CLUSTERS = 300
# An inverse of so many columns takes a third of a second, of ten thousand minutes.
MOST_DIRECTIONS = 1_024
_NEIGHBOURS = 20


@dataclass(frozen=True, slots=True)
class Typical:
    """A row that stands for a group of rows, and how many they are."""

    row: int
    group_size: int


def near_duplicates(block: FeatureBlock, order: NDArray[np.intp]) -> NDArray[np.intp]:
    """Those rows of `order` that repeat an earlier one of it."""
    if len(order) < 2:
        return order[:0]
    words = block.sparse[order]
    if words.nnz:
        norms = np.sqrt(np.asarray(words.multiply(words).sum(axis=1)).ravel())
        alike = (words @ words.T).toarray() / np.maximum(norms[:, None] * norms[None, :], 1e-9) > SAME_WORDS
    else:
        vectors = block.dense[order].astype(np.float32)
        vectors -= vectors.mean(axis=0)
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
        alike = vectors @ vectors.T > SAME_VECTOR
    alike = np.tril(alike, k=-1)
    repeats = np.zeros(len(order), dtype=bool)
    for i in np.flatnonzero(alike.any(axis=1)):
        repeats[i] = bool((alike[i] & ~repeats).any())
    return order[repeats]


def typical_of_clusters(
    X: Any, n: int, rng: np.random.Generator, *, covered: NDArray[np.bool_] | None = None
) -> list[Typical]:
    """One typical row of each of the largest clusters not yet covered, after TypiClust (Hacohen et al. 2022).

    `covered` marks rows that are labeled already; they make clusters but are not picked. Typical is who has near
    neighbours in its cluster. TypiClust takes the most typical; here chance picks one of the more typical half: the
    most typical of all clusters are alike in other ways, and were measured to start worse where labels are no topics
    (docs/learning.md). Returns up to `n` rows, of the largest clusters first.
    """
    covered = np.zeros(X.shape[0], dtype=bool) if covered is None else covered
    open_rows = int((~covered).sum())
    if open_rows == 0:
        return []
    points = as_points(X, rng)
    n_clusters = max(1, min(int(covered.sum()) + n, MAX_CLUSTERS, len(points)))
    clusters = _cluster(points, n_clusters, rng)
    sizes = np.bincount(clusters, minlength=n_clusters)
    answers = np.bincount(clusters[covered], minlength=n_clusters)
    # Fewest answers first, then the largest: once every cluster has one, the second round begins.
    found: list[Typical] = []
    for cluster in sorted(range(n_clusters), key=lambda c: (answers[c], -sizes[c])):
        rows = np.flatnonzero(clusters == cluster)
        free = ~covered[rows]
        if not free.any():
            continue
        by_typicality = rows[free][np.argsort(-_typicality(points[rows])[free], kind="stable")]
        row = rng.choice(by_typicality[: max(1, len(by_typicality) // 2)])
        found.append(Typical(int(row), int(sizes[cluster])))
        if len(found) == n:
            break
    return found


def _typicality(points: NDArray[np.float32]) -> NDArray[np.floating]:
    """The inverse of the mean distance to the nearest neighbours."""
    if len(points) == 1:
        return np.ones(1)
    k = min(_NEIGHBOURS, len(points) - 1)
    squares = np.einsum("ij,ij->i", points, points)
    distances = squares[:, None] + squares[None, :] - 2.0 * (points @ points.T)
    np.fill_diagonal(distances, np.inf)
    nearest = np.partition(distances, k - 1, axis=1)[:, :k]
    return 1.0 / (np.sqrt(np.maximum(nearest, 0.0)).mean(axis=1) + 1e-9)


def _cluster(points: NDArray[np.float32], n_clusters: int, rng: np.random.Generator) -> NDArray[np.int32]:
    seed = int(rng.integers(2**31))
    if len(points) <= 1_000:
        method = KMeans(n_clusters, n_init=1, max_iter=25, random_state=seed)
    else:
        # Choosing the first centres costs more than all the rest: a thousand points to choose from are enough.
        method = MiniBatchKMeans(
            n_clusters, n_init=1, max_iter=10, batch_size=2_048, init_size=max(1_024, 3 * n_clusters), random_state=seed
        )
    with threadpool_limits(limits=1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct points than clusters: fine here
        return method.fit_predict(points)


def as_points(X: Any, rng: np.random.Generator) -> NDArray[np.float32]:
    """Rows as centred dense points; hashed words are reduced to at most 64 directions, more than MOST_DIRECTIONS dense
    columns to so many random ones, which keep the distances (Johnson and Lindenstrauss 1984)."""
    if sp.issparse(X):
        columns = np.unique(X.indices)
        narrow = X[:, columns] if len(columns) else sp.csr_matrix((X.shape[0], 1), dtype=np.float32)
        width = min(64, narrow.shape[1] - 1, narrow.shape[0] - 1)
        if width < 2:
            return narrow.toarray().astype(np.float32)
        return TruncatedSVD(width, random_state=int(rng.integers(2**31))).fit_transform(narrow).astype(np.float32)
    points = np.asarray(X, dtype=np.float32)
    spread_of = points.std(axis=0)
    centred = (points - points.mean(axis=0)) / np.maximum(spread_of, spread_of.max() * 1e-3 + 1e-12)
    if centred.shape[1] <= MOST_DIRECTIONS:
        return centred
    directions = rng.standard_normal((centred.shape[1], MOST_DIRECTIONS), dtype=np.float32)
    return np.asarray(centred @ (directions / np.float32(np.sqrt(MOST_DIRECTIONS))))


def clusters_of(X: Any, n: int, rng: np.random.Generator) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """The cluster of each row of `X`, of `n`, and its distance to the middle of its cluster."""
    points = as_points(X, rng)
    clusters = _cluster(points, min(n, len(points)), rng)
    distance = np.zeros(len(points))
    for cluster in np.unique(clusters):
        rows = np.flatnonzero(clusters == cluster)
        distance[rows] = np.linalg.norm(points[rows] - points[rows].mean(axis=0), axis=1)
    return clusters, distance
