import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.metrics import cohen_kappa_score

from labeling.core.agreement import answers as a
from labeling.core.agreement import changes, coefficients, intervals, people, report, scales
from labeling.core.agreement.answers import Answers
from labeling.core.agreement.intervals import Panel


def make(rows, names="abcd"):
    """Answers from a row an item, a column a person; "." is no answer."""
    cells = [row.split() for row in rows]
    triples = [(i, j, names.index(cell)) for i, row in enumerate(cells) for j, cell in enumerate(row) if cell != "."]
    return Answers(*np.array(triples, dtype=np.int64).reshape(-1, 3).T, tuple(names))


def crowd(seed=0, n_items=60, n_people=6, n_labels=3, share=0.7, accuracy=0.8):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, n_labels, n_items)
    item, annotator = np.nonzero(rng.random((n_items, n_people)) < share)
    right = rng.random(len(item)) < accuracy
    label = np.where(right, truth[item], rng.integers(0, n_labels, len(item)))
    return Answers(item, annotator, label, tuple("abcdefghij"[:n_labels]))


def numbers(answers, scale="nominal"):
    found = report.overall(Panel.of(answers), scale, np.random.default_rng(0))
    return {coefficient.title: coefficient for coefficient in found}


def alpha(answers, scale="nominal"):
    return numbers(answers, scale)[f"Krippendorff's alpha, {scale}"].value


SCALES = ["nominal", "ordinal", "interval", "ratio"]
some_answers = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 4), st.integers(0, 3)), max_size=40).map(
    lambda rows: Answers(*np.array(rows, dtype=np.int64).reshape(-1, 3).T, tuple("abcd"))
)


@given(some_answers, st.sampled_from(SCALES))
def test_any_answers_have_numbers_or_reasons(answers, scale):
    for found in numbers(answers, scale).values():
        assert (found.value is None) == bool(found.reason)
        if found.value is None:
            assert found.this_team is None
            assert found.others_like_them is None
        else:
            assert -1e9 < found.value <= 1 + 1e-9
        for interval in (found.this_team, found.others_like_them):
            assert interval is None or interval.high - interval.low >= -1e-9


@given(some_answers, st.permutations(range(4)))
def test_new_names_of_labels_change_nothing(answers, renamed):
    other = Answers(answers.item, answers.annotator, np.array(renamed)[answers.label], answers.names)
    before, after = numbers(answers), numbers(other)
    assert {k: v.value for k, v in before.items()} == pytest.approx({k: v.value for k, v in after.items()})
    assert {k: v.se for k, v in before.items()} == pytest.approx({k: v.se for k, v in after.items()})


@given(some_answers, st.permutations(range(5)), st.permutations(range(8)), st.randoms())
def test_the_order_of_people_items_and_answers_changes_nothing(answers, people, items, random):
    answers = answers.without_repeats()
    order = list(range(len(answers)))
    random.shuffle(order)
    other = Answers(np.array(items)[answers.item], np.array(people)[answers.annotator], answers.label, answers.names)
    after = numbers(other.where(np.array(order, dtype=np.int64)), "ordinal")
    assert {k: v.value for k, v in numbers(answers, "ordinal").items()} == pytest.approx(
        {k: v.value for k, v in after.items()}
    )


@given(some_answers)
def test_doubled_people_agree_more(answers):
    answers = answers.without_repeats().several()
    both = Answers(
        np.concatenate([answers.item, answers.item]),
        np.concatenate([answers.annotator, answers.annotator + 5]),
        np.concatenate([answers.label, answers.label]),
        answers.names,
    )
    once, twice = alpha(answers), alpha(both)
    if once is None:
        assert twice is None
    else:
        assert twice >= once - 1e-12


@pytest.mark.parametrize("scale", SCALES)
def test_full_agreement_is_one_and_its_interval_is_not_a_point(scale):
    answers = make(["a a a", "b b b", "c c .", "a . a"] * 5)
    for found in numbers(answers, scale).values():
        assert found.value == pytest.approx(1)
        assert 0 < found.this_team.low < 1 == found.this_team.high


@pytest.mark.parametrize("scale", SCALES)
def test_guessing_is_nothing(scale):
    answers = crowd(n_items=5_000, share=1.0, accuracy=0.0)
    for title, found in numbers(answers, scale).items():
        if title != "Percent agreement":
            assert found.value == pytest.approx(0, abs=0.02)
            assert found.this_team.low < 0 < found.this_team.high


