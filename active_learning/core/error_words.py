"""Groups of mistakes in words, and as a section of the guidelines. No numeric libraries: pages use it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from active_learning.core.cost_lines import ABSENT

KIND_TITLES = {
    "confusion": "What is taken for what",
    "segment": "Segments",
    "cluster": "Clusters of like items",
    "length": "Length of the text",
}
# Signs that Markdown would take for its own.
_MARKDOWN = re.compile(r"([\\`*_\[\]<>~|#])")


def group_words(row: Mapping[str, Any]) -> str:
    """A group in a few words, by the stored row of it."""
    definition = row["definition"]
    if row["kind"] == "confusion":
        true, said = definition["true"], definition["said"]
        if true == ABSENT:
            return f"“{said}” said where it is not"
        return f"“{true}” missed" if said == ABSENT else f"“{true}” taken for “{said}”"
    if row["kind"] == "cluster":
        words = ", ".join(word["word"] for word in row["words"][:3])
        return f"cluster {definition['number']}" + (f": {words}" if words else "")
    if row["kind"] == "length":
        start, end = definition["from"], definition["to"]
        if end is None:
            return f"{start:,} characters and more"
        return f"{start:,} to {end:,} characters" if start else f"up to {end:,} characters"
    return f"{definition['key']}: {definition['group']}"


def guideline_section(row: Mapping[str, Any], examples: Sequence[tuple[str, str]]) -> str:
    """A Markdown section to edit: what is confused, and texts to decide about as quotes, each with its label.

    `examples`: pairs of text and label. Their signs are escaped: a text that looks like Markdown stays a text.
    """
    lines = [f"## {escape(_title(row))}", "", "Say here how to tell them apart, or what to do when in doubt.", ""]
    for text, label in examples:
        lines += [f"> {escape(' '.join(text.split()))}", "", f"is **{escape(label)}**, because …", ""]
    return "\n".join(lines)


def _title(row: Mapping[str, Any]) -> str:
    if row["kind"] != "confusion":
        return f"Items such as {group_words(row)}"
    true, said = row["definition"]["true"], row["definition"]["said"]
    if ABSENT in (true, said):
        return f"When is it {said if true == ABSENT else true}?"
    return f"{true} or {said}?"


def escape(text: str) -> str:
    """The text as Markdown that shows it and does nothing else."""
    return re.sub(r"^(\d+)([.)])", r"\1\\\2", re.sub(r"^([-+=])", r"\\\1", _MARKDOWN.sub(r"\\\1", text)))
