"""The model card as Markdown: what a version is for, what it learned from, how good it is, where it may fail.

The sections follow Mitchell et al. (2019), Model Cards for Model Reporting.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from active_learning.core.checklist import Line
from active_learning.core.choice import choice_words, tried_rows
from active_learning.core.loop import influence_words
from active_learning.core.weak_words import weak_words

# Labels listed in a table; a schema may have thousands.
LABELS_SHOWN = 50
_STATES = {"passed": "yes", "failed": "**no**", "undecided": "not enough data yet"}
# Where unfairness and error come in, and what was done about each (Suresh and Guttag 2021, in short).
_BIASES = (
    ("Data", "Labeled items are mostly those that the model was torn about; {audited} random audit items are not."),
    ("Labels", "A settled value weighs as much as the consensus is sure of it. Left out are items whose answers tie."),
    ("Algorithm", "{balance}"),
    ("Feedback", "Audit items are judged without a suggestion on screen, and no model ever trains on them."),
)


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What the card says, read from the version. `metrics` and `parameters` are as stored with it."""

    project: str
    description: str
    number: int
    state: str
    state_reason: str
    created_at: str
    sha256: str
    dataset: str
    n_items: int
    class_counts: Mapping[str, int]
    schema_version: int
    parent: int | None
    code_version: str
    environment: Mapping[str, str]
    parameters: Mapping[str, Any]
    metrics: Mapping[str, Any]
    checklist: Sequence[Line]
    files: Mapping[str, str]
    # When somebody was forgotten from whose words it learned, and of how many items the label came of them.
    erasures: Sequence[tuple[str, int]] = ()


def card_markdown(facts: CardFacts) -> str:
    """The card. What was not measured says so; text that people typed cannot break out of its line or table cell."""
    parts = [
        f"# Model {facts.number}: {_line(facts.project)}",
        f"State: {facts.state}. {_line(facts.state_reason)}".strip(),
        _table(
            ("", ""),
            [
                ("trained", facts.created_at),
                ("sha256", f"`{facts.sha256}`"),
                ("replaces", f"model {facts.parent}" if facts.parent else "none was live"),
                ("code", f"`{facts.code_version}`"),
                *((name, version) for name, version in sorted(facts.environment.items())),
            ],
        ),
        "## Use",
        _line(facts.description) or "No description was given.",
        "It proposes labels to people and, where its owner serves it, answers what they send. It was not tested for "
        "anything else.",
        "## What it learned from",
        f"{facts.n_items:,} items, {_line(facts.dataset)}, schema version {facts.schema_version}.",
        _table(("label", "items"), _counts(facts.class_counts)),
        *([words] if (words := influence_words(facts.metrics.get("loop") or {})) else []),
        *_said_by_users(facts.metrics.get("weak") or {}),
        *(
            f"Somebody was forgotten on {day} from whose words labels had come (items: {n:,}). What they said is gone."
            for day, n in facts.erasures
        ),
        "## How good it is",
        *_quality(facts.metrics),
        "## Checklist",
        _table(
            ("question", "answer", "measured"),
            [
                (line.title, "not ticked" if line.state is None else _STATES[line.state], line.words)
                for line in facts.checklist
            ],
        ),
        "## Where bias may come in",
        "\n".join(f"- {name}: {words}" for name, words in _biases(facts)),
        "## How it was made",
        *_choice(facts.metrics.get("search")),
        _table(("parameter", "value"), sorted((name, str(value)) for name, value in facts.parameters.items())),
        _table(("file", "sha256"), [(name, f"`{digest}`") for name, digest in sorted(facts.files.items())])
        if facts.files
        else "Its files are not at hand.",
    ]
    return "\n\n".join(parts) + "\n"


def _said_by_users(found: Mapping[str, Any]) -> list[str]:
    words = weak_words(found)
    return ["### What users say", " ".join(words)] if words else []


