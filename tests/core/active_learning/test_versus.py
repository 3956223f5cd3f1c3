import numpy as np
import pytest
from scipy.stats import binomtest

from active_learning.core.evaluation import compare, evaluate
from active_learning.core.versus import LABELS_SHOWN, compare_reports, compare_words, mcnemar


def report(said, truth, ids=None, labels=("a", "b", "c"), words=None):
    ids = list(range(len(said))) if ids is None else ids
    return {"labels": list(labels), "audit": {"ids": ids, "truth": truth, "said": said}, "words": words or {}}


def drawn(n=300, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(3, size=n)
    first = np.where(rng.random(n) < 0.7, truth, rng.integers(3, size=n))
    second = np.where(rng.random(n) < 0.8, truth, rng.integers(3, size=n))
    return truth, first, second


def test_the_figures_are_those_of_the_numeric_evaluation():
    truth, first, second = drawn()
    found = compare_reports(report(first.tolist(), truth.tolist()), report(second.tolist(), truth.tolist()))
    expected = compare(second == truth, first == truth)
    assert (found.n_gained, found.n_lost) == (expected.n_only_first, expected.n_only_second)
    for name in ("low", "high"):
        assert getattr(found.accuracy, name) == pytest.approx(getattr(expected, name))
    f1 = [evaluate(truth, said, "abc").macro_f1 for said in (first, second)]
    assert found.macro_f1.value == pytest.approx(f1[1] - f1[0])
    assert found.p_value == pytest.approx(binomtest(found.n_gained, found.n_gained + found.n_lost).pvalue)


def test_the_interval_of_macro_f1_is_that_of_the_paired_bootstrap():
    truth, first, second = drawn()
    found = compare_reports(report(first.tolist(), truth.tolist()), report(second.tolist(), truth.tolist())).macro_f1
    rng = np.random.default_rng(1)
    values = []
    for _ in range(1_500):
        rows = rng.integers(len(truth), size=len(truth))
        both = [evaluate(truth[rows], said[rows], "abc").macro_f1 for said in (first, second)]
        values.append(both[1] - both[0])
    low, high = np.quantile(values, [0.025, 0.975])
    assert found.low == pytest.approx(low, abs=0.01)
    assert found.high == pytest.approx(high, abs=0.01)


def test_only_common_items_count_and_the_newer_truth_does():
    old = report([0, 1, 2], [0, 1, 2], ids=[1, 2, 3])
    new = report([1, 2, 0], [1, 2, 0], ids=[2, 3, 4])
    new["audit"]["truth"] = [0, 2, 0]  # item 2 was decided anew
    found = compare_reports(old, new)
    assert [(case.item_id, case.truth, case.verdict) for case in found.common] == [
        (2, ("a",), "neither"),
        (3, ("c",), "both"),
    ]
    assert not found.is_enough
    assert found.changed == []


def test_labels_are_told_apart_by_name_when_the_schema_has_changed():
    old = report([0, 1], [0, 1], labels=("a", "b"))
    new = report([1, 2], [1, 2], labels=("z", "a", "b"))
    assert [case.verdict for case in compare_reports(old, new).common] == ["both", "both"]


def test_several_labels_an_item_are_right_together():
    found = compare_reports(report([[0], [0, 1]], [[0, 1], [0, 1]]), report([[1, 0], [1]], [[0, 1], [0, 1]]))
    assert [case.verdict for case in found.changed] == ["first", "second"]


def test_nothing_in_common_is_no_figure():
    found = compare_reports(report([0], [0], ids=[1]), {"labels": ["a"], "words": {}})
    assert (found.n, found.accuracy, found.macro_f1, found.p_value) == (0, None, None, 1.0)


def test_mcnemar_of_thousands_does_not_overflow():
    assert mcnemar(4_000, 4_000) == 1.0
    assert mcnemar(4_500, 3_500) == pytest.approx(binomtest(3_500, 8_000).pvalue, rel=1e-6)


def test_words_are_compared_label_by_label_most_different_first_and_not_without_end():
    same = {f"l{i}": [["x", 1.0]] for i in range(100)}
    first = report([], [], words=same | {"a": [["bread", 2.0], ["soup", 1.0]]})
    second = report([], [], words=same | {"a": [["oven", 2.0], ["bread", 1.0]]})
    found = compare_words(first, second)
    assert len(found) == LABELS_SHOWN
    assert (found[0].label, found[0].both, found[0].only_first, found[0].only_second) == (
        "a", ("bread",), ("soup",), ("oven",),
    )  # fmt: skip
