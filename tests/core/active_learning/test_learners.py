import warnings

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from active_learning.core import gram
from active_learning.core.baselines import majority_prediction, random_predictions
from active_learning.core.featurize import Featurizer, RawItem, infer_spec
from active_learning.core.linear import LinearLearner, LinearModel
from active_learning.core.material import Material
from active_learning.core.scaling import dense_scaling
from active_learning.core.targets import Targets, decide, encode_targets
from active_learning.core.temperature import fit_temperature, leads, out_of_fold_temperature
from tests.core.active_learning.synthetic import LetterEmbedder, block_of, learned, scaling_of, topic_texts

TOPICS = ("food", "money", "sport")


def fitted(n=120, labels=TOPICS, seed=0, **options):
    rng = np.random.default_rng(seed)
    texts, topics = topic_texts(n, rng)
    block = block_of(texts)
    targets = encode_targets(topics, labels, is_multilabel=False)
    model = learned(LinearLearner(**options), block, targets)
    return model, block, targets


def test_it_learns_and_speaks_of_all_declared_labels():
    model, _, _ = fitted(labels=("weather", *TOPICS))
    texts, topics = topic_texts(60, np.random.default_rng(9))
    p = model.predict_proba(block_of(texts))
    assert p.shape == (60, 4)
    assert np.allclose(p.sum(axis=1), 1, atol=1e-5)
    assert not p[:, 0].any()
    assert (np.array(model.labels)[p.argmax(axis=1)] == topics).mean() > 0.95


def test_labels_with_any_names_are_encoded_from_zero():
    # Database ids as labels: scikit-learn's own temperature calibration would flatten the probabilities to 1/K.
    targets = encode_targets([7001, 7003, 7003], ("7001", "7002", "7003"), is_multilabel=False)
    assert targets.y.tolist() == [0, 2, 2]
    with pytest.raises(KeyError):
        encode_targets(["unknown"], TOPICS, is_multilabel=False)


def test_leaving_out_unseen_columns_changes_nothing():
    model, block, targets = fitted(balance=0.0)
    full = LogisticRegression(C=LinearLearner().C, max_iter=300).fit(block.sparse, targets.y)
    texts, _ = topic_texts(40, np.random.default_rng(3))
    other = block_of(texts)
    raw = model.scores(other)
    expected = other.sparse @ full.coef_.T + full.intercept_
    assert np.allclose(softmax(raw, axis=1), softmax(expected, axis=1), atol=2e-3)


def test_renaming_the_labels_renames_the_answers():
    model, block, targets = fitted()
    order = [2, 0, 1]
    renamed = Targets(tuple(TOPICS[i] for i in order), np.array([order.index(y) for y in targets.y]))
    again = learned(LinearLearner(), block, renamed)
    assert np.allclose(
        again.predict_proba(block)[:, [order.index(i) for i in range(3)]], model.predict_proba(block), atol=0.05
    )


def test_same_data_same_model_to_the_bit():
    first, second = fitted()[0], fitted()[0]
    for name, array in first.to_arrays()[0].items():
        assert (array == second.to_arrays()[0][name]).all(), name
    assert first.temperature == second.temperature


def test_arrays_give_the_model_back():
    model, block, _ = fitted()
    arrays, about = model.to_arrays()
    again = LinearModel.from_arrays(arrays, about)
    assert (again.predict_proba(block) == model.predict_proba(block)).all()


def test_a_sample_weight_of_two_counts_like_two_rows():
    texts, topics = topic_texts(30, np.random.default_rng(1))
    block = block_of(texts)
    targets = encode_targets(topics, TOPICS, is_multilabel=False)
    twice = np.concatenate([np.arange(30), np.arange(3)])
    weight = np.ones(30)
    weight[:3] = 2

    def fit(rows, weights, C):
        # No temperature and no class weights: the regression alone.
        learner = LinearLearner(C=C, balance=0.0)
        return learner.fit(Material(block.take(rows), targets.take(rows), weights, scaling_of(block)))

    weighed = fit(np.arange(30), weight, 10.0 * 33 / 30)
    repeated = fit(twice, np.ones(33), 10.0)
    assert np.allclose(weighed.scores(block), repeated.scores(block), atol=0.02)


def test_many_and_few_rows_are_solved_alike(monkeypatch):
    folded, block, _ = fitted()
    monkeypatch.setattr(gram, "FOLD_UP_TO", 10)
    plain = fitted()[0]
    assert np.allclose(folded.predict_proba(block), plain.predict_proba(block), atol=5e-3)


