"""What learns: a linear model over hashed words and a dense part, and the baselines that it has to beat."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_softmax, softmax
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from active_learning.core.blocks import FeatureBlock

# Rows of a dense block that are widened to float32 at a time: keeps the copy inside the cache.
_CHUNK = 2_048
# Up to so many stored numbers are searched for one by one; a table of all hashed columns would cost more than a row.
_LOOKED_UP = 20_000
# How much the dense part weighs beside the words, whose rows have length 1. Measured: docs/learning.md.
DENSE_WEIGHT = 1.5
# Up to this many rows the regression works on products between rows (see _Rows); with more than 20 labels, whose
# weights are many, up to the second number.
FOLD_UP_TO = 1_500
FOLD_UP_TO_WITH_MANY_LABELS = 4_000

Design = Any  # csr_matrix or dense array: scikit-learn takes both


@dataclass(frozen=True, slots=True)
class Targets:
    """What the rows of a block were said to be.

    `y` holds the position in `labels` of each row's label, or for several labels per row a boolean matrix.
    Positions are always 0..K-1: scikit-learn's temperature calibration silently flattens other integers.
    """

    labels: tuple[str, ...]
    y: NDArray[Any]

    @property
    def is_multilabel(self) -> bool:
        return self.y.ndim == 2

    def __len__(self) -> int:
        return len(self.y)

    def counts(self) -> NDArray[np.int64]:
        """How many rows carry each label."""
        if self.is_multilabel:
            return self.y.sum(axis=0).astype(np.int64)
        return np.bincount(self.y, minlength=len(self.labels)).astype(np.int64)

    def take(self, rows: NDArray[Any]) -> "Targets":
        return Targets(self.labels, self.y[rows])


def encode_targets(values: Sequence[object], labels: Sequence[str], *, is_multilabel: bool) -> Targets:
    """Stored values as positions in `labels`; ratings by their text. Raises KeyError for a value not among them."""
    position = {label: i for i, label in enumerate(labels)}
    if is_multilabel:
        matrix = np.zeros((len(values), len(labels)), dtype=bool)
        for row, value in enumerate(values):
            for label in value if isinstance(value, list) else [value]:
                matrix[row, position[str(label)]] = True
        return Targets(tuple(labels), matrix)
    return Targets(tuple(labels), np.array([position[str(v)] for v in values], dtype=np.int64))


@dataclass(frozen=True, slots=True)
class DenseScaling:
    """How dense columns are centred and scaled before they are weighed; from the whole pool, not the labels alone."""

    center: NDArray[np.float64]
    scale: NDArray[np.float64]


def dense_scaling(
    parts: Sequence[tuple[str, int]], n: int, total: NDArray[np.float64], squares: NDArray[np.float64]
) -> DenseScaling:
    """Scaling that gives each part an average squared row length of DENSE_WEIGHT squared.

    An embedding keeps the proportions between its columns; an owner's vector and numbers do not mean anything
    by their units, so each of their columns is brought to variance 1 first.
    """
    center = total / max(n, 1)
    variance = np.maximum(squares / max(n, 1) - center**2, 0.0)
    scale = np.zeros_like(center)
    start = 0
    for name, width in parts:
        part = slice(start, start + width)
        if name == "embedding":
            spread = float(variance[part].sum())
            scale[part] = DENSE_WEIGHT / np.sqrt(spread) if spread > 1e-12 else 0.0
        else:
            own = variance[part]
            useful = own > 1e-10
            scale[part] = np.where(useful, DENSE_WEIGHT / np.sqrt(np.where(useful, own, 1.0) * width), 0.0)
        start += width
    return DenseScaling(center, scale)


class Model(Protocol):
    """A fitted model. Probabilities have one column for each of `labels`; those of a single label sum to 1."""

    @property
    def labels(self) -> tuple[str, ...]: ...
    @property
    def is_multilabel(self) -> bool: ...
    def predict_proba(self, block: FeatureBlock) -> NDArray[np.float32]: ...
    def to_arrays(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]: ...


class Learner(Protocol):
    """Something that can be fitted. The same block, targets, weights and `rng` state give the same model."""

    def fit(
        self,
        block: FeatureBlock,
        targets: Targets,
        sample_weight: NDArray[np.float64],
        rng: np.random.Generator,
        scaling: DenseScaling,
    ) -> Model: ...


@dataclass(frozen=True, slots=True)
class LinearModel:
    """Calibrated logistic regression over the hashed columns seen among the labels, and the dense part.

    Columns that no labeled item has would get weight 0 under L2 anyway, so they are left out: exact, and 50 times
    faster. `seen` are the positions of the labels that had examples; the others get probability 0.
    """

    labels: tuple[str, ...]
    is_multilabel: bool
    seen: NDArray[np.int64]
    columns: NDArray[np.int64]
    sparse_weights: NDArray[np.float32]
    dense_weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    temperature: float = 1.0

    def scores(self, block: FeatureBlock) -> NDArray[np.float32]:
        """Uncalibrated scores, a column for each seen label."""
        # Unseen columns point at a last row of zeros.
        weights = np.vstack([self.sparse_weights, np.zeros((1, len(self.bias)), dtype=np.float32)])
        seen_only = sp.csr_matrix(
            (block.sparse.data, self._places(block.sparse), block.sparse.indptr),
            shape=(len(block), len(weights)),
            copy=False,
        )
        scores = np.asarray(seen_only @ weights, dtype=np.float32) + self.bias
        if block.dense.shape[1]:
            for start in range(0, len(block), _CHUNK):
                part = slice(start, start + _CHUNK)
                scores[part] += block.dense[part].astype(np.float32) @ self.dense_weights
        return scores

    def _places(self, sparse: sp.csr_matrix) -> NDArray[np.int32]:
        """Where each stored number's column stands among `columns`; after the last for a column that is not there."""
        n = len(self.columns)
        if not n or len(sparse.indices) > _LOOKED_UP:
            table = np.full(sparse.shape[1], n, dtype=np.int32)
            table[self.columns] = np.arange(n, dtype=np.int32)
            return table[sparse.indices]
        at = np.searchsorted(self.columns, sparse.indices).clip(max=n - 1)
        return np.where(self.columns[at] == sparse.indices, at, n).astype(np.int32)

    def predict_proba(self, block: FeatureBlock) -> NDArray[np.float32]:
        scores = self.scores(block) / self.temperature
        inner = expit(scores) if self.is_multilabel else softmax(scores, axis=1)
        if len(self.seen) == len(self.labels):
            return np.asarray(inner, dtype=np.float32)
        full = np.zeros((len(block), len(self.labels)), dtype=np.float32)
        full[:, self.seen] = inner
        return full

    def word_weights(self, label: int) -> dict[int, float]:
        """What one unit of each hashed column adds to the score of a label, against the average of the others."""
        place = np.flatnonzero(self.seen == label)
        if not len(place):
            return {}
        own = self.sparse_weights[:, place[0]]
        if not self.is_multilabel and len(self.seen) > 1:
            own = (own * len(self.seen) - self.sparse_weights.sum(axis=1)) / (len(self.seen) - 1)
        return dict(zip(self.columns.tolist(), own.tolist(), strict=True))

    def to_arrays(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        arrays: dict[str, NDArray[Any]] = {
            "seen": self.seen,
            "columns": self.columns,
            "sparse_weights": self.sparse_weights,
            "dense_weights": self.dense_weights,
            "bias": self.bias,
        }
        about = {"labels": list(self.labels), "is_multilabel": self.is_multilabel, "temperature": self.temperature}
        return arrays, {"kind": "linear"} | about

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], about: Mapping[str, Any]) -> Self:
        return cls(
            labels=tuple(about["labels"]),
            is_multilabel=about["is_multilabel"],
            seen=arrays["seen"],
            columns=arrays["columns"],
            sparse_weights=arrays["sparse_weights"],
            dense_weights=arrays["dense_weights"],
            bias=arrays["bias"],
            temperature=about["temperature"],
        )


