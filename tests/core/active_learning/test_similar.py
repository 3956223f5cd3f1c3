"""Likeness: known answers, and the same nearest ones however the pool is cut."""

import numpy as np
import pytest
import scipy.sparse as sp

from active_learning.core.blocks import FeatureBlock
from active_learning.core.featurize import FeaturizerSpec
from active_learning.core.similar import NONE, likeness_to, merge_nearest, nearest

EMBEDDED = FeaturizerSpec(text_fields=("text",), embedding="e", embedding_dimension=3, vector_dimension=2)
WORDS = FeaturizerSpec(text_fields=("text",))


def block(words, dense=None):
    words = sp.csr_matrix(np.array(words, dtype=np.float32))
    return FeatureBlock(words, np.zeros((words.shape[0], 0)) if dense is None else np.array(dense, dtype=np.float16))


def test_the_embedding_alone_is_compared_where_there_is_one():
    one = block([[1, 0]], [[0, 2, 0, 9, 9]])
    others = block([[1, 0], [0, 1], [1, 0], [1, 0]], [[0, 4, 0, -9, -9], [3, 0, 0, 9, 9], [0, -1, 0, 9, 9], [0] * 5])
    like = likeness_to(EMBEDDED, one)
    assert like.by == "embedding"
    assert like.of(others).tolist() == [1.0, 0.0, -1.0, 0.0]


def test_without_an_embedding_the_vector_and_then_the_words():
    assert likeness_to(EMBEDDED, block([[1, 0]], [[0, 0, 0, 1, 1]])).by == "vector"
    like = likeness_to(EMBEDDED, block([[3, 4]], [[0] * 5]))
    assert like.by == "words"
    assert like.of(block([[3, 4], [4, -3], [1, 0], [0, 0]], [[1] * 5] * 4)) == pytest.approx([1, 0, 0.6, 0])
    assert likeness_to(WORDS, block([[3, 4]])).by == "words"
    assert likeness_to(WORDS, block([[0, 0]])) is None
    with pytest.raises(ValueError, match="not to 2"):
        likeness_to(WORDS, block([[1], [1]]))


@pytest.mark.parametrize("cut", [1, 7, 50, 1000])
def test_the_nearest_do_not_depend_on_the_shards(cut):
    rng = np.random.default_rng(3)
    dense = rng.normal(size=(300, 3)).astype(np.float16)
    spec = FeaturizerSpec(embedding="e", embedding_dimension=3)
    whole = FeatureBlock(sp.csr_matrix((300, 4), dtype=np.float32), dense)
    like = likeness_to(spec, whole.take(np.array([17])))
    ids = np.arange(300, dtype=np.int64)
    found = NONE
    for start in range(0, 300, cut):
        rows = ids[start : start + cut]
        found = merge_nearest(found, nearest(rows, like.of(whole.take(rows)), 10), 10)
    wide = dense.astype(np.float64)
    exact = wide @ wide[17] / np.linalg.norm(wide, axis=1) / np.linalg.norm(wide[17])
    assert found.ids.tolist() == np.argsort(-exact)[:10].tolist()
    assert found.ids[0] == 17 and found.cosines[0] == pytest.approx(1.0)
    assert found.cosines == pytest.approx(np.sort(exact)[::-1][:10], abs=1e-5)
