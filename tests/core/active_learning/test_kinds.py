"""The learners beside the plain linear one: naive Bayes, boosted trees, points of a scale, pairs."""

import io
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.naive_bayes import ComplementNB

from active_learning.core.artifacts import pack_arrays, unpack_arrays
from active_learning.core.blocks import FeatureBlock
from active_learning.core.boosting import BoostingLearner
from active_learning.core.featurize import Featurizer, FeaturizerSpec, RawItem
from active_learning.core.forest import Forest
from active_learning.core.known import check_known, known_rows, pack_known
from active_learning.core.learners import learner_of, recipe_of, restore
from active_learning.core.linear import LinearLearner
from active_learning.core.naive_bayes import NaiveBayesLearner
from active_learning.core.ordinal import OrdinalLearner
from active_learning.core.pairwise import PairLearner
from active_learning.core.scaling import DenseScaling
from active_learning.core.targets import Targets, decide, encode_targets
from tests.core.active_learning.synthetic import LetterEmbedder, block_of, learned, scaling_of, topic_texts

TOPICS = ("food", "money", "sport")
KINDS = {
    "linear": LinearLearner(),
    "ordinal": OrdinalLearner(),
    "pairwise": PairLearner(),
    "naive_bayes": NaiveBayesLearner(),
    "boosting": BoostingLearner(rounds=10),
}


def fit(learner, block, targets, weight=None, spec=None):
    scaling = scaling_of(block, spec) if spec else scaling_of(block)
    return learned(learner, block, targets, weights=weight, scaling=scaling)


def topics(n=120, seed=0, labels=TOPICS):
    texts, said = topic_texts(n, np.random.default_rng(seed))
    return block_of(texts), encode_targets(said, labels, is_multilabel=False)


def table_of(rows, n_columns=1 << 10):
    """A block without words, of numbers alone, and a scaling that leaves them as they are."""
    dense = np.asarray(rows, dtype=np.float16)
    block = FeatureBlock(sp.csr_matrix((len(dense), n_columns), dtype=np.float32), dense)
    return block, DenseScaling(np.zeros(dense.shape[1]), np.ones(dense.shape[1]))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_made_again_from_its_recipe_and_its_arrays_to_the_bit(kind):
    learner = KINDS[kind]
    assert learner_of(recipe_of(learner)) == learner
    assert recipe_of(learner)["kind"] == kind
    block, targets = topics()
    model, again = fit(learner, block, targets), fit(learner_of(recipe_of(learner)), block, targets)
    arrays, about = model.to_arrays()
    assert pack_arrays(arrays) == pack_arrays(again.to_arrays()[0])
    assert model.temperature == again.temperature
    known = pack_known(model.predict_proba, known_rows(block))
    stored = unpack_arrays(pack_arrays(arrays | known))
    loaded = restore(stored, about)
    assert (loaded.predict_proba(block) == model.predict_proba(block)).all()
    assert check_known(loaded.predict_proba, stored) == 8
    assert all(array.dtype != object for array in arrays.values())