@dataclass(frozen=True, slots=True)
class LinearLearner:
    """Logistic regression with an L2 penalty of strength 1/C and a temperature from out-of-fold scores.

    `balance` is the power of the inverse class frequency that weighs each row: 0 leaves rows as they are, 1 gives
    every class the same total, which was measured to lift macro-F1 most while labels are few (docs/learning.md).
    """

    C: float = 3.0
    balance: float = 1.0
    max_iterations: int = 300

    def fit(
        self,
        block: FeatureBlock,
        targets: Targets,
        sample_weight: NDArray[np.float64],
        rng: np.random.Generator,
        scaling: DenseScaling,
        *,
        is_calibrated: bool = True,
    ) -> LinearModel:
        """The model. Raises ValueError without rows or with one class only: nothing can be told apart.

        Calibration takes most of the time and does not change which label a model prefers.
        """
        counts = targets.counts()
        if len(targets) == 0:
            raise ValueError("no labels to learn from")
        if not targets.is_multilabel and np.count_nonzero(counts) < 2:
            raise ValueError("all labels are the same")
        # One thread: sums in another order would give another model from the same data.
        with threadpool_limits(limits=1):
            columns = np.unique(block.sparse.indices).astype(np.int64)
            fold_up_to = FOLD_UP_TO if len(targets.labels) <= 20 else FOLD_UP_TO_WITH_MANY_LABELS
            rows = _Rows.of(block, columns, scaling, is_folded=len(block) <= fold_up_to)
            temperature = self._temperature(rows.design, targets, sample_weight, rng) if is_calibrated else 1.0
            inner, bias, seen = self._weights(rows.design, targets, sample_weight)
            weights = rows.unfold(inner)
        sparse_weights = weights[: len(columns)]
        scaled = weights[len(columns) :] * scaling.scale[:, None]
        return LinearModel(
            labels=targets.labels,
            is_multilabel=targets.is_multilabel,
            seen=seen,
            columns=columns,
            sparse_weights=sparse_weights.astype(np.float32),
            dense_weights=scaled.astype(np.float32),
            bias=(bias - scaling.center @ scaled).astype(np.float32),
            temperature=temperature,
        )

    def _weights(
        self, design: Design, targets: Targets, sample_weight: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
        """Weights (columns of the design x seen labels), biases, and which labels were seen."""
        if targets.is_multilabel:
            return self._weights_one_against_rest(design, targets, sample_weight)
        seen, y = np.unique(targets.y, return_inverse=True)
        coefficients, bias = self._regress(design, y, sample_weight)
        if len(seen) == 2:  # one score z becomes -z/2 and +z/2, whose softmax is the same
            return np.hstack([-coefficients / 2, coefficients / 2]), np.array([-bias[0] / 2, bias[0] / 2]), seen
        return coefficients, bias, seen

    def _weights_one_against_rest(
        self, design: Design, targets: Targets, sample_weight: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
        n_labels = len(targets.labels)
        weights = np.zeros((design.shape[1], n_labels))
        bias = np.zeros(n_labels)
        for label in range(n_labels):
            y = targets.y[:, label].astype(np.int64)
            positive = int(y.sum())
            if positive in (0, len(y)):  # nothing to tell apart: its rate, pulled towards a half
                bias[label] = np.log((positive + 0.5) / (len(y) - positive + 0.5))
                continue
            coefficients, own_bias = self._regress(design, y, sample_weight)
            weights[:, label], bias[label] = coefficients[:, 0], own_bias[0]
        return weights, bias, np.arange(n_labels)

    def _regress(
        self, design: Design, y: NDArray[np.int64], sample_weight: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        totals = np.bincount(y, weights=sample_weight)
        by_class = (totals.sum() / (len(totals) * np.maximum(totals, 1e-9))) ** self.balance
        weight = sample_weight * by_class[y]
        weight *= len(y) / weight.sum()
        regression = LogisticRegression(C=self.C, max_iter=self.max_iterations)
        regression.fit(design, y, sample_weight=weight)
        return regression.coef_.T, regression.intercept_

    def _temperature(
        self, design: Design, targets: Targets, sample_weight: NDArray[np.float64], rng: np.random.Generator
    ) -> float:
        """The divisor of the scores that makes out-of-fold probabilities fit best; 1 when too few to tell."""
        n = len(targets)
        if n < 20:
            return 1.0
        folds = _folds(targets, 5 if n < 1_000 else 3, rng)
        # Beyond this one held-out fold says enough, and the fits would take most of the time.
        judged = range(1) if n > 1_500 else range(int(folds.max()) + 1)
        scores, truths, weights = [], [], []
        for fold in judged:
            inside, outside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            part = targets.take(inside)
            if not targets.is_multilabel and np.count_nonzero(part.counts()) < 2:
                continue
            fitted, bias, seen = self._weights(design[inside], part, sample_weight[inside])
            raw = np.asarray(design[outside] @ fitted) + bias
            if targets.is_multilabel:
                scores.append(raw)
                truths.append(targets.y[outside])
            else:
                # A label without examples in this fold has no score; its rows say nothing about the temperature.
                place = np.searchsorted(seen, targets.y[outside]).clip(max=len(seen) - 1)
                known = seen[place] == targets.y[outside]
                full = np.full((len(outside), len(targets.labels)), -np.inf)
                full[:, seen] = raw
                scores.append(full[known])
                truths.append(targets.y[outside][known])
                outside = outside[known]
            weights.append(sample_weight[outside])
        if not scores or sum(len(s) for s in scores) < 20:
            return 1.0
        return fit_temperature(np.concatenate(scores), np.concatenate(truths), np.concatenate(weights))


def fit_temperature(scores: NDArray[Any], truth: NDArray[Any], weight: NDArray[np.float64]) -> float:
    """The T in [0.05, 20] under which `scores / T` give `truth` the highest likelihood.

    `truth` holds positions for a softmax, or a boolean matrix for one sigmoid a column. Scores of minus infinity
    stand for labels that cannot be.
    """

    # As in Platt's scaling, a truth is held to be slightly less than certain: a handful of rows that are all right
    # would otherwise make every confidence 1.
    doubt = 1.0 / (len(truth) + 2.0)
    possible = np.isfinite(scores)

    def loss(log_t: float) -> float:
        scaled = scores / np.exp(log_t)
        if truth.ndim == 2:
            wrong = np.logaddexp(0.0, np.where(truth, -scaled, scaled))
            right = np.logaddexp(0.0, np.where(truth, scaled, -scaled))
            return float((weight[:, None] * ((1 - doubt) * wrong + doubt * right)).sum())
        log_p = log_softmax(scaled, axis=1)
        spread = np.where(possible, log_p, 0.0).sum(axis=1) / possible.sum(axis=1)
        return float(-(weight * ((1 - doubt) * log_p[np.arange(len(truth)), truth] + doubt * spread)).sum())

    best = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20.0)), method="bounded", options={"xatol": 1e-3})
    return float(np.exp(best.x))


