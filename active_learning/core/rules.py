"""Keyword rules: the simplest baseline that an owner may already have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Stands between words and label where people type rules.
MARK = "=>"


@dataclass(frozen=True, slots=True)
class Rule:
    """Says `value` of a text that contains one of the words or phrases, whatever their case."""

    contains: tuple[str, ...]
    value: object

    def applies(self, text: str) -> bool:
        lowered = text.lower()
        return any(phrase.lower() in lowered for phrase in self.contains)


def parse_rules(stored: object) -> tuple[Rule, ...]:
    """Rules from JSON: an ordered list of {"contains": [...], "value": ...}. Raises ValueError naming the place."""
    if not isinstance(stored, list):
        raise ValueError("Rules are a list.")
    rules = []
    for number, entry in enumerate(stored, start=1):
        phrases = entry.get("contains") if isinstance(entry, Mapping) else None
        if not isinstance(phrases, list) or not phrases or not all(isinstance(p, str) and p.strip() for p in phrases):
            raise ValueError(f'Rule {number} needs "contains": a list of words.')
        if "value" not in entry:
            raise ValueError(f'Rule {number} needs a "value".')
        rules.append(Rule(tuple(phrases), entry["value"]))
    return tuple(rules)


def rule_predictions(rules: Sequence[Rule], texts: Sequence[str], otherwise: object) -> list[object]:
    """The value of the first rule that applies to each text, else `otherwise`."""
    return [next((rule.value for rule in rules if rule.applies(text)), otherwise) for text in texts]


def rules_from_lines(text: str, *, kind: str) -> list[dict[str, Any]]:
    """Stored rules from lines such as "refund, money back => complaint". Raises ValueError naming the line."""
    stored = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        words, mark, value = line.rpartition(MARK)
        phrases = [phrase.strip() for phrase in words.split(",") if phrase.strip()]
        value = value.strip()
        if not mark or not phrases or not value:
            raise ValueError(f'Line {number} does not read "word, word {MARK} label".')
        stored.append({"contains": phrases, "value": _typed(value, kind, number)})
    return stored


def rules_to_lines(stored: Sequence[Mapping[str, Any]]) -> str:
    """The same the other way round."""
    lines = []
    for rule in stored:
        value = rule["value"]
        shown = ", ".join(value) if isinstance(value, list) else str(value)
        lines.append(f"{', '.join(rule['contains'])} {MARK} {shown}")
    return "\n".join(lines)


def _typed(value: str, kind: str, line: int) -> str | int | list[str]:
    if kind == "choices":
        return sorted({part.strip() for part in value.split(",") if part.strip()})
    if kind == "rating":
        try:
            return int(value)
        except ValueError:
            raise ValueError(f"Line {line}: a rating is a whole number, not {value}.") from None
    return value
