import numpy as np
import pytest

from active_learning.core import acquisition
from active_learning.core.acquisition import (
    STRATEGIES,
    Candidates,
    PoolEstimator,
    Search,
    best_of_shard,
    entropies,
    indices_of,
    least_confidences,
    margins,
    order_candidates,
    random_keys,
    reduce_candidates,
    strategy_at,
    strategy_named,
    top,
)
from active_learning.core.blocks import FeatureBlock
from active_learning.core.start import floor_labels
from active_learning.core.strategies import FOR_SEVERAL_LABELS, TITLES, titles_for
from tests.core.active_learning.synthetic import block_of, topic_texts


@pytest.fixture(scope="module")
def pool():
    rng = np.random.default_rng(0)
    texts, _ = topic_texts(400, rng)
    block = block_of(texts)
    # The geometry that diversity and modAL's ranked batch use.
    block = FeatureBlock(block.sparse, rng.normal(size=(400, 12)).astype(np.float16))
    p = rng.dirichlet(np.ones(3), size=400).astype(np.float32)
    return Candidates(np.arange(1_000, 1_400), p, block)


def search(name, n=40, **options):
    return Search(strategy_named(name), n, options.pop("is_multilabel", False), 7, **options)


def test_measures_on_hand_sized_cases():
    p = np.array([[0.5, 0.5, 0.0], [0.6, 0.3, 0.1], [1.0, 0.0, 0.0]])
    assert margins(p).tolist() == pytest.approx([1.0, 0.7, 0.0])
    assert least_confidences(p).tolist() == pytest.approx([0.5, 0.4, 0.0])
    assert entropies(p).tolist() == pytest.approx([np.log(2), 0.8979457, 0.0])
    several = np.array([[0.9, 0.5], [0.99, 0.01]])
    assert margins(several, is_multilabel=True).tolist() == pytest.approx([1.0, 0.02])
    assert entropies(several, is_multilabel=True)[0] > entropies(several, is_multilabel=True)[1]
    assert least_confidences(several, is_multilabel=True)[0] == pytest.approx(1 - 0.45)
    assert margins(np.ones((3, 1))).tolist() == [0, 0, 0]


def test_top_is_stable_and_bounded():
    assert top(np.array([1, 3, 3, 2]), 3).tolist() == [1, 2, 3]
    assert top(np.array([5.0]), 9).tolist() == [0]
    assert top(np.array([]), 2).tolist() == []


def test_random_keys_depend_on_id_and_seed_alone():
    ids = np.arange(10_000)
    keys = random_keys(ids, 1)
    assert (keys[50:60] == random_keys(ids[50:60], 1)).all()
    assert (keys != random_keys(ids, 2)).all()
    assert keys.mean() == pytest.approx(0.5, abs=0.02)
    assert ((keys >= 0) & (keys < 1)).all()


def test_every_strategy_has_a_title_and_every_title_a_strategy():
    assert set(TITLES) == set(STRATEGIES)
    assert set(titles_for("choices")) - set(titles_for("choice")) == FOR_SEVERAL_LABELS


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_every_strategy_orders_the_pool_without_repeats_and_repeatably(pool, name):
    options = {"is_multilabel": True} if name in FOR_SEVERAL_LABELS else {}
    labeled = np.asarray(pool.block.dense[:24])
    first = order_candidates(search(name, **options), pool, labeled)
    second = order_candidates(search(name, **options), pool, labeled)
    assert len(first) == 40
    assert len(set(first.ids.tolist())) == 40
    assert first.ids.tolist() == second.ids.tolist()


@pytest.mark.parametrize(
    ("ours", "theirs", "measure"),
    [
        ("margin", "modal:margin_sampling", margins),
        ("entropy", "modal:entropy_sampling", entropies),
        ("uncertainty", "modal:uncertainty_sampling", least_confidences),
    ],
)
def test_modal_and_our_own_measures_pick_the_same_items(pool, ours, theirs, measure):
    n = 37
    own, modal = (order_candidates(search(name, n), pool) for name in (ours, theirs))
    assert np.allclose(np.sort(measure(own.probabilities)), np.sort(measure(modal.probabilities)))
    # Who enters modAL's answer earlier stands further in front.
    assert measure(modal.probabilities[:20]).min() >= measure(modal.probabilities[20:]).max()


