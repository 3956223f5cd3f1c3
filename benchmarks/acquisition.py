"""How few labels each query strategy needs, on the product's own features and learner.

    python -m benchmarks.acquisition FILE.csv... [--demo] [--seeds 5] [--strategies recommended random margin ...]

FILE.csv has the columns `text` and `label`; `--demo` adds the four domains of the demo's distribution (the sign of the
mean rating as negative, neutral or positive). Of each set at most --items texts are taken, a quarter of them, at most
1,500, as the exam that no strategy may pick. A campaign begins with 20 labels and is judged every 20 to 200, every 50
to 1,000. Curves are compared seed by seed.

For each set and strategy: `area`, the mean macro-F1 over the campaign, its ratio to random with a 95 % interval
(Student's t over seeds); `labels_95`, the labels at which the mean curve reaches 95 % of the macro-F1 that the whole
pool gives (null: not within the campaign); `labels_tfidf`, those at which accuracy reaches what TF-IDF with logistic
regression has after 1,000 random labels; CPU seconds a round. Last the geometric means over the sets; a campaign that
never gets there counts as its length.
"""

import argparse
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Memory, Parallel, delayed
from scipy import stats
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from active_learning.core.acquisition import strategy_named
from active_learning.core.campaign import Known, Round, play
from active_learning.core.evaluation import evaluate
from active_learning.core.linear import LinearLearner
from active_learning.core.material import Material
from active_learning.core.replay import areas, labels_to
from active_learning.core.scaling import DenseScaling
from active_learning.core.targets import decide
from benchmarks.text_sets import Features, TextSet, features_of, prepared, text_sets

STRATEGIES = (
    "random",
    "recommended",
    "margin",
    "entropy",
    "uncertainty",
    "modal:margin_sampling",
    "modal:entropy_sampling",
    "modal:uncertainty_sampling",
    "modal:uncertainty_batch_sampling",
)
MOST_IN_EXAM = 1_500


@dataclass(frozen=True)
class Data:
    """One set: its pool and exam with features, and the texts for the TF-IDF reference."""

    name: str
    pool: Known
    exam: Known
    scaling: DenseScaling
    pool_texts: list[str]
    exam_texts: list[str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE.csv")
    parser.add_argument("--demo", action="store_true", help="the four domains of the demo's distribution too")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--items", type=int, default=6_000, help="texts taken of each set")
    parser.add_argument("--labels", type=int, default=1_000, help="length of a campaign")
    parser.add_argument("--strategies", nargs="+", default=list(STRATEGIES))
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--cache", type=Path, help="a folder that keeps the features for the next run")
    options = parser.parse_args()
    if not options.files and not options.demo:
        parser.error("give a FILE.csv or --demo")
    features: Features = Memory(options.cache, verbose=0).cache(features_of)
    names = ["random", *(name for name in options.strategies if name != "random")]
    summary: dict[str, dict[str, list[float]]] = {name: {} for name in names}
    for name, texts, labels in text_sets(options.files, demo=options.demo):
        seed = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16)
        data = _divided(prepared(name, texts, labels, most=options.items, seed=seed, features=features))
        sizes = schedule(min(options.labels, len(data.pool)))
        with Parallel(n_jobs=options.processes) as parallel:
            for line in compare(data, names, sizes, options.seeds, parallel):
                _remember(summary[line["strategy"]], line)
                print(json.dumps(line), flush=True)
    for name in names[1:]:
        means = {key: round(float(stats.gmean(values)), 4) for key, values in summary[name].items()}
        print(json.dumps({"benchmark": "acquisition", "strategy": name, "sets": "all"} | means), flush=True)


def schedule(n: int) -> list[int]:
    """How many labels there are at each look."""
    return [size for size in [*range(20, 201, 20), *range(250, 100_000, 50)] if size <= n]


