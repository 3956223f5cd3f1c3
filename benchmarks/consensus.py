"""What several people's labels agree on, how often that is right, and how few labels would have done.

    python -m benchmarks.consensus DIR...
    python -m benchmarks.consensus --speed

DIR holds `labels.csv` (item,worker,label), and if there `gold.csv` (item,gold) and `texts.csv` (item,text). A worker's
second label of an item replaces the first. Ties in the vote count as the fraction that a fair draw would win. The text
model (TF-IDF and, where a text is `one ||| other`, the likeness of the two) never sees the item that it judges, and is
one more voter only if it clearly beats the most common label. `one_label` keeps one label an item. `adaptive` replays
the labels in random order: two each, then one more until the posterior reaches the target, at most ten.
CPU seconds, the same on every run but for the machine.
"""

import argparse
import json
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import KFold

from labeling.core.agreement.answers import Answers, Floats, Ints, count_patterns
from labeling.core.agreement.intervals import Basis, Coefficient, Panel, draw, measure
from labeling.core.consensus import (
    dawid_skene,
    fit_temperature,
    may_vote,
    recalibrate,
    vote_shares,
    with_voter,
)
from labeling.core.doubts import label_quality
from labeling.core.overlap import OverlapRule
from labeling.core.shares import wilson

TARGETS = (0.8, 0.95)
CAP = 10
# Beyond so many labels one random order stands for several.
MANY_LABELS = 200_000
PAIR = "|||"


@dataclass(frozen=True)
class Crowd:
    """A folder's labels. `gold` is a label an item, -1 where it is not known; `texts` empty without the file."""

    answers: Answers
    gold: Ints
    texts: list[str]
    n_repeats: int
    n_gold_without_labels: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", metavar="DIR", nargs="*", type=Path)
    parser.add_argument("--speed", action="store_true", help="3,000,000 labels' alpha, 500,000 labels' consensus")
    options = parser.parse_args()
    if not options.folders and not options.speed:
        parser.error("name a folder, or --speed")
    if options.speed:
        measure_speed()
    failed = False
    for folder in options.folders:
        try:
            line = judge(folder)
        except (OSError, ValueError) as error:
            line, failed = {"data": _name(folder), "error": str(error)}, True
        print(json.dumps(line), flush=True)
    sys.exit(1 if failed else 0)


def _name(folder: Path) -> str:
    return folder.resolve().name


def judge(folder: Path) -> dict[str, Any]:
    started = time.process_time()
    crowd = read(folder)
    answers, gold = crowd.answers, crowd.gold
    alpha = _alpha(answers)
    agreed = dawid_skene(answers)
    line: dict[str, Any] = {
        "benchmark": "consensus",
        "data": _name(folder),
        "items": int(np.count_nonzero(answers.n_of_item)),
        "workers": answers.n_annotators,
        "labels": len(answers),
        "classes": len(answers.names),
        "gold": int((gold >= 0).sum()),
        "repeated_labels_replaced": crowd.n_repeats,
        "gold_without_labels": crowd.n_gold_without_labels,
        "alpha": _rounded(alpha.value),
        "alpha_this_team": _limits(alpha.this_team),
        "alpha_others_like_them": _limits(alpha.others_like_them),
        "alpha_items": alpha.n.items,
        "alpha_undefined": alpha.reason or None,
        "vote_accuracy": _rounded(vote_accuracy(answers, gold)),
        "consensus_accuracy": _rounded(accuracy(agreed.label, gold)),
        "consensus_interval": _consensus_interval(agreed.label, gold),
        "posterior_mean": _rounded(float(agreed.posterior.max(axis=1).mean())),
        "posterior_mean_recalibrated": _recalibrated(agreed.posterior, gold),
    }
    line["consensus_cpu_seconds"] = round(time.process_time() - started, 2)
    if crowd.texts:
        line |= with_text_model(crowd, agreed.label, agreed.posterior)
    line["one_label"] = one_label(answers, gold)
    line["adaptive"] = [replay(answers, gold, target) for target in TARGETS]
    line["cpu_seconds"] = round(time.process_time() - started, 2)
    return line


