"""How sure, and why, in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from active_learning.core.wording import (
    certainty,
    certainty_of_several,
    confidence_of,
    label_list,
    percent_words,
    reason_sentence,
)


@pytest.mark.parametrize(
    ("p", "n_labels", "level", "text"),
    [
        (0.97, 3, "high", "97 % sure: spam. It can still be wrong."),
        (0.78, 3, "middle", "78 % sure: spam. It might be wrong. It could also be ham (20 %)."),
        (0.41, 3, "low", "41 % sure: spam. This may not be right: take it as a guess. It could also be ham (20 %)."),
        # Between two labels a half is a coin toss (the bands would be empty on the scale of p).
        (0.78, 2, "middle", "78 % sure: spam. It might be wrong. It could also be ham (20 %)."),
        (0.60, 2, "low", "60 % sure: spam. This may not be right: take it as a guess. It could also be ham (20 %)."),
        (0.94, 2, "middle", "94 % sure: spam. It might be wrong. It could also be ham (20 %)."),
        (0.999, 2, "high", "over 99 % sure: spam. It can still be wrong."),
    ],
)
def test_certainty_neither_hides_doubt_nor_claims_too_much(p, n_labels, level, text):
    told = certainty(p, n_labels=n_labels, answer="spam", runner_up="ham", p_runner_up=0.2)
    assert (told.level, told.text) == (level, text)


@given(st.floats(0.5, 1.0), st.integers(2, 150))
def test_both_scales_agree_on_the_order(p, n_labels):
    assert 0 <= confidence_of(p, n_labels) <= 1
    assert confidence_of(p, n_labels) <= confidence_of(min(1.0, p + 0.01), n_labels) + 1e-12
    assert percent_words(p) not in ("100 %", "0 %")


def test_a_set_of_labels_is_as_sure_as_its_least_sure_part():
    assert certainty_of_several([0.99, 0.04, 0.6], answer="a and b").level == "low"
    assert certainty_of_several([], answer="none").p == 0.5


def test_reasons_in_a_sentence_each():
    assert reason_sentence("word", "free", "", "", 0.9, "spam") == "The word “free” speaks strongly for spam."
    assert reason_sentence("word", "!", "", "b", -0.3, "A") == "The sign “!” in B speaks somewhat against A."
    assert reason_sentence("number", "amount", "1200", "", 0.05, "x") == "amount: 1200, speaks slightly for x."
    assert reason_sentence("meaning", "", "", "", 0.001, "x").endswith("speaks hardly for x.")
    assert [label_list(names) for names in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]
