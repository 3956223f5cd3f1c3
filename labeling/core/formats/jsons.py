"""JSON: one object a line, or one list of objects, read piece by piece."""

import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from labeling.core.errors import Invalid
from labeling.core.formats.rows import MAX_ROW_SIZE, Row, RowError, bad_bytes, decoder, lines, size_text

_CHUNK = 256 * 1024
_SPACE = re.compile(r"[ \t\r\n]*")
# The longest token that a cut can leave unreadable near the end of what was read: \uXXXX, -Infinity.
_TOKEN = 16
_NOT_AN_OBJECT = 'It is not an object such as {"text": "…"}.'


class JsonLines:
    """One JSON object a line. A row's number is its line; blank lines are passed over."""

    def __init__(self, stream: BinaryIO, *, size: int, encoding: str) -> None:
        self._stream = stream
        self._size = size
        self._encoding = encoding
        self.line: int | None = None

    @property
    def share_read(self) -> float:
        return min(1.0, self._stream.tell() / self._size) if self._size else 1.0

    def __iter__(self) -> Iterator[Row]:
        self._stream.seek(0)
        for line in lines(self._stream, self._encoding):
            self.line = line.number
            if line.is_cut:
                yield line.number, _error(line.number, f"The row is longer than {size_text(MAX_ROW_SIZE)}.")
                continue
            if not line.text.strip():
                continue
            if problem := bad_bytes(line.text, self._encoding, line.offset):
                yield line.number, _error(line.number, problem)
                continue
            try:
                value = json.loads(line.text)
            except json.JSONDecodeError as error:
                is_last = not line.text.endswith("\n")
                if is_last and _is_cut_off(error, len(line.text)):
                    problem = "The file ends inside this row: it was cut off."
                else:
                    problem = f"It is not JSON: {error.msg} at character {error.pos + 1}."
                yield line.number, _error(line.number, problem)
            except (ValueError, RecursionError) as error:
                yield line.number, _error(line.number, _unusual(error))
            else:
                if isinstance(value, dict):
                    yield line.number, value
                else:
                    yield line.number, _error(line.number, _NOT_AN_OBJECT)


class JsonList:
    """The objects of one list: the whole file, or the first list of objects inside its one object.

    A broken element ends the reading, because nothing says where the next one starts; those before it stand.
    """

    def __init__(self, stream: BinaryIO, *, size: int, encoding: str) -> None:
        self._stream = stream
        self._size = size
        self._encoding = encoding
        self.line: int | None = None

    @property
    def share_read(self) -> float:
        return min(1.0, self._stream.tell() / self._size) if self._size else 1.0

    def __iter__(self) -> Iterator[Row]:
        self._stream.seek(0)
        window = _Window(self._stream, self._encoding)
        _enter_list(window)
        number = 0
        while True:
            character = window.peek()
            if number and character == ",":
                window.take()
                character = window.peek()
            elif number and character not in ("]", ""):
                yield number + 1, RowError(number + 1, f"There is no comma after row {number}. Reading stopped here.")
                return
            if character == "]":
                return
            number += 1
            if not character:
                yield number, RowError(number, "The file ends before the list is closed: it was cut off here.")
                return
            try:
                text, value = window.value()
            except _BrokenValueError as error:
                yield number, RowError(number, f"{error} Reading stopped here.")
                return
            if problem := bad_bytes(text, self._encoding):
                yield number, RowError(number, problem)
            elif isinstance(value, dict):
                yield number, value
            else:
                yield number, RowError(number, _NOT_AN_OBJECT)


class _BrokenValueError(Exception):
    """A value that is not JSON, or is cut off, or is too long to be a row."""


class _Window:
    """A decoded piece of the stream, which grows at its end and forgets what was taken."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._stream = stream
        self._decoder = decoder(encoding)
        self._json = json.JSONDecoder()
        self._text = ""
        self._at = 0
        self._is_whole = False

    def _grow(self) -> None:
        kept = self._text[self._at :]
        # Twice what is already there, so that a long value is not tried again for each small piece.
        raw = self._stream.read(max(_CHUNK, len(kept)))
        self._is_whole = not raw
        self._text = kept + self._decoder.decode(raw, self._is_whole)
        self._at = 0

    def peek(self) -> str:
        """The next character that is not a space, or "" at the end."""
        while True:
            self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._text):
                return self._text[self._at]
            if self._is_whole:
                return ""
            self._grow()

    def take(self) -> None:
        self._at += 1

    def value(self) -> tuple[str, Any]:
        """The next JSON value and its text. Raises _BrokenValueError."""
        self.peek()
        while True:
            try:
                value, end = self._json.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                is_cut = _is_cut_off(error, len(self._text))
                if not is_cut:
                    raise _BrokenValueError(f"It is not JSON: {error.msg}.") from None
                if self._is_whole:
                    raise _BrokenValueError("The file ends inside this row: it was cut off.") from None
            except (ValueError, RecursionError) as error:
                raise _BrokenValueError(_unusual(error)) from None
            else:
                # A number at the very end may go on behind it.
                if end < len(self._text) or self._is_whole:
                    text = self._text[self._at : end]
                    self._at = end
                    return text, value
            if len(self._text) - self._at > MAX_ROW_SIZE:
                raise _BrokenValueError(f"The row is longer than {size_text(MAX_ROW_SIZE)}.")
            self._grow()


def _enter_list(window: _Window) -> None:
    """Moves behind the bracket that opens the list of rows. Raises Invalid when there is none."""
    first = window.peek()
    if first == "":
        raise Invalid("The file is empty.", code="empty_file")
    if first == "[":
        window.take()
        return
    nothing_found = Invalid(
        "The file holds no list of objects. Expected [{…}, {…}], an object with such a list in it, "
        "or one object a line in a file named .jsonl.",
        code="no_rows",
    )
    if first != "{":
        raise nothing_found
    window.take()
    try:
        while window.peek() == '"':
            window.value()
            if window.peek() != ":":
                break
            window.take()
            if window.peek() == "[":
                window.take()
                if window.peek() in ("{", "]"):
                    return
                _skip_list(window)
            else:
                window.value()
            if window.peek() == ",":
                window.take()
    except _BrokenValueError:
        pass
    raise nothing_found


def _skip_list(window: _Window) -> None:
    """Moves behind a list whose bracket was taken and whose values are not objects."""
    while window.peek() not in ("]", ""):
        window.value()
        if window.peek() == ",":
            window.take()
    window.take()


def _is_cut_off(error: json.JSONDecodeError, length: int) -> bool:
    """Whether the text ended too early rather than being wrong."""
    return error.msg.startswith("Unterminated string") or error.pos >= length - _TOKEN


def _unusual(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "Its objects are nested too deeply to be read."
    return f"It cannot be read: {error}."


def _error(line: int, message: str) -> RowError:
    return RowError(line, message, line=line)