def _folds(targets: Targets, n_folds: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """A fold for each row; every class is dealt out evenly, also one with fewer rows than folds."""
    order = rng.permutation(len(targets))
    if not targets.is_multilabel:
        order = order[np.argsort(targets.y[order], kind="stable")]
    folds = np.empty(len(targets), dtype=np.int64)
    folds[order] = np.arange(len(targets)) % n_folds
    return folds


@dataclass(frozen=True, slots=True)
class _Rows:
    """Labeled rows as the regression sees them.

    With few rows, `design` is the Cholesky factor of their Gram matrix instead of the rows: products between rows are
    all that an L2-penalized regression looks at, so the solution is the same and has one number a row, not one
    a word. With 500 labels of 50 classes that is seven times faster (docs/learning.md).
    """

    words: sp.csr_matrix
    dense: NDArray[np.float64]
    design: Design
    is_folded: bool

    @classmethod
    def of(cls, block: FeatureBlock, columns: NDArray[np.int64], scaling: DenseScaling, *, is_folded: bool) -> Self:
        place = np.searchsorted(columns, block.sparse.indices).astype(np.int32)
        words = sp.csr_matrix(
            (block.sparse.data.astype(np.float64), place, block.sparse.indptr), shape=(len(block), len(columns))
        )
        dense = (block.dense.astype(np.float64) - scaling.center) * scaling.scale
        if not is_folded:
            return cls(words, dense, sp.csr_matrix(sp.hstack([words, sp.csr_matrix(dense)], format="csr")), False)
        gram = (words @ words.T).toarray() + dense @ dense.T
        # Equal rows make it singular; a ten-millionth of its size keeps it positive and changes nothing visible.
        gram[np.diag_indices_from(gram)] += 1e-7 * max(float(gram.trace()) / len(block), 1e-3)
        return cls(words, dense, cholesky(gram, lower=True), True)

    def unfold(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weights of the design as weights of the words, then of the dense columns."""
        if not self.is_folded:
            return weights
        by_row = solve_triangular(self.design, weights, lower=True, trans="T")
        return np.vstack([np.asarray(self.words.T @ by_row), self.dense.T @ by_row])


def majority_prediction(targets: Targets) -> NDArray[Any]:
    """What the majority baseline says of any item: the commonest label, or each label's commoner state."""
    if targets.is_multilabel:
        return targets.y.mean(axis=0) > 0.5
    return np.asarray(int(targets.counts().argmax()))


def random_predictions(targets: Targets, n: int, rng: np.random.Generator) -> NDArray[Any]:
    """`n` draws with the labels' own frequencies."""
    if targets.is_multilabel:
        return rng.random((n, len(targets.labels))) < targets.y.mean(axis=0)
    return rng.choice(len(targets.labels), size=n, p=targets.counts() / len(targets))


def decide(probabilities: NDArray[np.float32], *, is_multilabel: bool) -> NDArray[Any]:
    """Predictions in the form of `Targets.y`: the likeliest label, or every label above a half."""
    if is_multilabel:
        return probabilities > 0.5
    return probabilities.argmax(axis=1)
