import numpy as np

from active_learning.core.crossfit import cross_fitted
from active_learning.core.linear import LinearLearner
from active_learning.core.material import Material
from active_learning.core.targets import Targets, decide, encode_targets
from tests.core.active_learning.synthetic import block_of, learned, scaling_of, topic_texts

TOPICS = ("food", "money", "sport")


def texts_of(n=90):
    """Texts of known topics, each with a word of its own by which its label could be remembered."""
    texts, topics = topic_texts(n, np.random.default_rng(0))
    block = block_of([f"{text} own{place} word{place} only{place}" for place, text in enumerate(texts)])
    return block, encode_targets(topics, TOPICS, is_multilabel=False)


def asked(block, targets, seed=5):
    material = Material(block, targets, np.ones(len(targets)), scaling_of(block))
    return cross_fitted(LinearLearner(), material, np.random.default_rng(seed))


def test_a_model_is_asked_of_what_it_did_not_learn_from():
    block, truth = texts_of()
    wrong = np.arange(0, 90, 9)
    y = truth.y.copy()
    y[wrong] = (y[wrong] + 1) % 3
    targets = Targets(TOPICS, y)
    model = learned(LinearLearner(C=1000.0), block, targets)
    remembered = decide(model.predict_proba(block), is_multilabel=False)
    assert (remembered[wrong] == y[wrong]).all()  # who learned from an item repeats its label, wrong as it is
    said = asked(block, targets)
    assert (said[wrong] == truth.y[wrong]).mean() >= 0.9
    assert (said == truth.y).mean() > 0.9


def test_an_items_own_label_has_no_part_in_what_is_said_of_it():
    block, truth = texts_of(60)
    before = asked(block, truth)
    for row in (0, 17, 41):
        y = truth.y.copy()
        y[row] = (y[row] + 1) % 3
        assert asked(block, Targets(TOPICS, y))[row] == before[row]


def test_the_same_dice_say_the_same_and_one_label_teaches_nothing():
    block, truth = texts_of(40)
    assert (asked(block, truth) == asked(block, truth)).all()
    assert (asked(block, Targets(TOPICS, np.zeros(40, dtype=np.int64))) == -1).all()
    few = block.take(np.arange(2))
    assert asked(few, truth.take(np.arange(2))).tolist() == [-1, -1]
