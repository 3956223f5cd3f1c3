import pytest
from hypothesis import given
from hypothesis import strategies as st

from labeling.core.overlap import OverlapRule, Step, fixed

RULE = OverlapRule(start=2, target=0.9, cap=5)


@pytest.mark.parametrize(
    ("n", "posterior", "forced", "step"),
    [
        (0, 0.0, False, Step("ask", 2)),
        (1, 0.99, False, Step("ask", 1)),
        (2, 0.9, False, Step("settle")),
        (2, 0.89, False, Step("ask", 1)),
        (4, 0.5, False, Step("ask", 1)),
        (5, 0.5, False, Step("dispute")),
        (5, 0.95, False, Step("settle")),
        (7, 0.5, False, Step("dispute")),
        (2, 0.99, True, Step("ask", 3)),
        (5, 0.99, True, Step("settle")),
        (5, 0.5, True, Step("dispute")),
    ],
)
def test_steps(n, posterior, forced, step):
    assert RULE.next_step(n, posterior, forced=forced) == step


@given(st.integers(0, 20), st.floats(0, 1), st.booleans())
def test_nobody_is_asked_beyond_the_cap(n, posterior, forced):
    step = RULE.next_step(n, posterior, forced=forced)
    assert (step.action == "ask") == (step.n_more > 0)
    assert n + step.n_more <= max(n, RULE.cap)


def test_a_steady_random_share_is_forced():
    keys = [f"{i:064x}" for i in range(20_000)]
    chosen = [RULE.is_forced(key) for key in keys]
    assert sum(chosen) / len(chosen) == pytest.approx(0.05, abs=0.005)
    assert chosen == [RULE.is_forced(key) for key in keys]
    wider = OverlapRule(forced_share=0.2)
    assert all(wider.is_forced(key) for key, was in zip(keys, chosen) if was)
    assert not any(OverlapRule(forced_share=0.0).is_forced(key) for key in keys[:1_000])


def test_fixed_overlap_is_a_rule_too():
    rule = fixed(3)
    assert all(rule.is_forced(f"{i}") for i in range(100))
    assert rule.next_step(2, 1.0, forced=True) == Step("ask", 1)


@pytest.mark.parametrize("wrong", [{"start": 0}, {"start": 6}, {"target": 1.0}, {"forced_share": 1.1}])
def test_numbers_that_contradict_each_other_are_refused(wrong):
    with pytest.raises(ValueError):
        OverlapRule(**wrong)
