"""Complement naive Bayes on the words (Rennie et al. 2003): quick, hard to overfit, and linear in the words.

Of each label it counts the words of all other items, so a rare label is judged by many. Its scores are sums over the
words, so what comes out is a LinearModel without dense weights: stored, loaded and explained like one.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.naive_bayes import ComplementNB
from threadpoolctl import threadpool_limits

from active_learning.core.blocks import FeatureBlock
from active_learning.core.linear import LinearModel
from active_learning.core.material import Material
from active_learning.core.targets import Targets, check_learnable
from active_learning.core.temperature import ScorePart


@dataclass(frozen=True, slots=True)
class NaiveBayesLearner:
    """`alpha` is what is added to the count of each word. The dense part is not looked at."""

    alpha: float = 0.1

    def fit(self, material: Material) -> LinearModel:
        """The uncalibrated model.

        Raises ValueError without rows, with one class only, and for counts below 0 (those of pairs).
        """
        targets = material.targets
        check_learnable(targets)
        columns, words = _words(material.block)
        # One thread: sums in another order would give another model from the same data.
        with threadpool_limits(limits=1):
            weights, bias, seen = self._weights(words, targets, material.weights)
        return LinearModel(
            labels=targets.labels,
            is_multilabel=targets.is_multilabel,
            seen=seen,
            columns=columns,
            sparse_weights=weights.astype(np.float32),
            dense_weights=np.zeros((material.block.dense.shape[1], len(seen)), dtype=np.float32),
            bias=bias.astype(np.float32),
        )

    def scorer(self, material: Material) -> ScorePart:
        _, words = _words(material.block)

        def score_part(
            inside: NDArray[np.int64], outside: NDArray[np.int64]
        ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
            own = (words[inside], material.targets.take(inside), material.weights[inside])
            weights, bias, seen = self._weights(*own)
            return np.asarray(words[outside] @ weights) + bias, seen

        return score_part

    def _weights(
        self, words: sp.csr_matrix, targets: Targets, sample_weight: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
        """Weights (words x seen labels), biases, and which labels were seen."""
        if not targets.is_multilabel:
            bayes = ComplementNB(alpha=self.alpha).fit(words, targets.y, sample_weight=sample_weight)
            return bayes.feature_log_prob_.T, np.zeros(len(bayes.classes_)), bayes.classes_
        n_labels = len(targets.labels)
        weights, bias = np.zeros((words.shape[1], n_labels)), np.zeros(n_labels)
        for label in range(n_labels):
            y = targets.y[:, label]
            positive = int(y.sum())
            bias[label] = np.log((positive + 0.5) / (len(y) - positive + 0.5))
            if 0 < positive < len(y):
                bayes = ComplementNB(alpha=self.alpha).fit(words, y, sample_weight=sample_weight)
                weights[:, label] = bayes.feature_log_prob_[1] - bayes.feature_log_prob_[0]
        return weights, bias, np.arange(n_labels)


def _words(block: FeatureBlock) -> tuple[NDArray[np.int64], sp.csr_matrix]:
    """The hashed columns that any row has, in order, and what the rows have of them."""
    columns = np.unique(block.sparse.indices).astype(np.int64)
    if not len(columns):  # no item has a word: one column that says nothing
        return np.zeros(1, dtype=np.int64), sp.csr_matrix((len(block), 1))
    place = np.searchsorted(columns, block.sparse.indices).astype(np.int32)
    data = block.sparse.data.astype(np.float64)
    return columns, sp.csr_matrix((data, place, block.sparse.indptr), shape=(len(block), len(columns)))
