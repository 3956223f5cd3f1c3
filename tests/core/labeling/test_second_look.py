"""What a comparison of old and new labels says, by known answers."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labeling.core.agreement.answers import Answers
from labeling.core.agreement.versions import alpha_between, percent_equal
from labeling.core.second_look import (
    PAIR_COLUMNS,
    Rejudged,
    compare,
    differing_within,
    half_width,
    pairs_csv,
    verdict,
)
from labeling.core.shares import Share

LABELS = {1: frozenset("abc"), 2: frozenset("ab"), 3: frozenset("abd")}


def judged(
    old: Any, new: Any, n: int = 1, versions: tuple[int, int] = (1, 3), by_author: bool = True
) -> list[Rejudged]:
    return [Rejudged(number, old, new, *versions, by_author) for number in range(n)]


def test_a_comparison_counts_for_each_pair_of_versions_and_apart_by_who_judged() -> None:
    pairs = judged("a", "a", 6) + judged("a", "b", 3) + judged("c", "d", 1, by_author=False)
    pairs += judged("b", "b", 2, versions=(2, 3))
    first, second = compare(pairs, LABELS)
    assert (first.old_version, first.new_version, second.old_version) == (1, 3, 2)
    assert (first.equal.value, first.equal.n) == (0.6, 10)
    assert first.equal.low == pytest.approx(0.3127, abs=1e-4) and first.equal.high == pytest.approx(0.8318, abs=1e-4)
    assert first.by_author is not None and (first.by_author.n, first.by_author.value) == (9, pytest.approx(2 / 3))
    assert first.by_others is not None and (first.by_others.n, first.by_others.value) == (1, 0.0)
    assert first.n_gone == 1, "c is not in version 3"
    assert [(one.old, one.new, one.n, one.share.n) for one in first.changes] == [("a", "b", 3, 9), ("c", "d", 1, 1)]
    assert second.by_others is None and second.changes == () and second.equal.value == 1.0


def test_sets_and_ratings_are_compared_as_they_are_stored() -> None:
    (sets,) = compare(judged(["a", "c"], ["a"], 2) + judged([], [], 1), LABELS)
    assert (sets.n_gone, sets.changes[0].old, sets.changes[0].n) == (2, ["a", "c"], 2)
    (ratings,) = compare(judged(5, 4, 2, versions=(1, 2)), {2: frozenset(("1", "2", "3", "4"))})
    assert (ratings.n_gone, ratings.equal.value) == (2, 0.0)


def test_the_verdict_says_what_it_means_and_when_it_is_too_early() -> None:
    (few,) = compare(judged("a", "b", 7), LABELS)
    assert verdict(few) == "Not enough data yet: 7 labels have been judged again, 20 are needed to say something."
    (found,) = compare(judged("a", "a", 76) + judged("a", "b", 20) + judged("c", "b", 4), LABELS)
    said = verdict(found)
    assert "Under version 3 people answer otherwise on 24 % (17 % to 33 %) of the items" in said
    assert "4 of these 100 had to change" in said
    for differing, words in ((0.05, "less often"), (0.25, "about as often"), (0.6, "more often")):
        assert words in verdict(found, Share(differing, differing - 0.03, differing + 0.03, 300))
    (same,) = compare(judged("a", "a", 40), LABELS)
    assert "Nothing shows that the new version moves labels" in verdict(same)


def test_the_width_of_an_interval_is_known_beforehand() -> None:
    assert half_width(100) == pytest.approx(0.0840, abs=5e-4)
    assert half_width(400) == pytest.approx(0.0424, abs=5e-4)
    assert half_width(0) == 0.5


def test_agreement_within_a_version_is_read_from_a_measured_report() -> None:
    team = {"low": 0.7, "high": 0.9, "method": "bootstrap of items"}
    between = {
        "alphas": [],
        "within": [{"version": 2, "percent": {"value": 0.8, "this_team": team, "n": {"items": 50}}}],
    }
    found = differing_within(between, 2)
    assert found is not None
    assert (found.value, found.low, found.high, found.n) == (
        pytest.approx(0.2),
        pytest.approx(0.1),
        pytest.approx(0.3),
        50,
    )
    assert differing_within(between, 1) is None


def test_pairs_for_a_spreadsheet_hold_no_formula() -> None:
    row = dict.fromkeys(PAIR_COLUMNS, None) | {"item_id": 7, "old_value": "=1+1", "new_value": ["a"], "is_equal": False}
    header, line = pairs_csv([row]).splitlines()
    assert header.split(",") == list(PAIR_COLUMNS)
    assert line.startswith("""7,,'=1+1,"[""a""]",false""")


def test_alpha_of_two_versions_is_alpha_of_two_observers() -> None:
    """Krippendorff (2011), Computing Krippendorff's Alpha-Reliability, data B: two observers, nominal."""
    found = alpha_between(list("aabbddcccead"), list("bbbbbdccceab"), "choice")
    first, second = list("aabbddcccead"), list("bbbbbdccceab")
    n = len(first)
    observed = sum(a != b for a, b in zip(first, second, strict=True)) / n
    both = first + second
    expected = 1 - sum(both.count(label) * (both.count(label) - 1) for label in set(both)) / (2 * n * (2 * n - 1))
    assert found.value == pytest.approx(1 - observed / expected)
    assert found.title == "Krippendorff's alpha, nominal" and found.others_like_them is None
    assert found.this_team is not None and found.this_team.low < found.value < found.this_team.high


def test_ratings_have_ordinal_alpha_and_sets_masi() -> None:
    near = alpha_between([1, 2, 3, 4, 5] * 8, [2, 2, 3, 4, 5] * 8, "rating")
    far = alpha_between([1, 2, 3, 4, 5] * 8, [5, 2, 3, 4, 5] * 8, "rating")
    assert near.title.endswith("ordinal")
    assert near.value is not None and far.value is not None and near.value > far.value
    sets = alpha_between([["a", "b"], ["b"], []] * 8, [["a"], ["b"], []] * 8, "choices")
    assert sets.title.endswith("MASI") and sets.value is not None and 0.5 < sets.value < 1


@settings(deadline=None)
@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=40))
def test_labels_that_all_stay_agree_fully_or_are_not_defined(labels: list[str]) -> None:
    found = alpha_between(labels, labels, "choice")
    assert found.value == 1.0 if len(set(labels)) > 1 else found.value is None and "everyone chose" in found.reason


def test_percent_within_a_version() -> None:
    import numpy as np

    item, person = np.repeat(np.arange(30), 2), np.tile([0, 1], 30)
    label = np.tile([0, 0, 0, 1, 1, 1], 10)
    found = percent_equal(Answers(item, person, label, ("a", "b")), None)
    assert found.value == pytest.approx(2 / 3) and found.n.items == 30
    sets = percent_equal(Answers(item, person, label, ("a", "b")), [frozenset({0}), frozenset({1})])
    assert sets.value == pytest.approx(2 / 3)
    empty = percent_equal(Answers(item[:0], person[:0], label[:0], ("a", "b")), None)
    assert empty.value is None
