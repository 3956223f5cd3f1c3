"""Every published worked example, to the last digit that its source prints."""

import numpy as np
import pytest
from scipy.stats import t as student

from labeling.core.agreement import answers as a
from labeling.core.agreement import coefficients as c
from labeling.core.agreement import scales
from tests.core.labeling.agreement_vectors import EXAMPLES

METHODS = {
    "bp": "brennan_prediger",
    "S": "brennan_prediger",
    "gwet": "gwet",
    "fleiss": "fleiss",
    "scott": "fleiss",
    "alpha": "alpha",
    "krippendorff": "alpha",
}


def circular(v):
    found = np.sin(np.pi * (v[:, None] - v) / (v.max() - v.min() + 1)) ** 2
    return 1 - found / found.max()


def radical(v):
    found = np.sqrt(np.abs(v[:, None] - v))
    return 1 - found / found.max()


def bipolar(v):
    total = v[:, None] + v
    bottom = (total - 2 * v.min()) * (2 * v.max() - total)
    found = np.divide((v[:, None] - v) ** 2, bottom, out=np.zeros_like(total), where=~np.eye(len(v), dtype=bool))
    return 1 - found / found.max()


WEIGHTS = {
    "identity": lambda v: np.eye(len(v)),
    "nominal": lambda v: np.eye(len(v)),
    "linear": scales.linear,
    "quadratic": scales.quadratic,
    "interval": scales.quadratic,
    "ratio": scales.ratio,
    "ordinal": lambda v: scales.ordinal(len(v)),
    "circular": circular,
    "radical": radical,
    "bipolar": bipolar,
}


def read(example):
    """The example's answers; tables are written out item by item."""
    rows = [line.split() for line in example.data.split("\n") if line.strip()]
    if example.kind == "table":
        rows = [[str(i), str(j)] for i, row in enumerate(rows) for j, n in enumerate(row) for _ in range(int(n))]
    if example.kind == "counts":
        rows = [[str(label) for label, n in enumerate(row) for _ in range(int(n))] for row in rows]
    names = tuple(sorted({cell for row in rows for cell in row if cell != "."}))
    if example.kind != "raw":
        names = tuple(str(i) for i in range(int(max(names)) + 1))
    triples = [
        (item, who, names.index(cell)) for item, row in enumerate(rows) for who, cell in enumerate(row) if cell != "."
    ]
    scale = [float(name) for name in names] if names[0].isdigit() and example.kind == "raw" else []
    return a.Answers(*np.array(triples).T, names, np.array(scale))


def coefficient(answers, name, weights):
    """Value and standard error by the vectors' name of the coefficient."""
    who = name.split(":")
    if weights.startswith("disagreement"):
        rows = weights.removeprefix("disagreement:").split(";")
        matrix = 1 - np.array([[float(x) for x in row.split(",")] for row in rows]) / 6
    else:
        matrix = WEIGHTS[weights](answers.scale)
    if who[0] == "gwet":
        who = who[1:]
    if who[0] == "cohen":
        table = np.zeros((len(answers.names), len(answers.names)))
        first, second = (answers.where(answers.annotator == person) for person in (0, 1))
        np.add.at(table, (first.label, second.label), 1)
        return c.cohen(table, matrix)
    if who[0] == "conger":
        return c.conger(answers, matrix)
    patterns, _ = a.count_patterns(answers)
    krippendorffs_ordinal = name == "alpha" and weights == "ordinal"
    value = c.values(patterns, METHODS[who[0]], None if krippendorffs_ordinal else matrix)
    found = float(value(patterns.times[None].astype(float))[0])
    return found, c.standard_error(patterns, METHODS[who[0]], matrix)


def published():
    for example in EXAMPLES:
        for line in example.expected.strip().split("\n"):
            coefficient_name, weights, *numbers = line.split()
            label = f"{example.name}-{coefficient_name}-{weights}"
            yield pytest.param(example, coefficient_name, weights, numbers, id=label)


@pytest.mark.parametrize(("example", "name", "weights", "numbers"), list(published()))
def test_published_value(example, name, weights, numbers):
    answers = read(example)
    found, error = coefficient(answers, name, weights)
    value, printed_error, low, high, decimals = numbers
    assert found == pytest.approx(float(value), abs=0.5001 * 10 ** -int(decimals))
    if example.kind == "table" and error is not None and name != "gwet:cohen":
        # For cross tables the source divides by the items, not by one less.
        error *= np.sqrt(1 - 1 / len(answers.n_of_item))
    if printed_error != ".":
        assert error == pytest.approx(float(printed_error), abs=0.0006)
    if low != ".":
        n = np.sum(answers.n_of_item >= (2 if "krippendorff" in name else 1))
        half = student.ppf(0.975, n - 1) * error
        assert found - half == pytest.approx(float(low), abs=0.0015)
        assert min(1.0, found + half) == pytest.approx(float(high), abs=0.0015)


def test_there_are_all_of_them():
    rows = [line.split() for example in EXAMPLES for line in example.expected.strip().split("\n")]
    # With the class shares of Dawid and Skene, in test_dawid_skene.py, they are 157.
    assert len(rows) == 156
    assert sum(row[3] != "." for row in rows) == 98
