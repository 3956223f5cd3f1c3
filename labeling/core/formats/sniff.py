"""What kind of file is this? By its content first, then by its name."""

import codecs
import csv
import json
import re
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO, Self

from labeling.core.errors import Invalid

SAMPLE_SIZE = 64 * 1024
# A form is offered these; the rest of the world should be saved as UTF-8.
ENCODINGS = {"utf-8": "UTF-8", "utf-16": "UTF-16", "cp1252": "Windows-1252"}

_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f]")
_DELIMITERS = ",\t;|"
_FOREIGN = (
    (b"PK\x03\x04", "an Excel workbook or a ZIP archive. Save the sheet as CSV, or unpack the archive first"),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word document. Save it as CSV"),
    (b"\x1f\x8b", "a gzip archive. Unpack it first"),
    (b"BZh", "a bzip2 archive. Unpack it first"),
    (b"\xfd7zXZ", "an xz archive. Unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive. Unpack it first"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a picture. Import a file with a column of image addresses instead"),
    (b"\xff\xd8\xff", "a picture. Import a file with a column of image addresses instead"),
    (b"SQLite format 3", "a SQLite database"),
    (b"ARROW1", "an Arrow or Feather file. Write it as Parquet"),
    (b"\x80\x04\x95", "a Python pickle, which is never opened"),
)


@dataclass(frozen=True, slots=True)
class FileFormat:
    """How to read a file: csv, tsv, json, jsonl or parquet, with the encoding and the delimiter of the text ones."""

    kind: str
    encoding: str = "utf-8"
    delimiter: str = ","

    @property
    def label(self) -> str:
        names = {"csv": "CSV", "tsv": "TSV", "json": "JSON", "jsonl": "JSON Lines", "parquet": "Parquet"}
        if self.kind == "parquet":
            return names[self.kind]
        return f"{names[self.kind]}, {'UTF-16' if self.encoding.startswith('utf-16') else _encoding_name(self)}"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        return cls(**value)


def _encoding_name(file_format: FileFormat) -> str:
    return ENCODINGS.get(file_format.encoding, "UTF-8")


def sniff(stream: BinaryIO, name: str, *, encoding: str | None = None) -> FileFormat:
    """The format of a file. `encoding` overrules what the bytes suggest.

    Raises Invalid for an empty file and for one that is no table, saying what it is where that can be told.
    """
    stream.seek(0)
    sample = stream.read(SAMPLE_SIZE)
    if not sample.strip(b" \t\r\n\x00\xef\xbb\xbf"):
        raise Invalid("The file is empty.", code="empty_file")
    suffix = name.lower().rpartition(".")[2]
    if sample.startswith(b"PAR1"):
        return FileFormat("parquet")
    if suffix == "parquet":
        raise Invalid("The file is named .parquet but does not begin like one.", code="not_a_table")
    for magic, what in _FOREIGN:
        if sample.startswith(magic):
            raise Invalid(f"The file is {what}.", code="not_a_table")
    detected = _encoding_of(sample)
    # The mark at the start of a file is not a matter of opinion.
    encoding = detected if encoding is None or (detected == "utf-8-sig" and encoding == "utf-8") else encoding
    if encoding not in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"):
        raise Invalid(f"The encoding “{encoding}” is not known. Use one of: {', '.join(ENCODINGS)}.", code="encoding")
    text = sample.decode(encoding, "replace").lstrip("\ufeff")
    n_controls = len(_CONTROLS.findall(text))
    if "\x00" in text or n_controls > len(text) / 20:
        raise Invalid(
            "The file is binary, not a table. Import CSV, TSV, JSON, JSON Lines or Parquet.", code="not_a_table"
        )
    if "\r" in text and "\n" not in text and len(sample) == SAMPLE_SIZE:
        raise Invalid(
            "The lines end with a carriage return alone. Save the file with ordinary line ends.", code="not_a_table"
        )
    if text.lstrip().startswith("<") and suffix not in ("csv", "tsv"):
        raise Invalid("The file is a web page or another XML document, not a table.", code="not_a_table")
    return _text_format(text, suffix, encoding)


def _encoding_of(sample: bytes) -> str:
    """UTF-8 unless a byte order mark or the pattern of zero bytes says UTF-16."""
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if sample.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    even, odd = sample[0:2000:2], sample[1:2000:2]
    if odd.count(0) > 0.4 * len(odd) and even.count(0) < 0.1 * len(even):
        return "utf-16-le"
    if even.count(0) > 0.4 * len(even) and odd.count(0) < 0.1 * len(odd):
        return "utf-16-be"
    return "utf-8"


def _text_format(text: str, suffix: str, encoding: str) -> FileFormat:
    start = text.lstrip()[:1]
    if suffix in ("jsonl", "ndjson"):
        return FileFormat("jsonl", encoding)
    if (suffix not in ("csv", "tsv") and start == "[") or (suffix == "json" and start != "{"):
        return FileFormat("json", encoding)
    if suffix not in ("csv", "tsv") and start == "{":
        first, _, rest = text.lstrip().partition("\n")
        try:
            json.loads(first)
        except (ValueError, RecursionError):
            return FileFormat("json", encoding)
        return FileFormat("jsonl" if rest.strip() or suffix != "json" else "json", encoding)
    delimiter = "\t" if suffix == "tsv" else _delimiter_of(text)
    return FileFormat("tsv" if delimiter == "\t" else "csv", encoding, delimiter)


def _delimiter_of(text: str) -> str:
    """The delimiter that splits the most of the first rows alike, a comma when none splits the header."""
    whole_lines = text.splitlines(keepends=True)
    if len(whole_lines) > 1:
        whole_lines.pop()  # It may be cut by the end of the sample.
    best, best_score = ",", (0, 0)
    for delimiter in _DELIMITERS:
        try:
            rows = [row for row, _ in zip(csv.reader(whole_lines, delimiter=delimiter), range(50), strict=False) if row]
        except csv.Error:
            continue
        width = len(rows[0]) if rows else 0
        if width > 1:
            alike = sum(len(row) == width for row in rows)
            if (alike, width) > best_score:
                best, best_score = delimiter, (alike, width)
    return best
