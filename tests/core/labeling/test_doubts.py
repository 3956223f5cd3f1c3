import numpy as np
import pytest

from labeling.core.agreement.answers import Answers
from labeling.core.doubts import crowdlab, label_quality

# Made up; the quality is what cleanlab 2.9.0 get_label_quality_multiannotator gives for the majority vote.
VOTES = """
    2 . . 2 .   . 1 . 1 .   . 2 1 . 2   . . . . 2   1 1 . . 1   . 2 . . 2   2 2 0 2 .
    . . 0 2 0   . 0 0 0 .   0 . . . .   . 0 0 . .   . . 2 . 2   2 . . . 2   0 . . . .
"""
PREDICTED = [
    [0.184, 0.004, 0.812],
    [0.097, 0.514, 0.389],
    [0.324, 0.173, 0.503],
    [0.326, 0.172, 0.502],
    [0.0, 0.968, 0.032],
    [0.357, 0.103, 0.54],
    [0.478, 0.022, 0.5],
    [0.916, 0.084, 0.0],
    [0.776, 0.206, 0.018],
    [0.509, 0.464, 0.027],
    [0.69, 0.287, 0.023],
    [0.322, 0.092, 0.586],
    [0.013, 0.379, 0.608],
    [0.741, 0.2, 0.059],
]
MAJORITY = [2, 1, 2, 2, 1, 2, 2, 0, 0, 0, 0, 2, 2, 0]
QUALITY = [
    0.852846, 0.665756, 0.682836, 0.608015, 0.939687, 0.703751, 0.714953,
    0.813249, 0.829014, 0.637599, 0.757671, 0.670539, 0.745593, 0.796414,
]  # fmt: skip


def read():
    cells = np.array(VOTES.split()).reshape(-1, 5)
    item, annotator = np.nonzero(cells != ".")
    return Answers(item, annotator, cells[item, annotator].astype(int), ("a", "b", "c"))


def test_quality_is_cleanlabs():
    found = label_quality(read(), np.array(MAJORITY), np.zeros((14, 3)), np.array(PREDICTED))
    assert found == pytest.approx(QUALITY, abs=2e-6)
    assert crowdlab(read(), np.array(MAJORITY), np.array(PREDICTED)).sum(axis=1) == pytest.approx(1)


def test_without_a_model_the_posterior_ranks():
    posterior = np.array([[0.9, 0.1], [0.4, 0.6]])
    answers = Answers([0, 1], [0, 0], [0, 1], ("a", "b"))
    assert label_quality(answers, np.array([0, 1]), posterior).tolist() == [0.9, 0.6]


def test_before_any_item_has_two_answers_the_model_ranks():
    predicted = np.array([[0.9, 0.1], [0.4, 0.6]])
    answers = Answers([0, 1], [0, 1], [1, 1], ("a", "b"))
    assert label_quality(answers, np.array([1, 1]), predicted * 0, predicted).tolist() == pytest.approx([0.1, 0.6])


def test_items_without_answers_have_the_models_word():
    answers = Answers([0, 0, 2, 2], [0, 1, 0, 1], [0, 0, 1, 1], ("a", "b"))
    predicted = np.array([[0.7, 0.3], [0.2, 0.8], [0.5, 0.5]])
    found = crowdlab(answers, np.array([0, 1, 1]), predicted)
    assert found[1] == pytest.approx([0.2, 0.8])


def test_everyone_chose_the_same():
    answers = Answers([0, 0, 1, 1], [0, 1, 0, 1], [0, 0, 0, 0], ("a", "b"))
    found = crowdlab(answers, np.array([0, 0]), np.array([[0.9, 0.1], [0.2, 0.8]]))
    assert np.isfinite(found).all()
    assert found[0, 0] > found[1, 0]
