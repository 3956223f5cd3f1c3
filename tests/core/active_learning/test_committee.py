from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import entropy

from active_learning.core.acquisition import STRATEGIES
from active_learning.core.campaign import Known, play
from active_learning.core.committee import MEMBERS, Ballots, Committee, disagreement, fit_committee
from active_learning.core.linear import LinearLearner
from active_learning.core.material import Material
from active_learning.core.targets import Targets, encode_targets
from tests.core.active_learning.synthetic import block_of, scaling_of, topic_texts

TOPICS = ("food", "money", "sport")


def pool(n=120, seed=0):
    texts, topics = topic_texts(n, np.random.default_rng(seed))
    block = block_of(texts)
    return block, encode_targets(topics, TOPICS, is_multilabel=False)


def committee(block, targets, seed=0):
    material = Material(block, targets, np.ones(len(targets)), scaling_of(block))
    return fit_committee(LinearLearner(), material, np.random.default_rng(seed))


def test_vote_entropy_is_that_of_the_votes():
    votes = np.array([[0, 0, 0, 0, 0], [0, 0, 0, 1, 1], [0, 1, 2, 1, 0]])
    members = [
        SimpleNamespace(labels=TOPICS, predict_proba=lambda block, own=own: np.eye(3, dtype=np.float32)[own])
        for own in votes.T
    ]
    shares = Committee(members).vote_shares(None)
    assert np.allclose(shares, [[1, 0, 0], [0.6, 0.4, 0], [0.4, 0.4, 0.2]])
    assert (np.sort(Ballots(shares).vote(None), axis=1) == np.sort(votes, axis=1)).all()
    assert np.allclose(disagreement(shares, np.zeros((3, 1))), entropy(shares, axis=1), atol=1e-6)


def test_members_differ_and_the_same_seed_gives_the_same_votes():
    block, targets = pool(30)
    first, again = committee(block, targets), committee(block, targets)
    assert len(first.members) == MEMBERS
    new, _ = pool(90, seed=5)
    shares = first.vote_shares(new)
    assert (shares == again.vote_shares(new)).all()
    assert np.allclose(shares.sum(axis=1), 1)
    assert (shares.max(axis=1) < 1).any()


def test_two_labels_and_a_rare_one_are_enough_and_one_class_is_refused():
    block, _ = pool(2)
    assert committee(block, Targets(TOPICS, np.array([0, 1]))).vote_shares(block).shape == (2, 3)
    many, _ = pool(40)
    rare = Targets(TOPICS, np.array([0] * 39 + [1]))
    assert committee(many, rare).vote_shares(many).shape == (40, 3)
    with pytest.raises(ValueError, match="the same"):
        committee(many, Targets(TOPICS, np.zeros(40, dtype=int)))


def test_a_campaign_can_be_played_with_a_committee():
    block, targets = pool(200)
    exam = pool(100, seed=9)
    rounds = play(
        pool=Known(block, targets), exam=Known(*exam), strategy=STRATEGIES["modal:vote_entropy"],
        learner=LinearLearner(), scaling=scaling_of(block), sizes=(15, 30, 45), seed=0,
    )  # fmt: skip
    assert [one.n_labels for one in rounds] == [15, 30, 45]