def test_one_label_only_is_said_and_never_one():
    found = numbers(make(["b b", "b b b", "b"]))
    percent = found.pop("Percent agreement")
    assert percent.value == 1.0
    assert {(c.value, c.reason) for c in found.values()} == {(None, "everyone chose b")}


@pytest.mark.parametrize("rows", [[], ["a", "b"], [". a", "b ."]])
def test_no_overlap_is_said(rows):
    panel = Panel.of(make(rows))
    for found in report.overall(panel, "ordinal", np.random.default_rng(0)):
        assert (found.value, found.reason, found.n.items) == (None, "no item has two answers", 0)
    assert report.confusions(panel) == []
    assert people.pairs_of_people(panel, "nominal") == people.Pairs([], [])
    assert people.by_person(panel, "nominal") == []
    assert report.over_time(make(rows), np.arange(len(make(rows))), 10, "nominal") == []
    assert {label.alpha.reason for label in report.by_label(panel, np.random.default_rng(0))} == {
        "no item has two answers"
    }


def test_the_same_person_twice_is_not_two_people():
    answers = Answers([0, 0, 1, 1], [0, 0, 0, 1], [0, 1, 0, 0], ("a", "b"))
    panel = Panel.of(answers)
    assert panel.n == intervals.Basis(items=1, labels=2, annotators=2)
    assert answers.without_repeats().label.tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("item", "annotator", "label"), [([0], [0, 1], [0]), ([-1], [0], [0]), ([0], [0], [2]), ([[0]], [[0]], [[0]])]
)
def test_answers_that_do_not_fit_are_refused(item, annotator, label):
    with pytest.raises(ValueError):
        Answers(np.array(item), np.array(annotator), np.array(label), ("a", "b"))


def test_missing_answers_are_no_label():
    # Krippendorff (2011), C: units with one answer fall out.
    rows = ["a a . a", "b b c b", "c c c c", "c c c c", "b b b b", "a b c d", "d d d d", "a a b a", "b b b b"]
    assert alpha(make(rows)) == alpha(make([*rows, ". . . a", "c . . ."]))


def test_patterns_are_the_items_votes():
    answers = crowd(n_items=300)
    patterns, place = a.count_patterns(answers)
    assert patterns.times.sum() == (answers.n_of_item > 0).sum()
    table = patterns.counts.toarray()
    for item in np.unique(answers.item):
        votes = np.bincount(answers.label[answers.item == item], minlength=3)
        assert table[place[item]].tolist() == votes.tolist()
    assert len({tuple(row) for row in table}) == len(table)


def test_pairs_agree_with_scikit_learn():
    answers = crowd(n_items=200, n_people=5, n_labels=4)
    for scale, weighting in (("nominal", None), ("interval", "quadratic")):
        pairs = people.pairs_of_people(Panel.of(answers), scale).pairs
        assert len(pairs) == 10
        for pair in pairs:
            mine, theirs = (
                dict(zip(answers.item[w], answers.label[w]))
                for w in (answers.annotator == p for p in (pair.first, pair.second))
            )
            shared = sorted(mine.keys() & theirs.keys())
            expected = cohen_kappa_score(
                [mine[i] for i in shared], [theirs[i] for i in shared], weights=weighting, labels=range(4)
            )
            assert pair.kappa.value == pytest.approx(expected, abs=1e-9)
            assert pair.kappa.n.items == len(shared)
            assert pair.equal.value == np.mean([mine[i] == theirs[i] for i in shared])
            assert (pair.plain is None) == (scale == "nominal")
            if pair.plain is not None:
                plain = cohen_kappa_score([mine[i] for i in shared], [theirs[i] for i in shared], labels=range(4))
                assert pair.plain.value == pytest.approx(plain, abs=1e-9)


def test_people_who_answer_alike_stand_together():
    rng = np.random.default_rng(0)
    views = rng.integers(0, 2, (2, 80))
    group = [0, 1, 0, 1, 1, 0]
    answers = np.where(rng.random((6, 80)) < 0.9, views[group], 1 - views[group])
    annotator, item = np.nonzero(answers >= 0)
    order = people.pairs_of_people(Panel.of(Answers(item, annotator, answers.ravel(), ("a", "b"))), "nominal").order
    assert [group[person] for person in order] in ([0, 0, 0, 1, 1, 1], [1, 1, 1, 0, 0, 0])


