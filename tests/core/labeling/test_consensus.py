import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labeling.core.agreement.answers import Answers
from labeling.core.consensus import (
    dawid_skene,
    fit_temperature,
    may_vote,
    recalibrate,
    vote_shares,
    with_voter,
)
from labeling.core.judges import Judges
from tests.core.labeling.agreement_vectors import DAWID_SKENE_1979, DAWID_SKENE_SHARES


def crowd(accuracies, n_items=300, n_labels=3, per_item=None, seed=0):
    """Answers of people of known accuracy, and the truth."""
    rng = np.random.default_rng(seed)
    n_people = len(accuracies)
    truth = rng.integers(0, n_labels, n_items)
    per_item = per_item or n_people
    annotator = np.concatenate([rng.choice(n_people, per_item, replace=False) for _ in range(n_items)])
    item = np.repeat(np.arange(n_items), per_item)
    wrong = (truth[item] + rng.integers(1, n_labels, len(item))) % n_labels
    label = np.where(rng.random(len(item)) < np.array(accuracies)[annotator], truth[item], wrong)
    return Answers(item, annotator, label, tuple("abcdefghij"[:n_labels])), truth


some_answers = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 4), st.integers(0, 3)), max_size=40).map(
    lambda rows: Answers(*np.array(rows, dtype=np.int64).reshape(-1, 3).T, tuple("abcd"))
)


def test_the_published_class_shares():
    rows = [line.split() for line in DAWID_SKENE_1979.strip().split("\n")]
    triples = [(i, j, int(x) - 1) for i, row in enumerate(rows) for j, cell in enumerate(row) for x in cell]
    answers = Answers(*np.array(triples).T, ("1", "2", "3", "4"))
    found = dawid_skene(answers, own_strength=0, shared_strength=0, shares_from_votes=False)
    assert found.shares.round(2).tolist() == list(DAWID_SKENE_SHARES)


@given(some_answers)
def test_posteriors_are_shares(answers):
    found = dawid_skene(answers)
    assert found.posterior.shape == (answers.n_items, 4)
    assert np.allclose(found.posterior.sum(axis=1), 1)
    assert np.allclose(found.shared_confusion.sum(axis=1), 1)
    for person in range(-1, answers.n_annotators + 1):
        confusion = found.confusion_of(person)
        assert np.allclose(confusion.sum(axis=1), 1)
        assert 0 <= found.accuracy_of(person) <= 1 + 1e-9


@given(some_answers, st.permutations(range(4)))
def test_new_names_of_labels_change_nothing(answers, renamed):
    other = Answers(answers.item, answers.annotator, np.array(renamed)[answers.label], answers.names)
    assert np.allclose(dawid_skene(answers).posterior, dawid_skene(other).posterior[:, renamed], atol=1e-6)


@given(some_answers)
def test_one_answer_an_item_stands(answers):
    _, first = np.unique(answers.item, return_index=True)
    single = answers.where(first)
    assert dawid_skene(single).label[single.item].tolist() == single.label.tolist()


@pytest.mark.parametrize("n_labels", [2, 5])
def test_a_rare_label_given_once_stands(n_labels):
    label = np.zeros(1_000, dtype=int)
    label[0] = 1
    answers = Answers(np.arange(1_000), np.arange(1_000) % 7, label, tuple("abcde"[:n_labels]))
    assert dawid_skene(answers).label[0] == 1


def test_full_agreement_is_kept():
    truth = np.random.default_rng(0).integers(0, 3, 50)
    answers = Answers(np.repeat(np.arange(50), 3), np.tile(range(3), 50), np.repeat(truth, 3), ("a", "b", "c"))
    assert dawid_skene(answers).label.tolist() == truth.tolist()


def test_everyone_chose_the_same():
    answers = Answers(np.repeat(np.arange(9), 3), np.tile(range(3), 9), np.ones(27, dtype=int), ("a", "b"))
    assert set(dawid_skene(answers).label) == {1}


