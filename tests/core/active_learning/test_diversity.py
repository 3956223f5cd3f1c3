import numpy as np
import pytest

from active_learning.core.blocks import FeatureBlock
from active_learning.core.diversity import MOST_DIRECTIONS, as_points, near_duplicates, typical_of_clusters
from tests.core.active_learning.synthetic import block_of, topic_texts


def blobs(sizes, rng, width=8):
    centers = rng.normal(size=(len(sizes), width)) * 10
    return np.concatenate([c + rng.normal(size=(n, width)) for c, n in zip(centers, sizes, strict=True)]), np.repeat(
        np.arange(len(sizes)), sizes
    )


def test_the_largest_uncovered_clusters_come_first():
    points, groups = blobs([60, 40, 20], np.random.default_rng(0))
    found = typical_of_clusters(points, 3, np.random.default_rng(1))
    assert [groups[t.row] for t in found] == [0, 1, 2]
    assert [t.group_size for t in found] == [60, 40, 20]
    covered = np.zeros(120, dtype=bool)
    covered[groups == 0] = True
    covered[1:60] = False
    again = typical_of_clusters(points, 2, np.random.default_rng(1), covered=covered)
    assert groups[again[0].row] in (1, 2)
    assert all(not covered[t.row] for t in again)


def test_typical_is_central():
    points, _ = blobs([80], np.random.default_rng(0))
    found = typical_of_clusters(points, 1, np.random.default_rng(0))
    distance = np.linalg.norm(points - points.mean(axis=0), axis=1)
    assert distance[found[0].row] < np.median(distance)


def test_nothing_to_pick_from_and_all_points_equal():
    assert typical_of_clusters(np.ones((3, 2)), 2, np.random.default_rng(0), covered=np.ones(3, dtype=bool)) == []
    same = typical_of_clusters(np.ones((30, 4)), 5, np.random.default_rng(0))
    assert len({t.row for t in same}) == len(same) >= 1


def test_hashed_words_cluster_by_topic():
    texts, topics = topic_texts(150, np.random.default_rng(0))
    found = typical_of_clusters(block_of(texts).sparse, 9, np.random.default_rng(0))
    assert {topics[t.row] for t in found} == {"sport", "money", "food"}


@pytest.mark.parametrize("width", [0, 6])
def test_repeated_texts_are_noticed_whatever_their_case(width):
    texts = ["Call 0800 now to win", "A quiet walk home", "call 0800 NOW to win", "Call 0800 now to win!"]
    block = FeatureBlock(block_of(texts).sparse, np.zeros((4, width), dtype=np.float16))
    assert near_duplicates(block, np.array([1, 3, 0, 2])).tolist() == [0, 2]


def test_items_without_words_are_compared_by_their_vectors():
    rng = np.random.default_rng(0)
    dense = rng.normal(size=(6, 5))
    dense[4] = dense[1] * 1.0001
    block = FeatureBlock(block_of([""] * 6).sparse, dense.astype(np.float16))
    assert near_duplicates(block, np.arange(6)).tolist() == [4]


def test_wide_vectors_are_seen_along_fewer_directions_that_keep_their_distances():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 10_000)).astype(np.float16)
    X[:15, :3_000] += 1
    narrow = as_points(X, rng)
    assert narrow.shape == (30, MOST_DIRECTIONS)
    whole = (X - X.mean(axis=0, dtype=np.float32)) / X.std(axis=0, dtype=np.float32)
    for one, other in ((0, 1), (0, 20), (16, 29)):
        expected = np.linalg.norm(whole[one] - whole[other])
        assert np.linalg.norm(narrow[one] - narrow[other]) == pytest.approx(expected, rel=0.12)
    assert as_points(X[:, :MOST_DIRECTIONS], rng).shape == (30, MOST_DIRECTIONS)