@pytest.mark.parametrize("name", [name for name in STRATEGIES if name.startswith("modal:")])
def test_modal_contract_on_the_installed_scikit_learn(pool, name):
    """modAL's functions take our estimator and answer (indices, values) or indices, without touching the estimator."""
    several = name in FOR_SEVERAL_LABELS
    estimator = PoolEstimator(pool, is_multilabel=several, seed=0, labeled=np.asarray(pool.block.dense[:5]))
    answer = STRATEGIES[name].query(estimator, estimator.X, n_instances=6)
    indices = indices_of(answer)
    assert indices.shape == (6,)
    assert len(set(indices.tolist())) == 6
    assert indices.min() >= 0
    assert indices.max() < len(pool)


def test_modal_query_functions_work_on_a_fitted_estimator_of_scikit_learn():
    from modAL.uncertainty import entropy_sampling, margin_sampling, uncertainty_sampling
    from sklearn.linear_model import LogisticRegression

    X = np.random.default_rng(0).normal(size=(60, 4))
    fitted = LogisticRegression().fit(X[:20], (X[:20, 0] > 0).astype(int))
    nearest = np.argsort(np.abs(fitted.decision_function(X)))[:3]
    for query in (uncertainty_sampling, margin_sampling, entropy_sampling):
        assert set(query(fitted, X, n_instances=3)[0].tolist()) == set(nearest.tolist())


def test_modal_teach_is_still_broken_and_so_still_avoided():
    # When this fails, modAL has been mended for scikit-learn >= 1.8: say so in docs/learning.md.
    from modAL.models import ActiveLearner
    from sklearn.linear_model import LogisticRegression

    with pytest.raises(TypeError, match="force_all_finite"):
        ActiveLearner(LogisticRegression()).teach(np.eye(2), np.array([0, 1]))


@pytest.mark.parametrize("name", ["margin", "entropy", "uncertainty", "random", "modal:margin_sampling"])
def test_map_and_reduce_find_what_one_look_at_the_whole_pool_finds(pool, name):
    wanted = search(name, 30, batch=1)
    kept = None
    for start in range(0, 400, 64):
        rows = slice(start, start + 64)
        block = FeatureBlock(pool.block.sparse[rows], pool.block.dense[rows])
        best = best_of_shard(wanted, block, pool.ids[rows], pool.probabilities[rows], np.ones(len(block), dtype=bool))
        kept = reduce_candidates(wanted, kept, best)
    assert len(kept) <= wanted.keep
    assert set(order_candidates(wanted, kept).ids.tolist()) == set(order_candidates(wanted, pool).ids.tolist())


def test_only_eligible_rows_are_candidates(pool):
    eligible = np.zeros(400, dtype=bool)
    assert best_of_shard(search("margin"), pool.block, pool.ids, pool.probabilities, eligible) is None
    eligible[[5, 17]] = True
    best = best_of_shard(search("margin"), pool.block, pool.ids, pool.probabilities, eligible)
    assert set(best.ids.tolist()) == {1_005, 1_017}
    assert reduce_candidates(search("margin"), None, None) is None


def test_recommended_begins_with_what_tells_of_the_whole_pool_and_keeps_away_from_what_is_labeled():
    # Six tight groups: plain margin takes one group only, one item of each tells of all.
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(6), 20)
    dense = (np.eye(6)[groups] * 10 + rng.normal(scale=0.05, size=(120, 6))).astype(np.float16)
    p = np.full((120, 2), 0.5, dtype=np.float32)
    p[:, 0] += np.linspace(0, 0.3, 120)
    p[:, 1] = 1 - p[:, 0]
    texts = [f"item{i} word{i * 3} other{i * 7}" for i in range(120)]
    candidates = Candidates(np.arange(120), p, FeatureBlock(block_of(texts).sparse, dense))
    wanted = search("recommended", 60, batch=6)
    assert sorted(groups[order_candidates(wanted, candidates).ids[:6]].tolist()) == [0, 1, 2, 3, 4, 5]
    assert set(groups[order_candidates(search("margin", 60, batch=6), candidates).ids[:6]].tolist()) == {0}
    labeled = np.repeat(dense[[0, 20, 40]], 10, axis=0)
    assert set(groups[order_candidates(wanted, candidates, labeled).ids[:3]].tolist()) == {3, 4, 5}


