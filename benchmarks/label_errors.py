"""How many wrong labels are found: labels of real texts are made wrong at random, and looked for.

    python -m benchmarks.label_errors [FILE.csv ...] [--demo] [--labels 500] [--wrong 0.1] [--seeds 5]

Prints one JSON object a data set: precision and recall of the probable ones and of all suspects, beside what drawing at
random gives, and the share that is suspected with and without labels made wrong. The texts' own labels hold mistakes
too, which count against the precision here.
"""

import argparse
import json
import statistics
from pathlib import Path

import numpy as np

from active_learning.core.crossfit import cross_fitted_probabilities
from active_learning.core.label_errors import Suspects, label_errors
from active_learning.core.linear import LinearLearner
from active_learning.core.material import Material
from active_learning.core.targets import Targets
from benchmarks.text_sets import TextSet, features_of, prepared, text_sets


def suspects(texts: TextSet, given: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> Suspects:
    targets = Targets(texts.targets.labels, given)
    material = Material(texts.block.take(rows), targets, np.ones(len(rows)), texts.scaling)
    return label_errors(cross_fitted_probabilities(LinearLearner(), material, rng), given)


def one_round(texts: TextSet, n_labels: int, share: float, seed: int) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(texts.targets))[:n_labels]
    truth = texts.targets.y[rows]
    clean = suspects(texts, truth, rows, rng)
    wrong = rng.permutation(len(rows))[: round(share * len(rows))]
    given = truth.copy()
    given[wrong] = (truth[wrong] + rng.integers(1, len(texts.targets.labels), len(wrong))) % len(texts.targets.labels)
    found = suspects(texts, given, rows, rng)
    figures: dict[str, float] = {}
    for name, some, untouched in (("probable", found.probable, clean.probable), ("all", found, clean)):
        hits = np.isin(some.rows, wrong)
        figures |= {
            f"{name}_precision": float(hits.mean()) if len(hits) else 0.0,
            f"{name}_recall": float(hits.sum() / len(wrong)),
            f"{name}_share": len(some) / len(rows),
            f"{name}_share_clean": len(untouched) / len(rows),
        }
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--demo", action="store_true", help="the four domains of the demo too")
    parser.add_argument("--labels", type=int, default=500)
    parser.add_argument("--wrong", type=float, default=0.1, help="share of the labels that is made wrong")
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    for name, texts, labels in text_sets(asked.files, demo=asked.demo or not asked.files):
        ready = prepared(name, texts, labels, most=3 * asked.labels, seed=0, features=features_of)
        rounds = [one_round(ready, asked.labels, asked.wrong, seed) for seed in range(asked.seeds)]
        figures = {key: round(statistics.mean(one[key] for one in rounds), 3) for key in rounds[0]}
        about = {"data": name, "labels": asked.labels, "classes": len(ready.targets.labels)}
        print(json.dumps(about | {"by_chance": asked.wrong} | figures), flush=True)


if __name__ == "__main__":
    main()
