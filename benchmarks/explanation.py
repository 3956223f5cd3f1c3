"""What reasons cost beside the answer that they are for: `python -m benchmarks.explanation FILE.csv...`.

Each file has the columns `text` and `label`. A model learns from 500 of its texts; then others, cut or joined to
`--words` words, are answered and explained one at a time. Prints one JSON object a file: milliseconds of the features,
of the prediction, of the cheap reasons, and of the two kinds on request, each the median over texts. `cheap_share` is
the cheap reasons over features and prediction together.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from active_learning.core.counterfactual import fewest_words
from active_learning.core.explain import Explainer, contrast_of, explain, rows_of_item
from active_learning.core.featurize import Featurizer, RawItem, infer_spec
from active_learning.core.linear import LinearLearner
from active_learning.core.material import Material
from active_learning.core.occlusion import occlude
from active_learning.core.scaling import dense_scaling
from active_learning.core.targets import encode_targets
from benchmarks.text_sets import text_sets

LEARNED, ASKED = 500, 60
# As many reasons as the service builds to choose three of.
BUILT = 13


def measure(name: str, texts: list[str], labels: list[str], n_words: int) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    order = rng.permutation(len(texts))
    learned = order[:LEARNED]
    raw = [RawItem({"text": texts[i]}) for i in learned]
    spec = infer_spec(raw)
    featurizer = Featurizer(spec)
    block = featurizer.transform(raw)
    wide = block.dense.astype(np.float64)
    scaling = dense_scaling(spec.dense_parts, len(block), wide.sum(axis=0), np.square(wide).sum(axis=0))
    names = sorted(set(labels))
    targets = encode_targets([labels[i] for i in learned], names, is_multilabel=False)
    model = LinearLearner().fit(Material(block, targets, np.ones(len(block)), scaling))
    explainer = Explainer(model, spec, scaling.center)
    words = " ".join(texts[i] for i in order[LEARNED:]).split()
    seconds: dict[str, list[float]] = {}

    def timed(what: str, run: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        found = run()
        seconds.setdefault(what, []).append(time.perf_counter() - began)
        return found

    for number in range(min(ASKED, len(words) // n_words)):
        data = {"text": " ".join(words[number * n_words : (number + 1) * n_words])}
        rows = rows_of_item(data, spec)
        one = timed("features", lambda data=data: featurizer.transform([RawItem(data)]))
        p = timed("predict", lambda one=one: model.predict_proba(one))[0]
        contrast = contrast_of(p, is_multilabel=False)
        told = timed("cheap", lambda rows=rows, one=one, c=contrast: explain(explainer, rows, one, c, top=BUILT))
        timed("passages", lambda rows=rows, c=contrast: occlude(explainer, featurizer, rows, c))
        timed(
            "fewest_words",
            lambda rows=rows, c=contrast, told=told: fewest_words(explainer, featurizer, rows, c, told.reasons),
        )
    found = {what: round(1000 * statistics.median(times), 3) for what, times in seconds.items()}
    share = found["cheap"] / (found["features"] + found["predict"])
    return {"data": name, "labels": len(names), "words": n_words} | found | {"cheap_share": round(share, 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--words", type=int, default=50)
    asked = parser.parse_args()
    for name, texts, labels in text_sets(asked.files, demo=False):
        print(json.dumps(measure(name, texts, labels, asked.words)), flush=True)


if __name__ == "__main__":
    main()
