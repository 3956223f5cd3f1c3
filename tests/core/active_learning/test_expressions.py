import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from active_learning.core.expressions import ExpressionError, parse_expression

ROW = {"amount": 1200, "new_user": True, "text": "Where is my REFUND?", "user": {"country": "de", "age": 17}, "n": "5"}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("amount > 1000 and new_user", True),
        ("amount > 1000 and not new_user", False),
        ("1000 < amount <= 1200", True),
        ("amount / 2 - 100 == 500", True),
        ("user.country in ['de', 'at'] and user.age < 18", True),
        ("'refund' in lower(text)", True),
        ("'refund' in text", False),
        ("length(text) > 10 or false", True),
        ("missing(colour)", True),
        ("colour == 'red'", None),
        ("not (colour == 'red')", None),
        ("colour == 'red' and amount < 5", False),
        ("colour == 'red' or amount > 5", True),
        ("n > 3", None),  # a text beside a number
        ("amount / 0 > 1", None),
        ('field("amount") == 1200', True),
        ("amount in (1, 1200)", True),
        ("new_user == 1", None),
        ("-amount < 0", True),
        ("text", None),
    ],
)
def test_rules_say_what_they_mean(rule, expected):
    assert parse_expression(rule).applies(ROW) is expected


@pytest.mark.parametrize(
    ("rule", "position"),
    [
        ("", 0),
        ("amount >", 8),
        ("amount > 10 and __import__('os')", 16),
        ("  amount ** 9 > 1", 2),
        ("ä == 'ö' and open('x')", 13),
        ("(lambda: 1)()", 0),
        ("[x for x in y]", 0),
        ("text.format(1)", 0),
        ("'{}'.format", 0),
        ("amount if new_user else 1", 0),
        ("f'{amount}'", 0),
        ("x[0]", 0),
        ("lower(a, b)", 0),
        ("a := 1", 2),
        ("a is None", 5),
        ("None", 0),
        ("1e999 > 2", 0),
        ("x" * 1_001, 1_000),
        (" + ".join(["1"] * 200) + " > 0", None),
        ("(" * 300 + "1" + ")" * 300, None),
        ("not " * 60 + "a", None),
        ("a\0b", None),
        ("(a +\r foo())", None),
    ],
)
def test_what_no_rule_may_contain_is_refused_with_its_place(rule, position):
    with pytest.raises(ExpressionError) as error:
        parse_expression(rule)
    assert error.value.message
    assert position is None or error.value.position == position


def test_a_rule_names_its_fields():
    assert parse_expression("a.b > 1 and field('due date') == c").fields == {"a.b", "due date", "c"}


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3),
    max_leaves=6,
)
_PIECES = r"""a b a.b c 1 -2 1e308 9**9 'x' true and or not in == != < > <= + - * / ( ) [ ] , lower( length( missing(
field( . lambda import __class__ \ " ' # : ; = ä 😀"""
_WORDS = st.sampled_from(_PIECES.split())


@settings(max_examples=400, deadline=None)
@given(
    st.lists(_WORDS, max_size=14).map(" ".join) | st.text(max_size=60), st.dictionaries(st.sampled_from("abc"), _VALUES)
)
def test_whatever_is_typed_is_read_or_refused_and_never_fails(rule, row):
    try:
        expression = parse_expression(rule)
    except ExpressionError as error:
        assert 0 <= error.position <= len(rule)
        return
    assert expression.applies(row) in (True, False, None)


def test_the_longest_rule_on_the_longest_text_takes_no_time():
    rule = " or ".join(f"'{'a' * 9}{i}b' in text" for i in range(40))[:990].rsplit(" or ", 1)[0]
    expression = parse_expression(rule)
    began = time.perf_counter()
    assert expression.applies({"text": "a" * 2_000_000}) is False
    assert time.perf_counter() - began < 2.0
