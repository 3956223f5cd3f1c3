"""A measured agreement (core/agreement/summary.py) in words, and as rows for a file. No numeric libraries."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from labeling.core.shares import Share, wilson

# Krippendorff's own marks for what to draw conclusions from: 2/3 tentatively, .8 firmly. Conventions, no laws.
TENTATIVE = 0.667
FIRM = 0.8

_MEANINGS = {
    "Percent": "how often two answers to the same item are equal; chance is not taken out",
    "Krippendorff's alpha, nominal": "1 is full agreement, 0 what chance gives; labels differ or not",
    "Krippendorff's alpha, ordinal": "the same, where points further apart in rank differ more",
    "Krippendorff's alpha, interval": "the same, where the distance between the points counts",
    "Krippendorff's alpha, equal sets": "chance taken out; two sets of labels are equal or not",
    "Krippendorff's alpha, Jaccard": "the same; sets agree as far as they share labels",
    "Krippendorff's alpha, MASI": "the same, and a set inside another agrees more than one that only overlaps",
    "Gwet's": "chance taken out in another way, which holds up where one label is common",
    "Fleiss'": "chance taken out as if everybody used the labels as the team does",
    "Cohen's": "chance taken out by how each of the two uses the labels",
    "Conger's": "Cohen's for more than two: by how each person uses the labels",
}

COLUMNS = ("section", "name", "coefficient", "value", "low", "high", "interval", "n", "method", "seed")


def meaning(title: str) -> str:
    """What a coefficient says, in one line."""
    return next((words for start, words in _MEANINGS.items() if title.startswith(start)), "")


def mark_words(low: float | None, value: float) -> str:
    """Where a coefficient stands beside the usual marks, judged by the lower end of its interval."""
    least = value if low is None else low
    if least >= FIRM:
        return "above .8, by convention the mark for firm conclusions"
    if least >= TENTATIVE:
        return "above .667, by convention the mark for tentative conclusions; .8, that for firm ones, is not sure"
    if value >= TENTATIVE:
        return "perhaps above .667, by convention the mark for tentative conclusions: the interval reaches below it"
    return "below .667, by convention the mark for tentative conclusions"


def to_csv(result: Mapping[str, Any]) -> str:
    """One row a number: what it is, its interval, what it rests on, how it was made."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    seed = result["method"]["seed"]
    for row in number_rows(result):
        writer.writerow({name: _safe(row.get(name)) for name in COLUMNS} | {"seed": seed})
    return out.getvalue()


def _safe(cell: Any) -> Any:
    # A name that starts like a formula must not become one in a spreadsheet.
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell


