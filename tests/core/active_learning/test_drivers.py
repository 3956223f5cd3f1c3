"""What drives each label in general, and which of it stands for a group of people."""

import numpy as np
import pytest

from active_learning.core.drivers import SHOWN, columns_behind, drivers_of
from active_learning.core.explain import Explainer
from active_learning.core.featurize import RawItem, flatten
from active_learning.core.proxies import association, cramers_v, proxies
from tests.core.active_learning.synthetic import WORDS, topic_texts
from tests.core.active_learning.test_explain import SPEC, Opaque, _Fitted, item


@pytest.fixture(scope="module")
def learned():
    one = _Fitted()
    texts, topics = topic_texts(90, np.random.default_rng(1))
    data = [item(text, topic) for text, topic in zip(texts, topics, strict=True)]
    block = one.featurizer.transform([RawItem(row) for row in data])
    return one, [flatten(row) for row in data], block


@pytest.mark.parametrize("is_opaque", [False, True])
def test_each_label_is_driven_by_its_words(learned, is_opaque):
    one, rows, block = learned
    explainer = Explainer(Opaque(one.model), SPEC, one.explainer.typical) if is_opaque else one.explainer
    found = drivers_of(explainer, block, columns_behind(rows, explainer))
    for topic in ("sport", "food"):
        told, against = found.of_label[topic]
        words = {driver.column.name for driver in told if driver.column.kind == "word"}
        assert words & set(WORDS[topic]) and not words & set(WORDS["money"])
        assert len(told) <= SHOWN and all(d.weight > 0 for d in told) and all(d.weight < 0 for d in against)
        assert list(told) == sorted(told, key=lambda driver: -driver.weight)
    assert ("channel", "mail") in {(d.column.name, d.column.value) for d in found.of_label["money"][0]}
    assert found.of_label["never seen"] == ((), ()) or is_opaque
    assert (found.meaning_share is None) is is_opaque
    assert is_opaque or 0 < found.meaning_share < 1


def test_without_items_nothing_drives(learned):
    one, _, block = learned
    found = drivers_of(one.explainer, block.take(np.arange(0)), [])
    assert set(found.of_label.values()) == {((), ())}


def test_cramers_v_has_its_known_values():
    # Corrected V is 1 for a diagonal table and 0 for an even one; 2 x 2 by hand: phi2 = .36, n = 100 (Bergsma 2013).
    assert cramers_v(np.diag([50.0, 50.0])) == pytest.approx(1.0)
    assert cramers_v(np.full((2, 3), 20.0)) == 0.0
    assert cramers_v(np.array([[40.0, 10.0], [10.0, 40.0]])) == pytest.approx(
        np.sqrt((0.36 - 1 / 99) / (2 - 1 / 99 - 1))
    )
    assert cramers_v(np.array([[10.0, 20.0]])) is None


def test_an_association_is_told_when_it_is_there():
    rng = np.random.default_rng(0)
    groups = rng.choice(["a", "b", "c"], size=400).tolist()
    noise = rng.choice(["x", "y"], size=400).tolist()
    stands_for = ["x" if group == "a" or rng.random() < 0.1 else "y" for group in groups]
    assert association(stands_for, groups, rng).is_told
    alone = association(noise, groups, rng)
    assert not alone.is_told and alone.low <= alone.value <= alone.high
    assert association(noise[:20], groups[:20], rng) is None
    assert association(["x"] * 400, groups, rng) is None
    found = proxies([noise, stands_for], {"gender": groups, "none": ["z"] * 400}, rng)
    assert [(proxy.column, proxy.key) for proxy in found] == [(1, "gender")]