def test_leaving_a_person_out_is_the_alpha_without_them():
    answers = crowd(n_items=80, n_people=5)
    for scale in SCALES:
        whole = alpha(answers, scale)
        for person in people.by_person(Panel.of(answers), scale):
            without = alpha(answers.where(answers.annotator != person.annotator), scale)
            assert person.alpha_without == pytest.approx(without)
            assert person.alpha_change.value == pytest.approx(whole - without)


def test_a_person_who_guesses_and_one_who_always_says_the_same_are_seen():
    good = crowd(n_items=200, n_people=4, share=1.0, accuracy=0.95)
    rng = np.random.default_rng(1)
    items = np.arange(200)
    answers = Answers(
        np.concatenate([good.item, items, items]),
        np.concatenate([good.annotator, np.full(200, 4), np.full(200, 5)]),
        np.concatenate([good.label, rng.integers(0, 3, 200), np.zeros(200, dtype=int)]),
        good.names,
    )
    everybody = people.by_person(Panel.of(answers), "nominal")
    changes = [person.alpha_change.value for person in everybody]
    assert max(changes[4:]) < -0.05 < min(changes[:4])
    assert (everybody[5].top_label, everybody[5].top_share) == (0, 1.0)
    assert everybody[0].agreement.this_team.low > everybody[4].agreement.this_team.high


def test_merging_two_labels_gains_what_it_says():
    answers = crowd(n_items=150, n_labels=4, accuracy=0.6)
    for pair in report.confusions(Panel.of(answers)):
        merged = np.where(answers.label == pair.second, pair.first, answers.label)
        after = alpha(Answers(answers.item, answers.annotator, merged, answers.names))
        assert pair.gain.value == pytest.approx(after - alpha(answers))
    assert sum(pair.share for pair in report.confusions(Panel.of(answers))) == pytest.approx(1)


def test_two_labels_cannot_be_merged():
    (pair,) = report.confusions(Panel.of(make(["a b", "b b", "a a"])))
    assert (pair.gain.value, pair.gain.interval, pair.n_items, pair.share) == (None, None, 1, 1.0)


def test_a_label_against_the_rest_is_the_alpha_of_yes_and_no():
    answers = crowd(n_items=150, n_labels=4)
    for found in report.by_label(Panel.of(answers), np.random.default_rng(0)):
        yes = Answers(answers.item, answers.annotator, answers.label == found.label, ("no", "yes"))
        assert found.alpha.value == pytest.approx(alpha(yes))
        several = answers.several()
        assert found.n_items == len(np.unique(several.item[several.label == found.label]))
        assert found.share == pytest.approx(np.mean(several.label == found.label))


def test_a_label_that_all_or_none_chose_is_not_defined():
    found = report.by_label(Panel.of(make(["b b", "b b b"], "ab")), np.random.default_rng(0))
    assert [label.alpha.reason for label in found] == ["nobody chose a", "everyone chose b"]


def test_windows_follow_the_second_answer():
    good, bad = crowd(n_items=100, accuracy=0.95, share=1.0), crowd(n_items=100, accuracy=0.1, share=1.0)
    answers = Answers(
        np.concatenate([good.item, bad.item + 100]),
        np.concatenate([good.annotator, bad.annotator]),
        np.concatenate([good.label, bad.label]),
        good.names,
    )
    when = np.arange(len(answers), dtype=float)
    windows = report.over_time(answers, when, 50, "nominal")
    assert [w.alpha.n.items for w in windows] == [50] * 4
    assert [w.has_changed for w in windows] == [False, False, True, False]
    assert windows[0].first == 1.0
    shuffled = np.random.default_rng(0).permutation(len(answers))
    assert report.over_time(answers.where(shuffled), when[shuffled], 50, "nominal") == windows
    assert [w.alpha.n.items for w in report.over_time(answers, when, 90, "nominal")] == [90, 110]
    with pytest.raises(ValueError):
        report.over_time(answers, when, 1, "nominal")


