"""Reading tables that people bring: CSV, TSV, JSON, JSON Lines and Parquet, row by row."""

from typing import BinaryIO

from labeling.core.formats.delimited import DelimitedRows
from labeling.core.formats.jsons import JsonLines, JsonList
from labeling.core.formats.parquet import ParquetRows
from labeling.core.formats.rows import Row, RowError, RowReader, size_text
from labeling.core.formats.sniff import ENCODINGS, FileFormat, sniff

__all__ = ["ENCODINGS", "FileFormat", "Row", "RowError", "RowReader", "open_rows", "size_text", "sniff"]


def open_rows(stream: BinaryIO, file_format: FileFormat, *, size: int) -> RowReader:
    """A reader over a seekable file of `size` bytes.

    What concerns single rows comes out as RowError beside the good rows. Raises Invalid, at once or with the first
    row, when the file as a whole cannot be read: no header, a repeated column, no list of rows.
    """
    match file_format.kind:
        case "csv" | "tsv":
            return DelimitedRows(stream, size=size, encoding=file_format.encoding, delimiter=file_format.delimiter)
        case "json":
            return JsonList(stream, size=size, encoding=file_format.encoding)
        case "jsonl":
            return JsonLines(stream, size=size, encoding=file_format.encoding)
        case "parquet":
            return ParquetRows(stream)
        case kind:
            raise ValueError(f"unknown kind of file: {kind}")