def test_equal_rows_do_no_harm():
    block = block_of(["goal match"] * 30 + ["bank loan"] * 30 + [""] * 4)
    targets = Targets(TOPICS, np.array([2] * 30 + [1] * 30 + [0] * 4))
    model = learned(LinearLearner(), block, targets)
    assert (model.predict_proba(block).argmax(axis=1) == targets.y).all()


def test_two_classes_give_a_proper_pair_of_probabilities():
    texts, topics = topic_texts(80, np.random.default_rng(2), ("sport", "money"))
    block = block_of(texts)
    model = learned(LinearLearner(), block, encode_targets(topics, ("money", "sport"), is_multilabel=False))
    p = model.predict_proba(block)
    assert np.allclose(p.sum(axis=1), 1, atol=1e-6)
    assert (np.array(model.labels)[p.argmax(axis=1)] == topics).all()


def test_one_class_alone_is_refused():
    block = block_of(["a b", "c d"])
    with pytest.raises(ValueError, match="same"):
        learned(LinearLearner(), block, Targets(TOPICS, np.array([1, 1])))
    with pytest.raises(ValueError, match="no labels"):
        learned(LinearLearner(), block.take(np.array([], dtype=int)), Targets(TOPICS, np.zeros(0, dtype=int)))


def test_a_class_with_one_example_neither_fails_nor_warns():
    texts, topics = topic_texts(41, np.random.default_rng(4), ("sport", "money"))
    topics[-1] = "food"
    block = block_of(texts)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = learned(LinearLearner(), block, encode_targets(topics, TOPICS, is_multilabel=False))
    assert 0.05 <= model.temperature <= 20
    assert model.predict_proba(block)[:, 0].max() > 0


def test_two_labels_in_all_are_enough_to_start():
    block = block_of(["goal match team", "bank loan tax"])
    model = learned(LinearLearner(), block, encode_targets(["sport", "money"], TOPICS, is_multilabel=False))
    assert decide(model.predict_proba(block_of(["a goal", "a bank"])), is_multilabel=False).tolist() == [2, 1]


def test_a_hundred_and_fifty_classes_fit():
    rng = np.random.default_rng(0)
    labels = tuple(f"c{i:03d}" for i in range(150))
    values = [labels[i % 150] for i in range(450)]
    texts = [f"{value} word{rng.integers(30)} word{rng.integers(30)}" for value in values]
    block = block_of(texts)
    model = learned(LinearLearner(), block, encode_targets(values, labels, is_multilabel=False))
    assert (np.array(labels)[model.predict_proba(block).argmax(axis=1)] == values).mean() > 0.95


def test_several_labels_are_learned_each_for_itself():
    rng = np.random.default_rng(0)
    first, topics = topic_texts(200, rng)
    both = [i % 2 == 0 for i in range(200)]
    texts = [text + (" bank loan tax" if twice else "") for text, twice in zip(first, both, strict=True)]
    values = [sorted({topic, "money"}) if twice else [topic] for topic, twice in zip(topics, both, strict=True)]
    labels = (*TOPICS, "never")
    targets = encode_targets(values, labels, is_multilabel=True)
    block = block_of(texts)
    model = learned(LinearLearner(), block, targets)
    p = model.predict_proba(block)
    assert (decide(p, is_multilabel=True) == targets.y).all(axis=1).mean() > 0.9
    assert p[:, 3].max() < 0.05


def test_a_pair_model_prefers_the_side_that_has_the_better_words():
    rng = np.random.default_rng(0)
    texts, topics = topic_texts(200, rng, ("sport", "money"))
    items = [
        RawItem({"a": texts[i], "b": texts[i + 1]} if i % 4 else {"a": texts[i + 1], "b": texts[i]}) for i in range(198)
    ]
    values = ["a" if ("goal" in i.data["a"] or topics[texts.index(i.data["a"])] == "sport") else "b" for i in items]
    spec = infer_spec(items, is_pair=True, embedder=LetterEmbedder())
    block = Featurizer(spec, LetterEmbedder()).transform(items)
    targets = encode_targets(values, ("a", "b", "tie"), is_multilabel=False)
    model = learned(LinearLearner(), block, targets, scaling=scaling_of(block, spec))
    assert (np.array(model.labels)[model.predict_proba(block).argmax(axis=1)] == values).mean() > 0.95