def test_masi_and_jaccard():
    # Passonneau (2006): equal 1, one within the other 2/3, overlapping 1/3, nothing shared 0, times Jaccard's share.
    sets = [frozenset({0, 1}), frozenset({0}), frozenset({1, 2}), frozenset({3}), frozenset()]
    likeness = scales.masi(sets, 4)
    assert np.diag(likeness).tolist() == [1, 1, 1, 1, 1]
    assert likeness[0, 1] == pytest.approx(2 / 3 * 1 / 2)
    assert likeness[0, 2] == pytest.approx(1 / 3 * 1 / 3)
    assert likeness[0, 3] == 0 == likeness[0, 4]
    assert scales.jaccard(sets, 4)[0].tolist() == pytest.approx([1, 1 / 2, 1 / 3, 0, 0])


def test_alpha_of_sets_is_that_of_the_definition():
    given_sets = [({0}, {0}), ({0, 1}, {0}), ({2}, {2}), ({1, 2}, {0, 2})]
    flat = [frozenset(labels) for pair in given_sets for labels in pair]
    codes, sets = report.code_sets(flat)
    answers = Answers(np.repeat(np.arange(4), 2), np.tile([0, 1], 4), codes, a.named(range(len(sets))))
    found = report.overall_of_sets(Panel.of(answers), sets, 3, np.random.default_rng(0))
    by_hand = []
    for likeness in (scales.jaccard(sets, 3), scales.masi(sets, 3)):
        distance = 1 - likeness[np.ix_(codes, codes)]
        observed = np.mean([distance[2 * i, 2 * i + 1] for i in range(4)])
        by_hand.append(1 - observed / (distance.sum() / (8 * 7)))
    assert [c.value for c in found[2:]] == pytest.approx(by_hand)
    assert found[0].value == 0.5


def test_a_label_within_sets_against_its_absence():
    rng = np.random.default_rng(0)
    member = rng.random((40, 1, 3)) < 0.5
    chosen = np.where(rng.random((40, 3, 3)) < 0.8, member, ~member)
    codes, sets = report.code_sets(frozenset(np.flatnonzero(row).tolist()) for row in chosen.reshape(-1, 3))
    answers = Answers(np.repeat(np.arange(40), 3), np.tile(range(3), 40), codes, a.named(range(len(sets))))
    found = report.by_label(Panel.of(answers), rng, sets, ("x", "y", "z"))
    assert [label.name for label in found] == ["x", "y", "z"]
    for label in found:
        yes = Answers(answers.item, answers.annotator, chosen.reshape(-1, 3)[:, label.label], ("no", "yes"))
        assert label.alpha.value == pytest.approx(alpha(yes))


def test_very_many_sets_are_sampled():
    rng = np.random.default_rng(0)
    chosen = [frozenset(rng.choice(40, 3, replace=False).tolist()) for _ in range(9_000)]
    codes, sets = report.code_sets(chosen)
    answers = Answers(np.repeat(np.arange(3_000), 3), np.tile(range(3), 3_000), codes, a.named(range(len(sets))))
    found = report.overall_of_sets(Panel.of(answers), sets, 40, rng)
    assert 300 < found[0].n.items < 1_000
    assert found[2].value == pytest.approx(0, abs=0.02)


def test_the_bootstrap_and_gwets_error_say_the_same():
    answers = crowd(n_items=400)
    panel = Panel.of(answers)
    for found in numbers(answers).values():
        if found.this_team.method == "bootstrap of items":
            width = found.this_team.high - found.this_team.low
            assert width == pytest.approx(2 * 1.96 * found.se, rel=0.15)
            assert found.others_like_them.high - found.others_like_them.low > width
    assert panel.n.annotators == 6


def test_other_people_need_three_to_be_guessed_at():
    found = numbers(make(["a a", "a b", "b b"] * 5))["Krippendorff's alpha, nominal"]
    assert found.this_team is not None
    assert found.others_like_them is None


def test_items_that_all_disagree_alike_give_no_interval():
    found = numbers(make(["a b", "b a"] * 10))["Krippendorff's alpha, nominal"]
    assert found.value < 0
    assert found.this_team is None


def test_more_items_narrow_the_interval_as_planned():
    found = numbers(crowd(n_items=100))["Krippendorff's alpha, nominal"]
    more = found.n_more_items(0.05)
    wider = numbers(crowd(n_items=100 + more, seed=1))["Krippendorff's alpha, nominal"]
    assert (wider.this_team.high - wider.this_team.low) / 2 == pytest.approx(0.05, rel=0.25)
    assert found.n_more_items(0.9) == 0
    assert numbers(make(["b b"]))["Krippendorff's alpha, nominal"].n_more_items() is None


