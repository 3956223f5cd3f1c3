"""Files as people send them: each kind, each encoding, and each way of being broken."""

import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labeling.core.errors import Invalid
from labeling.core.formats import FileFormat, RowError, open_rows, sniff
from labeling.core.formats.rows import MAX_ROW_SIZE, size_text


def read(content: bytes, name: str = "items.csv", encoding: str | None = None) -> list[Any]:
    """Each row as its values, or as (row, line, message) when it was refused."""
    stream = io.BytesIO(content)
    file_format = sniff(stream, name, encoding=encoding)
    rows = []
    for number, row in open_rows(stream, file_format, size=len(content)):
        if isinstance(row, RowError):
            assert row.row == number
            rows.append((row.row, row.line, row.message))
        else:
            rows.append(row)
    return rows


def refusal(content: bytes, name: str = "items.csv", encoding: str | None = None) -> str:
    with pytest.raises(Invalid) as caught:
        read(content, name, encoding)
    return caught.value.message


def parquet(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


GOOD = [{"text": "one, two", "n": "1"}, {"text": "line\nbreak", "n": "2"}]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b'text,n\n"one, two",1\n"line\nbreak",2\n', "a.csv"),
        (b'text;n\r\n"one, two";1\r\n"line\nbreak";2\r\n', "a.csv"),
        (b'text\tn\none, two\t1\n"line\nbreak"\t2\n', "a.tsv"),
        (b'text\tn\none, two\t1\n"line\nbreak"\t2', "unnamed"),
        (b'[{"text": "one, two", "n": "1"}, {"text": "line\\nbreak", "n": "2"}]', "a.json"),
        (
            b'{"n": 2, "tags": ["x"], "rows": [{"text": "one, two", "n": "1"}, {"text": "line\\nbreak", "n": "2"}]}',
            "a.json",
        ),
        (b'{"text": "one, two", "n": "1"}\n{"text": "line\\nbreak", "n": "2"}\n', "a.jsonl"),
        (b'{"text": "one, two", "n": "1"}\n{"text": "line\\nbreak", "n": "2"}', "a.json"),
        (parquet(pa.Table.from_pylist(GOOD)), "a.parquet"),
        (parquet(pa.Table.from_pylist(GOOD)), "a.bin"),
    ],
)
def test_every_kind_of_file_gives_the_same_rows(content: bytes, name: str) -> None:
    assert read(content, name) == GOOD


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.json"])
def test_unicode_encodings_are_recognized(encoding: str, name: str) -> None:
    row = {"text": "größer, 日本"}
    text = {"a.csv": 'text\n"größer, 日本"\n', "a.jsonl": json.dumps(row) + "\n", "a.json": json.dumps([row])}[name]
    assert read(text.encode(encoding), name) == [row]


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.text(alphabet=st.characters(codec="utf-8"))), min_size=1))
def test_a_json_list_is_read_as_json_reads_it(rows: list[dict[str, str]]) -> None:
    assert read(json.dumps(rows, ensure_ascii=False).encode(), "a.json") == rows


@given(st.integers(1, 400), st.integers(0, 3))
def test_a_json_list_is_read_across_pieces_of_any_size(length: int, indent: int) -> None:
    rows = [{"text": "x" * length * 1000, "n": [{"deep": {"er": i}}]} for i in range(3)]
    content = json.dumps(rows, indent=indent or None).encode()
    assert read(content, "a.json") == rows


@pytest.mark.parametrize("content", [b"", b" \n \n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\r\n"])
def test_an_empty_file_is_refused(content: bytes) -> None:
    assert refusal(content) == "The file is empty."


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04rest", "Excel workbook"),
        (b"%PDF-1.7", "PDF"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"\x89PNG\r\n", "picture"),
        (b"\x80\x04\x95rest", "pickle"),
        (b"SQLite format 3\x00", "SQLite"),
        (bytes(range(256)) * 10, "binary"),
        (b"text\nab\x00cd\n", "binary"),
    ],
)
def test_a_binary_file_is_refused_by_its_content(content: bytes, words: str) -> None:
    assert words in refusal(content, "items.csv")


