"""Parquet: row groups in small batches."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, BinaryIO

from labeling.core.errors import Invalid
from labeling.core.formats.delimited import check_columns
from labeling.core.formats.rows import Row, RowError, size_text

if TYPE_CHECKING:
    import pyarrow.parquet

# Rows decoded at a time: compressed columns may be many times larger in memory than on disk.
_BATCH_ROWS = 500
_BUFFER_SIZE = 1024 * 1024
# What one row group may hold when unpacked, by the file's own statement.
MAX_GROUP_SIZE = 1_000_000_000


class ParquetRows:
    """The rows of a Parquet file. A row group that cannot be read costs its rows, not the others'."""

    def __init__(self, stream: BinaryIO) -> None:
        self._file = _open(stream)
        self._n_read = 0
        self.line: int | None = None
        # pandas writes its index as a column of this name.
        self.columns = check_columns([name for name in self._file.schema_arrow.names if not name.startswith("__index")])

    @property
    def share_read(self) -> float:
        n_rows = self._file.metadata.num_rows
        return min(1.0, self._n_read / n_rows) if n_rows else 1.0

    def __iter__(self) -> Iterator[Row]:
        first = 1
        for index in range(self._file.metadata.num_row_groups):
            group = self._file.metadata.row_group(index)
            yield from self._group(index, first, first + group.num_rows - 1, group.total_byte_size)
            first += group.num_rows
            self._n_read = first - 1

    def _group(self, index: int, first: int, last: int, size: int) -> Iterator[Row]:
        import pyarrow

        number = first
        if size > MAX_GROUP_SIZE:
            yield (
                first,
                RowError(
                    first,
                    f"Rows {first:,} to {last:,} are one row group of {size_text(size)} unpacked; the limit is "
                    f"{size_text(MAX_GROUP_SIZE)}. Write the file with smaller row groups.",
                ),
            )
            return
        try:
            for batch in self._file.iter_batches(_BATCH_ROWS, row_groups=[index], columns=self.columns):
                for values in batch.to_pylist():
                    try:
                        row: dict[str, Any] | RowError = {name: _plain(value) for name, value in values.items()}
                    except ValueError as error:
                        row = RowError(number, str(error))
                    yield number, row
                    number += 1
                self._n_read = number - 1
        except (OSError, pyarrow.ArrowException) as error:
            yield (
                number,
                RowError(
                    number,
                    f"Rows {number:,} to {last:,} cannot be read: the file is damaged here "
                    f"({str(error).splitlines()[0][:120]}).",
                ),
            )


def _open(stream: BinaryIO) -> "pyarrow.parquet.ParquetFile":
    # Imported here: it takes a third of a second and few processes ever need it.
    import pyarrow
    import pyarrow.parquet

    stream.seek(0)
    try:
        return pyarrow.parquet.ParquetFile(stream, buffer_size=_BUFFER_SIZE)
    except (OSError, pyarrow.ArrowException):
        raise Invalid(
            "The Parquet file has no readable footer: it was cut off, and its rows cannot be found without it. "
            "Write or upload it again.",
            code="cut_off",
        ) from None


def _plain(value: Any) -> Any:
    """The same value in the types that JSON has. Raises ValueError for what has no such form."""
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    raise ValueError(f"It holds {type(value).__name__}, which is neither text nor a number nor a list of them.")
