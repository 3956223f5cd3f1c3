"""Reasons: exact where the score is a sum, found by leaving out elsewhere; the model is asked before they are told."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from active_learning.core.counterfactual import fewest_words, smallest_column_change
from active_learning.core.explain import (
    Explainer,
    contrast_of,
    explain,
    item_of_rows,
    log_odds,
    rows_of_item,
    without,
)
from active_learning.core.featurize import Featurizer, FeaturizerSpec, NumericField, RawItem
from active_learning.core.linear import LinearLearner, LinearModel
from active_learning.core.occlusion import MAX_PASSAGES, occlude, passages_of
from active_learning.core.targets import encode_targets
from tests.core.active_learning.synthetic import LetterEmbedder, learned, scaling_of, topic_texts

AMOUNT = NumericField("amount", 30.0, 20.0, (10.0, 20.0, 40.0, 60.0))
SPEC = FeaturizerSpec(
    text_fields=("text", "title"),
    numeric_fields=(AMOUNT,),
    categorical_fields=("channel",),
    embedding="letters",
    embedding_version="1",
    embedding_dimension=8,
    vector_dimension=2,
    hash_bits=14,
)
TOPICS = ("sport", "money", "food")


def item(text, topic="sport", rng=None, title="a note"):
    amount = {"sport": 10, "money": 90, "food": 25}[topic]
    return {"text": text, "title": title, "amount": amount, "channel": "mail" if topic == "money" else "chat"}


class _Fitted:
    """A model of three topics that has words, an embedding, a number, a category and a vector to go by."""

    def __init__(self, kind="choice", spec=SPEC):
        rng = np.random.default_rng(1)
        texts, topics = topic_texts(90, rng)
        self.spec = spec
        self.featurizer = Featurizer(spec, LetterEmbedder(spec.embedding_dimension))
        if kind == "pair":
            data = [
                {"a": item(texts[i], topics[i]), "b": item(texts[i + 1], topics[i + 1])} for i in range(len(texts) - 1)
            ]
            values = ["a" if topics[i] == "sport" else "b" for i in range(len(data))]
            labels = ("a", "b", "tie")
        else:
            data = [item(text, topic) for text, topic in zip(texts, topics, strict=True)]
            values = [[topic] for topic in topics] if kind == "choices" else list(topics)
            labels = (*TOPICS, "never seen")
        vectors = [rng.normal(size=2).astype(np.float32) for _ in data]
        block = self.featurizer.transform([RawItem(d, v) for d, v in zip(data, vectors, strict=True)])
        scaling = scaling_of(block, spec)
        targets = encode_targets(values, labels, is_multilabel=kind == "choices")
        self.model = learned(LinearLearner(), block, targets, scaling=scaling)
        self.explainer = Explainer(self.model, spec, scaling.center)

    def ask(self, data, vector=None, label=None):
        rows = rows_of_item(data, self.spec)
        block = self.featurizer.transform([RawItem(data, vector)])
        p = self.model.predict_proba(block)[0]
        return rows, block, contrast_of(p, is_multilabel=self.model.is_multilabel, label=label)


class Opaque:
    """The same model as one whose inside nobody sees."""

    def __init__(self, model):
        self.labels, self.is_multilabel, self.predict_proba = model.labels, model.is_multilabel, model.predict_proba

    def to_arrays(self):
        return {}, {}


@pytest.fixture(scope="module")
def fitted():
    return {kind: _Fitted(kind, replace(SPEC, is_pair=kind == "pair")) for kind in ("choice", "choices", "pair")}


words = st.lists(
    st.sampled_from(["goal", "bank", "soup", "filler1", "!", "日本", "שלום", "<b>", "don't", "ß", "bank", "\n", "."]),
    max_size=12,
).map(" ".join)


@settings(max_examples=60, deadline=None)
@given(
    text=words,
    title=words,
    amount=st.one_of(st.none(), st.floats(-1e6, 1e6), st.sampled_from(["", "12", "x"])),
    channel=st.one_of(st.none(), st.sampled_from(["mail", "chat", "post", ["mail", "chat"]])),
    label=st.sampled_from([None, 0, 1, 2]),
    kind=st.sampled_from(["choice", "choices", "pair"]),
    top=st.sampled_from([None, 0, 3]),
)
def test_the_reasons_and_the_bias_sum_to_the_score(fitted, text, title, amount, channel, label, kind, top):
    one = fitted[kind]
    side = {"text": text, "title": title, "amount": amount, "channel": channel}
    data = {"a": side, "b": item("the goal of the match")} if kind == "pair" else side
    rows, block, contrast = one.ask(data, np.array([0.5, -1.0], dtype=np.float32), label)
    told = explain(one.explainer, rows, block, contrast, top=top)
    expected = log_odds(one.model, block, contrast)[0]
    assert told.is_exact
    assert told.log_odds == pytest.approx(expected, abs=1e-3)
    assert sum(reason.weight for reason in told.reasons) + told.rest + told.bias == pytest.approx(expected, abs=1e-3)
    assert top is None or len(told.reasons) <= top
    p = one.model.predict_proba(block)[0].astype(float)
    against = 1 - p[contrast.first] if contrast.second is None else p[contrast.second]
    if min(p[contrast.first], against) > 1e-4:
        assert expected == pytest.approx(np.log(p[contrast.first] / against), abs=1e-2)
    for reason in told.reasons:
        for span in reason.spans:
            row = rows["ab".index(span.side) if span.side else 0]
            assert row[span.field][span.start : span.end].lower() == reason.name.lower()
        if reason.spans:
            assert sum(span.weight for span in reason.spans) == pytest.approx(reason.weight, abs=1e-9)


def test_it_names_what_was_learned_and_finds_both_places_of_a_word(fitted):
    one = fitted["choice"]
    rows, block, contrast = one.ask({"text": "Goal! The goal of the match", "amount": 10, "channel": "chat"})
    told = explain(one.explainer, rows, block, contrast)
    assert TOPICS[contrast.first] == "sport"
    by_name = {reason.name.lower(): reason for reason in told.reasons}
    assert by_name["goal"].weight > 0 and by_name["match"].weight > 0
    assert [(span.start, span.end) for span in by_name["goal"].spans] == [(0, 4), (10, 14)]
    assert {reason.kind for reason in told.reasons} >= {"word", "number", "category", "meaning"}


def test_a_label_without_examples_has_no_reasons(fitted):
    one = fitted["choice"]
    rows, block, contrast = one.ask(item("bank"), label=3)
    told = explain(one.explainer, rows, block, contrast)
    assert (told.reasons, told.log_odds) == ((), 0.0)


@pytest.mark.parametrize(
    "data", [{}, {"text": ""}, {"text": "zzz qqq"}, {"text": None, "amount": None}, {"text": "，。"}]
)
def test_nothing_to_go_by_is_explained_too(fitted, data):
    one = fitted["choice"]
    rows, block, contrast = one.ask(data)
    assert np.isfinite(explain(one.explainer, rows, block, contrast).log_odds)
    assert isinstance(occlude(one.explainer, one.featurizer, rows, contrast), list)
    fewest_words(one.explainer, one.featurizer, rows, contrast, ())


def test_any_model_is_explained_by_leaving_out(fitted):
    one = fitted["choice"]
    opaque = Explainer(Opaque(one.model), one.spec, one.explainer.typical)
    assert isinstance(one.model, LinearModel) and not isinstance(opaque.model, LinearModel)
    rows, block, contrast = one.ask({"text": "the goal of filler1", "title": "", "amount": 95, "channel": "chat"})
    exact, told = explain(one.explainer, rows, block, contrast), explain(opaque, rows, block, contrast)
    assert not told.is_exact
    assert told.log_odds == pytest.approx(exact.log_odds, abs=1e-2)
    first, second = ({reason.name: reason.weight for reason in one_of.reasons} for one_of in (exact, told))
    assert second["goal"] > 0
    # The number's typical value is the pool's median there and its mean here: the same direction.
    assert np.sign(first["amount"]) == np.sign(second["amount"])
    meaning = [[r.weight for r in one_of.reasons if r.kind == "meaning"] for one_of in (exact, told)]
    assert meaning[0] == pytest.approx(meaning[1], abs=1e-2)


def test_a_pair_speaks_of_its_sides(fitted):
    one = fitted["pair"]
    rows, block, contrast = one.ask({"a": {"text": "goal match"}, "b": "bank loan"})
    told = explain(one.explainer, rows, block, contrast)
    sides = {reason.name: reason.side for reason in told.reasons if reason.kind == "word"}
    assert sides["goal"] == "a" and sides["bank"] == "b"
    assert {effect.span.side for effect in occlude(one.explainer, one.featurizer, rows, contrast)} == {"a", "b"}


# Passages


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", []),
        ("... !!", []),
        (
            "Die Suppe war kalt. Der Kellner kam nicht.",
            ["Die", "Suppe", "war", "kalt", "Der", "Kellner", "kam", "nicht"],
        ),
        ("Sie kam, sah und ging. " * 12, 12),
        ("one, two three; four five six, " * 5, 15),
        ("so many words without any end " * 6, 12),
        ("今日は天気がいい。" * 9, 9),
        ("word. " * 10_000, MAX_PASSAGES),
    ],
)
def test_passages_cover_the_words_in_reading_order(text, pieces):
    found = passages_of(text)
    assert all(a < b for a, b in found) and all(x[1] <= y[0] for x, y in zip(found, found[1:], strict=False))
    if isinstance(pieces, list):
        assert [text[a:b] for a, b in found] == pieces
    else:
        assert len(found) == pieces


def test_an_effect_is_the_change_when_the_passage_is_gone(fitted):
    one = fitted["choice"]
    rows, block, contrast = one.ask(item("goal bank soup filler1"))
    effects = occlude(one.explainer, one.featurizer, rows, contrast)
    assert [effect.text for effect in effects] == ["goal", "bank", "soup", "filler1", "a", "note"]
    gone = one.featurizer.transform([item_of_rows(without(rows, [effects[1].span]), SPEC)])
    both = log_odds(one.model, block, contrast)[0], log_odds(one.model, gone, contrast)[0]
    assert effects[1].effect == pytest.approx(both[0] - both[1], abs=0.02)  # rounded to float16 in another batch
    assert effects[1].meaning is not None and abs(effects[1].meaning - effects[1].effect) > 1e-4


def test_of_a_long_text_what_the_embedding_reads_is_taken_apart(fitted):
    one = fitted["choice"]
    rows, _, contrast = one.ask({"text": "goal match. " * 5_000})
    effects = occlude(one.explainer, one.featurizer, rows, contrast)
    assert len(effects) == MAX_PASSAGES and effects[-1].span.end <= 2_000


# What would change the answer


def test_leaving_out_what_was_found_does_change_the_answer(fitted):
    one = fitted["choice"]
    plain = {"amount": None, "channel": None, "title": ""}
    rows, block, contrast = one.ask({"text": "goal match team bank loan"} | plain)
    told = explain(one.explainer, rows, block, contrast)
    found = fewest_words(one.explainer, one.featurizer, rows, contrast, told.reasons)
    assert found is not None and found.label != contrast.first
    gone = without(rows, [span for word in found.words for span in word.spans])
    p = one.model.predict_proba(one.featurizer.transform([item_of_rows(gone, SPEC)]))[0]
    assert int(p.argmax()) == found.label and p.max() == pytest.approx(found.p, abs=1e-3)
    for spared in found.words:  # none of them could have stayed
        kept = without(rows, [span for word in found.words if word is not spared for span in word.spans])
        assert (
            one.model.predict_proba(one.featurizer.transform([item_of_rows(kept, SPEC)]))[0].argmax() == contrast.first
        )


def test_when_nothing_changes_it_none_is_told(fitted):
    one = fitted["choice"]
    rows, block, contrast = one.ask({"text": "filler1", "amount": 90, "channel": "mail"})
    assert fewest_words(one.explainer, one.featurizer, rows, contrast, ()) is None


def test_the_smallest_change_of_a_number_or_a_category(fitted):
    one = fitted["choice"]
    rows, block, contrast = one.ask({"text": "", "title": "", "amount": 90, "channel": "mail"})
    assert TOPICS[contrast.first] == "money"
    found = smallest_column_change(one.explainer, rows, block, contrast, categories={"channel": ["chat", "mail"]})
    assert found is not None
    value = found.after if found.field == "channel" else int(found.after)
    changed = one.featurizer.transform([RawItem(rows[0] | {found.field: value})])
    assert int(one.model.predict_proba(changed)[0].argmax()) == found.label != contrast.first