def _quality(metrics: Mapping[str, Any]) -> list[str]:
    audit = metrics.get("audit") or {}
    accuracy = audit.get("accuracy")
    if not accuracy:
        return ["Not enough data yet: no audit item was answered."]
    rows = [("accuracy", _share(accuracy["value"], accuracy["low"], accuracy["high"]), f"{accuracy['n']:,}")]
    if audit.get("macro_f1") is not None:
        low, high = audit.get("macro_f1_interval") or (None, None)
        rows.append(("macro-F1", _share(audit["macro_f1"], low, high), f"{accuracy['n']:,}"))
    if found := metrics.get("mean_auc"):
        rows.append(
            ("AUC, mean over labels", _share(found["value"], found["low"], found["high"]), f"{accuracy['n']:,}")
        )
    for when, words in (("before", "before scaling"), ("after", "as it answers")):
        if found := (metrics.get("calibration") or {}).get(when):
            rows.append(
                (f"calibration error {words}", _share(found["ece"], found["low"], found["high"]), f"{found['n']:,}")
            )
    if cost := metrics.get("cost"):
        costs = {"cost of an item": cost["model"]} | {
            f"saved of it against {name}": entry["saved"] for name, entry in sorted(cost["baselines"].items())
        }
        rows += [(name, _share(one["value"], one["low"], one["high"]), f"{one['n']:,}") for name, one in costs.items()]
    rating = metrics.get("rating") or {}
    for name, found in (("mean error, points", rating.get("mean_error")), ("kappa, quadratic", rating.get("kappa"))):
        if found:
            rows.append((name, _share(found["value"], found["low"], found["high"]), f"{found['n']:,}"))
    for name, entry in sorted(metrics.get("baselines", {}).items()):
        if found := entry.get("accuracy"):
            rows.append((f"baseline {name}", _share(found["value"], found["low"], found["high"]), f"{found['n']:,}"))
    return [
        "On audit items: drawn at random, judged blind, never learned from.",
        _table(("", "value", "n"), rows),
        *_by_label(audit, metrics.get("by_label", ())),
        *_by_segment(metrics.get("segments") or {}),
    ]


def _by_label(audit: Mapping[str, Any], more: Sequence[Mapping[str, Any]]) -> list[str]:
    """Precision, recall and F1 of each label; nothing where too few items were audited to say."""
    if not more:
        return []
    rows = []
    for entry, other in list(zip(audit["classes"], more, strict=True))[:LABELS_SHOWN]:
        interval = other["f1_interval"] or (None, None)
        f1 = _share(entry["f1"], *interval) if entry["f1"] is not None else "not defined"
        parts = [_known(entry[name]) for name in ("precision", "recall")]
        rows.append((str(entry["label"]), f"{entry['n_true']:,}", *parts, f1))
    left = len(more) - len(rows)
    table = _table(("label", "audit items", "precision", "recall", "F1"), rows)
    return ["### By label", table, *([f"{left:,} more labels."] if left else [])]


def _by_segment(segments: Mapping[str, Any]) -> list[str]:
    """Accuracy of each group and, of protected ones, the ratios to the group that gets the favourable label most."""
    rows = [
        (
            f"{key['key']}{' (protected)' if key['is_protected'] else ''}",
            str(group["group"]),
            "few" if group["n"] is None else f"{group['n']:,}",
            _known(group["accuracy"]),
            _known(group["disparate_impact"]),
            _known(group["equal_opportunity"]),
        )
        for key in segments.get("keys", ())
        for group in key["groups"]
    ]
    if not rows:
        return []
    head = ("segment", "group", "audit items", "accuracy", "disparate impact", "equal opportunity")
    favourable = segments.get("favourable")
    note = f"Ratios are of how often “{_line(str(favourable))}” is said." if favourable else ""
    return ["### By segment", _table(head, rows), *([note] if note else [])]


def _known(found: Mapping[str, Any] | None) -> str:
    return "not known" if found is None else _share(found["value"], found["low"], found["high"])


def _choice(search: Mapping[str, Any] | None) -> list[str]:
    """Which learners were compared, and what came of it."""
    if not search:
        return []
    rows = [
        (row.name, f"{row.loss:.3f}", "" if row.macro_f1 is None else f"{row.macro_f1:.3f}", row.is_chosen)
        for row in tried_rows(search)
    ]
    table = [(name, loss, f1, "taken" if taken else "") for name, loss, f1, taken in rows]
    found = [_table(("learner", "log-loss", "macro-F1", ""), table)] if table else []
    return [choice_words(search), *found]


def _share(value: float, low: float | None, high: float | None) -> str:
    interval = "" if low is None or high is None else f" (95 % interval {low:.3f} to {high:.3f})"
    return f"{value:.3f}{interval}"


def _counts(counts: Mapping[str, int]) -> list[tuple[str, str]]:
    rows = sorted(counts.items(), key=lambda row: (-row[1], row[0]))
    shown = [(label, f"{n:,}") for label, n in rows[:LABELS_SHOWN]]
    return [*shown, (f"{len(rows) - LABELS_SHOWN} more labels", "")] if len(rows) > LABELS_SHOWN else shown


def _biases(facts: CardFacts) -> list[tuple[str, str]]:
    audited = f"{facts.metrics.get('n_audited', 0):,}"
    power = facts.parameters.get("balance")
    balance = (
        "It counts of each label the words of all other items, so a rare label is not judged by its own few alone."
        if power is None
        else f"Rare labels weigh more: rows are weighted by the inverse class frequency to the power {power}."
    )
    return [(name, words.format(audited=audited, balance=balance)) for name, words in _BIASES]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_line(cell).replace("|", "\\|") for cell in row) + " |" for row in lines)


def _line(text: str) -> str:
    """On one line, and no markup of its own."""
    return " ".join(text.split()).replace("<", "&lt;").replace("[", "\\[")