def read(folder: Path) -> Crowd:
    """Raises ValueError for a file without its columns or without labels, OSError for a missing labels.csv."""
    labels = _table(folder / "labels.csv", ("item", "worker", "label"))
    gold = _table(folder / "gold.csv", ("item", "gold")) if (folder / "gold.csv").exists() else None
    texts = _table(folder / "texts.csv", ("item", "text")) if (folder / "texts.csv").exists() else None
    if labels.empty:
        raise ValueError("labels.csv has no labels")
    known = gold["gold"] if gold is not None else pd.Series([], dtype=str)
    said, known = _same_spelling(labels["label"], known)
    names = sorted({*said, *known})
    place = {name: position for position, name in enumerate(names)}
    item, items = pd.factorize(labels["item"])
    worker, _ = pd.factorize(labels["worker"])
    every = Answers(item, worker, said.map(place).to_numpy(), tuple(names))
    answers = every.without_repeats()
    truth = np.full(answers.n_items, -1, dtype=np.int64)
    missing = 0
    if gold is not None:
        where = items.get_indexer(gold["item"])
        missing = int((where < 0).sum())
        truth[where[where >= 0]] = known.map(place).to_numpy()[where >= 0]
    found: list[str] = []
    if texts is not None:
        of_item = dict(zip(texts["item"], texts["text"], strict=True))
        found = [of_item.get(name, "") for name in items]
    return Crowd(answers, truth, found, len(every) - len(answers), missing)


def _table(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    table = pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True, encoding="utf-8-sig")
    table.columns = table.columns.str.strip()
    if missing := [column for column in columns if column not in table.columns]:
        raise ValueError(f"{path.name} has no column {missing[0]}")
    table = table[list(columns)].apply(lambda column: column.str.strip())
    table = table[(table != "").all(axis=1)]
    # Of several rows about an item the last counts; of labels that is decided person by person.
    return table if path.name == "labels.csv" else table.drop_duplicates("item", keep="last")


def _same_spelling(said: pd.Series, known: pd.Series) -> tuple[pd.Series, pd.Series]:
    """`1.0` and `1` are one label where all labels are numbers."""
    try:
        return (said.astype(float).map("{:.15g}".format), known.astype(float).map("{:.15g}".format))
    except ValueError:
        return said, known


def accuracy(label: Ints, gold: Ints) -> float | None:
    known = gold >= 0
    return float((label[known] == gold[known]).mean()) if known.any() else None


def vote_accuracy(answers: Answers, gold: Ints) -> float | None:
    known = np.flatnonzero((gold >= 0) & (answers.n_of_item > 0))
    shares = vote_shares(answers)[known]
    winners = shares == shares.max(axis=1, keepdims=True)
    return float((winners[np.arange(len(known)), gold[known]] / winners.sum(axis=1)).mean()) if len(known) else None


def _alpha(answers: Answers) -> Coefficient:
    panel = Panel.of(answers)
    draws = draw(panel.patterns, np.random.default_rng(0))
    same = np.eye(len(answers.names))
    return measure(panel.patterns, panel.n, "alpha", "alpha", same, reason=panel.reason, draws=draws, panel=panel)


def _consensus_interval(label: Ints, gold: Ints) -> list[float] | None:
    known = gold >= 0
    return _limits(wilson(int((label[known] == gold[known]).sum()), int(known.sum())))


def _recalibrated(posterior: Floats, gold: Ints) -> float | None:
    """The mean posterior of the known items, each half at the temperature of the other."""
    known = np.random.default_rng(0).permutation(np.flatnonzero(gold >= 0))
    halves = np.array_split(known, 2)
    means = []
    for mine, other in (halves, halves[::-1]):
        temperature = fit_temperature(posterior[other], gold[other])
        if temperature is None:
            return None
        means.append(recalibrate(posterior[mine], temperature).max(axis=1))
    return _rounded(float(np.concatenate(means).mean()))


