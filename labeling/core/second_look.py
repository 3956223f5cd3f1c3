"""Labels that were judged again under newer guidelines: how many changed, and from what to what.

Plain arithmetic, so that a page can have it; alpha needs the numeric libraries and is measured in a worker
(`agreement/versions.py`).
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labeling.core.exports import csv_safe
from labeling.core.schema import Value
from labeling.core.shares import Share, wilson

# From fewer labels nothing is concluded.
LEAST = 20
MOST_CHANGES = 10


@dataclass(frozen=True, slots=True)
class Rejudged:
    """An old label and the answer to the same item under a later version."""

    item_id: int
    old: Value
    new: Value
    old_version: int
    new_version: int
    by_author: bool


@dataclass(frozen=True, slots=True)
class Change:
    """Labels `old` that became `new`, as a share of all that were `old`."""

    old: Value
    new: Value
    share: Share

    @property
    def n(self) -> int:
        return round(self.share.value * self.share.n)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What became of labels given under one version when they were judged again under another.

    `equal` is the share of equal answers: of all, where the label's author judged again, and where somebody else did
    (an imported label counts as somebody else's). `n_gone` old labels could not be given again: they are no longer in
    the schema. `changes` are the most frequent ones.
    """

    old_version: int
    new_version: int
    equal: Share
    by_author: Share | None
    by_others: Share | None
    n_gone: int
    changes: tuple[Change, ...]


def by_versions(judged: Iterable[Rejudged]) -> dict[tuple[int, int], list[Rejudged]]:
    """What was judged again, apart for each old and new version, in their order."""
    found: dict[tuple[int, int], list[Rejudged]] = {}
    for one in judged:
        found.setdefault((one.old_version, one.new_version), []).append(one)
    return dict(sorted(found.items()))


def compare(judged: Iterable[Rejudged], labels: Mapping[int, frozenset[str]]) -> list[Comparison]:
    """A comparison for each pair of versions that occurs. `labels` are those of each version, as texts."""
    found = []
    for (old_version, new_version), pairs in by_versions(judged).items():
        equal = _equal(pairs)
        assert equal is not None  # a pair of versions occurs in at least one
        found.append(
            Comparison(
                old_version=old_version,
                new_version=new_version,
                equal=equal,
                by_author=_equal([one for one in pairs if one.by_author]),
                by_others=_equal([one for one in pairs if not one.by_author]),
                n_gone=sum(not _texts(one.old) <= labels[new_version] for one in pairs),
                changes=_changes(pairs),
            )
        )
    return found


def _equal(pairs: Sequence[Rejudged]) -> Share | None:
    return wilson(sum(one.old == one.new for one in pairs), len(pairs))


def _texts(value: Value) -> frozenset[str]:
    return frozenset(value) if isinstance(value, list) else frozenset((str(value),))


def _changes(pairs: Sequence[Rejudged]) -> tuple[Change, ...]:
    # Values may be lists, which are no keys.
    n_old = Counter(json.dumps(one.old) for one in pairs)
    n_became = Counter((json.dumps(one.old), json.dumps(one.new)) for one in pairs if one.old != one.new)
    found = []
    for (old, new), n in sorted(n_became.items(), key=lambda row: (-row[1], row[0]))[:MOST_CHANGES]:
        share = wilson(n, n_old[old])
        assert share is not None  # whatever became another was there
        found.append(Change(json.loads(old), json.loads(new), share))
    return tuple(found)


def half_width(n: int, share: float = 0.25) -> float:
    """How far Wilson's interval reaches to either side of a share that is seen in `n` labels, on average."""
    found = wilson(round(share * n), n)
    return 0.5 if found is None else (found.high - found.low) / 2


def verdict(found: Comparison, differing: Share | None = None) -> str:
    """What a comparison means, in a few sentences.

    `differing`: how often two people under one and the same version differ, where that is known.
    """
    old, new, n = found.old_version, found.new_version, found.equal.n
    if n < LEAST:
        one = "label has" if n == 1 else "labels have"
        return f"Not enough data yet: {n} {one} been judged again, {LEAST} are needed to say something."
    changed = found.equal.rest
    words = [
        f"Under version {new} people answer otherwise on {_percent(changed.value)} ({_percent(changed.low)} to "
        f"{_percent(changed.high)}) of the items that were labelled under version {old}."
    ]
    if found.n_gone:
        had = f"{found.n_gone} of these {n} had to change: their label is not in version {new} any more."
        words.append(had)
    if differing is not None:
        if changed.low > differing.high:
            words.append("Two people under one version differ clearly less often: the change of version moves labels.")
        elif changed.high < differing.low:
            words.append("Two people under one version differ clearly more often than that.")
        else:
            words.append("Two people under one version differ about as often: the version need not be the reason.")
    elif changed.low == 0:
        words.append("Nothing shows that the new version moves labels.")
    return " ".join(words)


def _percent(share: float) -> str:
    return f"{round(100 * share)} %"


def differing_within(between: Mapping[str, Any], version: int) -> Share | None:
    """How often two people differed who both answered under `version`; None where that is not known.

    `between` is the part of a measured agreement that is about versions (services/versions.py).
    """
    percent = next((row["percent"] for row in between["within"] if row["version"] == version), None)
    if percent is None or percent["this_team"] is None:
        return None
    team = percent["this_team"]
    return Share(percent["value"], team["low"], team["high"], percent["n"]["items"]).rest


def alphas_between(between: Mapping[str, Any], look: int, found: Comparison) -> dict[str, dict[str, Any]]:
    """The measured alphas of one comparison, by who judged again: all, author, others."""
    versions = (found.old_version, found.new_version)
    return {
        row["who"]: row["alpha"]
        for row in between["alphas"]
        if row["look"] == look and (row["old_version"], row["new_version"]) == versions
    }


PAIR_COLUMNS = (
    "item_id", "external_id", "old_value", "new_value", "is_equal", "old_version", "new_version", "old_annotator",
    "new_annotator", "by_author", "old_annotation_id", "new_annotation_id", "old_at", "new_at", "propensity",
)  # fmt: skip


def pairs_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """Old and new labels for a spreadsheet: one row an item, PAIR_COLUMNS."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(PAIR_COLUMNS)
    for row in rows:
        writer.writerow([_cell(row[name]) for name in PAIR_COLUMNS])
    return out.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False)
    return csv_safe(value) if isinstance(value, str) else value
