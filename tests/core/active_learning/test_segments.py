import numpy as np
import pytest

from active_learning.core.segments import MAX_GROUPS, UNKNOWN, keys_of, ratio_of, segment


def test_keys_with_few_values_tell_groups_apart():
    metas = [
        {"language": "en" if i % 3 else "de", "id": f"x{i}", "paid": i % 2 == 0, "only": "one", "at": 1.5, "list": [1]}
        for i in range(60)
    ]
    assert keys_of(metas) == ["language", "paid"]
    # A key that every item has with one value tells nothing, unless some have none.
    assert keys_of([{"only": "one"}] * 30 + [{}] * 5) == ["only"]
    assert keys_of([{}] * 50) == []
    assert keys_of([{"k": str(i)} for i in range(MAX_GROUPS + 1)]) == []
    assert keys_of([{"k": str(i)} for i in range(MAX_GROUPS + 1)], always=["k", "none"]) == ["k"]


def test_small_groups_are_not_shown():
    metas = [{"region": "north"}] * 30 + [{"region": "south"}] * 3 + [{}] * 12
    right = np.array([True] * 24 + [False] * 6 + [True] * 3 + [True] * 12)
    groups = [group.to_json() for group in segment("region", metas, right)]
    assert [group["group"] for group in groups] == ["north", UNKNOWN, "south"]
    assert groups[0]["accuracy"]["value"] == pytest.approx(0.8)
    assert groups[0]["n"] == 30
    south = groups[2]
    assert (south["accuracy"], south["n"], south["disparate_impact"]) == (None, None, None)


def test_ratios_by_hand():
    metas = [{"g": "a"}] * 40 + [{"g": "b"}] * 40 + [{"g": "c"}] * 3
    said = np.array(([True] * 20 + [False] * 20) + ([True] * 10 + [False] * 30) + [True] * 3)
    true = np.array(([True] * 20 + [False] * 20) + ([True] * 20 + [False] * 20) + [True] * 3)
    a, b, c = segment("g", metas, said == true, (true, said))
    assert (a.selected.rate, a.selected.value, a.selected.low) == (0.5, 1.0, 1.0)
    assert (b.selected.rate, b.selected.value, b.selected.n) == (0.25, 0.5, 40)
    assert b.selected.is_below
    assert b.selected.low < 0.5 < b.selected.high
    # Of those for whom it is true: 20 of 20, and 10 of 20.
    assert (b.found.value, b.found.n) == (0.5, 20)
    assert (c.selected, c.found) == (None, None)


def test_katz_interval_with_half_a_case():
    found = ratio_of(10, 40, 20, 40)
    # exp(log(10.5 / 20.5) +- 1.96 * sqrt(1/10.5 - 1/40.5 + 1/20.5 - 1/40.5)) = exp(-0.6690 +- 0.6030)
    assert (found.low, found.high) == pytest.approx((0.2803, 0.9360), abs=1e-4)
    assert ratio_of(0, 20, 20, 20).low < 0.1


def test_a_favourable_label_that_is_never_said_gives_no_ratio():
    metas = [{"g": "ab"[i % 2]} for i in range(40)]
    nothing = np.zeros(40, dtype=bool)
    assert all(group.selected is None for group in segment("g", metas, ~nothing, (nothing, nothing)))
