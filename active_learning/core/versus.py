"""Two versions side by side, from what each said about the audit items that both were asked. Plain arithmetic.

Intervals are paired: what is hard for both versions does not widen them.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from active_learning.core.audit import MIN_AUDITED, Z95
from active_learning.core.gate import Figure

# Labels whose words are compared, the most different first, and changed items that are listed.
LABELS_SHOWN = 12

Answer = tuple[str, ...]  # the labels of one item: one, or of several labels any number


@dataclass(frozen=True, slots=True)
class Common:
    """One audit item that both versions answered."""

    item_id: int
    truth: Answer
    first: Answer
    second: Answer

    @property
    def is_changed(self) -> bool:
        return self.first != self.second

    @property
    def verdict(self) -> str:
        """Who is right: first, second, both or neither."""
        return {(True, True): "both", (True, False): "first", (False, True): "second"}.get(
            (self.first == self.truth, self.second == self.truth), "neither"
        )


@dataclass(frozen=True, slots=True)
class Versus:
    """`accuracy` and `macro_f1` are those of the second less those of the first; None where not defined."""

    common: tuple[Common, ...]
    accuracy: Figure | None
    macro_f1: Figure | None
    n_gained: int
    n_lost: int
    p_value: float

    @property
    def n(self) -> int:
        return len(self.common)

    @property
    def is_enough(self) -> bool:
        return self.n >= MIN_AUDITED

    @property
    def changed(self) -> list[Common]:
        """Items whose answer is another one: what was lost first, then what was gained, then the rest."""
        order = {"first": 0, "second": 1, "neither": 2, "both": 3}
        return sorted((case for case in self.common if case.is_changed), key=lambda case: order[case.verdict])


def compare_reports(first: Mapping[str, Any], second: Mapping[str, Any]) -> Versus:
    """Both reports' answers on their common items, judged by the newer truth: that of the second."""
    told = _by_item(first)
    common = tuple(
        Common(item_id, truth, told[item_id][1], said)
        for item_id, (truth, said) in sorted(_by_item(second).items())
        if item_id in told
    )
    gained = sum(case.verdict == "second" for case in common)
    lost = sum(case.verdict == "first" for case in common)
    return Versus(common, _accuracy(gained, lost, len(common)), _macro_f1(common), gained, lost, mcnemar(gained, lost))


def _by_item(report: Mapping[str, Any]) -> dict[int, tuple[Answer, Answer]]:
    """Truth and answer of each item, by label names: positions mean other labels in another schema."""
    labels, audit = report["labels"], report.get("audit")
    if not audit:
        return {}

    def named(value: Any) -> Answer:
        return tuple(sorted(labels[i] for i in value)) if isinstance(value, list) else (labels[value],)

    rows = zip(audit["ids"], audit["truth"], audit["said"], strict=True)
    return {item_id: (named(truth), named(said)) for item_id, truth, said in rows}


def mcnemar(gained: int, lost: int) -> float:
    """The two-sided p-value of McNemar's exact test: 1 when nothing or as much was gained as lost."""
    n, fewer = gained + lost, min(gained, lost)
    if n == 0:
        return 1.0
    # In logarithms: the binomial coefficients of a few thousand items are too large for a float.
    logs = [
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) - n * math.log(2) for k in range(fewer + 1)
    ]
    return min(1.0, 2 * sum(map(math.exp, logs)))


def _accuracy(gained: int, lost: int, n: int) -> Figure | None:
    """The difference with the interval of Agresti and Min (2005)."""
    if n == 0:
        return None
    difference = (gained - lost) / n
    middle = (gained - lost) / (n + 2)
    half = Z95 * math.sqrt(((gained + lost + 1) / (n + 2) - middle * middle) / (n + 2))
    return Figure(difference, max(-1.0, min(difference, middle - half)), min(1.0, max(difference, middle + half)), n)


def _macro_f1(common: Sequence[Common]) -> Figure | None:
    """The difference of macro-F1 over the labels that truly occur, with the interval of the delta method.

    F1 of a label is 2 right / (true + said), a ratio of means over items; each item's share in it gives the variance of
    the paired difference. None with fewer than two labels that occur.
    """
    n = len(common)
    n_true = Counter(label for case in common for label in case.truth)
    if len(n_true) < 2:
        return None
    influence = [0.0] * n
    difference = 0.0
    for sign, side in ((1, "second"), (-1, "first")):
        answers: list[Answer] = [getattr(case, side) for case in common]
        total = n_true + Counter(label for said in answers for label in said)
        right = Counter(
            label for case, said in zip(common, answers, strict=True) for label in said if label in case.truth
        )
        f1 = {label: 2 * right[label] / total[label] for label in n_true}
        difference += sign * sum(f1.values()) / len(n_true)
        for i, (case, said) in enumerate(zip(common, answers, strict=True)):
            for label in {*case.truth, *said} & f1.keys():
                true, found = label in case.truth, label in said
                part = 2 * (true and found) - f1[label] * (true + found)
                influence[i] += sign * part * n / total[label] / len(n_true)
    half = Z95 * math.sqrt(sum(part * part for part in influence)) / n
    return Figure(difference, max(-1.0, difference - half), min(1.0, difference + half), n)


@dataclass(frozen=True, slots=True)
class Drivers:
    """What speaks for a label: words of both versions, and of one alone, heaviest first."""

    label: str
    both: tuple[str, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]


def compare_words(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Drivers]:
    """The labels whose heaviest words differ most, at most LABELS_SHOWN of them."""
    words = [{label: [word for word, _ in rows] for label, rows in r.get("words", {}).items()} for r in (first, second)]
    found = []
    for label in dict.fromkeys([*words[1], *words[0]]):
        own, other = words[0].get(label, []), words[1].get(label, [])
        found.append(
            Drivers(
                label,
                tuple(word for word in other if word in own),
                tuple(word for word in own if word not in other),
                tuple(word for word in other if word not in own),
            )
        )
    found.sort(key=lambda drivers: -len(drivers.only_first) - len(drivers.only_second))
    return found[:LABELS_SHOWN]
