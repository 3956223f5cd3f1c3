"""CSV and TSV: one row at a time, each with the line it came from."""

import csv
from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO

from labeling.core.errors import Invalid
from labeling.core.formats.rows import (
    MAX_COLUMN_NAME,
    MAX_COLUMNS,
    MAX_ROW_SIZE,
    Line,
    Row,
    RowError,
    bad_bytes,
    lines,
    size_text,
)

# Process-wide and only ever raised here: the default of 128 kB is shorter than texts that people judge.
csv.field_size_limit(MAX_ROW_SIZE + 1)


class _RowTooLongError(Exception):
    pass


class DelimitedRows:
    """The data rows of a CSV or TSV file. The header is read, and refused if it is wrong, on creation."""

    def __init__(self, stream: BinaryIO, *, size: int, encoding: str, delimiter: str) -> None:
        self._stream = stream
        self._size = size
        self._encoding = encoding
        self.line: int | None = None
        # What the csv module took since the last row, to bound a row and to say where a bad byte is.
        self._taken: list[Line] = []
        self._taken_size = 0
        stream.seek(0)
        self._lines = lines(stream, encoding)
        # strict: a misplaced quote is reported, not guessed at.
        self._reader = csv.reader(self._texts(), delimiter=delimiter, strict=True)
        self.columns = self._read_header()

    @property
    def share_read(self) -> float:
        return min(1.0, self._stream.tell() / self._size) if self._size else 1.0

    def _texts(self) -> Iterator[str]:
        for line in self._lines:
            self._taken.append(line)
            self._taken_size += len(line.text)
            if line.is_cut or self._taken_size > MAX_ROW_SIZE:
                raise _RowTooLongError
            yield line.text

    def _read_header(self) -> list[str]:
        try:
            record = next(self._reader)
        except StopIteration:
            raise Invalid("The file is empty.", code="empty_file") from None
        except _RowTooLongError:
            raise Invalid(
                f"The first line is longer than {size_text(MAX_ROW_SIZE)}: this is not a table with a header.",
                code="bad_header",
            ) from None
        except csv.Error as error:
            raise Invalid(f"The header cannot be read: {_explain(error)}.", code="bad_header") from None
        if problem := self._bad_bytes():
            raise Invalid(f"The header cannot be read. {problem}", code="bad_encoding")
        return check_columns([name.strip() or f"column {i}" for i, name in enumerate(record, start=1)])

    def _bad_bytes(self) -> str | None:
        for line in self._taken:
            if problem := bad_bytes(line.text, self._encoding, line.offset):
                return problem
        return None

    def __iter__(self) -> Iterator[Row]:
        number = 0
        width = len(self.columns)
        while True:
            self._taken.clear()
            self._taken_size = 0
            problem = ""
            record: list[str] = []
            try:
                record = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                problem = self._explain_row(error)
            except _RowTooLongError:
                problem = f"The row is longer than {size_text(MAX_ROW_SIZE)}. Is a quote never closed?"
            if not problem and not record:
                continue  # A blank line.
            number += 1
            self.line = self._taken[0].number
            if not problem and len(record) != width:
                problem = f"It has {len(record)} field{'' if len(record) == 1 else 's'}; the header has {width}."
            if problem or not all(line.text.isascii() for line in self._taken):
                problem = self._bad_bytes() or problem
            if problem:
                yield number, RowError(number, problem, line=self.line)
            else:
                yield number, dict(zip(self.columns, record, strict=True))
            if self._taken[-1].is_cut or self._taken_size > MAX_ROW_SIZE:
                # The generator that raised is finished: a new one goes on behind the cut.
                self._reader = csv.reader(self._texts(), dialect=self._reader.dialect)

    def _explain_row(self, error: csv.Error) -> str:
        first, last = self._taken[0].number, self._taken[-1].number
        if "unexpected end of data" in str(error):
            swallowed = f" Lines {first} to {last} were read as one row." if last > first else ""
            return f"The file ends inside a quoted text: it was cut off, or a quote is never closed.{swallowed}"
        return f"It cannot be read: {_explain(error)}."


def _explain(error: csv.Error) -> str:
    text = str(error)
    if "expected after" in text:
        return "a quote stands in the middle of a field. Quote the whole field and write a quote inside it twice"
    if "new-line character" in text:
        return "a carriage return stands alone. Save the file with ordinary line ends"
    if "unexpected end of data" in text:
        return "a quote is opened and never closed"
    return text


def check_columns(columns: list[str]) -> list[str]:
    """The column names. Raises Invalid when a row could not be read by them."""
    if len(columns) > MAX_COLUMNS:
        raise Invalid(
            f"The file has {len(columns):,} columns; the limit is {MAX_COLUMNS:,}.",
            code="bad_header",
        )
    repeated = [name for name, count in Counter(columns).items() if count > 1]
    if repeated:
        names = ", ".join(f"“{name}”" for name in repeated[:5])
        raise Invalid(
            f"The header names the same column more than once: {names}. Rename the columns and upload again.",
            code="duplicate_columns",
        )
    for name in columns:
        if len(name) > MAX_COLUMN_NAME:
            raise Invalid(
                f"A column name is {len(name):,} characters long (“{name[:40]}…”): does the file have a header?",
                code="bad_header",
            )
    return columns