def test_nobody_answered():
    empty = np.zeros(0, dtype=int)
    found = dawid_skene(Answers(empty, empty, empty, ("a", "b")))
    assert found.posterior.shape == (0, 2)
    with pytest.raises(ValueError):
        dawid_skene(Answers(empty, empty, empty, ()))


def test_an_item_without_answers_has_the_labels_shares():
    found = dawid_skene(Answers([0, 0, 2, 2], [0, 1, 0, 1], [0, 0, 1, 1], ("a", "b")))
    assert found.posterior[1].tolist() == pytest.approx(found.shares.tolist())


def test_those_who_know_outweigh_those_who_guess():
    answers, truth = crowd([0.95, 0.95, 0.35, 0.35, 0.35, 0.35, 0.35], n_items=400)
    found = dawid_skene(answers)
    by_votes = np.mean(vote_shares(answers).argmax(axis=1) == truth)
    assert np.mean(found.label == truth) > by_votes + 0.1
    assert min(found.accuracy_of(p) for p in (0, 1)) > max(found.accuracy_of(p) for p in range(2, 7)) + 0.3


def test_a_person_who_swaps_two_labels_is_understood():
    answers, truth = crowd([0.9] * 4, n_items=300, n_labels=2)
    swapped = np.where(answers.annotator == 0, 1 - answers.label, answers.label)
    found = dawid_skene(Answers(answers.item, answers.annotator, swapped, answers.names))
    assert found.confusion_of(0)[0, 1] > 0.8
    assert np.mean(found.label == truth) > 0.95


def test_one_more_item_is_judged_without_fitting_anew():
    answers, _ = crowd([0.9, 0.8, 0.6, 0.5], per_item=3)
    found, names = dawid_skene(answers), answers.names
    people = {str(one): found.judge_of(one, names) for one in range(answers.n_annotators)}
    judges = Judges(names, found.shares.tolist(), found.shared_confusion.tolist(), people)
    mine = answers.item == 7
    votes = [(str(who), names[label]) for who, label in zip(answers.annotator[mine], answers.label[mine])]
    assert list(judges.posterior(votes).values()) == pytest.approx(found.posterior[7], abs=1e-3)
    stranger = judges.posterior([("somebody new", names[2])])
    assert max(stranger, key=stranger.__getitem__) == names[2]


def test_vote_shares_keep_what_people_said():
    shares = vote_shares(Answers([0, 0, 0, 2], [0, 1, 2, 0], [0, 1, 1, 2], ("a", "b", "c")))
    assert shares.tolist() == [pytest.approx([1 / 3, 2 / 3, 0]), [0, 0, 0], [0, 0, 1]]


def test_a_model_is_one_more_voter():
    answers, truth = crowd([0.65] * 3, n_items=600, n_labels=2)
    rng = np.random.default_rng(1)
    predicted = np.where(rng.random(600) < 0.9, truth, 1 - truth)
    predicted[:10] = -1
    both = with_voter(answers, predicted)
    assert len(both) == len(answers) + 590
    assert np.mean(dawid_skene(both).label == truth) > np.mean(dawid_skene(answers).label == truth) + 0.05


def test_a_model_alone_settles_nothing():
    answers = Answers([0, 2], [0, 0], [1, 1], ("a", "b"))
    assert with_voter(answers, np.array([1, 1, 0])).item.tolist() == [0, 2, 0, 2]


def test_what_an_unknown_person_is_worth_is_not_learned_from_the_model():
    answers, truth = crowd([0.9] * 4, n_items=400, n_labels=3)
    alone = dawid_skene(answers)
    both = with_voter(answers, (truth + 1) % 3)  # a model that is always wrong
    beside = dawid_skene(both, model=answers.n_annotators)
    assert np.diag(beside.shared_confusion) == pytest.approx(np.diag(alone.shared_confusion), abs=0.01)
    assert np.diag(dawid_skene(both).shared_confusion).max() < 0.8
    assert beside.accuracy_of(answers.n_annotators) < 0.1
    assert np.mean(beside.label == truth) >= np.mean(alone.label == truth)


