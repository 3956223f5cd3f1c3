import numpy as np
import pytest
import scipy.sparse as sp

from active_learning.core.blocks import FeatureBlock
from active_learning.core.featurize import FeaturizerSpec, RawItem, columns_of, content_key, infer_spec
from active_learning.core.validation import (
    check_answers,
    check_columns,
    check_features,
    check_repeats,
    check_width,
    refusal,
    told_by_column,
)
from tests.core.active_learning.synthetic import topic_texts

LABELS = ["a", "b", "c"]


def codes(findings):
    return [(finding.code, finding.severity) for finding in findings]


def answers(values, labels=LABELS, **options):
    return check_answers(values, labels, is_multilabel=options.pop("is_multilabel", False), **options)


# Answers


@pytest.mark.parametrize(
    ("values", "code", "words"),
    [
        ([], "no_labels", "There are no labels to learn from yet."),
        (["a"] * 1_200, "one_answer", "All 1,200 labels say a; a model needs two different answers."),
        ([3, 3], "one_answer", "All 2 labels say 3; a model needs two different answers."),
    ],
)
def test_fewer_than_two_answers_are_refused(values, code, words):
    found = answers(values)
    assert codes(found) == [(code, "refuse")]
    assert refusal(found) == words


def test_one_item_with_several_labels_is_refused():
    assert codes(answers([["a", "b"]], is_multilabel=True)) == [("one_label", "refuse")]
    assert answers([["a", "b"], ["a", "c"], ["b", "c"]], is_multilabel=True) == []


def test_an_answer_with_too_few_examples_is_named_and_no_refusal():
    found = answers(["a", "a", "b", "b", "b", "c"])
    assert codes(found) == [("rare_answer", "warn")]
    assert "c (1)" in found[0].words
    assert refusal(found) == ""
    assert answers(["a", "a", "b", "b", "c", "c"]) == []


def test_many_rare_answers_make_one_sentence():
    labels = [f"label {n}" for n in range(150)]
    found = answers(["label 0", "label 0", "label 1", "label 1"], labels)
    assert len(found) == 1
    assert "label 6 (0) and 143 more" in found[0].words


def test_an_answer_that_vanished_since_the_live_version_is_named_with_what_there_was():
    found = answers(["a", "a", "b", "b"], learned_before={"a": 5, "b": 5, "c": 1_400})
    assert codes(found) == [("answer_vanished", "warn")]
    assert "c (1400 before)" in found[0].words.replace(",", "")


def test_an_answer_that_the_schema_no_longer_has_did_not_vanish():
    assert answers(["a", "a", "b", "b"], ["a", "b"], learned_before={"a": 5, "b": 5, "c": 40}) == []


# The same content twice


def test_items_that_repeat_an_audit_item_are_found():
    found = check_repeats([b"1", b"2", None, b"3", b"2"], ["a", "b", "a", "a", "b"], {b"2", None})
    assert found.in_audit == [1, 4]
    assert codes(found.findings) == [("repeats_audit", "warn")]
    assert found.findings[0].words.startswith("2 labeled items")


def test_when_most_items_repeat_audit_items_nothing_honest_is_left():
    keys = [b"%d" % (n % 10) for n in range(40)]
    half, most = {b"%d" % n for n in range(5)}, {b"%d" % n for n in range(6)}
    answers_of_them = ["a"] * 40
    assert codes(check_repeats(keys, answers_of_them, half).findings) == [("repeats_audit", "warn")]
    refused = check_repeats(keys, answers_of_them, most)
    assert codes(refused.findings) == [("repeats_audit", "refuse")] and refused.in_audit == []
    assert refused.findings[0].words.startswith("24 of 40 labeled items (60 %) have the same content as an audit item.")
    # Equal rows of a narrow table are different things: they are learned from, and it is said.
    table = check_repeats(keys, answers_of_them, most, are_columns_alone=True)
    assert codes(table.findings) == [("repeats_audit", "warn")] and table.in_audit == []
    assert "They are learned from" in table.findings[0].words
    # A handful says nothing of the rest: what repeats is left out.
    assert check_repeats(keys[:10], ["a"] * 10, most).in_audit == [0, 1, 2, 3, 4, 5]


