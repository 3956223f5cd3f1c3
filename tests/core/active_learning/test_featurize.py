import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction import FeatureHasher

from active_learning.core.embedding import EmbeddingUnavailable, UniversalSentenceEncoder, embedder_for
from active_learning.core.featurize import (
    Featurizer,
    FeaturizerSpec,
    RawItem,
    column_of,
    explain_words,
    infer_spec,
    tokens,
)
from tests.core.active_learning.synthetic import TEXT_SPEC, LetterEmbedder


def test_words_and_signs_are_tokens_and_pairs_follow():
    assert list(tokens("Don't stop, NOW!")) == [
        "don't", "stop", ",", "now", "!", "don't stop", "stop ,", ", now", "now !",
    ]  # fmt: skip


def test_text_without_spaces_is_cut_into_characters():
    assert list(tokens("日本語", 1)) == ["日", "本", "語"]


@given(st.text(min_size=1, max_size=30))
def test_a_token_has_the_column_that_the_vectorized_hasher_gives_it(token):
    row = FeatureHasher(2**20, input_type="string", alternate_sign=False).transform([[token]])
    assert row.indices.tolist() == [column_of(token, 2**20)]


def test_a_row_of_words_has_length_one_and_an_empty_one_stays_empty():
    block = Featurizer(TEXT_SPEC).transform([RawItem({"text": "one two two three"}), RawItem({"text": ""})])
    assert np.linalg.norm(block.sparse[0].toarray()) == pytest.approx(1.0, abs=1e-6)
    assert block.sparse[1].nnz == 0
    assert block.sparse.indices.dtype == np.int32


def test_a_row_does_not_depend_on_its_neighbours():
    spec = infer_spec([RawItem({"text": "some words here"})], embedder=LetterEmbedder())
    featurizer = Featurizer(spec, LetterEmbedder())
    items = [RawItem({"text": t}) for t in ("a b c", "something else", "a b c d e f g")]
    together = featurizer.transform(items)
    for i, item in enumerate(items):
        alone = featurizer.transform([item])
        assert (alone.sparse != together.sparse[i]).nnz == 0
        assert (alone.dense == together.dense[i]).all()


def test_fields_are_recognized_by_what_they_hold():
    rows = [
        {
            "text": f"item number {i} is described here",
            "price": str(10.5 * i),
            "color": ["red", "blue"][i % 2],
            "sold": i % 3 == 0,
            "photo": f"https://example.org/{i}.jpg",
            "maker": {"country": "NO" if i % 2 else "SE"},
            "tags": ["new", "cheap"],
        }
        for i in range(60)
    ]
    spec = infer_spec([RawItem(row) for row in rows], embedder=LetterEmbedder())
    assert spec.text_fields == ("text",)
    assert [f.name for f in spec.numeric_fields] == ["price"]
    assert spec.categorical_fields == ("color", "maker.country", "sold", "tags")
    assert spec.dense_parts == (("embedding", 26), ("numeric", 1))


def test_the_spec_survives_json_and_its_fingerprint_tells_specs_apart():
    spec = infer_spec([RawItem({"age": i, "text": "x y z w"}) for i in range(30)], embedder=LetterEmbedder())
    again = FeaturizerSpec.from_json(json.loads(json.dumps(spec.to_json())))
    assert again == spec
    assert again.fingerprint == spec.fingerprint
    other = FeaturizerSpec.from_json(spec.to_json() | {"ngram_max": 1})
    assert other.fingerprint != spec.fingerprint


def test_numbers_are_scaled_by_the_pool_and_binned():
    spec = infer_spec([RawItem({"income": 1000.0 * i}) for i in range(101)])
    assert spec.embedding == ""
    block = Featurizer(spec).transform([RawItem({"income": v}) for v in (50_000, "75000", None, 1e300, "n/a")])
    assert block.dense[:, 0].tolist() == pytest.approx([0.0, 0.6745, 0.0, 30.0, 0.0], abs=0.01)
    # The missing and the unreadable value share a column of their own.
    assert block.sparse[2].indices.tolist() == block.sparse[4].indices.tolist()
    assert block.sparse[2].indices.tolist() != block.sparse[0].indices.tolist()


def test_a_given_vector_is_kept_in_order_of_size_one_whatever_its_unit():
    vectors = [np.array([1e6 * i, -2e6 * i, 0.0], dtype=np.float32) for i in range(1, 9)]
    items = [RawItem({"image": "https://example.org/a.png"}, vector) for vector in vectors]
    spec = infer_spec(items)
    assert spec.dense_parts == (("vector", 3),)
    block = Featurizer(spec).transform(items)
    assert np.isfinite(block.dense).all()
    assert np.abs(block.dense).max() < 10
    assert (block.dense[7, :2] / block.dense[0, :2]).tolist() == pytest.approx([8.0, 8.0], rel=1e-2)


def test_a_pair_is_the_difference_of_its_sides():
    spec = infer_spec([RawItem({"a": "good one", "b": "bad one"})], is_pair=True, embedder=LetterEmbedder())
    featurizer = Featurizer(spec, LetterEmbedder())
    forth = featurizer.transform([RawItem({"a": "good one", "b": {"text": "bad one"}})])
    back = featurizer.transform([RawItem({"a": "bad one", "b": "good one"})])
    same = featurizer.transform([RawItem({"a": "equal", "b": "equal"})])
    assert np.allclose(forth.sparse.toarray(), -back.sparse.toarray())
    assert np.allclose(forth.dense, -back.dense)
    assert same.sparse.nnz == 0
    assert not same.dense.any()


def test_the_shares_of_the_words_sum_to_the_score_of_the_text():
    text = "The cat sat on the mat, the end."
    row = Featurizer(TEXT_SPEC).transform([RawItem({"text": text})]).sparse
    rng = np.random.default_rng(0)
    weights = {int(c): float(rng.normal()) for c in row.indices}
    words = explain_words(text, weights, TEXT_SPEC, top=100)
    assert sum(w.weight for w in words) == pytest.approx(
        sum(weights[int(c)] * v for c, v in zip(row.indices, row.data, strict=True)), abs=1e-6
    )
    assert [text[w.start : w.end] for w in words] == [
        "The", "cat", "sat", "on", "the", "mat", ",", "the", "end", ".",
    ]  # fmt: skip


def test_only_the_heaviest_words_are_named_in_reading_order():
    text = "awful start but a truly great end"
    weights = {column_of("great", TEXT_SPEC.n_columns): 2.0, column_of("awful", TEXT_SPEC.n_columns): -3.0}
    words = explain_words(text, weights, TEXT_SPEC, top=2)
    assert [(text[w.start : w.end], w.weight > 0) for w in words] == [("awful", False), ("great", True)]


def test_the_encoder_embeds_in_any_order_and_never_reads_more_than_it_needs():
    encoder = UniversalSentenceEncoder()
    texts = ["a cat on a mat", "un gato en una alfombra", "the bank raised its interest rates " * 40, ""]
    vectors = encoder.encode(texts)
    assert vectors.shape == (4, 512)
    assert np.allclose(vectors[:2], encoder.encode(texts[:2]), atol=1e-4)
    assert vectors[0] @ vectors[1] > 0.5 > vectors[0] @ vectors[2]


def test_another_version_of_the_encoder_is_refused():
    with pytest.raises(EmbeddingUnavailable, match="0.0.1"):
        embedder_for("use-multilingual-v3", "0.0.1")