def test_a_thousand_people_and_150_labels():
    rng = np.random.default_rng(0)
    item, annotator = np.repeat(np.arange(5_000), 4), rng.integers(0, 1_000, 20_000)
    truth = rng.integers(0, 150, 5_000)
    label = np.where(rng.random(20_000) < 0.7, truth[item], rng.integers(0, 150, 20_000))
    answers = Answers(item, annotator, label, a.named(range(150)))
    panel = Panel.of(answers)
    for scale in ("nominal", "ordinal"):
        found = numbers(answers, scale)
        assert all(c.value is not None and c.this_team is not None for c in found.values())
    assert len(report.by_label(panel, rng)) == 150
    assert len(people.by_person(panel, "nominal")) == panel.n.annotators
    assert len(people.pairs_of_people(panel, "nominal").order) == 40
    assert len(report.confusions(panel)) == 20


# Changes of alpha


def quick_alpha(answers, scale):
    panel = Panel.of(answers)
    own = None if scale == "ordinal" else scales.weights_of(scale, answers.scale)
    return intervals.measure(panel.patterns, panel.n, "", "alpha", own, reason=panel.reason).value


def resampled(answers, change, n=300):
    """The change in bootstrap samples of the items: the answers of each drawn item, as an item of its own."""
    rng = np.random.default_rng(3)
    answers = answers.without_repeats().several()
    rows = [np.flatnonzero(answers.item == item) for item in np.unique(answers.item)]
    found = []
    for _ in range(n):
        drawn = [rows[place] for place in rng.integers(len(rows), size=len(rows))]
        item = np.repeat(np.arange(len(drawn)), [len(one) for one in drawn])
        at = np.concatenate(drawn)
        found.append(change(Answers(item, answers.annotator[at], answers.label[at], answers.names, answers.scale)))
    return np.array(found)


@pytest.mark.parametrize("scale", ["nominal", "ordinal", "interval"])
def test_what_a_person_does_to_alpha_is_as_sure_as_the_bootstrap_says(scale):
    good = crowd(n_items=120, n_people=5, n_labels=4)
    guesses = np.random.default_rng(1).integers(0, 4, 120)
    answers = Answers(
        np.concatenate([good.item, np.arange(120)]),
        np.concatenate([good.annotator, np.full(120, 5)]),
        np.concatenate([good.label, guesses]),
        good.names,
    )
    people_found = people.by_person(Panel.of(answers), scale)
    for person in (0, 5):

        def change(sample, person=person):
            return quick_alpha(sample, scale) - quick_alpha(sample.where(sample.annotator != person), scale)

        found = people_found[person].alpha_change
        spread = resampled(answers, change).std(ddof=1)
        assert (found.interval.high - found.interval.low) / 2 == pytest.approx(1.98 * spread, rel=0.12)
        assert found.n_items == 120
    # Who guesses clearly costs agreement, and it is known much better than either alpha.
    assert people_found[5].alpha_change.interval.high < 0


def test_what_merging_wins_is_as_sure_as_the_bootstrap_says():
    answers = crowd(n_items=150, n_labels=4, accuracy=0.6)
    pair = report.confusions(Panel.of(answers))[0]

    def gain(sample):
        merged = np.where(sample.label == pair.second, pair.first, sample.label)
        after = quick_alpha(Answers(sample.item, sample.annotator, merged, sample.names), "nominal")
        return after - quick_alpha(sample, "nominal")

    spread = resampled(answers, gain).std(ddof=1)
    assert (pair.gain.interval.high - pair.gain.interval.low) / 2 == pytest.approx(1.98 * spread, rel=0.12)


@pytest.mark.parametrize("scale", ["nominal", "ordinal", "interval"])
def test_changes_are_the_differences_that_they_say(scale):
    # Items with two answers fall out when one of them goes: as here.
    answers = crowd(n_items=60, n_people=4, share=0.6)
    panel = Panel.of(answers)
    own = None if scale == "ordinal" else scales.weights_of(scale, answers.scale)
    for person, change in enumerate(changes.changes_by_person(panel, own, range(4))):
        without = alpha(answers.where(answers.annotator != person), scale)
        assert change.value == pytest.approx(alpha(answers, scale) - without)