def with_text_model(crowd: Crowd, label: Ints, posterior: Floats) -> dict[str, Any]:
    started = time.process_time()
    answers, gold = crowd.answers, crowd.gold
    predicted = out_of_fold(crowd.texts, label, len(answers.names))
    said = predicted.argmax(axis=1)
    votes = may_vote(said, label)
    agreed = dawid_skene(with_voter(answers, said), model=answers.n_annotators) if votes else None
    best = agreed.label if agreed is not None else label
    known = gold >= 0
    wrong = best[known] != gold[known]
    found: dict[str, Any] = {
        "model_accuracy": _rounded(accuracy(said, gold)),
        "model_votes": votes,
        "with_model_accuracy": _rounded(accuracy(best, gold)),
    }
    if wrong.any() and not wrong.all():
        quality = label_quality(answers, best, posterior, predicted)[known]
        ranked = (agreed.posterior if agreed is not None else posterior)[np.arange(len(best)), best][known]
        found["wrong_found_auc_crowdlab"] = _rounded(float(roc_auc_score(wrong, -quality)))
        found["wrong_found_auc_posterior"] = _rounded(float(roc_auc_score(wrong, -ranked)))
    return found | {"model_cpu_seconds": round(time.process_time() - started, 2)}


def out_of_fold(texts: list[str], label: Ints, n_labels: int) -> Floats:
    """A text model's probabilities for each item, learned from the other four fifths of the items."""
    features = _features(texts)
    found = np.full((len(texts), n_labels), 1 / n_labels)
    if len(texts) < 10:
        return found
    for learn, judged in KFold(5, shuffle=True, random_state=0).split(label):
        classes = np.unique(label[learn])
        found[judged] = 0.0
        if len(classes) == 1:
            found[judged, classes[0]] = 1.0
            continue
        model = LogisticRegression(C=4.0, max_iter=1_000).fit(features[learn], label[learn])
        found[np.ix_(judged, model.classes_)] = model.predict_proba(features[judged])
    return found


def _features(texts: list[str]) -> sparse.csr_matrix:
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")
    try:
        found = words.fit_transform(texts)
    except ValueError:
        # Hardly any text: no word occurs twice.
        return sparse.csr_matrix((len(texts), 1))
    halves = [text.split(PAIR, 1) for text in texts]
    if sum(len(half) == 2 for half in halves) < len(texts) / 2:
        return found
    return sparse.hstack([found, sparse.csr_matrix(_likeness(halves))]).tocsr()


def _likeness(halves: list[list[str]]) -> Floats:
    """How alike the two texts of each pair are: cosine of words and of letters, shared words, shared codes."""
    first, second = [half[0] for half in halves], [half[-1] for half in halves]
    columns = []
    for analyzer, length in (("word", (1, 1)), ("char_wb", (3, 4))):
        vectorizer = TfidfVectorizer(analyzer=analyzer, ngram_range=length, sublinear_tf=True)
        vectorizer.fit(first + second)
        one, other = vectorizer.transform(first), vectorizer.transform(second)
        columns.append(np.asarray(one.multiply(other).sum(axis=1)).ravel())
    for keep in (str.isalnum, lambda word: any(letter.isdigit() for letter in word)):
        one_words, other_words = ([{w for w in _words(text) if keep(w)} for text in side] for side in (first, second))
        for size in (min, max):
            columns.append(
                np.array(
                    [
                        len(one & other) / max(1, size(len(one), len(other)))
                        for one, other in zip(one_words, other_words, strict=True)
                    ]
                )
            )
    found = np.column_stack(columns)
    # On a footing with the words' columns: spread over about 0 to 3, with squares for thresholds.
    found = found / np.maximum(found.std(axis=0), 1e-9)
    return np.hstack([found, found * found / 4])


def _words(text: str) -> list[str]:
    return "".join(letter.lower() if letter.isalnum() else " " for letter in text).split()


def one_label(answers: Answers, gold: Ints) -> dict[str, float | None]:
    """With one random label an item; the mean of five draws."""
    found = []
    for seed in range(_orders(answers, 5)):
        single = answers.where(_turn(answers, np.random.default_rng(seed)) < 1)
        found.append((vote_accuracy(single, gold), accuracy(dawid_skene(single).label, gold)))
    votes, consensus = ([value for value in values if value is not None] for values in zip(*found, strict=True))
    return {"vote_accuracy": _mean(votes), "consensus_accuracy": _mean(consensus)}