def number_rows(result: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The numbers of a report, section by section. What is not defined has no value; `method` says why."""
    names = result["names"]

    def called(number: int) -> str:
        return str(names.get(str(number), {}).get("name", number))

    for one in result["overall"]:
        yield from _of_coefficient("overall", "", one)
    for row in result["labels"]:
        yield from _of_coefficient("label", row["label"], row["alpha"], "Krippendorff's alpha, one against rest")
    for row in result["confusions"]:
        name = f"{row['first']} / {row['second']}"
        yield {
            "section": "confusion",
            "name": name,
            "coefficient": "Share of disagreement",
            "value": row["share"],
            "n": row["items"],
        }
        gain = row["gain"]
        yield _row(
            "confusion", name, "Gain of alpha if merged", gain["value"], gain["interval"], gain["n"], "", "this team"
        )
    for row in result["pairs"]["pairs"]:
        name = f"{called(row['first'])} / {called(row['second'])}"
        yield from _of_coefficient("pair", name, row["kappa"], "Cohen's kappa, weighted" if row["plain"] else "")
        if row["plain"]:
            yield from _of_coefficient("pair", name, row["plain"])
        n = row["kappa"]["n"]["items"]
        yield _row("pair", name, "Percent agreement", row["percent"], row["percent_interval"], n, "", "items")
    for row in result["people"]:
        yield from _of_person(row, called(row["person"]), result["method"]["labels"])
    for place, window in enumerate(result["windows"], start=1):
        yield from _of_coefficient("window", str(place), window["alpha"])
    between = result.get("between_versions", {"alphas": [], "within": []})
    for row in between["alphas"]:
        name = f"look {row['look']}: version {row['old_version']} to {row['new_version']}, {row['who']}"
        yield from _of_coefficient("second look", name, row["alpha"])
    for row in between["within"]:
        yield from _of_coefficient("version", str(row["version"]), row["percent"])
    yield from _of_influence(result["influence"])


def _of_coefficient(section: str, name: str, one: Mapping[str, Any], title: str = "") -> Iterator[dict[str, Any]]:
    title, n = title or one["title"], one["n"]["items"]
    if one["value"] is None or one["this_team"] is None or one["others_like_them"] is None:
        yield _row(section, name, title, one["value"], one["this_team"], n, one["reason"], "this team")
        return
    yield _row(section, name, title, one["value"], one["this_team"], n, "", "this team")
    yield _row(section, name, title, one["value"], one["others_like_them"], n, "", "other people like them")


def _of_person(row: Mapping[str, Any], name: str, labels: Sequence[str]) -> Iterator[dict[str, Any]]:
    if row["seconds"]:
        took = row["seconds"]
        limits = {"low": took["low"], "high": took["high"], "method": "ranks"}
        yield _row("person", name, "Median seconds", took["value"], limits, took["n"], "", "answers")
    if row["gold"]:
        yield _of_share("person", name, "Known answers right", row["gold"])
    if row["weight"] is not None:
        weight = row["weight"]
        yield _row("person", name, "Weight in the consensus", weight["value"], None, weight["n"], "Dawid-Skene", "")
    against = row["with_others"]
    if against:
        yield from _of_coefficient("person", name, against["agreement"])
        change = against["alpha_change"]
        title = "Change of alpha through them"
        yield _row("person", name, title, change["value"], change["interval"], change["n"], "", "this team")
        for cell in confused(against["confusion"]):
            title = f"Says {labels[cell.said]} where most others say {labels[cell.others]}"
            yield _of_share("person", name, title, asdict(cell.share))


@dataclass(frozen=True, slots=True)
class Confused:
    """How often somebody says a label where most of the others say this one or another (numbers of labels)."""

    others: int
    said: int
    n_items: int
    share: Share


def confused(confusion: Mapping[str, Any] | None) -> Iterator[Confused]:
    """A person's cells as stored (core/agreement/summary.py), each with its share of the row."""
    if confusion is None:
        return
    rows = dict(confusion["of"])
    for others, said, n in confusion["cells"]:
        share = wilson(n, rows[others])
        assert share is not None  # the row holds this cell
        yield Confused(others, said, n, share)


def _of_influence(influence: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for key, title in (("taken", "Answers equal to the suggestion"), ("accuracy", "Answers right")):
        found = influence.get(key)
        if found:
            for arm in ("shown", "hidden"):
                yield _of_share("suggestions", arm, title, found[arm]) | {"method": "Wilson, clusters"}
            limits = found["difference"] | {"method": "Newcombe, clusters"}
            n = found["shown"]["n"] + found["hidden"]["n"]
            yield _row("suggestions", "shown - hidden", title, limits["value"], limits, n, "", "difference")
    seconds = influence.get("seconds")
    if seconds:
        for key, name in (("shown", "shown"), ("hidden", "hidden"), ("change", "shown - hidden")):
            one = seconds[key]
            limits = one | {"method": "cluster bootstrap, t"}
            yield _row("suggestions", name, "Median seconds", one["value"], limits, one["n"], "", "answers")
    for row in influence.get("people", []):
        yield _of_share("suggestions", row["name"], "Suggestions taken when shown", row["shown"])


def _of_share(section: str, name: str, title: str, share: Mapping[str, Any]) -> dict[str, Any]:
    limits = {"low": share["low"], "high": share["high"], "method": "Wilson"}
    return _row(section, name, title, share["value"], limits, share["n"], "", "share")


def _row(
    section: str,
    name: str,
    title: str,
    value: float | None,
    limits: Mapping[str, Any] | None,
    n: int,
    why: str,
    interval: str,
) -> dict[str, Any]:
    return {
        "section": section,
        "name": name,
        "coefficient": title,
        "value": value,
        "low": limits["low"] if limits else None,
        "high": limits["high"] if limits else None,
        "interval": interval if limits else "",
        "n": n,
        "method": limits["method"] if limits else why,
    }
