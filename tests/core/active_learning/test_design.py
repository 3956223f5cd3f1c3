import numpy as np
import pytest

from active_learning.core.design import RIDGE, ROW_LENGTH, Weighted, most_telling


def variance(known, pool):
    """The pool's summed variance, written down from its definition."""
    middle = pool.points.mean(axis=0)
    scale = ROW_LENGTH / np.sqrt(np.square(pool.points - middle).sum(axis=1).mean())
    old, aim = (known.points - middle) * scale, (pool.points - middle) * scale
    precision = RIDGE * np.eye(old.shape[1]) + (old.T * known.weights) @ old
    return float((pool.weights * np.einsum("ij,jk,ik->i", aim, np.linalg.inv(precision), aim)).sum())


def drawn(n, seed):
    rng = np.random.default_rng(seed)
    return Weighted(rng.normal(size=(n, 5)), rng.uniform(0.1, 1.0, size=n))


def test_each_pick_lowers_the_variance_most_of_all_that_are_left():
    offered, known, pool = drawn(30, 1), drawn(6, 2), drawn(80, 3)
    picked = most_telling(offered, known, pool, 8).tolist()
    for place, row in enumerate(picked):
        left = [i for i in range(30) if i not in picked[:place]]

        def after(i, before=tuple(picked[:place])):
            more = [*before, i]
            points = np.concatenate([known.points, offered.points[more]])
            return variance(Weighted(points, np.concatenate([known.weights, offered.weights[more]])), pool)

        assert after(row) == pytest.approx(min(map(after, left)))


def test_what_is_known_and_what_nobody_asks_about_tells_least():
    axes = np.eye(3)[:2]
    pool = Weighted(np.concatenate([axes, -axes]), np.ones(4))
    offered = Weighted(np.eye(3), np.ones(3))
    known = Weighted(np.repeat(np.eye(3)[:1], 9, axis=0), np.ones(9))
    assert most_telling(offered, known, pool, 1).tolist() == [1]
    assert most_telling(offered, Weighted(np.zeros((0, 3)), np.zeros(0)), pool, 9).tolist() == [0, 1, 2]


def test_equal_points_are_taken_in_their_order():
    same = Weighted(np.ones((4, 2)), np.ones(4))
    assert most_telling(same, same, same, 4).tolist() == [0, 1, 2, 3]