def test_only_the_busiest_have_intervals_when_there_are_very_many():
    rng = np.random.default_rng(0)
    item = np.repeat(np.arange(2_000), 4)
    annotator = np.where(np.tile([True, False, False, False], 2_000), rng.integers(0, 50, 8_000), 0)
    annotator = np.where(annotator == 0, rng.integers(50, 400, 8_000), annotator)
    answers = Answers(item, annotator, rng.integers(0, 3, 8_000), ("a", "b", "c"))
    found = people.by_person(Panel.of(answers), "nominal")
    known = [person.annotator for person in found if person.alpha_change.interval is not None]
    assert len(known) == people.MOST_INTERVALS and set(range(1, 50)) <= set(known)
    assert all(person.alpha_change.value is not None for person in found)


def test_where_nothing_varies_a_change_has_no_interval():
    found = people.by_person(Panel.of(make(["a a a", "b b b", "c c c"] * 4)), "nominal")
    assert {(person.alpha_change.value, person.alpha_change.interval) for person in found} == {(0.0, None)}


def test_congers_kappa_without_each_person_is_that_of_the_others():
    answers = crowd(n_items=80, n_people=5, share=0.6)
    panel = Panel.of(answers)
    for weights in (np.eye(3), scales.quadratic(answers.scale)):
        agreement = intervals.without_each(panel, "percent", weights)
        found = coefficients.conger_without_each(panel.answers, weights, agreement)
        for person in range(5):
            rest = panel.answers.where(panel.answers.annotator != person)
            people_left = np.unique(rest.annotator, return_inverse=True)[1]
            expected, _ = coefficients.conger(Answers(rest.item, people_left, rest.label, rest.names), weights)
            assert found[person] == pytest.approx(expected)
    kappa = numbers(answers)["Conger's kappa"]
    assert kappa.others_like_them.high - kappa.others_like_them.low > kappa.this_team.high - kappa.this_team.low


def test_a_label_without_each_person_is_its_alpha_among_the_others():
    answers = crowd(n_items=80, n_people=5, share=0.6, n_labels=4)
    panel = Panel.of(answers)
    found = changes.labels_without_each(panel, sparse.csr_array(sparse.eye_array(4)))
    for person in range(5):
        rest = answers.where(answers.annotator != person)
        for label in range(4):
            yes = Answers(rest.item, rest.annotator, rest.label == label, ("no", "yes"))
            assert found[person, label] == pytest.approx(alpha(yes))
    for label in report.by_label(panel, np.random.default_rng(0)):
        team, others = label.alpha.this_team, label.alpha.others_like_them
        assert others.high - others.low > team.high - team.low


def test_a_label_of_a_set_without_each_person():
    rng = np.random.default_rng(0)
    chosen = [frozenset(np.flatnonzero(row).tolist()) for row in rng.random((120, 3)) < 0.5]
    codes, sets = report.code_sets(chosen)
    answers = Answers(np.repeat(np.arange(40), 3), np.tile(range(3), 40), codes, a.named(range(len(sets))))
    member = sparse.csr_array(np.array([[float(label in one) for label in range(3)] for one in sets]))
    found = changes.labels_without_each(Panel.of(answers), member)
    for person in range(3):
        rest = answers.annotator != person
        for label in range(3):
            yes = np.array([label in one for one in chosen])[rest]
            expected = alpha(Answers(answers.item[rest], answers.annotator[rest], yes, ("no", "yes")))
            assert found[person, label] == pytest.approx(expected)


def test_a_persons_confusion_is_against_what_most_others_said():
    # The last person says b where the others say a, once; one item's others are tied.
    answers = make(["a a b", "a a a", "b b b", "a b b", "c c ."])
    found = people.confusions_by_person(Panel.of(answers), [2, 0])
    assert (found[0].cells.tolist(), found[0].n_ties) == ([[0, 0, 1], [0, 1, 1], [1, 1, 1]], 1)
    # Item 1: the others of person 0 say a and b.
    assert (found[1].cells.tolist(), found[1].n_ties) == ([[0, 0, 1], [1, 0, 1], [1, 1, 1], [2, 2, 1]], 1)