def _divided(whole: TextSet) -> Data:
    n_exam = min(MOST_IN_EXAM, len(whole.texts) // 4)
    exam, pool = np.arange(n_exam), np.arange(n_exam, len(whole.texts))
    return Data(
        whole.name,
        pool=Known(whole.block.take(pool), whole.targets.take(pool)),
        exam=Known(whole.block.take(exam), whole.targets.take(exam)),
        scaling=whole.scaling,
        pool_texts=whole.texts[n_exam:],
        exam_texts=whole.texts[:n_exam],
    )


def compare(
    data: Data, names: Sequence[str], sizes: Sequence[int], n_seeds: int, parallel: Parallel
) -> Iterator[dict[str, Any]]:
    """A line for each strategy on this set, random first."""
    full = _full_score(data)
    goal = float(
        np.mean(parallel(delayed(tfidf_accuracy)(data, min(1_000, len(data.pool)), seed) for seed in range(n_seeds)))
    )
    base: Curves | None = None
    for name in names:
        runs = parallel(delayed(campaign)(data, name, sizes, seed) for seed in range(n_seeds))
        curves = Curves.of(runs)
        base = base or curves
        yield {
            "benchmark": "acquisition",
            "data": data.name,
            "strategy": name,
            "items": len(data.pool),
            "classes": len(data.pool.targets.labels),
            "rarest": round(float(data.pool.targets.counts().min() / len(data.pool)), 4),
            "seeds": n_seeds,
            "macro_f1": {
                str(n): round(float(f1), 4) for n, f1 in zip(sizes, curves.macro_f1.mean(axis=0)) if n in SHOWN
            },
            "accuracy": {str(n): round(float(a), 4) for n, a in zip(sizes, curves.accuracy.mean(axis=0)) if n in SHOWN},
            "full_macro_f1": round(full, 4),
            "tfidf_accuracy": round(goal, 4),
            **curves.against(base, sizes, 0.95 * full, goal),
        }


def _shown(sizes: Sequence[int], curves: Any) -> dict[str, float]:
    return {str(n): round(float(mean), 4) for n, mean in zip(sizes, curves.mean(axis=0), strict=True) if n in SHOWN}


SHOWN = (20, 40, 60, 100, 200, 300, 500, 1_000)


@dataclass(frozen=True)
class Curves:
    """A row a seed, a column a look."""

    macro_f1: Any
    accuracy: Any
    select_seconds: float
    fit_seconds: float

    @classmethod
    def of(cls, runs: Sequence[Sequence[Round]]) -> "Curves":
        rounds = [one for run in runs for one in run]
        return cls(
            np.array([[one.macro_f1 for one in run] for run in runs]),
            np.array([[one.accuracy for one in run] for run in runs]),
            float(np.mean([one.select_seconds for one in rounds])),
            float(np.mean([one.fit_seconds for one in rounds])),
        )

    def against(self, base: "Curves", sizes: Sequence[int], f1: float, accuracy: float) -> dict[str, Any]:
        ratios = areas(sizes, self.macro_f1) / areas(sizes, base.macro_f1)
        half = float(stats.t.ppf(0.975, len(ratios) - 1) * stats.sem(ratios)) if len(ratios) > 1 else None
        mean = float(ratios.mean())
        reached = labels_to(sizes, self.macro_f1.mean(axis=0), f1)
        of_random = labels_to(sizes, base.macro_f1.mean(axis=0), f1)
        return {
            "area": round(float(areas(sizes, self.macro_f1).mean()), 4),
            "area_ratio": round(mean, 4),
            "area_ratio_interval": None if half is None else [round(mean - half, 4), round(mean + half, 4)],
            "labels_95": _rounded(reached),
            "labels_95_ratio": round((reached or sizes[-1]) / (of_random or sizes[-1]), 4),
            "labels_tfidf": _rounded(labels_to(sizes, self.accuracy.mean(axis=0), accuracy)),
            "select_cpu_seconds": round(self.select_seconds, 3),
            "fit_cpu_seconds": round(self.fit_seconds, 3),
        }


def campaign(data: Data, strategy: str, sizes: Sequence[int], seed: int) -> list[Round]:
    """One campaign on one thread: CPU seconds are compared."""
    with threadpool_limits(limits=1):
        rounds = play(
            pool=data.pool,
            exam=data.exam,
            strategy=strategy_named(strategy),
            learner=LinearLearner(),
            scaling=data.scaling,
            sizes=sizes,
            seed=seed,
        )
        return list(rounds)


def tfidf_accuracy(data: Data, n_labels: int, seed: int) -> float:
    """Accuracy of logistic regression (C = 10) on TF-IDF of words and word pairs after random labels."""
    rows = np.random.default_rng(seed).choice(len(data.pool), size=n_labels, replace=False)
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit(data.pool_texts)
    model = LogisticRegression(C=10.0, max_iter=500)
    model.fit(words.transform([data.pool_texts[row] for row in rows]), data.pool.targets.y[rows])
    return float((model.predict(words.transform(data.exam_texts)) == data.exam.targets.y).mean())


def _rounded(labels: float | None) -> float | None:
    return None if labels is None else round(labels, 1)


def _full_score(data: Data) -> float:
    weights = np.ones(len(data.pool))
    model = LinearLearner().fit(Material(data.pool.block, data.pool.targets, weights, data.scaling))
    said = decide(model.predict_proba(data.exam.block), is_multilabel=False)
    return evaluate(data.exam.targets.y, said, data.exam.targets.labels).macro_f1 or 0.0


def _remember(summary: dict[str, list[float]], line: dict[str, Any]) -> None:
    summary.setdefault("area_ratio", []).append(line["area_ratio"])
    summary.setdefault("labels_95_ratio", []).append(line["labels_95_ratio"])
    summary.setdefault("labels_tfidf", []).append(line["labels_tfidf"] or 1_000.0)


if __name__ == "__main__":
    main()
