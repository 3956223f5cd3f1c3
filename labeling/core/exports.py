"""Writing labels: JSON Lines for machines, CSV that spreadsheets cannot be tricked by, Parquet for tables."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any, Protocol

FORMATS = {"jsonl": "JSON Lines", "csv": "CSV", "parquet": "Parquet"}
CONTENT_TYPES = {
    "jsonl": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}
KINDS = {"annotations": "One row per annotation", "resolved": "One row per resolved item"}

# Rows encoded at a time, and rows of a Parquet row group.
BATCH_ROWS = 2_000
_GROUP_ROWS = 20_000

# Every column, in order, with the type of its cells. "text" and "data" stand for the item's data: in the table
# formats its text has a column of its own and the other fields are JSON; in JSON Lines `data` is whole.
COLUMNS: dict[str, dict[str, str]] = {
    "annotations": {
        "annotation_id": "int",
        "item_id": "int",
        "external_id": "text",
        "text": "text",
        "data": "json",
        "meta": "json",
        "split": "text",
        "value": "value",
        "annotator": "text",
        "source": "text",
        "schema_version": "int",
        "seconds": "float",
        "suggestion_shown": "bool",
        "suggestion": "json",
        "reason": "text",
        "propensity": "float",
        "is_late": "bool",
        "created_at": "time",
    },
    "resolved": {
        "resolution_id": "int",
        "item_id": "int",
        "external_id": "text",
        "text": "text",
        "data": "json",
        "meta": "json",
        "split": "text",
        "value": "value",
        "method": "text",
        "posterior": "float",
        "distribution": "json",
        "n_annotations": "int",
        "model_vote": "value",
        "adjudicator": "text",
        "note": "text",
        "created_at": "time",
    },
}

# A spreadsheet takes a cell that begins with one of these for a formula.
_DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\x00")


def csv_safe(text: str) -> str:
    """The text with an apostrophe in front when a spreadsheet would take it for a formula."""
    return "'" + text if text.startswith(_DANGEROUS) else text


class Encoder(Protocol):
    """Turns rows into the bytes of a file, piece by piece."""

    # Cells that differ from the data because they were made safe.
    n_changed_cells: int

    def start(self) -> bytes: ...

    def encode(self, rows: list[dict[str, Any]]) -> bytes: ...

    def finish(self) -> bytes: ...


def encoder_for(file_format: str, kind: str) -> Encoder:
    """The encoder of one of FORMATS for rows of one of KINDS."""
    return table_encoder(file_format, COLUMNS[kind])


def table_encoder(file_format: str, columns: Mapping[str, str]) -> Encoder:
    """The encoder of one of FORMATS for rows with these columns: names in order, with the type of their cells."""
    encoders: dict[str, Callable[[Mapping[str, str]], Encoder]] = {
        "jsonl": _JsonLinesEncoder,
        "csv": _CsvEncoder,
        "parquet": _ParquetEncoder,
    }
    return encoders[file_format](columns)


def encoded(rows: Iterable[dict[str, Any]], encoder: Encoder) -> Iterator[bytes]:
    """The file in pieces. Holds BATCH_ROWS rows at a time, for Parquet those of one row group."""
    yield encoder.start()
    iterator = iter(rows)
    while batch := list(islice(iterator, BATCH_ROWS)):
        yield encoder.encode(batch)
    yield encoder.finish()


class _JsonLinesEncoder:
    """One object a line, nothing changed."""

    def __init__(self, columns: Mapping[str, str]) -> None:
        self.n_changed_cells = 0
        self._dumps = json.JSONEncoder(ensure_ascii=False, separators=(", ", ": "), default=_as_text).encode

    def start(self) -> bytes:
        return b""

    def encode(self, rows: list[dict[str, Any]]) -> bytes:
        dumps = self._dumps
        return "".join(dumps(row) + "\n" for row in rows).encode()

    def finish(self) -> bytes:
        return b""


class _CsvEncoder:
    """RFC 4180, UTF-8, one header line."""

    def __init__(self, columns: Mapping[str, str]) -> None:
        self.n_changed_cells = 0
        self._columns = columns
        self._text = io.StringIO(newline="")
        self._writer = csv.writer(self._text)

    def start(self) -> bytes:
        self._writer.writerow(self._columns)
        return self._take()

    def encode(self, rows: list[dict[str, Any]]) -> bytes:
        types = list(self._columns.items())
        for row in rows:
            cells = _table_cells(row)
            self._writer.writerow([self._cell(cells[name], of_type) for name, of_type in types])
        return self._take()

    def finish(self) -> bytes:
        return b""

    def _cell(self, value: Any, of_type: str) -> Any:
        # Numbers stay numbers: "-4" is a rating, not a formula.
        if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
            return value
        if of_type == "bool":
            return "true" if value else "false"
        if of_type == "time":
            return value.isoformat()
        text = value if isinstance(value, str) else _json(value)
        safe = csv_safe(text)
        if safe is not text:
            self.n_changed_cells += 1
        return safe

    def _take(self) -> bytes:
        piece = self._text.getvalue().encode()
        self._text.seek(0)
        self._text.truncate()
        return piece


class _ParquetEncoder:
    """Typed columns; what has no fixed type (fields, segments, several labels) is JSON text."""

    def __init__(self, columns: Mapping[str, str]) -> None:
        import pyarrow
        import pyarrow.parquet

        self.n_changed_cells = 0
        arrow = {
            "int": pyarrow.int64(),
            "float": pyarrow.float64(),
            "bool": pyarrow.bool_(),
            "time": pyarrow.timestamp("us", tz="UTC"),
        }
        self._columns = columns
        self._schema = pyarrow.schema(
            [(name, arrow.get(of_type, pyarrow.string())) for name, of_type in self._columns.items()]
        )
        self._pieces = _Pieces()
        self._writer = pyarrow.parquet.ParquetWriter(self._pieces, self._schema, compression="zstd")
        self._waiting: list[dict[str, Any]] = []

    def start(self) -> bytes:
        return self._pieces.take()

    def encode(self, rows: list[dict[str, Any]]) -> bytes:
        texts = [name for name, of_type in self._columns.items() if of_type in ("text", "json", "value")]
        for row in rows:
            cells = _table_cells(row)
            for name in texts:
                value = cells[name]
                if value is not None and not isinstance(value, str):
                    cells[name] = _json(value)
            self._waiting.append(cells)
        if len(self._waiting) >= _GROUP_ROWS:
            self._write_group()
        return self._pieces.take()

    def finish(self) -> bytes:
        self._write_group()
        self._writer.close()
        return self._pieces.take()

    def _write_group(self) -> None:
        import pyarrow

        if self._waiting:
            self._writer.write_table(pyarrow.Table.from_pylist(self._waiting, schema=self._schema))
            self._waiting = []


class _Pieces(io.RawIOBase):
    """A file that is written from front to back and handed out as it grows."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self._position += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._position

    def take(self) -> bytes:
        whole = b"".join(self._pieces)
        self._pieces.clear()
        return whole


def _table_cells(row: dict[str, Any]) -> dict[str, Any]:
    """The row with the item's text in a column of its own and empty objects left blank. A row without an item stays."""
    if "data" not in row:
        return dict(row)
    data = row["data"]
    text = data.get("text")
    if isinstance(text, str):
        data = {name: value for name, value in data.items() if name != "text"}
    else:
        text = None
    return {**row, "text": text, "data": data or None, "meta": row["meta"] or None}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _as_text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