def replay(answers: Answers, gold: Ints, target: float) -> dict[str, Any]:
    """Labels an item and accuracy under the adaptive rule; the mean of three random orders of each item's labels."""
    rule = OverlapRule(start=2, target=target, cap=CAP, forced_share=0.0)
    spent, right = [], []
    for seed in range(_orders(answers, 3)):
        turn = _turn(answers, np.random.default_rng(seed))
        asked = np.minimum(rule.start, answers.n_of_item)
        settled = answers.n_of_item == 0
        while True:
            agreed = dawid_skene(answers.where(turn < asked[answers.item]))
            best = agreed.posterior.max(axis=1)
            settled |= asked >= answers.n_of_item
            # What is settled stays so, as it does in the product.
            for item in np.flatnonzero(~settled):
                settled[item] = rule.next_step(int(asked[item]), float(best[item])).action != "ask"
            if settled.all():
                break
            asked = asked + ~settled
        spent.append(float(asked.sum() / np.count_nonzero(answers.n_of_item)))
        if (found := accuracy(agreed.label, gold)) is not None:
            right.append(found)
    return {"target": target, "labels_an_item": _mean(spent), "accuracy": _mean(right)}


def _orders(answers: Answers, n: int) -> int:
    return n if len(answers) <= MANY_LABELS else 1


def _turn(answers: Answers, rng: np.random.Generator) -> Ints:
    """Each label's place in a random order of its item's labels, from 0."""
    order = np.lexsort((rng.random(len(answers)), answers.item))
    start = np.cumsum(answers.n_of_item) - answers.n_of_item
    turn = np.empty(len(answers), dtype=np.int64)
    turn[order] = np.arange(len(answers)) - start[answers.item[order]]
    return turn


def measure_speed() -> None:
    answers, _ = made_up(1_000_000, 3)
    started = time.process_time()
    patterns, _ = count_patterns(answers)
    n = Basis(int(patterns.times.sum()), len(answers), answers.n_annotators)
    draws = draw(patterns, np.random.default_rng(0))
    alpha = measure(patterns, n, "alpha", "alpha", np.eye(len(answers.names)), reason="", draws=draws)
    seconds = time.process_time() - started
    line = {"benchmark": "consensus", "what": "alpha with 1,000 replicates", "labels": len(answers)}
    line |= {"alpha": _rounded(alpha.value), "this_team": _limits(alpha.this_team), "cpu_seconds": round(seconds, 2)}
    print(json.dumps(line), flush=True)
    answers, truth = made_up(100_000, 5)
    started = time.process_time()
    agreed = dawid_skene(answers)
    seconds = time.process_time() - started
    line = {"benchmark": "consensus", "what": "Dawid-Skene", "labels": len(answers)}
    print(json.dumps(line | {"accuracy": _rounded(accuracy(agreed.label, truth)), "cpu_seconds": round(seconds, 2)}))


def made_up(n_items: int, per_item: int, n_people: int = 200, n_labels: int = 5) -> tuple[Answers, Ints]:
    """Answers of people of differing skill, and the truth."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, n_labels, n_items)
    item = np.repeat(np.arange(n_items), per_item)
    who = (rng.integers(0, n_people, n_items)[:, None] + np.arange(per_item) * 7).ravel() % n_people
    knows = rng.random(len(item)) < rng.beta(4, 3, n_people)[who]
    label = np.where(knows, truth[item], rng.integers(0, n_labels, len(item)))
    return Answers(item, who, label, tuple(str(i) for i in range(n_labels))), truth


def _rounded(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else round(value, 4)


def _mean(values: list[float]) -> float | None:
    return _rounded(sum(values) / len(values)) if values else None


def _limits(interval: Any) -> list[float] | None:
    return None if interval is None else [round(interval.low, 4), round(interval.high, 4)]


if __name__ == "__main__":
    main()
