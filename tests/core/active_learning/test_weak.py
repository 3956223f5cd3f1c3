"""What weak labels may weigh, and whether they stay."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from active_learning.core.ablation import ablate
from active_learning.core.learners import calibrate
from active_learning.core.linear import LinearLearner
from active_learning.core.material import Material
from active_learning.core.paired import macro_f1_gain
from active_learning.core.targets import Targets, encode_targets
from active_learning.core.temperature import out_of_fold_temperature
from active_learning.core.weak import WeakLabel, rows_of, weights_of
from tests.core.active_learning.synthetic import block_of, scaling_of, topic_texts

backers = st.lists(
    st.tuples(st.sampled_from("stuvw"), st.sampled_from(["", "n", "m"])),
    min_size=1,
    max_size=4,
    unique_by=lambda pair: pair[0],
).map(tuple)
weak_labels = st.lists(
    st.builds(
        WeakLabel,
        value=st.just("a"),
        certainty=st.floats(0, 1),
        backers=backers,
        other=st.sampled_from([None, "b"]),
    ),
    max_size=60,
)


@given(weak_labels, st.floats(0, 1_000), st.floats(0, 1_000))
def test_every_cap_is_kept(labels, gold_a, gold_b):
    gold = {"a": gold_a, "b": gold_b}
    most = (gold_a + gold_b) * 0.3 / 0.7
    weights = weights_of(labels, gold)
    assert all(0 <= weight <= 0.3 + 1e-9 for weight in weights)
    by_class = {"a": 0.0, "b": 0.0}
    for one, weight in zip(labels, weights, strict=True):
        for value, own in one.rows(weight):
            by_class[value] += own
    for value, total in by_class.items():
        assert total <= 0.3 * (total + gold[value]) + 1e-6
    # A label that weighs w rests on each of its n backers with at most w / n.
    for place, groups in ((0, "stuvw"), (1, "nm")):
        for group in groups:
            least = sum(
                weight * sum(backer[place] == group for backer in one.backers) / len(one.backers)
                for one, weight in zip(labels, weights, strict=True)
                if all(backer[place] == group for backer in one.backers)
            )
            assert least <= (0.01, 0.05)[place] * most + 1e-6


def test_weights_by_hand():
    gold = {"a": 700.0, "b": 7_000.0}
    who = (("s", "n"),)
    assert weights_of([WeakLabel("a", 1.0, who)], gold) == [pytest.approx(0.3)]
    assert weights_of([WeakLabel("a", 0.75, who)], gold) == [pytest.approx(0.15)]
    assert weights_of([WeakLabel("a", 0.5, who)], gold) == [0.0], "a coin is no label"
    assert weights_of([WeakLabel("c", 1.0, who)], gold) == [0.0], "nobody ever named it"
    alone = weights_of([WeakLabel("b", 1.0, who)] * 500, gold)
    assert sum(alone) == pytest.approx(0.01 * 7_700 * 3 / 7), "one subject"
    together = weights_of([WeakLabel("b", 1.0, ((f"s{n}", "n"),)) for n in range(10_000)], gold)
    assert sum(together) == pytest.approx(0.05 * 7_700 * 3 / 7), "one network"


def test_of_what_weak_labels_weigh_one_subject_and_one_network_have_their_share():
    gold = {"a": 1e6}
    crowd = [WeakLabel("a", 1.0, ((f"s{n}", f"n{n % 100}"),)) for n in range(400)]
    loud = weights_of([*crowd, *[WeakLabel("a", 1.0, (("loud", "own"),))] * 200], gold)
    assert sum(loud[400:]) == pytest.approx(0.01 * sum(loud)) and loud[0] == pytest.approx(0.3)
    mob = weights_of([*crowd, *[WeakLabel("a", 1.0, ((f"mob {n}", "own"),)) for n in range(200)]], gold)
    assert sum(mob[400:]) == pytest.approx(0.05 * sum(mob))
    # Ten subjects cannot weigh a hundredth each of what they weigh together: none has more than three tenths.
    few = [WeakLabel("a", 1.0, ((f"s{n}", ""),)) for n in range(9)]
    found = weights_of([*few, *[WeakLabel("a", 1.0, (("loud", ""),))] * 90], gold)
    assert sum(found[9:]) == pytest.approx(0.3 * sum(found)) and found[0] == pytest.approx(0.3)
    coins = [WeakLabel("a", 0.5, ((f"s{n}", ""),)) for n in range(9)]
    alone = weights_of([*coins, WeakLabel("a", 1.0, (("s", "n"),))], gold)
    assert alone[-1] == pytest.approx(0.3), "who is alone is the whole"


@given(weak_labels)
def test_nobody_weighs_more_than_three_even_shares(labels):
    heard = [one for one in labels if one.certainty > 0.5 + 1e-6]
    weights = weights_of(heard, {"a": 1_000.0, "b": 1_000.0})
    subjects = {who for one in heard for who, _ in one.backers}
    assert sum(weights) > 0 or not heard, "a cap leaves something"
    for subject in subjects:
        alone = sum(w for one, w in zip(heard, weights, strict=True) if {who for who, _ in one.backers} == {subject})
        assert alone <= max(0.01, 3 / len(subjects)) * sum(weights) * (1 + 1e-3) + 1e-9


def test_that_none_applies_is_a_class_like_the_others():
    crowd = [WeakLabel([], 1.0, ((f"s{n}", ""),)) for n in range(2_000)]
    assert sum(weights_of(crowd, {"a": 100.0})) == 0.0, "nobody ever said that none applies"
    assert sum(weights_of(crowd, {"a": 80.0, "": 20.0})) == pytest.approx(20 * 3 / 7)


def test_a_soft_label_is_two_rows_and_what_weighs_nothing_is_none():
    labels = {
        7: WeakLabel("no", 0.75, (("s", ""),), other="yes"),
        3: WeakLabel("yes", 0.5, (("s", ""),), other="no"),
    }
    found = rows_of(labels, {"no": 5_000.0, "yes": 5_000.0})
    assert (found.ids, found.values) == ((7, 7), ("no", "yes"))
    assert found.weights == (pytest.approx(0.1125), pytest.approx(0.0375))
    assert len(rows_of({}, {"no": 1.0})) == 0


def test_weak_labels_stay_only_where_they_surely_help():
    rng = np.random.default_rng(0)
    truth = rng.integers(3, size=200)
    poor = np.where(rng.random(200) < 0.7, truth, (truth + 1) % 3)
    good = np.where(rng.random(200) < 0.9, truth, (truth + 1) % 3)
    found = ablate(truth, good, poor, 3, np.random.default_rng(1))
    assert found.is_kept and found.gain.figure.low > 0 and found.n == 200
    assert found.gain.figure.value == pytest.approx(found.gain.first - found.gain.second)
    for other in (poor, np.where(np.arange(200) == 0, truth, poor)):
        assert not ablate(truth, other, poor, 3, np.random.default_rng(1)).is_kept
    assert not ablate(truth, poor, good, 3, np.random.default_rng(1)).is_kept
    assert "insufficient data: 19 of 20" in ablate(truth[:19], good[:19], poor[:19], 3, rng).why
    alone = np.zeros(50, dtype=np.int64)
    assert "not defined" in ablate(alone, alone, alone, 3, rng).why


def test_the_gain_of_several_labels_an_item():
    rng = np.random.default_rng(0)
    truth = rng.random((100, 3)) < 0.4
    worse = truth ^ (rng.random((100, 3)) < 0.2)
    found = macro_f1_gain(truth, truth, worse, 3, rng)
    assert found.first == 1 and found.sure == 1 and 0 < found.figure.low < found.figure.value < found.figure.high < 1


def test_weak_rows_are_learned_from_and_never_judged_by():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(2_000, 2)) * 2
    truth = (rng.random(2_000) < softmax(scores, axis=1)[:, 1]).astype(np.int64)
    seen = []

    def score_part(inside, outside):
        seen.append((inside, outside))
        return scores[outside], np.arange(2)

    wrong = np.concatenate([truth[:1_000], 1 - truth[1_000:]])
    found = out_of_fold_temperature(score_part, Targets(("n", "y"), wrong), np.ones(2_000), rng, n_weak=1_000)
    assert found == pytest.approx(1.0, rel=0.2)
    assert all(outside.max() < 1_000 and set(range(1_000, 2_000)) <= set(inside.tolist()) for inside, outside in seen)
    texts, topics = topic_texts(90, rng)
    block, targets = block_of(texts), encode_targets(topics, ("food", "money", "sport"), is_multilabel=False)
    material = Material(block, targets, np.ones(90), scaling_of(block), n_weak=80)
    model = LinearLearner().fit(material)
    assert calibrate(LinearLearner(), model, material, rng).temperature == 1.0, "ten that were judged are too few"
