"""What every reader yields, and the limits that keep its memory flat."""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import TextIOWrapper
from typing import Any, BinaryIO, Protocol

MEGABYTE = 1_000_000

# One row of a file, in bytes or characters. Beyond it a row is skipped: nothing that a person can judge is so long,
# and an unclosed quote would otherwise swallow the rest of the file.
MAX_ROW_SIZE = 16 * 1024 * 1024
# A vector may come as one column per number.
MAX_COLUMNS = 12_000
MAX_COLUMN_NAME = 200

# Byte 0xNN that does not belong to the encoding is read as U+DCNN, so that one bad byte costs one row.
_BAD_BYTES = "labeling.bad_bytes"
_BAD_BYTE = re.compile("[\udc00-\udcff]")


@dataclass(frozen=True, slots=True)
class RowError:
    """Why one row was left out. `row` counts data rows from 1; `line` is the line of the file where it begins."""

    row: int
    message: str
    field: str = ""
    line: int | None = None


# The row's number and its values, or what is wrong with it.
Row = tuple[int, "dict[str, Any] | RowError"]


class RowReader(Protocol):
    """Rows of a file in order, read as they are asked for."""

    # Where the latest row begins in a text file.
    line: int | None

    def __iter__(self) -> Iterator[Row]: ...

    @property
    def share_read(self) -> float:
        """How much of the file has been read, from 0 to 1."""
        ...


def _mark_bad_bytes(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


codecs.register_error(_BAD_BYTES, _mark_bad_bytes)


def decoder(encoding: str) -> codecs.IncrementalDecoder:
    """A decoder that marks bad bytes instead of stopping at them."""
    return codecs.getincrementaldecoder(encoding)(_BAD_BYTES)


@dataclass(slots=True)
class Line:
    """One line of text with its end. `offset` is where it starts in the file, None where bytes are not counted."""

    number: int
    text: str
    offset: int | None
    is_cut: bool = False


def lines(stream: BinaryIO, encoding: str) -> Iterator[Line]:
    """The lines of a stream, decoded. A line over the limit is cut there and its rest is skipped."""
    if encoding.startswith("utf-16"):
        yield from _wide_lines(stream, encoding)
        return
    encoding = "utf-8" if encoding == "utf-8-sig" else encoding
    offset = number = 0
    if stream.read(3) == codecs.BOM_UTF8:
        offset = 3
    else:
        stream.seek(0)
    while raw := stream.readline(MAX_ROW_SIZE + 1):
        number += 1
        is_cut = len(raw) > MAX_ROW_SIZE and not raw.endswith(b"\n")
        yield Line(number, raw.decode(encoding, _BAD_BYTES), offset, is_cut)
        offset += len(raw)
        while is_cut and (rest := stream.readline(MAX_ROW_SIZE)):
            offset += len(rest)
            is_cut = not rest.endswith(b"\n")


def _wide_lines(stream: BinaryIO, encoding: str) -> Iterator[Line]:
    text = TextIOWrapper(stream, encoding=encoding, errors=_BAD_BYTES, newline="\n")
    try:
        number = 0
        while line := text.readline(MAX_ROW_SIZE + 1):
            number += 1
            is_cut = len(line) > MAX_ROW_SIZE and not line.endswith("\n")
            yield Line(number, line, None, is_cut)
            while is_cut and (rest := text.readline(MAX_ROW_SIZE)):
                is_cut = not rest.endswith("\n")
    finally:
        # The stream is the caller's: closing the wrapper would close it.
        text.detach()


def bad_bytes(text: str, encoding: str, offset: int | None = None) -> str | None:
    """What is wrong with the bytes behind a text and what to try, or None when they were read cleanly.

    `offset` is where the text starts in the file, in bytes.
    """
    if text.isascii() or (found := _BAD_BYTE.search(text)) is None:
        return None
    byte = ord(found.group()) - 0xDC00
    where = ""
    if offset is not None and encoding.startswith("utf-8"):
        before = text[: found.start()].encode("utf-8", "surrogateescape")
        where = f" at offset {offset + len(before):,}"
    after = text[max(0, found.start() - 12) : found.start()].strip()
    context = f" (after “{after}”)" if after else ""
    advice = (
        "The file may be older Windows text: read it as Windows-1252, or save it as UTF-8."
        if encoding.startswith("utf-8")
        else "Try another encoding, or save the file as UTF-8."
    )
    name = {"utf-8-sig": "UTF-8", "cp1252": "Windows-1252"}.get(encoding, encoding.upper())
    return f"Byte 0x{byte:02X}{where}{context} is not {name}. {advice}"


def size_text(n_bytes: int) -> str:
    """A size in words: "2 GB", "10.0 MB", "1 MB", "12 kB", "7 bytes"."""
    if n_bytes >= 1000 * MEGABYTE:
        return f"{n_bytes / (1000 * MEGABYTE):.1f}".removesuffix(".0") + " GB"
    if n_bytes >= MEGABYTE:
        return "1 MB" if n_bytes == MEGABYTE else f"{n_bytes / MEGABYTE:.1f} MB"
    if n_bytes >= 1000:
        return f"{n_bytes / 1000:.0f} kB"
    return f"{n_bytes} bytes"
