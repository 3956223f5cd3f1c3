"""Replayed campaigns: what is compared, what is advised."""

import numpy as np
import pytest

from active_learning.core.acquisition import strategy_named
from active_learning.core.campaign import Known, Round, play
from active_learning.core.featurize import Featurizer, RawItem, infer_spec
from active_learning.core.linear import LinearLearner
from active_learning.core.replay import advise, areas, difference, labels_to, looks_of, summarize, to_json
from active_learning.core.replay_chart import draw_replay
from active_learning.core.scaling import dense_scaling
from active_learning.core.targets import encode_targets
from tests.core.active_learning.synthetic import topic_texts

SIZES = (20, 40, 60)


def campaign(*scores: float) -> list[Round]:
    return [Round(n, f1, f1, 0.0, 0.0) for n, f1 in zip(SIZES, scores, strict=True)]


def test_looks_cover_the_campaign_evenly():
    assert looks_of(50, 20) == []
    assert looks_of(100, 20) == [15, 30, 45, 60]
    assert looks_of(2_000, 20)[-1] == 1_000
    assert len(looks_of(100_000, 20)) == 20


def test_labels_to_a_goal_are_read_off_straight_lines():
    curve = np.array([0.2, 0.6, 0.8])
    assert labels_to(SIZES, curve, 0.1) == 20
    assert labels_to(SIZES, curve, 0.4) == pytest.approx(30)
    assert labels_to(SIZES, curve, 0.7) == pytest.approx(50)
    assert labels_to(SIZES, curve, 0.9) is None


def test_the_area_is_the_mean_height():
    assert areas(SIZES, np.array([[0.2, 0.6, 0.8], [0.5, 0.5, 0.5]])) == pytest.approx([0.55, 0.5])
    assert areas((20,), np.array([[0.2]])) == pytest.approx([0.2])


def test_a_paired_difference_has_students_interval():
    # Mean 2, standard deviation 1, n = 3: 2 +- 4.3027 / sqrt(3).
    found = difference(np.array([2.0, 4.0, 6.0]), np.array([1.0, 2.0, 3.0]))
    assert (found.value, found.n) == (2.0, 3)
    assert found.low == pytest.approx(2 - 4.3027 / 3**0.5, abs=1e-4)
    assert not found.is_clear
    alone = difference(np.array([2.0]), np.array([1.0]))
    assert (alone.value, alone.low, alone.is_clear) == (1.0, None, False)


def test_recommended_is_advised_unless_another_was_clearly_better():
    better = [campaign(0.5, 0.6, 0.7 + 0.01 * seed) for seed in range(3)]
    worse = [campaign(0.4, 0.5, 0.6 + 0.01 * seed) for seed in range(3)]
    advice = advise(summarize({"recommended": better, "random": worse}))
    assert (advice.strategy, advice.is_clear) == ("recommended", True)
    assert "10.0 points" in advice.why
    advice = advise(summarize({"recommended": worse, "margin": better, "random": worse}))
    assert (advice.strategy, advice.is_clear) == ("margin", True)
    advice = advise(summarize({"recommended": worse, "random": better}))
    assert (advice.strategy, advice.is_clear) == ("random", True)
    advice = advise(summarize({"recommended": worse, "random": worse}))
    assert (advice.strategy, advice.is_clear) == ("recommended", False)
    noisy = [campaign(0.5, 0.9, 0.9), campaign(0.3, 0.2, 0.4)]
    advice = advise(summarize({"recommended": worse[:2], "margin": noisy, "random": worse[:2]}))
    assert advice.strategy == "recommended"
    assert advise(summarize({"margin": better})).strategy == "margin"


def test_the_summary_can_be_drawn():
    runs = {"recommended": [campaign(0.5, 0.6, 0.7), campaign(0.4, 0.7, 0.8)], "random": [campaign(0.1, 0.2, 0.3)] * 2}
    stored = to_json(summarize(runs))
    assert [row["strategy"] for row in stored] == ["recommended", "random"]
    assert stored[0]["macro_f1"][0][0] == pytest.approx(0.45)
    chart = draw_replay({"sizes": list(SIZES), "strategies": stored})
    assert [one.strategy for one in chart.series] == ["recommended", "random"]
    assert chart.series[0].line.count(",") == 3
    assert chart.series[0].band.count(",") == 6
    assert chart.x_ticks[-1].text == "60"


@pytest.fixture(scope="module")
def topics() -> tuple[Known, Known, object]:
    texts, labels = topic_texts(320, np.random.default_rng(7))
    items = [RawItem({"text": text}) for text in texts]
    spec = infer_spec(items, embedder=None)
    block = Featurizer(spec).transform(items)
    targets = encode_targets(labels, sorted(set(labels)), is_multilabel=False)
    dense = block.dense.astype(np.float64)
    scaling = dense_scaling(spec.dense_parts, len(dense), dense.sum(axis=0), np.square(dense).sum(axis=0))
    pool, exam = np.arange(240), np.arange(240, 320)
    return Known(block.take(pool), targets.take(pool)), Known(block.take(exam), targets.take(exam)), scaling


@pytest.mark.parametrize("strategy", ["recommended", "margin", "random", "modal:uncertainty_batch_sampling"])
def test_a_campaign_learns_and_can_be_repeated(topics, strategy):
    pool, exam, scaling = topics
    sizes = [10, 20, 40, 240]

    def played():
        return list(
            play(
                pool=pool,
                exam=exam,
                strategy=strategy_named(strategy),
                learner=LinearLearner(),
                scaling=scaling,
                sizes=sizes,
                seed=1,
            )
        )

    rounds = played()
    assert [one.n_labels for one in rounds] == sizes
    assert rounds[-1].macro_f1 >= max(0.9, rounds[0].macro_f1)
    assert [one.macro_f1 for one in played()] == [one.macro_f1 for one in rounds]


def test_strategies_that_start_at_random_start_with_the_same_items(topics):
    pool, exam, scaling = topics
    first = [
        next(
            play(
                pool=pool,
                exam=exam,
                strategy=strategy_named(name),
                learner=LinearLearner(),
                scaling=scaling,
                sizes=[20],
                seed=3,
            )
        )
        for name in ("random", "margin")
    ]
    assert first[0].macro_f1 == first[1].macro_f1


def test_a_pool_of_one_class_is_played_to_its_end(topics):
    pool, exam, scaling = topics
    rows = np.flatnonzero(pool.targets.y == 0)
    one = Known(pool.block.take(rows), pool.targets.take(rows))
    rounds = list(
        play(
            pool=one,
            exam=exam,
            strategy=strategy_named("margin"),
            learner=LinearLearner(),
            scaling=scaling,
            sizes=[10, 20],
            seed=0,
        )
    )
    assert [r.n_labels for r in rounds] == [10, 20]
    assert rounds[0].accuracy == pytest.approx(float((exam.targets.y == 0).mean()))