def test_a_web_page_is_refused() -> None:
    assert "web page" in refusal(b"<!doctype html><p>Not found", "items.json")


def test_a_repeated_column_is_refused_by_name() -> None:
    assert "“text”" in refusal(b"text,id,text\na,b,c\n")


def test_columns_without_a_name_get_one() -> None:
    assert read(b",text\n0,hello\n") == [{"column 1": "0", "text": "hello"}]


def test_ragged_rows_are_named_and_the_others_kept() -> None:
    rows = read(b"text,n\ngood,1\nshort\nlong,2,3\n\ngood,4\n")
    assert rows == [
        {"text": "good", "n": "1"},
        (2, 3, "It has 1 field; the header has 2."),
        (3, 4, "It has 3 fields; the header has 2."),
        {"text": "good", "n": "4"},
    ]


def test_a_misplaced_quote_costs_its_row() -> None:
    rows = read(b'text,n\n"a"b,1\nfine "quoted" word,2\n')
    assert "quote" in rows[0][2] and rows[1]["text"] == 'fine "quoted" word'


def test_a_quote_that_is_never_closed_says_how_far_it_reached() -> None:
    (row,) = read(b'text,n\n"open,1\nb,2\nc,3\n')
    assert row[:2] == (1, 2) and "Lines 2 to 4" in row[2]


def test_a_wrong_byte_costs_its_row_and_names_it() -> None:
    content = "text,n\nIt’s,1\nfine,2\n".encode("cp1252")
    bad, good = read(content)
    assert bad[:2] == (1, 2) and "0x92 at offset 9 " in bad[2] and "Windows-1252" in bad[2]
    assert good == {"text": "fine", "n": "2"}
    assert read(content, encoding="cp1252")[0] == {"text": "It’s", "n": "1"}


def test_a_wrong_byte_in_json_costs_its_row() -> None:
    content = '{"text": "It’s"}\n{"text": "fine"}\n'.encode("cp1252")
    assert read(content, "a.jsonl")[1] == {"text": "fine"}
    listed = '[{"text": "It’s"}, {"text": "fine"}]'.encode("cp1252")
    bad, good = read(listed, "a.json")
    assert "0x92" in bad[2] and good == {"text": "fine"}


def test_a_wrong_byte_in_the_header_is_refused() -> None:
    assert "0xE4" in refusal("täxt,n\na,1\n".encode("cp1252"))


def test_an_unknown_encoding_is_refused() -> None:
    assert "latin-7" in refusal(b"text\na\n", encoding="latin-7")


@pytest.mark.parametrize("text", ["x" * 20_000_000, "many words " * 2_000_000])
def test_a_row_over_the_limit_is_left_out_and_the_next_one_read(text: str) -> None:
    rows = read(f"text,n\n{text},1\nfine,2\n".encode())
    assert rows[0][:2] == (1, 2) and size_text(MAX_ROW_SIZE) in rows[0][2]
    assert rows[1] == {"text": "fine", "n": "2"}
    lines = f'{{"text": "{text}"}}\n{{"text": "fine"}}\n'.encode()
    assert read(lines, "a.jsonl")[1] == {"text": "fine"}