def test_the_same_content_with_two_answers_is_counted():
    found = check_repeats([b"1", b"1", b"1", b"2", b"2", None, None], ["a", "b", "a", "a", "a", "a", "b"], set())
    assert codes(found.findings) == [("contradiction", "warn")]
    assert found.findings[0].words.startswith("3 labeled items in 1 group of equal content")
    assert found.in_audit == []


TEXT = FeaturizerSpec(text_fields=("text",))


def key(spec=TEXT, vector=None, **data):
    return content_key(RawItem(data, vector), spec)


def test_case_spacing_and_letter_forms_do_not_hide_a_repeat():
    assert key(text="Great  Match\n") == key(text="great match") == key(text="\uff27reat match")
    assert key(text="great match!") != key(text="great match")
    assert key(text="great match", id=4) == key(text="great match", id=5)  # what the model does not see
    assert key(text="  ") is key() is None
    assert key(text="a\ud800") is not None


def test_a_repeat_is_one_in_every_field_that_the_model_sees():
    rows = [RawItem({"text": f"some words here {n}", "age": n, "colour": "red"}) for n in range(30)]
    spec = infer_spec(rows)
    assert spec.categorical_fields == ("colour",)
    assert key(spec, text="x", age=3, colour="red") == key(spec, text="x", age="3.0", colour="red")
    assert key(spec, text="x", age=3, colour="red") != key(spec, text="x", age=4, colour="red")
    assert key(spec, text="x", age=3, colour="red") != key(spec, text="x", age=3, colour="blue")
    vectors = FeaturizerSpec(vector_dimension=2)
    one, other = np.array([1, 2], dtype="<f4"), np.array([1, 3], dtype="<f4")
    assert key(vectors, one) == key(vectors, one.copy()) != key(vectors, other)


# Columns


def table(n=200, seed=0):
    """Texts with columns: noise, a constant, two that give the answer away, and one that helps."""
    rng = np.random.default_rng(seed)
    texts, _ = topic_texts(n, rng)
    answers = [LABELS[n] for n in rng.integers(3, size=n)]  # nothing to do with the texts
    items = [
        RawItem(
            {
                "text": text,
                "noise": float(rng.normal()),
                "source": "web",
                "code": {"a": 10.5, "b": 20.5, "c": 30.5}[answer] + float(rng.normal(scale=0.1)),
                "team": f"team {answer}",
                "hint": answer if rng.random() < 0.7 else "none",
            }
        )
        for text, answer in zip(texts, answers, strict=True)
    ]
    return items, answers, rng


def without(items, *names):
    return [RawItem({key: value for key, value in item.data.items() if key not in names}) for item in items]


def test_columns_that_give_the_answer_away_are_refused_by_name():
    items, given, rng = table()
    found = check_columns(items, given, infer_spec(items), rng)
    leak = next(finding for finding in found if finding.severity == "refuse")
    assert (leak.code, set(leak.fields)) == ("gives_answer_away", {"code", "team"})
    assert "200 items" in leak.words
    assert "Fields to leave out" in leak.words


def test_a_column_that_is_only_good_is_no_leak_and_a_constant_one_is_a_warning():
    items, given, rng = table()
    items = without(items, "code", "team")
    found = check_columns(items, given, infer_spec(items), rng)
    assert codes(found) == [("constant_column", "warn")]
    assert found[0].fields == ("source",)


def test_an_owner_may_leave_columns_out_or_trust_them():
    items, given, rng = table()
    assert not refusal(check_columns(items, given, infer_spec(items), rng, trusted=["code", "team"]))
    spec = infer_spec(items, left_out=["code", "team"])
    assert spec.categorical_fields == ("hint", "source")
    assert not refusal(check_columns(items, given, spec, rng))


def test_a_column_that_the_words_make_up_for_is_no_leak():
    rng = np.random.default_rng(1)
    texts, topics = topic_texts(240, rng)
    items = [RawItem({"text": text, "section": topic}) for text, topic in zip(texts, topics, strict=True)]
    assert check_columns(items, topics, infer_spec(items), rng) == []


