"""Whether what is said of a model is true: the audit's interval, and the calibration.

    python -m benchmarks.evaluation FILE.csv... [--demo] [--campaigns 50] [--labels 300]

FILE.csv has the columns `text` and `label`; `--demo` adds the four domains of the demo's distribution (the sign of the
mean rating as negative, neutral or positive). A campaign takes 2,000 texts as its pool, begins with 20 random labels
and goes on in batches of 20: nine in ten in the product's recommended order, one in ten at random. All other texts are
the population: what share of it the model gets right is the truth.

- `coverage`: how often the 95 % interval of the audit accuracy holds that truth. Audit items are drawn from the
  population as chance does it (with replacement, so that the truth is exact). `covered` is of one draw a campaign,
  `covered_of_many` of 200 draws each.
- `calibration`: the expected calibration error on the population before and after the temperature, mean over campaigns
  with the 95 % interval (Student's t), for labels picked by the order and for random labels.

One JSON object a line; the last one is over all sets.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Memory
from scipy import stats

from active_learning.core.acquisition import Search, best_of_shard, geometry, order_candidates, strategy_named
from active_learning.core.calibration import calibration, undo_temperature
from active_learning.core.learners import Model, calibrate, pool_leads_of
from active_learning.core.linear import LinearLearner
from active_learning.core.material import Material
from benchmarks.text_sets import TextSet, features_of, prepared, text_sets
from labeling.core.shares import wilson

BATCH = 20
POOL = 2_000
DRAWS = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE.csv")
    parser.add_argument("--demo", action="store_true", help="the four domains of the demo's distribution too")
    parser.add_argument("--campaigns", type=int, default=50, help="campaigns a set")
    parser.add_argument("--labels", type=int, default=300)
    parser.add_argument("--audit", type=int, nargs="+", default=[20, 100, 400], help="sizes of the audit sample")
    parser.add_argument("--items", type=int, default=6_000, help="texts taken of each set")
    parser.add_argument("--cache", type=Path, help="a folder that keeps the features for the next run")
    options = parser.parse_args()
    if not options.files and not options.demo:
        parser.error("give a FILE.csv or --demo")
    features = Memory(options.cache, verbose=0).cache(features_of)
    covered: dict[int, list[tuple[bool, float]]] = {n: [] for n in options.audit}
    for name, texts, labels in text_sets(options.files, demo=options.demo):
        data = prepared(name, texts, labels, most=options.items, seed=0, features=features)
        if len(data.texts) < 400:
            sys.exit(f"{name}: {len(data.texts)} texts are too few for a pool and a population")
        errors: dict[str, list[tuple[float, float]]] = {"recommended": [], "random": []}
        own: dict[int, list[tuple[bool, float]]] = {n: [] for n in options.audit}
        for seed in range(options.campaigns):
            for order in errors:
                population, model = campaign(data, order, options.labels, seed)
                p = model.predict_proba(data.block.take(population))
                truth = data.targets.y[population]
                errors[order].append(_errors(p, truth, model.temperature))
                if order == "recommended":
                    for n in options.audit:
                        own[n].append(_coverage(p.argmax(axis=1) == truth, n, seed))
        for n in options.audit:
            covered[n] += own[n]
            _print({"benchmark": "evaluation", "what": "coverage", "data": name} | _covered(own[n], n))
        for order, found in errors.items():
            _print(
                {
                    "benchmark": "evaluation",
                    "what": "calibration",
                    "data": name,
                    "labels": options.labels,
                    "picked": order,
                    "campaigns": len(found),
                    "before": _mean([one[0] for one in found]),
                    "after": _mean([one[1] for one in found]),
                }
            )
    for n in options.audit:
        _print({"benchmark": "evaluation", "what": "coverage", "data": "all"} | _covered(covered[n], n))


def _print(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)


def campaign(data: TextSet, order: str, n_labels: int, seed: int) -> tuple[Any, Model]:
    """The rows that the campaign never touched, and the model that it ends with."""
    rng = np.random.default_rng([seed, int(hashlib.sha256(data.name.encode()).hexdigest()[:8], 16)])
    rows = rng.permutation(len(data.targets))
    n_pool = min(POOL, len(rows) // 2)
    pool, population = np.sort(rows[:n_pool]), np.sort(rows[n_pool:])
    n_labels = min(n_labels, n_pool)
    picked = list(rng.permutation(pool)[: n_labels if order == "random" else BATCH])
    while len(picked) < n_labels:
        model = _fit(data, picked, seed)
        rest = np.setdiff1d(pool, picked)
        wanted = min(BATCH, n_labels - len(picked))
        n_random = max(1, round(0.1 * wanted))
        picked += _ordered(data, model, rest, wanted, picked, seed)[: wanted - n_random]
        picked += list(rng.permutation(np.setdiff1d(pool, picked))[:n_random])
    return population, _fit(data, picked, seed, pool)


def _fit(data: TextSet, rows: list[Any], seed: int, pool: Any = None) -> Model:
    """As a training does it: the temperature is fitted with a look at the whole pool. Without `pool` there is none."""
    learned = np.sort(np.array(rows))
    targets = data.targets.take(learned)
    if np.count_nonzero(targets.counts()) < 2:
        raise SystemExit(f"{data.name}: the first {len(rows)} labels all say the same")
    material = Material(data.block.take(learned), targets, np.ones(len(learned)), data.scaling)
    model = LinearLearner().fit(material)
    if pool is None:
        return model
    others = np.setdiff1d(pool, learned)
    sample = data.block.take(np.sort(np.random.default_rng(seed).permutation(others)[:1_000]))
    leads = pool_leads_of(model, sample)
    return calibrate(LinearLearner(), model, material, np.random.default_rng(seed), leads)


def _ordered(data: TextSet, model: Model, rest: Any, n: int, picked: list[Any], seed: int) -> list[Any]:
    block = data.block.take(rest)
    search = Search(
        strategy=strategy_named("recommended"),
        n=n,
        is_multilabel=False,
        seed=seed,
        batch=n,
        n_labels=len(picked),
    )
    eligible = np.ones(len(rest), dtype=bool)
    best = best_of_shard(search, block, rest, model.predict_proba(block), eligible)
    labeled = geometry(data.block.take(np.array(picked)))
    return [] if best is None else list(order_candidates(search, best, labeled).ids[:n])


def _errors(p: Any, truth: Any, temperature: float) -> tuple[float, float]:
    raw = undo_temperature(p, temperature, is_multilabel=False)
    before = calibration(raw, truth, np.random.default_rng(0))
    after = calibration(p, truth, np.random.default_rng(0))
    assert before is not None and after is not None
    return before.ece, after.ece


def _coverage(right: Any, n: int, seed: int) -> tuple[bool, float]:
    """Whether the first draw's interval holds the truth, and the share of DRAWS intervals that do."""
    true = right.mean()
    rng = np.random.default_rng([seed, n])
    hits = []
    for n_right in right[rng.integers(len(right), size=(DRAWS, n))].sum(axis=1):
        found = wilson(int(n_right), n)
        assert found is not None
        hits.append(found.low <= true <= found.high)
    return bool(hits[0]), float(np.mean(hits))


def _covered(found: list[tuple[bool, float]], n: int) -> dict[str, Any]:
    return {
        "audit": n,
        "campaigns": len(found),
        "covered": round(float(np.mean([first for first, _ in found])), 4),
        "covered_of_many": round(float(np.mean([share for _, share in found])), 4),
    }


def _mean(values: list[float]) -> dict[str, Any]:
    mean = float(np.mean(values))
    half = float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)) if len(values) > 1 else None
    return {
        "ece": round(mean, 4),
        "interval": None if half is None else [round(mean - half, 4), round(mean + half, 4)],
        "worst": round(max(values), 4),
    }


if __name__ == "__main__":
    main()
