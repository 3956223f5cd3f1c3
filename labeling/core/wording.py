"""Items, values and times in words, for pages that list many of them. The label screen has its own in content.js."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

IMAGE_FIELDS = ("image", "image_url")
N_COLOURS = 8
_REASONS = {
    "acquisition": "the model is torn",
    "cold_start": "typical of a group of items that nobody has judged yet",
    "random": "random check",
    "audit": "random check: the model never learns from this one, it is measured by it",
    "second_opinion": "second opinion",
    "import_order": "in order of arrival",
    # Not what was searched for: that would tell what somebody expects it to be.
    "search": "somebody asked for it next",
    # Which mistake it is about is not told either.
    "errors": "the model often errs on items like this one",
}
_JOBS = {
    "train": "Training",
    "import": "Import",
    "export": "Export",
    "vote": "Votes",
    "similar": "Similar items",
    "errors": "Error analysis",
    "error_slice": "Items like an error",
    "batch": "Batch prediction",
}
_PAIR_OUTCOMES = {"a": "A is better", "b": "B is better", "tie": "Equally good"}


@dataclass(frozen=True, slots=True)
class LabelWord:
    """A value as people read it. `colour` is 1 to 8, the label's place in its schema; None: grey."""

    text: str
    colour: int | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that an item shows: `kind` is text, code or image (then `text` is its address)."""

    name: str
    kind: str
    text: str
    alt: str = ""


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a text; `is_marked` where it drove the model's suggestion."""

    text: str
    is_marked: bool


def item_parts(data: Any) -> list[Part]:
    """What an item shows, the image first. Empty fields are left out."""
    if not isinstance(data, Mapping):
        return [_part("", data)]
    parts: list[Part] = []
    for name, value in data.items():
        if value in (None, "", [], {}) or name == "alt":
            continue
        if name in IMAGE_FIELDS and isinstance(value, str):
            parts.insert(0, Part(name, "image", value, _image_words(data)))
        else:
            parts.append(_part(name, value))
    return parts


def first_words(data: Any, limit: int = 140) -> str:
    """An item on one line of at most `limit` characters."""
    text = data.get("text") if isinstance(data, Mapping) else None
    if isinstance(text, str) and text.strip():
        words = text
    else:
        words = " / ".join(part.alt if part.kind == "image" else part.text for part in item_parts(data))
    # Only the head is normalized: an item may hold a megabyte.
    line = " ".join(words[: limit * 4].split())
    if not line:
        return "an item without text"
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _image_words(data: Mapping[str, Any]) -> str:
    for name in ("alt", "caption", "title"):
        if isinstance(data.get(name), str) and data[name]:
            return str(data[name])
    return "image"


def _part(name: str, value: Any) -> Part:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return Part(name, "code", json.dumps(value, ensure_ascii=False, indent=2))
    return Part(name, "text", str(value))


def value_words(kind: str, config: Mapping[str, Any], value: Any) -> list[LabelWord]:
    """A stored value by the names of its schema. A label that the schema no longer has keeps its own text."""
    if kind == "rating":
        name = config.get("labels", {}).get(str(value))
        return [LabelWord(f"{value} {name}" if name else str(value))]
    if kind == "pair":
        return [LabelWord(_PAIR_OUTCOMES.get(value, str(value)))]
    labels = {label["value"]: (place, label) for place, label in enumerate(config.get("labels", []), start=1)}
    values = value if isinstance(value, list) else [value]
    words = []
    for one in values:
        place, label = labels.get(one, (N_COLOURS + 1, {"name": str(one)}))
        words.append(LabelWord(label.get("name") or str(one), place if place <= N_COLOURS else None))
    return words or [LabelWord("none of the labels")]


@dataclass(frozen=True, slots=True)
class Answer:
    """A value that can be given with one key; `key` is empty where no digit is left."""

    value: Any
    text: str
    key: str
    colour: int | None = None


def answers_of(kind: str, config: Mapping[str, Any]) -> list[Answer]:
    """The single values of a schema with the digits of the label screen (keymap.js); of several labels each one."""
    keys = [*"1234567890"]
    if kind == "rating":
        values: list[Any] = list(range(config["min"], config["max"] + 1))
        # Where the points are digits themselves, the digit is the key.
        if config["min"] >= 0 and config["max"] <= 9:
            keys = [str(point) for point in values]
    elif kind == "pair":
        values = ["a", "b", "tie"] if config.get("tie") else ["a", "b"]
    else:
        values = [label["value"] for label in config["labels"]]
    found = []
    for place, value in enumerate(values):
        word = value_words(kind, config, value)[0]
        found.append(Answer(value, word.text, keys[place] if place < len(keys) else "", word.colour))
    return found


def reason_code(code: str, detail: Mapping[str, Any]) -> str:
    """The reason as people are told it. A check, or a second look, that says so is none, so it goes by another."""
    return str(detail.get("as", "random")) if code in ("gold", "second_look") else code


def reason_words(code: str, detail: Mapping[str, Any]) -> str:
    """Why an item came."""
    code = reason_code(code, detail)
    if code == "practice":
        return f"practice {detail.get('number')} of {detail.get('of')}: its answer is known"
    top = detail.get("p") or []
    if code == "acquisition" and len(top) > 1:
        (first, p_first), (second, p_second) = top[0], top[1]
        return f"the model is torn: {first} {p_first:.2f} / {second} {p_second:.2f}"
    if code == "search" and "errors" in detail:
        code = "errors"
    return _REASONS.get(code, code)


def found_words(detail: Mapping[str, Any]) -> str:
    """How items that were found by search were found: “late refund”, like item #17, or like a group of errors."""
    if "errors" in detail:
        return f"like the errors {detail['errors']}"
    return f"like item #{detail['like']}" if "like" in detail else f"“{detail.get('query', '')}”"


def marked_passages(text: str, words: Iterable[Mapping[str, Any]]) -> list[Passage]:
    """The item's `text` cut where words carry weight.

    Words of other fields are left out; spans that overlap an earlier one or lie outside are dropped.
    """
    passages: list[Passage] = []
    at = 0
    own = [word for word in words if word.get("field", "text") == "text"]
    for span in sorted(own, key=lambda word: (word["start"], word["end"])):
        start, end = span["start"], span["end"]
        if not at <= start < end <= len(text):
            continue
        if start > at:
            passages.append(Passage(text[at:start], False))
        passages.append(Passage(text[start:end], True))
        at = end
    if at < len(text):
        passages.append(Passage(text[at:], False))
    return passages


def seconds_words(seconds: float | None) -> str:
    """A duration such as "0.4 s", "38 s", "2 min 5 s" or "1 h 20 min"; empty for None."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def job_words(kind: str) -> str:
    """What a background job does."""
    return _JOBS.get(kind, kind.replace("_", " ").capitalize())


def result_words(result: Mapping[str, Any] | None) -> str:
    """What came of a job: "created 120 · duplicates 3", by name. Lists and objects in it are for programs."""
    shown = []
    for name, value in sorted((result or {}).items()):  # PostgreSQL keeps no order of keys
        if isinstance(value, float):
            value = f"{value:.4g}"
        elif isinstance(value, int) and not isinstance(value, bool):
            value = f"{value:,}"
        elif not isinstance(value, str) or not value:
            continue
        shown.append(f"{name.replace('_', ' ')} {value}")
    return " · ".join(shown)
