"""One value from several people's answers, by weighing each by who gave it and what that person takes for what.

Where no single truth is wanted, `vote_shares` keeps what people said. Arrays and scipy: for workers; what a page needs
while somebody waits is in settling.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.special import bdtrc, logsumexp

from labeling.core.agreement.answers import Answers, Floats, Ints
from labeling.core.judges import KNOWS, OWN_STRENGTH, TINY, Judge

# A person's confusion starts from everybody's, worth so many answers for each true label; everybody's from the guess
# that a person knows the answer with probability KNOWS and else says a label as often as people say it.
SHARED_STRENGTH = 100.0
MAX_ROUNDS = 100
MIN_GOLD = 50
HOTTEST = 20.0


@dataclass(frozen=True, slots=True)
class Consensus:
    """What the answers say of each item, and what the items say of each person.

    `posterior`: a row an item, a column a label; an item without answers has the labels' shares. It ranks well and is
    too sure of itself: call it a probability only after `recalibrate`. `shares`: how common each label is.
    `shared_confusion`: a row a true label, a column an answer, of an unknown person. The numbers about people are
    estimates without any known truth; they weigh answers and are no ground for a decision about a person.
    """

    posterior: Floats
    shares: Floats
    shared_confusion: Floats
    _confusion_columns: Floats
    _column_codes: Ints
    _seen: Floats

    @property
    def label(self) -> Ints:
        """Each item's most likely label; of equals the first."""
        return self.posterior.argmax(axis=1)

    def confusion_of(self, annotator: int) -> Floats:
        """P(answer | truth) of a person: a row a true label, a column an answer. Of an unknown one: everybody's."""
        n_labels = len(self.shares)
        if not 0 <= annotator < len(self._seen):
            return self.shared_confusion
        found = self.shared_confusion * OWN_STRENGTH / (self._seen[annotator][:, None] + OWN_STRENGTH)
        start, stop = np.searchsorted(self._column_codes, [annotator * n_labels, (annotator + 1) * n_labels])
        found[:, self._column_codes[start:stop] % n_labels] = self._confusion_columns[start:stop].T
        return found

    def accuracy_of(self, annotator: int) -> float:
        """How often the person is estimated to be right, over labels as common as they are."""
        return float(self.shares @ np.diag(self.confusion_of(annotator)))

    def judge_of(self, annotator: int, names: Sequence[str]) -> Judge:
        """What is kept of a person, so that the next answers can be weighed without fitting anew."""
        n_labels = len(names)
        start, stop = np.searchsorted(self._column_codes, [annotator * n_labels, (annotator + 1) * n_labels])
        columns = {names[code % n_labels]: place for place, code in enumerate(self._column_codes[start:stop], start)}
        return Judge(
            self._seen[annotator].round(3).tolist(),
            {name: self._confusion_columns[place].round(6).tolist() for name, place in columns.items()},
        )


def dawid_skene(
    answers: Answers,
    *,
    own_strength: float = OWN_STRENGTH,
    shared_strength: float = SHARED_STRENGTH,
    shares_from_votes: bool = True,
    model: int | None = None,
    model_at_most: float = 1.0,
) -> Consensus:
    """Dawid and Skene's model (1979, Applied Statistics 28), shrunk so that few answers do no harm.

    Three changes to their expectation-maximization. A person's confusion is drawn towards everybody's pooled one,
    as if it had been seen `own_strength` times. The labels' shares are those of the votes: re-estimated, they drift
    to a single label when items have one to three answers. Only items with two answers or more teach anything about
    people: when no item has them, each item keeps the label that it was given. With both strengths 0 and
    `shares_from_votes` off it is the published method.

    `model` is the annotator that is a model (`with_voter`). It is weighed like a person, and learned about where people
    gave two answers or more; what an unknown person's answer is worth is learned without it. It is not taken to be
    right more often than `model_at_most`: where people are few or unknown, whoever answers everything would soon be
    held to be the truth.

    Several answers of one person to an item each count. Takes time and memory in proportion to answers * labels.
    Raises ValueError without labels to choose from.
    """
    n_labels, n_people = len(answers.names), answers.n_annotators
    if n_labels == 0:
        raise ValueError("consensus among no labels")
    codes, column = np.unique(answers.annotator * n_labels + answers.label, return_inverse=True)
    who, said = codes // n_labels, codes % n_labels
    shape = (answers.n_items, len(codes))
    given = sparse.csr_array((np.ones(len(answers)), (answers.item, column)), shape=shape)
    people = answers if model is None else answers.where(answers.annotator != model)
    teaching = sparse.csr_array((sparse.diags_array((people.n_of_item >= 2).astype(np.float64)) @ given).T)
    is_person = (who != (-1 if model is None else model)).astype(np.float64)
    to_label = sparse.csr_array((is_person, (said, np.arange(len(said)))), shape=(n_labels, len(said)))
    to_person = sparse.csr_array((np.ones(len(who)), (who, np.arange(len(who)))), shape=(n_people, len(who)))

    posterior = vote_shares(answers)
    answered = answers.n_of_item > 0
    shares = (posterior.sum(axis=0) + 1 / n_labels) / (np.count_nonzero(answered) + 1)
    guess = KNOWS * np.eye(n_labels) + (1 - KNOWS) * shares[:, None]
    for _ in range(MAX_ROUNDS):
        counts = teaching @ posterior
        shared = to_label @ counts + shared_strength * guess
        shared /= np.maximum(shared.sum(axis=0), TINY)
        seen = to_person @ counts
        confusion = (counts + own_strength * shared[said]) / np.maximum(seen[who] + own_strength, TINY)
        if model is not None:
            own = who == model
            confusion[own] = _no_better_than(model_at_most, confusion[own], said[own], shares)
        if not shares_from_votes:
            shares = np.maximum(posterior[answered].mean(axis=0), TINY)
        before, posterior = posterior, _normalized(np.log(shares) + given @ np.log(np.maximum(confusion, TINY)))
        if np.abs(posterior - before).sum() < 1e-4 * max(1, answers.n_items):
            break
    return Consensus(posterior, shares, shared.T, confusion, codes, seen)


