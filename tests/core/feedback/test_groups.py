"""What is said of parts of the predictions, and what is not."""

import pytest

from feedback.core.groups import MAX_GROUPS, Counts, group_row, groups_of
from feedback.core.reliability import Pairs

PAIRS = Pairs(n_wrong=200, on_wrong=100, n_right=400, on_right=8)


def test_a_part_has_its_rates_with_intervals():
    row = group_row("mail", Counts(n_predictions=500, n_spoken=90, n_complained=60, up=35, down=62), PAIRS)
    assert (row.raw.n, row.complained.n, row.spoken.value) == (97, 500, 0.18)
    # (60/500 - 8/400) / (100/200 - 8/400)
    assert abs(row.corrected.share.value - 0.1 / 0.48) < 1e-9
    assert row.corrected.share.low < row.corrected.share.value < row.corrected.share.high
    assert group_row("mail", Counts(n_predictions=500, n_complained=9), Pairs()).corrected.share is None


def test_a_segment_with_pairs_of_its_own_is_corrected_by_them_drawn_to_the_rest():
    counts = Counts(n_predictions=500, n_complained=60)
    own = Pairs(n_wrong=40, on_wrong=8, n_right=60, on_right=3)
    row = group_row("mail", counts, PAIRS, own)
    # Twenty more of either kind at the rates of the others: 92 of 160 wrong, 5 of 340 right.
    hit, alarm = (8 + 20 * 92 / 160) / 60, (3 + 20 * 5 / 340) / 80
    assert row.as_marked == "here" and row.corrected.share.value == pytest.approx((0.12 - alarm) / (hit - alarm))
    few = group_row("mail", counts, PAIRS, Pairs(n_wrong=29, on_wrong=8, n_right=60, on_right=3))
    alone = group_row("mail", counts, PAIRS)
    assert few.corrected == alone.corrected and (few.as_marked, alone.as_marked) == ("everywhere", "")


def test_small_parts_are_counted_and_not_told():
    found = groups_of({"a": Counts(29, 5, 5, 0, 5), "b": Counts(100, 5, 5, 0, 5), "": Counts(3)}, PAIRS, {})
    assert [row.name for row in found.rows] == ["b"]
    assert (found.n_small, found.n_in_small) == (2, 32)
    small = group_row("a", Counts(29, 5, 5, 0, 5), PAIRS)
    assert small.is_small and small.raw is small.complained is small.spoken is small.corrected.share is None
    assert not group_row("old", Counts(0, 40, 40, 0, 40), PAIRS).is_small, "their predictions were put away"


def test_of_many_parts_the_largest_are_told():
    found = groups_of({str(n): Counts(100 + n) for n in range(MAX_GROUPS + 3)}, PAIRS, {})
    assert found.rows[0].counts.n_predictions == 102 + MAX_GROUPS
    assert (len(found.rows), found.n_small, found.n_in_small) == (MAX_GROUPS, 3, 303)