def test_few_items_accuse_no_column():
    items, given, rng = table(49)
    assert not refusal(check_columns(items, given, infer_spec(items), rng))


def test_a_rare_answer_makes_no_column_suspicious():
    """Always saying the commonest answer is right in 98 of 100 cases: that alone gives nothing away."""
    rng = np.random.default_rng(2)
    given = ["rare" if n % 50 == 0 else "usual" for n in range(500)]
    items = [RawItem({"text": "same words for all", "x": float(rng.normal()), "y": str(n % 3)}) for n in range(500)]
    assert check_columns(items, given, infer_spec(items), rng) == []


def test_told_by_column_at_known_points():
    truth = np.array([0, 1] * 50)
    fold = np.arange(100) // 20
    assert told_by_column([float(value) for value in truth], truth, fold) == 1.0
    assert told_by_column([str(value) for value in truth], truth, fold) == 1.0
    assert told_by_column(["x"] * 100, truth, fold) == 0.0
    assert told_by_column([None] * 100, truth, fold) == 0.0
    # Every tenth case has the other value: half of ten mistakes of fifty are left.
    cells = [str(value if n % 10 else 1 - value) for n, value in enumerate(truth)]
    assert told_by_column(cells, truth, fold) == pytest.approx(0.8)


def test_the_columns_of_a_pair_are_their_difference():
    sample = [RawItem({"a": {"price": n, "kind": "x"}, "b": {"price": 2, "kind": "y"}}) for n in range(30)]
    spec = infer_spec(sample, is_pair=True)
    data = [{"a": {"price": 5, "kind": "x"}, "b": {"price": 3, "kind": "y"}}, {"a": {"price": 5}, "b": {}}]
    assert columns_of(data, spec) == {"price": [2.0, None], "kind": ["x / y", None]}


# Features


def block(sparse, dense):
    return FeatureBlock(sp.csr_matrix(np.array(sparse, dtype=np.float32)), np.array(dense, dtype=np.float16))


def test_items_that_all_look_the_same_are_refused():
    spec = FeaturizerSpec(vector_dimension=2)
    zeros = check_features(block(np.zeros((5, 10_000)), np.zeros((5, 2))), spec)
    assert codes(zeros) == [("no_features", "refuse")]
    assert "every feature is zero" in zeros[0].words
    same = check_features(block([[0, 1], [0, 1]], [[3, 4], [3, 4]]), spec)
    assert codes(same) == [("no_features", "refuse")]
    assert check_features(block([[0, 1], [1, 0]], np.zeros((2, 0))), FeaturizerSpec()) == []
    assert check_features(block([[0, 1], [1, 1]], np.zeros((2, 0))), FeaturizerSpec()) == []
    assert check_features(block([[0, 1], [0, 2]], np.zeros((2, 0))), FeaturizerSpec()) == []


def test_labeled_items_that_are_one_and_the_same_are_told_as_that_and_not_as_repeats():
    found = check_repeats([b"k"] * 40, ["a", "b"] * 20, [b"k"])
    assert codes(found.findings) == [("no_features", "refuse")]
    assert "All 40 labeled items look the same" in found.findings[0].words
    assert codes(check_repeats([None] * 40, ["a", "b"] * 20, [None]).findings) == []


def test_fields_that_no_model_looks_at_are_told():
    wide = RawItem({f"f{number}": 0 for number in range(10_000)})
    [finding] = check_width([RawItem({"text": "a"}), wide], FeaturizerSpec())
    assert (finding.code, finding.severity) == ("too_many_fields", "warn")
    assert "10,000 fields; the model looks at the first 200" in finding.words
    assert check_width([RawItem({"a": {"b": 1}, "c": [1] * 500})], FeaturizerSpec()) == []


def test_a_vector_that_says_nothing_is_a_warning_beside_words_that_do():
    spec = FeaturizerSpec(vector_dimension=2)
    assert codes(check_features(block([[0, 1], [1, 0]], [[0, 0], [0, 0]]), spec)) == [("constant_vector", "warn")]
    assert check_features(block([[0, 1], [1, 0]], [[0, 0], [0, 1]]), spec) == []
