import numpy as np
import pytest
import scipy.sparse as sp
from scipy.special import softmax
from sklearn.metrics import cohen_kappa_score, mean_absolute_error

from active_learning.core.blocks import FeatureBlock
from active_learning.core.choice import candidate_words, choice_words, tried_rows
from active_learning.core.featurize import FeaturizerSpec, NumericField
from active_learning.core.material import Material
from active_learning.core.rating import rating_figures
from active_learning.core.scaling import DenseScaling
from active_learning.core.search import candidates, holds, search, why_unsuited
from active_learning.core.targets import Targets, encode_targets
from tests.core.active_learning.synthetic import TEXT_SPEC, block_of, scaling_of, topic_texts

TABLE = FeaturizerSpec(numeric_fields=(NumericField("x", 0.0, 1.0, (0.0,)),), hash_bits=10)


def kinds(recipes):
    return [recipe["kind"] for recipe in recipes]


def test_candidates_suit_the_data_and_the_answers():
    assert kinds(candidates("choice", TEXT_SPEC, 3)) == ["linear", "linear", "linear", "naive_bayes"]
    assert kinds(candidates("choice", TABLE, 3))[-2:] == ["boosting", "boosting"]
    assert kinds(candidates("rating", TEXT_SPEC, 5)) == ["ordinal", "ordinal", "linear", "naive_bayes"]
    assert kinds(candidates("pair", TABLE, 2)) == ["pairwise"] * 3
    assert "boosting" not in kinds(candidates("choices", TABLE, 3))
    assert kinds(candidates("choice", TABLE, 150)) == ["linear", "naive_bayes"]
    # A vector that speaks of both sides at once cannot be turned around.
    assert kinds(candidates("pair", FeaturizerSpec(vector_dimension=4, is_pair=True), 2)) == ["linear"] * 3


def test_what_an_owner_fixed_is_compared_alone_unless_it_does_not_suit():
    assert kinds(candidates("choice", TABLE, 3, "boosting")) == ["boosting", "boosting"]
    assert kinds(candidates("choice", TEXT_SPEC, 3, "naive_bayes")) == ["naive_bayes", "naive_bayes"]
    assert kinds(candidates("choice", TEXT_SPEC, 3, "boosting")) == ["linear"] * 3
    assert "numbers or categories" in why_unsuited("boosting", "choice", TEXT_SPEC, 3)
    assert "more than 1,000 numbers" in why_unsuited("boosting", "choice", FeaturizerSpec(vector_dimension=1_001), 3)
    assert "one label an item" in why_unsuited("boosting", "choices", TABLE, 3)
    assert "swapped" in why_unsuited("naive_bayes", "pair", TEXT_SPEC, 3)
    assert not why_unsuited("linear", "pair", TEXT_SPEC, 150)


def searched(spec, block, targets, scaling, seed=0):
    recipes = candidates("choices" if targets.is_multilabel else "choice", spec, len(targets.labels))
    material = Material(block, targets, np.ones(len(targets)), scaling)
    return search(recipes, material, np.random.default_rng(seed))


def test_trees_are_taken_where_columns_act_together_and_only_there():
    rng = np.random.default_rng(0)
    rows = rng.uniform(-1, 1, size=(300, 2)).astype(np.float16)
    block = FeatureBlock(sp.csr_matrix((300, 1 << 10), dtype=np.float32), rows)
    scaling = DenseScaling(np.zeros(2), np.ones(2))
    labels = ("no", "yes")
    together = searched(TABLE, block, Targets(labels, (rows[:, 0] * rows[:, 1] > 0).astype(np.int64)), scaling)
    added = searched(TABLE, block, Targets(labels, (rows[:, 0] + rows[:, 1] > 0).astype(np.int64)), scaling)
    assert together.tried[together.chosen].recipe["kind"] == "boosting"
    assert added.tried[added.chosen].recipe["kind"] == "linear"
    noise = searched(TABLE, block, Targets(labels, rng.integers(2, size=300)), scaling)
    assert noise.tried[noise.chosen].loss == pytest.approx(np.log(2), abs=0.03)


def test_a_search_is_the_same_each_time_and_needs_enough_to_judge():
    texts, topics = topic_texts(150, np.random.default_rng(0))
    block = block_of(texts)
    targets = encode_targets(topics, ("food", "money", "sport"), is_multilabel=False)
    first = searched(TEXT_SPEC, block, targets, scaling_of(block))
    assert first == searched(TEXT_SPEC, block, targets, scaling_of(block))
    assert first.n == 150
    few = np.arange(30)
    assert searched(TEXT_SPEC, block.take(few), targets.take(few), scaling_of(block)) is None
    alone = Targets(("food", "money"), np.array([0] + [1] * 149))  # the one is never judged
    assert searched(TEXT_SPEC, block, alone, scaling_of(block)).n in (99, 100, 149)
    several = encode_targets([[topic, "food"] if topic != "food" else [topic] for topic in topics], targets.labels,
                             is_multilabel=True)  # fmt: skip
    assert searched(TEXT_SPEC, block, several, scaling_of(block)).n == 150


def test_a_choice_stands_until_there_are_half_more_labels():
    recipes = candidates("choice", TEXT_SPEC, 3)
    stored = {"tried": [{"recipe": recipe} for recipe in recipes], "n_labels": 100}
    assert holds(stored, recipes, 149)
    assert not holds(stored, recipes, 150)
    assert not holds(stored, candidates("choice", TABLE, 3), 120)
    assert not holds(stored | {"tried": []}, recipes, 120)
    assert not holds(None, recipes, 120)


def test_a_choice_in_words():
    recipes = candidates("choice", TABLE, 3)
    tried = [{"recipe": recipe, "loss": 0.5, "macro_f1": None} for recipe in recipes]
    found = {"setting": "automatic", "unsuited": "", "n_labels": 220, "n": 219, "by": 3, "chosen": 2, "tried": tried}
    assert [row.is_chosen for row in tried_rows(found)].index(True) == 2
    assert len({row.name for row in tried_rows(found)}) == len(recipes)
    assert choice_words(found).startswith("Compared when model 3 learned on 219 labels")
    assert candidate_words({"C": 3.0}) == "Linear, C 3"


def test_how_far_off_a_rating_is_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 5, 300)
    said = np.clip(truth + rng.choice(5, p=softmax([0, 1, 3, 1, 0]), size=300) - 2, 0, 4)
    found = rating_figures(truth, said, rng)
    assert found["mean_error"]["value"] == pytest.approx(mean_absolute_error(truth, said))
    assert found["kappa"]["value"] == pytest.approx(cohen_kappa_score(truth, said, weights="quadratic"))
    for figure in found.values():
        assert figure["low"] < figure["value"] < figure["high"]
    perfect = rating_figures(truth, truth, rng)
    assert (perfect["mean_error"]["value"], perfect["kappa"]["low"]) == (0, 1)
    constant = np.full(30, 2)
    assert rating_figures(constant, constant, rng)["kappa"] is None
    assert rating_figures(constant[:0], constant[:0], rng) == {"mean_error": None, "kappa": None}