def _no_better_than(most: float, columns: Floats, said: Ints, shares: Floats) -> Floats:
    """A confusion (a row an answer, a column a truth) mixed with answers that know nothing, until its accuracy over
    labels as common as `shares` is at most `most`."""
    blind = columns @ shares
    accuracy = float((columns[np.arange(len(said)), said] * shares[said]).sum())
    if accuracy <= most:
        return columns
    by_chance = float((blind * shares[said]).sum())
    kept = max(0.0, (most - by_chance) / max(accuracy - by_chance, TINY))
    return kept * columns + (1 - kept) * blind[:, None]


def _normalized(logs: Floats) -> Floats:
    found = np.exp(logs - logs.max(axis=1, keepdims=True))
    return found / found.sum(axis=1, keepdims=True)


def vote_shares(answers: Answers) -> Floats:
    """Soft labels: the share of an item's answers that each label has, a row an item; zeros without answers."""
    n_labels = len(answers.names)
    flat = np.bincount(answers.item * n_labels + answers.label, minlength=answers.n_items * n_labels)
    counts = flat.reshape(answers.n_items, n_labels)
    return counts / np.maximum(answers.n_of_item, 1)[:, None]


def with_voter(answers: Answers, predicted: Ints) -> Answers:
    """The answers and a model's, as one more person numbered `answers.n_annotators`.

    `predicted` is a label an item, -1 where the model has none. It must come from a model that did not learn from
    that item. Items that no person answered stay unanswered.
    """
    items = np.flatnonzero((np.asarray(predicted)[: answers.n_items] >= 0) & (answers.n_of_item > 0))
    return Answers(
        np.concatenate([answers.item, items]),
        np.concatenate([answers.annotator, np.full(len(items), answers.n_annotators)]),
        np.concatenate([answers.label, np.asarray(predicted)[items]]),
        answers.names,
        answers.scale,
    )


def may_vote(predicted: Ints, truth: Ints) -> bool:
    """Whether a model is clearly better than always naming the most common label: it may be a voter then.

    On the same items, each judged by people and unknown to the model. Fewer than 20 are not enough; it must err at
    most three quarters as often, and that must be a gain that chance gives less than once in twenty (McNemar's exact
    test, one-sided). A useless voter costs labels and, where items have one answer, drags the result down.
    """
    predicted, truth = np.asarray(predicted), np.asarray(truth)
    if len(truth) < 20:
        return False
    common = truth == np.bincount(truth).argmax()
    right = predicted == truth
    if (~right).sum() > 0.75 * (~common).sum() or common.all():
        return False
    wins, losses = int((right & ~common).sum()), int((common & ~right).sum())
    return bool(bdtrc(wins - 1, wins + losses, 0.5) < 0.05)


def fit_temperature(posterior: Floats, gold: Ints) -> float | None:
    """The temperature that makes these posteriors (a row an item) fit the items' known labels best.

    Above 1 they were too sure. None with fewer than 50 known items. Guo et al. (2017), on log posteriors.
    """
    if len(gold) < MIN_GOLD:
        return None
    logs = np.log(np.maximum(posterior, TINY))

    def loss(coldness: float) -> float:
        return float((logsumexp(logs * coldness, axis=1) - coldness * logs[np.arange(len(gold)), gold]).mean())

    # The loss is convex in 1 / temperature: thirds of the stretch fall away until hardly anything is left.
    low, high = 1 / HOTTEST, HOTTEST
    for _ in range(60):
        first, second = low + (high - low) / 3, high - (high - low) / 3
        low, high = (low, second) if loss(first) < loss(second) else (first, high)
    return 2 / (low + high)


def recalibrate(posterior: Floats, temperature: float) -> Floats:
    """Posteriors at that temperature; the order of an item's labels stays."""
    return _normalized(np.log(np.maximum(posterior, TINY)) / temperature)
