"""Labeled texts to measure on: files with the columns `text` and `label`, and the domains of the demo."""

import csv
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from active_learning.core.blocks import FeatureBlock
from active_learning.core.featurize import Featurizer, RawItem, infer_spec
from active_learning.core.scaling import DenseScaling, dense_scaling
from active_learning.core.targets import Targets

Features = Callable[[list[str]], tuple[FeatureBlock, tuple[tuple[str, int], ...]]]


@dataclass(frozen=True)
class TextSet:
    """Texts in random order, with the product's features and their labels."""

    name: str
    texts: list[str]
    block: FeatureBlock
    targets: Targets
    scaling: DenseScaling


def text_sets(files: Iterable[Path], *, demo: bool) -> Iterator[tuple[str, list[str], list[str]]]:
    """The name, texts and labels of each file; with `demo` of the four domains too. Ends the program at a bad file."""
    for path in files:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
        if not rows or "text" not in rows[0] or "label" not in rows[0]:
            sys.exit(f"{path}: the first line has to name the columns text and label")
        name = path.parent.name if path.stem == "data" else path.stem
        yield name, [row["text"] for row in rows], [row["label"] for row in rows]
    if demo:
        yield from _demo_sets()


def _demo_sets() -> Iterator[tuple[str, list[str], list[str]]]:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.settings")
    import django

    django.setup()
    from labeling.core.vader import DOMAINS, read_distribution
    from labeling.services.demo import fetch_distribution

    archive, _ = fetch_distribution(home=Path(os.environ.get("TOUCHSTONE_HOME", "var")))
    for domain in DOMAINS:
        rated = [text for text in read_distribution(archive, [domain]) if text.ratings and text.text]
        means = [sum(text.ratings) / len(text.ratings) for text in rated]
        labels = ["neutral" if abs(mean) < 0.5 else "negative" if mean < 0 else "positive" for mean in means]
        yield domain, [text.text for text in rated], labels


def features_of(texts: list[str]) -> tuple[FeatureBlock, tuple[tuple[str, int], ...]]:
    """The product's features of some texts, and the widths of their dense parts."""
    items = [RawItem({"text": text}) for text in texts]
    spec = infer_spec(items[:1_000])
    return Featurizer(spec).transform(items), spec.dense_parts


def prepared(name: str, texts: list[str], labels: list[str], *, most: int, seed: int, features: Features) -> TextSet:
    """At most `most` different texts, drawn by `seed`, without those whose label fewer than four of them have."""
    first = {text: place for place, text in reversed(list(enumerate(texts)))}
    rows = np.random.default_rng(seed).permutation(np.array(sorted(first.values())))[:most]
    common = Counter(labels[row] for row in rows)
    rows = np.array([row for row in rows if common[labels[row]] >= 4])
    names = tuple(sorted({labels[row] for row in rows}))
    code = {label: number for number, label in enumerate(names)}
    chosen = [texts[row] for row in rows]
    block, parts = features(chosen)
    dense = block.dense.astype(np.float64)
    scaling = dense_scaling(parts, len(dense), dense.sum(axis=0), np.square(dense).sum(axis=0))
    targets = Targets(names, np.array([code[labels[row]] for row in rows], dtype=np.int64))
    return TextSet(name, chosen, block, targets, scaling)