def test_temperature_finds_the_scale_of_known_scores():
    rng = np.random.default_rng(0)
    true_scores = rng.normal(size=(4_000, 4)) * 2
    truth = np.array([rng.choice(4, p=p) for p in softmax(true_scores, axis=1)])
    assert fit_temperature(true_scores * 3, truth, np.ones(4_000)) == pytest.approx(3.0, rel=0.08)
    assert fit_temperature(true_scores / 2, truth, np.ones(4_000)) == pytest.approx(0.5, rel=0.08)


def test_few_rows_move_the_temperature_little_unless_they_are_sure_of_it():
    def of(n, scale, **options):
        rng = np.random.default_rng(2)
        true_scores = rng.normal(size=(n, 3))
        truth = (softmax(true_scores, axis=1).cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
        return fit_temperature(true_scores * scale, truth, np.ones(n), **options)

    assert of(30_000, 1.3) == pytest.approx(1.3, rel=0.03)
    assert 1 < of(30_000, 1.3, repeats=1_000) < 1.2
    assert of(60, 12.0) > 6
    # The same thirty cases a hundred times are thirty cases.
    scores, truth = np.tile(np.eye(3)[:, ::-1], (10, 1)), np.tile(np.arange(3), 10)
    once = fit_temperature(scores, truth, np.ones(30))
    again = fit_temperature(np.tile(scores, (100, 1)), np.tile(truth, 100), np.ones(3_000), repeats=100)
    assert again == pytest.approx(once, rel=0.05)


def test_what_was_picked_for_being_hard_is_weighed_like_the_pool():
    # Where the second label is close the scores say too much, where it is far too little; one temperature fits the mix.
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(20_000, 2)) * 2
    is_close = leads(scores) < np.median(leads(scores))
    honest = np.where(is_close[:, None], scores / 4, scores * 1.5)
    truth = (rng.random(20_000) < softmax(honest, axis=1)[:, 1]).astype(np.int64)
    quartiles = tuple(np.quantile(leads(scores), (0.25, 0.5, 0.75)))
    of_pool = fit_temperature(scores, truth, np.ones(20_000))
    picked = rng.permutation(np.concatenate([np.flatnonzero(is_close)[:4_500], np.flatnonzero(~is_close)[:500]]))
    targets = Targets(("no", "yes"), truth[picked])

    def temperature(pool_leads):
        def score_part(inside, outside):
            return scores[picked[outside]], np.arange(2)

        return out_of_fold_temperature(score_part, targets, np.ones(5_000), np.random.default_rng(0), pool_leads)

    assert temperature(quartiles) == pytest.approx(of_pool, rel=0.1)
    assert temperature(()) > 1.3 * of_pool


def test_calibrated_confidence_is_near_accuracy_on_new_items():
    rng = np.random.default_rng(5)
    texts, topics = topic_texts(1_200, rng)
    noisy = [t if rng.random() > 0.25 else str(rng.choice(TOPICS)) for t in topics]
    block = block_of(texts)
    targets = encode_targets(noisy, TOPICS, is_multilabel=False)
    half = np.arange(600)
    model = learned(LinearLearner(), block.take(half), targets.take(half))
    p = model.predict_proba(block.take(half + 600))
    accuracy = (p.argmax(axis=1) == targets.y[600:]).mean()
    assert p.max(axis=1).mean() == pytest.approx(accuracy, abs=0.06)


def test_an_embedding_keeps_its_proportions_and_numbers_lose_their_units():
    parts = (("embedding", 2), ("numeric", 2))
    values = np.array([[0.0, 0, 0, 0], [4.0, 1, 1_000, 1]])
    scaling = dense_scaling(parts, 2, values.sum(axis=0), np.square(values).sum(axis=0))
    scaled = (values - scaling.center) * scaling.scale
    assert scaled[1, 0] == pytest.approx(4 * scaled[1, 1])
    assert scaled[1, 2] == pytest.approx(scaled[1, 3])
    constant = dense_scaling((("numeric", 1),), 3, np.array([6.0]), np.array([12.0]))
    assert constant.scale.tolist() == [0.0]


def test_baselines():
    targets = encode_targets(["sport", "sport", "food"], TOPICS, is_multilabel=False)
    assert majority_prediction(targets) == 2
    draws = random_predictions(targets, 3_000, np.random.default_rng(0))
    assert (draws == 2).mean() == pytest.approx(2 / 3, abs=0.03)
    assert not (draws == 1).any()
    several = encode_targets([["food"], ["food", "money"], []], TOPICS, is_multilabel=True)
    assert majority_prediction(several).tolist() == [True, False, False]
    assert random_predictions(several, 5, np.random.default_rng(0)).shape == (5, 3)