def test_recommended_favours_items_of_labels_that_the_pool_has_little_of():
    # Two groups as torn as one another, between the common pair of labels and between a rare and a common one.
    dense = np.repeat(np.eye(2), [90, 10], axis=0).astype(np.float16)
    dense += np.random.default_rng(0).normal(scale=0.01, size=(100, 2)).astype(np.float16)
    p = np.repeat(np.array([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]], dtype=np.float32), [90, 10], axis=0)
    texts = [f"item{i} word{i * 3} other{i * 7}" for i in range(100)]
    front = order_candidates(
        search("recommended", 100, batch=10), Candidates(np.arange(100), p, FeatureBlock(block_of(texts).sparse, dense))
    ).ids[:10]
    assert (front >= 90).sum() >= 3


@pytest.mark.parametrize("is_multilabel", [False, True])
def test_recommended_from_shards_is_recommended_from_the_whole_pool(pool, monkeypatch, is_multilabel):
    monkeypatch.setattr(acquisition, "POOL_SAMPLE", 60)
    wanted = search("recommended", 20, batch=5, is_multilabel=is_multilabel)
    kept = None
    for start in range(0, 400, 64):
        rows = slice(start, start + 64)
        block = FeatureBlock(pool.block.sparse[rows], pool.block.dense[rows])
        best = best_of_shard(wanted, block, pool.ids[rows], pool.probabilities[rows], np.ones(len(block), dtype=bool))
        kept = reduce_candidates(wanted, kept, best)
    assert wanted.keep < len(kept) <= wanted.keep + 60
    labeled = pool.block.dense[:9]
    assert set(order_candidates(wanted, kept, labeled).ids) == set(order_candidates(wanted, pool, labeled).ids)


def test_near_duplicates_of_a_torn_item_go_to_the_end():
    texts = ["Win a free prize now, call 0800 123"] * 5 + [f"text {i} about thing {i * i}" for i in range(30)]
    p = np.full((35, 2), 0.5, dtype=np.float32)
    p[5:, 0], p[5:, 1] = 0.6, 0.4
    rng = np.random.default_rng(0)
    block = FeatureBlock(block_of(texts).sparse, rng.normal(size=(35, 8)).astype(np.float16))
    line = order_candidates(search("recommended", 35, batch=5), Candidates(np.arange(35), p, block)).ids
    assert len(set(line.tolist())) == 35
    assert set(line[-4:].tolist()) < set(range(5))


def test_a_label_with_too_few_examples_gets_places(pool):
    rare = np.argsort(-pool.probabilities[:, 2])[:3]
    line = order_candidates(search("recommended", 60, floor_labels=(2,)), pool).ids
    places = [line.tolist().index(i) for i in pool.ids[rare].tolist()]
    assert max(places) < 40
    kept = reduce_candidates(search("margin", 5, batch=1, floor_labels=(2,)), None, pool)
    assert set(pool.ids[rare].tolist()) <= set(kept.ids.tolist())


def test_without_a_dense_part_the_words_are_the_geometry():
    texts, _ = topic_texts(60, np.random.default_rng(0))
    p = np.random.default_rng(1).dirichlet(np.ones(3), size=60).astype(np.float32)
    candidates = Candidates(np.arange(60), p, block_of(texts))
    for name in ("recommended", "modal:uncertainty_batch_sampling"):
        labeled = block_of(texts).sparse[:4]
        assert len(order_candidates(search(name, 20, batch=5), candidates, labeled)) == 20


def test_an_operators_strategy_is_found_by_its_path():
    assert strategy_at("modAL.uncertainty.margin_sampling").name == "modAL.uncertainty.margin_sampling"
    for path in ("nowhere.at.all", "numpy.no_such_function", "numpy.pi", "flat", ""):
        with pytest.raises(ImportError):
            strategy_at(path)


def test_of_many_hardly_known_labels_those_with_the_fewest_examples_get_help():
    assert floor_labels([0, 1, 4, 5, 20]) == (1, 2)
    counts = [4] * 100 + [1] * 4 + [2] * 96
    chosen = floor_labels(counts)
    assert len(chosen) == 10 and set(chosen[:4]) == {100, 101, 102, 103}
    assert all(counts[label] == 2 for label in chosen[4:])
    assert chosen == floor_labels(counts)
    # Equal ones take turns as labels come in.
    assert set(floor_labels([1] * 150)) != set(floor_labels([1] * 149 + [2]))
