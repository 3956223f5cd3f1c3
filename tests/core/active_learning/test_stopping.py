import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from active_learning.core.audit import WORN_AFTER, optimism
from active_learning.core.stopping import advice, covers_labels, is_precise, is_stable, kappa, stable_sample
from labeling.core.shares import wilson


def test_kappa_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    first = rng.integers(0, 4, 300)
    second = np.where(rng.random(300) < 0.7, first, rng.integers(0, 4, 300))
    assert kappa(first, second) == pytest.approx(cohen_kappa_score(first, second))
    both = rng.random((100, 3)) < 0.4
    assert kappa(both, both) == 1.0


def test_models_that_say_one_thing_only_do_not_agree():
    assert kappa(np.zeros(50, dtype=int), np.zeros(50, dtype=int)) is None
    assert kappa(np.zeros(0, dtype=int), np.zeros(0, dtype=int)) is None
    assert is_stable([None, None, None], 500).holds is False


def test_the_sample_stays_as_long_as_its_items_do():
    ids = np.arange(1, 50_001)
    first = stable_sample(ids, 2_000)
    assert len(first) == 2_000
    assert stable_sample(ids[::-1], 2_000).tolist() == first.tolist()
    # 500 items are labeled: those of the sample among them are replaced, the others stay.
    gone = np.random.default_rng(0).choice(ids, 500, replace=False)
    second = stable_sample(np.setdiff1d(ids, gone), 2_000)
    assert set(first.tolist()) - set(gone.tolist()) <= set(second.tolist())
    # It is spread over all ids, and two halves have the same sample as the whole.
    assert first.mean() == pytest.approx(25_000, rel=0.03)
    halves = np.concatenate([stable_sample(ids[:25_000], 2_000), stable_sample(ids[25_000:], 2_000)])
    assert stable_sample(halves, 2_000).tolist() == first.tolist()
    assert stable_sample(ids[:3], 2_000).tolist() == [1, 2, 3]


def test_stable_is_the_mean_of_the_last_three():
    assert is_stable([0.99, 0.98], 500).holds is None
    assert is_stable([0.99, 0.97, 0.92, 0.1], 500).holds is True
    assert is_stable([0.99, 0.96, 0.89], 500).holds is False
    assert is_stable([0.99, None, 0.99], 500).holds is False
    assert is_stable([0.99, 0.99, 0.99], 99).holds is False


def test_every_label_is_known_and_said():
    said = {"a": 1_900, "b": 100}
    assert covers_labels({"a": 90, "b": 10}, said).holds
    rare = covers_labels({"a": 90, "b": 9}, said)
    assert (rare.holds, rare.detail["rare"]) == (False, ["b"])
    vanished = covers_labels({"a": 90, "b": 10, "c": 0}, said)
    assert (vanished.detail["rare"], vanished.detail["never_said"]) == (["c"], ["c"])
    many = covers_labels({f"l{i}": 0 for i in range(150)}, {})
    assert (many.detail["n_rare"], len(many.detail["rare"])) == (150, 10)


def test_precise_enough_for_what_is_left_to_gain():
    assert is_precise(None).holds is None
    assert not is_precise(wilson(17, 20)).holds
    assert is_precise(wilson(340, 400)).holds
    # Near 1 nothing is left to gain; five points are fine enough.
    assert is_precise(wilson(200, 200)).holds
    assert not is_precise(wilson(40, 40)).holds


def test_advice_needs_all_three():
    good = [is_stable([0.99] * 3, 500), covers_labels({"a": 10}, {"a": 1}), is_precise(wilson(340, 400))]
    assert advice(good)["holds"]
    assert not advice([*good[:2], is_precise(None)])["holds"]
    assert [one["name"] for one in advice(good)["conditions"]] == ["stable", "covered", "precise"]


def test_choosing_the_best_of_many_flatters():
    assert optimism(0.8, 100, 1) == 0
    assert optimism(0.8, 100, 10) == pytest.approx(0.04 * np.sqrt(2 * np.log(10)))
    assert optimism(0.8, 400, 10) == pytest.approx(optimism(0.8, 100, 10) / 2)
    # Worn: it may be three standard errors.
    assert optimism(0.8, 100, WORN_AFTER) >= 3 * 0.04 > optimism(0.8, 100, WORN_AFTER - 1)
    # It bounds what happens: the best of 20 equal versions on 100 items.
    best = np.random.default_rng(0).binomial(100, 0.8, (2_000, 20)).max(axis=1).mean() / 100
    assert 0.05 < best - 0.8 < optimism(0.8, 100, 20)