def test_a_model_is_not_held_to_be_the_truth_where_people_are_few():
    answers, truth = crowd([0.66] * 40, n_items=400, n_labels=2, per_item=2)
    strangers = Answers(answers.item, np.arange(len(answers)), answers.label, answers.names)
    rng = np.random.default_rng(2)
    predicted = np.where(rng.random(400) < 0.65, truth, 1 - truth)
    both, model = with_voter(strangers, predicted), strangers.n_annotators
    believed = dawid_skene(both, model=model)
    assert believed.accuracy_of(model) > 0.95  # as many strangers as answers fit any truth: its own fits best
    assert believed.label.tolist() == predicted.tolist()
    bounded = dawid_skene(both, model=model, model_at_most=0.72)
    assert bounded.accuracy_of(model) == pytest.approx(0.72, abs=0.001)
    assert np.mean(bounded.label == truth) > np.mean(dawid_skene(strangers).label == truth) + 0.05
    assert dawid_skene(both, model=model, model_at_most=0.0).accuracy_of(model) == pytest.approx(0.5, abs=0.05)


def test_where_items_have_one_answer_a_model_teaches_nothing_about_people():
    answers, truth = crowd([0.9], n_items=200, n_labels=2)
    found = dawid_skene(with_voter(answers, truth), model=1)
    assert found.judge_of(0, answers.names).seen == [0.0, 0.0]


def test_the_kept_judges_weigh_a_models_vote_as_the_fit_does():
    answers, truth = crowd([0.7] * 4, n_items=300, n_labels=3)
    both, model = with_voter(answers, truth), answers.n_annotators
    found, names = dawid_skene(both, model=model), answers.names
    people = {str(one): found.judge_of(one, names) for one in range(model)}
    shared = found.shared_confusion.tolist()
    judges = Judges(names, found.shares.tolist(), shared, people, model=found.judge_of(model, names))
    mine = answers.item == 7
    votes = [(str(who), names[label]) for who, label in zip(answers.annotator[mine], answers.label[mine], strict=True)]
    weighed = judges.posterior(votes, names[truth[7]])
    assert list(weighed.values()) == pytest.approx(found.posterior[7], abs=1e-3)
    assert weighed != judges.posterior(votes)


def test_a_model_may_vote_once_it_clearly_beats_the_most_common_label():
    truth = np.array([0] * 70 + [1] * 30)
    better = truth.copy()
    better[:5] = 1
    assert may_vote(better, truth)
    assert not may_vote(np.zeros(100, dtype=int), truth)
    assert not may_vote(1 - truth, truth)
    assert not may_vote(truth[60:75], truth[60:75])
    slightly = np.zeros(100, dtype=int)
    slightly[70:77] = 1
    assert not may_vote(slightly, truth)
    assert not may_vote(np.zeros(50, dtype=int), np.zeros(50, dtype=int))


def test_posteriors_are_recalibrated_on_known_items():
    rng = np.random.default_rng(0)
    gold = rng.integers(0, 3, 400)
    said = np.where(rng.random(400) < 0.7, gold, (gold + 1) % 3)
    posterior = np.where(np.arange(3) == said[:, None], 0.98, 0.01)
    temperature = fit_temperature(posterior, gold)
    fitted = recalibrate(posterior, temperature)
    assert temperature > 1
    assert fitted.max(axis=1).mean() == pytest.approx(np.mean(said == gold), abs=0.02)
    assert (fitted.argmax(axis=1) == said).all()
    assert fit_temperature(posterior[:20], gold[:20]) is None


def test_150_labels_and_1000_people():
    answers, truth = crowd([0.8] * 1_000, n_items=2_000, n_labels=10, per_item=3)
    wide = Answers(answers.item, answers.annotator, answers.label * 15, tuple(str(i) for i in range(150)))
    assert np.mean(dawid_skene(wide).label == truth * 15) > 0.85
