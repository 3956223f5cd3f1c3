"""Small pools with a known answer, for tests of the learning core."""

import numpy as np

from active_learning.core.blocks import FeatureBlock
from active_learning.core.featurize import Featurizer, FeaturizerSpec, RawItem
from active_learning.core.learners import calibrate
from active_learning.core.material import Material
from active_learning.core.scaling import DenseScaling, dense_scaling

WORDS = {
    "sport": ["goal", "match", "team", "score", "league", "coach"],
    "money": ["bank", "loan", "market", "share", "profit", "tax"],
    "food": ["bread", "soup", "cheese", "pepper", "oven", "salt"],
}
TEXT_SPEC = FeaturizerSpec(text_fields=("text",), hash_bits=14)


def topic_texts(n: int, rng: np.random.Generator, topics: tuple[str, ...] = ("sport", "money", "food")):
    """`n` short texts and their topics: four words of the topic among four of no meaning."""
    labels = [topics[i % len(topics)] for i in range(n)]
    texts = []
    for label in labels:
        words = [*rng.choice(WORDS[label], 4), *(f"filler{k}" for k in rng.integers(0, 50, 4))]
        rng.shuffle(words)
        texts.append(" ".join(words))
    return texts, labels


def block_of(texts: list[str], spec: FeaturizerSpec = TEXT_SPEC) -> FeatureBlock:
    return Featurizer(spec).transform([RawItem({"text": text}) for text in texts])


def scaling_of(block: FeatureBlock, spec: FeaturizerSpec = TEXT_SPEC) -> DenseScaling:
    dense = block.dense.astype(np.float64)
    return dense_scaling(spec.dense_parts, len(block), dense.sum(axis=0), np.square(dense).sum(axis=0))


def learned(learner, block, targets, *, weights=None, scaling=None, seed=0):
    """The calibrated model that a learner makes of a block."""
    weights = np.ones(len(targets)) if weights is None else weights
    material = Material(block, targets, weights, scaling or scaling_of(block))
    return calibrate(learner, learner.fit(material), material, np.random.default_rng(seed))


class LetterEmbedder:
    """An encoder that counts letters: quick, exact, and of any dimension up to 26."""

    name = "letters"
    version = "1"

    def __init__(self, dimension: int = 26) -> None:
        self.dimension = dimension

    def encode(self, texts):
        return np.array(
            [[t.lower().count(chr(97 + k)) for k in range(self.dimension)] for t in texts], dtype=np.float32
        ).reshape(len(texts), self.dimension)