def test_a_text_of_ten_megabytes_is_read() -> None:
    text = "x" * 10_000_000
    assert read(f"text\n{text}\nfine\n".encode()) == [{"text": text}, {"text": "fine"}]
    assert read(json.dumps([{"text": text}, {"text": "fine"}]).encode(), "a.json")[1] == {"text": "fine"}


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (b'[{"text": "a"}, {"text": "b', "a.json", "cut off"),
        (b'[{"text": "a"}, {"te', "a.json", "cut off"),
        (b'[{"text": "a"}, ', "a.json", "cut off"),
        (b'[{"text": "a"}', "a.json", "cut off"),
        (b'[{"text": "a"} {"text": "b"}]', "a.json", "no comma"),
        (b'[{"text": "a"}, {text: "b"}, {"text": "c"}]' + b" " * 300_000, "a.json", "not JSON"),
        (b'{"text": "a"}\n{"text": "b', "a.jsonl", "cut off"),
        (b'{"text": "a"}\n{text: "b"}\n', "a.jsonl", "not JSON"),
    ],
)
def test_half_written_json_keeps_the_good_rows_and_names_the_bad_one(content: bytes, name: str, words: str) -> None:
    good, bad = read(content, name)
    assert good == {"text": "a"} and bad[0] == 2 and words in bad[2]


def test_rows_that_are_no_objects_are_named() -> None:
    assert [row[0] for row in read(b'1\n"a"\n[2]\n', "a.jsonl")] == [1, 2, 3]
    assert [row[0] for row in read(b'[1, "a", [2]]', "a.json")] == [1, 2, 3]


def test_deep_nesting_is_refused_without_harm() -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    rows = read(b'{"a": ' + deep + b'}\n{"text": "fine"}\n', "a.jsonl")
    assert "nested" in rows[0][2] and rows[1] == {"text": "fine"}
    assert "nested" in read(b'[{"a": ' + deep + b"}]", "a.json")[0][2]


@pytest.mark.parametrize("content", [b'{"text": "a"}', b'{"n": [1, 2]}', b'{"broken', b'"text"', b"12"])
def test_json_without_a_list_of_objects_is_refused(content: bytes) -> None:
    assert "no list of objects" in refusal(content, "a.json")


def test_parquet_without_its_end_is_refused() -> None:
    content = parquet(pa.Table.from_pylist(GOOD))
    assert "cut off" in refusal(content[:-10], "a.parquet")
    assert "does not begin" in refusal(b"text\nhello\n", "a.parquet")


def test_a_damaged_row_group_costs_only_its_rows() -> None:
    table = pa.Table.from_pylist([{"text": f"text number {i}"} for i in range(3000)])
    content = bytearray(parquet(table, row_group_size=1000, compression="gzip"))
    start = pq.ParquetFile(io.BytesIO(bytes(content))).metadata.row_group(1).column(0).dictionary_page_offset
    content[start : start + 400] = b"\xff" * 400
    rows = read(bytes(content), "a.parquet")
    refused = [row for row in rows if isinstance(row, tuple)]
    assert [row[0] for row in refused] == [1001] and "1,001 to 2,000" in refused[0][2]
    assert len(rows) == 2001 and rows[-1] == {"text": "text number 2999"}


def test_parquet_types_become_what_json_has() -> None:
    from datetime import UTC, datetime
    from decimal import Decimal

    at = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    table = pa.Table.from_pylist([{"at": at, "price": Decimal("1.50"), "v": [0.5, 1.0], "o": {"k": 1}, "raw": b"\x00"}])
    (refused,) = read(parquet(table), "a.parquet")
    assert "bytes" in refused[2]
    (row,) = read(parquet(table.drop_columns(["raw"])), "a.parquet")
    assert row == {"at": "2026-01-02T03:04:00+00:00", "price": 1.5, "v": [0.5, 1.0], "o": {"k": 1}}


def test_the_share_read_grows_to_one() -> None:
    content = b"text\n" + b"hello there\n" * 200_000
    reader = open_rows(io.BytesIO(content), FileFormat("csv"), size=len(content))
    shares = [reader.share_read for _ in reader]
    assert shares == sorted(shares) and shares[0] < 0.1 and shares[-1] == 1.0


@pytest.mark.parametrize(
    ("n", "text"),
    [(7, "7 bytes"), (12_000, "12 kB"), (1_000_000, "1 MB"), (10_000_000, "10.0 MB"), (2_000_000_000, "2 GB")],
)
def test_sizes_in_words(n: int, text: str) -> None:
    assert size_text(n) == text
