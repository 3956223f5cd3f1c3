"""Rows of a file as inputs of a model, and answers as rows of a file. No numeric libraries."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labeling.core.formats import Row, RowError

# Columns of what comes out, with the type of their cells.
ANSWER_COLUMNS = {
    "row": "int",
    "id": "text",
    "prediction": "text",
    "value": "value",
    "probabilities": "json",
    "confidence": "float",
    "certainty": "float",
    "decision": "text",
    "why": "text",
    "model": "int",
    "source": "text",
    "error": "text",
}
ID_COLUMNS = ("id", "external_id")
MAX_ID = 200
# Answered at a time: so many rows, or of so many characters together.
MAX_ROWS = 1_000
MAX_CHARACTERS = 8_000_000


@dataclass(frozen=True, slots=True)
class BatchRow:
    """One row to answer: its number from 1, the owner's id, and its fields or why it cannot be read."""

    number: int
    id: str
    data: Mapping[str, Any] | None
    problem: str = ""
    size: int = 0


def batch_row(row: Row, text_column: str) -> BatchRow:
    """A row of a file as an input.

    Empty cells are missing fields; an object in `data`, as items have it, holds the fields; `text_column` is called
    "text".
    """
    number, values = row
    if isinstance(values, RowError):
        return BatchRow(number, "", None, f"{values.field} {values.message}".strip())
    found = next((values[name] for name in ID_COLUMNS if values.get(name) not in (None, "")), "")
    own_id = found if isinstance(found, str) else json.dumps(found)
    inner = values.get("data")
    if isinstance(inner, dict):
        data = dict(inner) | ({"features": values["features"]} if values.get("features") else {})
    else:
        data = {name: value for name, value in values.items() if value is not None and value != ""}
        if text_column in data:
            data["text"] = data.pop(text_column)
    return BatchRow(number, own_id[:MAX_ID], data, size=sum(map(_length, data.values())))


def _length(value: object) -> int:
    return len(value) if isinstance(value, str) else len(str(value)) if isinstance(value, dict | list) else 8


def in_chunks(rows: Iterable[BatchRow]) -> Iterator[list[BatchRow]]:
    """The rows in order, as many at a time as may be held in memory."""
    chunk: list[BatchRow] = []
    size = 0
    for row in rows:
        if chunk and (len(chunk) >= MAX_ROWS or size + row.size > MAX_CHARACTERS):
            yield chunk
            chunk, size = [], 0
        chunk.append(row)
        size += row.size
    if chunk:
        yield chunk


def text_column_of(rows: Sequence[Mapping[str, Any]], guessed: str | None, texts: Sequence[str]) -> str:
    """The column that is to be called "text", where the model reads that and the file has none; empty otherwise.

    `guessed` seems to be the text by its first values in `rows`; a column of numbers alone is none.
    """
    if not guessed or "text" not in texts or any(name in row for row in rows for name in ("text", "data")):
        return ""
    return guessed if any(_is_words(row.get(guessed)) for row in rows) else ""


def _is_words(value: object) -> bool:
    if not isinstance(value, str) or not value.strip():
        return False
    try:
        float(value.replace(",", ""))
    except ValueError:
        return True
    return False


def refused_row(row: BatchRow) -> dict[str, Any]:
    """What comes out for a row that was not answered."""
    return dict.fromkeys(ANSWER_COLUMNS) | {"row": row.number, "id": row.id or None, "error": row.problem}