@pytest.mark.parametrize("kind", KINDS)
def test_bad_input_gives_a_proper_answer_or_a_clear_refusal(kind):
    learner = KINDS[kind]
    block, _ = topics(60)
    with pytest.raises(ValueError, match="no labels"):
        fit(learner, block.take(np.zeros(0, dtype=int)), Targets(TOPICS, np.zeros(0, dtype=int)))
    with pytest.raises(ValueError, match="all labels are the same"):
        fit(learner, block, Targets(TOPICS, np.ones(60, dtype=int)))
    contradictory = block.take(np.zeros(40, dtype=int))
    nothing = FeatureBlock(sp.csr_matrix((40, 10_000), dtype=np.float32), np.zeros((40, 0), dtype=np.float16))
    halves = Targets(TOPICS, np.arange(40) % 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for rows, targets in [
            (block.take(np.arange(2)), Targets(TOPICS, np.array([0, 1]))),
            (contradictory, halves),
            (nothing, halves),
        ]:
            model = fit(learner, rows, targets)
            p = model.predict_proba(rows)
            assert p.shape == (len(rows), 3)
            assert np.isfinite(p).all()
            assert np.allclose(p.sum(axis=1), 1, atol=1e-5)
            assert not p[:, 2].any()
            if len(rows) == 40:  # the same row, half of them each
                assert p[0, :2] == pytest.approx([0.5, 0.5], abs=0.02)
            proper = model.linear_part
            assert proper is None or proper.sparse_weights.shape[1] == len(model.seen) == 2


def test_labels_without_examples_are_never_said_by_any_kind():
    block, targets = topics(90, labels=("weather", *TOPICS))
    for learner in (NaiveBayesLearner(), BoostingLearner(rounds=20), OrdinalLearner()):
        p = fit(learner, block, targets).predict_proba(block)
        assert p.shape == (90, 4)
        assert not p[:, 0].any()


# Naive Bayes


def test_naive_bayes_says_what_scikit_learn_says():
    block, targets = topics()
    model = fit(NaiveBayesLearner(alpha=0.5), block, targets)
    columns = np.unique(block.sparse.indices)
    bayes = ComplementNB(alpha=0.5).fit(block.sparse[:, columns], targets.y)
    other, _ = topics(60, seed=3)
    expected = bayes.predict_joint_log_proba(other.sparse[:, columns])
    assert np.allclose(model.scores(other), expected, atol=1e-4)
    assert (model.predict_proba(other).argmax(axis=1) == bayes.predict(other.sparse[:, columns])).all()


def test_naive_bayes_learns_several_labels_each_for_itself():
    texts, said = topic_texts(200, np.random.default_rng(0))
    values = [[topic, "money"] if i % 2 and topic != "money" else [topic] for i, topic in enumerate(said)]
    texts = [text + " bank loan tax" * (i % 2) for i, text in enumerate(texts)]
    targets = encode_targets(values, (*TOPICS, "never"), is_multilabel=True)
    block = block_of(texts)
    p = fit(NaiveBayesLearner(), block, targets).predict_proba(block)
    assert (decide(p, is_multilabel=True) == targets.y).all(axis=1).mean() > 0.85
    assert p[:, 3].max() < 0.1


# Boosted trees


@pytest.mark.parametrize("n_labels", [2, 4])
def test_our_trees_say_what_scikit_learn_says_also_of_missing_values(n_labels):
    rng = np.random.default_rng(n_labels)
    table = rng.normal(size=(400, 5))
    table[rng.random(table.shape) < 0.1] = np.nan
    y = np.nan_to_num(table[:, 0] * 2 + (table[:, 1] > 0)).astype(int) % n_labels
    boosting = HistGradientBoostingClassifier(max_iter=12, max_leaf_nodes=8, random_state=0).fit(table, y)
    forest = Forest.of(boosting)
    new = rng.normal(size=(700, 5))
    new[rng.random(new.shape) < 0.1] = np.nan
    scores = forest.scores(new)
    if n_labels == 2:
        ours = 1 / (1 + np.exp(-scores[:, 0]))
        assert np.allclose(ours, boosting.predict_proba(new)[:, 1], atol=1e-12)
    else:
        ours = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        assert np.allclose(ours, boosting.predict_proba(new), atol=1e-12)
    stored = io.BytesIO()
    np.savez(stored, **forest.to_arrays())
    stored.seek(0)
    with np.load(stored, allow_pickle=False) as arrays:
        assert (Forest.from_arrays(arrays).scores(new) == scores).all()


def test_trees_learn_what_a_linear_model_cannot():
    rng = np.random.default_rng(0)
    rows = rng.uniform(-1, 1, size=(600, 2))
    targets = Targets(("different", "same"), (rows[:, 0] * rows[:, 1] > 0).astype(np.int64))
    block, scaling = table_of(rows)

    def right(learner):
        model = learned(learner, block.take(np.arange(400)), targets.take(np.arange(400)), scaling=scaling)
        p = model.predict_proba(block.take(np.arange(400, 600)))
        return (p.argmax(axis=1) == targets.y[400:]).mean()

    assert right(LinearLearner()) < 0.65
    assert right(BoostingLearner()) > 0.9


def test_trees_see_categories_and_leave_an_embedding_out():
    rng = np.random.default_rng(0)
    items = [RawItem({"colour": str(rng.choice(["red", "blue"])), "text": "x"}) for _ in range(80)]
    spec = FeaturizerSpec(
        text_fields=("text",), categorical_fields=("colour",), hash_bits=14,
        embedding="letters", embedding_version="1", embedding_dimension=26,
    )  # fmt: skip
    block = Featurizer(spec, LetterEmbedder()).transform(items)
    targets = encode_targets([item.data["colour"] for item in items], ("red", "blue"), is_multilabel=False)
    model = fit(BoostingLearner(rounds=20, first_dense=26), block, targets, spec=spec)
    p = model.predict_proba(block)
    assert (p.argmax(axis=1) == targets.y).all()
    noise = FeatureBlock(block.sparse, np.full_like(block.dense, 7))
    assert (model.predict_proba(noise) == p).all()


def test_trees_refuse_several_labels_an_item():
    block, _ = topics(30)
    with pytest.raises(ValueError, match="one label an item"):
        fit(BoostingLearner(), block, Targets(TOPICS, np.ones((30, 3), dtype=bool)))


# Points of a scale


def scale(n, seed, points=7):
    """Texts whose number of good and bad words says a point of a scale, with noise."""
    rng = np.random.default_rng(seed)
    level = rng.normal(size=n)
    good = [f"good{k}" for k in range(6)]
    bad = [f"bad{k}" for k in range(6)]
    share = 1 / (1 + np.exp(-2 * level))
    texts = [" ".join(str(rng.choice(good if rng.random() < p else bad)) for _ in range(8)) for p in share]
    y = np.clip(np.rint(level + points // 2 + rng.normal(size=n) * 0.4), 0, points - 1).astype(np.int64)
    return block_of(texts), Targets(tuple(str(p) for p in range(points)), y)


def test_points_in_their_order_are_nearer_to_the_truth_than_points_as_names():
    block, targets = scale(200, 0)
    new, truth = scale(1_000, 1)
    off = {
        name: np.abs(fit(learner, block, targets).predict_proba(new).argmax(axis=1) - truth.y).mean()
        for name, learner in (("ordinal", OrdinalLearner()), ("names", LinearLearner()))
    }
    assert off["ordinal"] < off["names"]


def test_ordinal_words_speak_upwards_or_downwards():
    block, targets = scale(300, 0)
    words = fit(OrdinalLearner(), block, targets).linear_part
    good, bad = (block_of([f"{side}0"]).sparse.indices[0] for side in ("good", "bad"))
    highest, lowest = words.word_weights(int(words.seen[-1])), words.word_weights(int(words.seen[0]))
    assert highest[good] > 0 > highest[bad]
    assert lowest[bad] > 0 > lowest[good]


# Pairs


@pytest.mark.parametrize("labels", [("a", "b"), ("a", "b", "tie")])
def test_swapping_the_sides_mirrors_the_answer_exactly(labels):
    rng = np.random.default_rng(0)
    texts, said = topic_texts(300, rng, ("sport", "money"))
    left, right = rng.permutation(300).reshape(2, 150)
    pairs = [(texts[i], texts[j], said[i], said[j]) for i, j in zip(left, right, strict=True)]
    # The left is shown first and wins too often: nothing of that may be learned.
    values = [
        "a" if left == right and len(labels) == 2 else "tie" if left == right else "a" if left == "sport" else "b"
        for _, _, left, right in pairs
    ]
    spec = FeaturizerSpec(
        text_fields=("text",), is_pair=True, hash_bits=14,
        embedding="letters", embedding_version="1", embedding_dimension=26,
    )  # fmt: skip
    featurizer = Featurizer(spec, LetterEmbedder())
    block = featurizer.transform([RawItem({"a": a, "b": b}) for a, b, *_ in pairs])
    swapped = featurizer.transform([RawItem({"a": b, "b": a}) for a, b, *_ in pairs])
    model = fit(PairLearner(), block, encode_targets(values, labels, is_multilabel=False), spec=spec)
    p, q = model.predict_proba(block), model.predict_proba(swapped)
    assert np.allclose(p[:, 0], q[:, 1], atol=1e-6)
    assert np.allclose(p[:, 2:], q[:, 2:], atol=1e-6)
    decided = np.array([left != right for *_, left, right in pairs])
    assert (np.array(labels)[p.argmax(axis=1)] == values)[decided].mean() > 0.95
    same = featurizer.transform([RawItem({"a": "goal", "b": "goal"})])
    assert np.ptp(model.predict_proba(same)[0, :2]) < 1e-6
