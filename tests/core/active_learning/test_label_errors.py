"""Probable label errors: a case worked by hand, labels made wrong on purpose, and what must never happen."""

import numpy as np

from active_learning.core.crossfit import cross_fitted_probabilities
from active_learning.core.label_errors import label_errors, several_label_errors
from active_learning.core.linear import LinearLearner
from active_learning.core.material import Material
from active_learning.core.targets import encode_targets
from tests.core.active_learning.synthetic import block_of, scaling_of, topic_texts


def test_a_case_worked_by_hand():
    # Mean self-confidence: of label 0 (0.9 + 0.7 + 0.2) / 3 = 0.6, of label 1 (0.8 + 0.6 + 0.1) / 3 = 0.5.
    p = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.2, 0.8], [0.4, 0.6], [0.9, 0.1]])
    found = label_errors(p, np.array([0, 0, 0, 1, 1, 1]))
    # Rows 2 and 5 are confidently the other label; row 5 is the worse of the two.
    assert found.rows.tolist() == [5, 2]
    assert found.said.tolist() == [0, 1]
    assert np.allclose(found.margin, [-0.8, -0.6])
    assert found.probable.rows.tolist() == [5, 2]


def test_a_row_below_every_threshold_is_not_suspected():
    # The model is torn about the last row: it gives no label as much as it gives it on that label's own rows.
    p = np.array([[0.95, 0.05], [0.9, 0.1], [0.05, 0.95], [0.1, 0.9], [0.45, 0.55]])
    assert label_errors(p, np.array([0, 0, 1, 1, 0])).rows.tolist() == []


def test_labels_without_a_row_are_never_suspected():
    p = np.array([[0.1, 0.1, 0.8], [0.2, 0.1, 0.7], [0.1, 0.6, 0.3]])
    assert 2 not in label_errors(p, np.array([0, 0, 1])).said


def test_several_labels_are_questions_of_yes_and_no():
    given = np.array([[True, False], [True, True], [False, True], [False, False], [False, False]])
    p = np.array([[0.9, 0.1], [0.9, 0.9], [0.1, 0.8], [0.1, 0.1], [0.95, 0.1]])
    found = several_label_errors(p, given)
    assert (found.rows.tolist(), found.said.tolist()) == ([4], [0])


def test_most_labels_that_were_made_wrong_are_found():
    rng = np.random.default_rng(0)
    texts, topics = topic_texts(400, rng)
    block, targets = block_of(texts), encode_targets(topics, ("food", "money", "sport"), is_multilabel=False)
    truth = targets.y.copy()
    wrong = rng.permutation(400)[:40]
    targets.y[wrong] = (truth[wrong] + rng.integers(1, 3, 40)) % 3
    material = Material(block, targets, np.ones(400), scaling_of(block))
    p = cross_fitted_probabilities(LinearLearner(), material, rng)
    found = label_errors(p, targets.y).probable
    hits = np.isin(found.rows, wrong)
    assert hits.mean() > 0.9 and hits.sum() > 28
    assert (found.said[hits] == truth[found.rows[hits]]).all()
