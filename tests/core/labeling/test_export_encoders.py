"""What is written can be read again, and nothing in a CSV runs in a spreadsheet."""

import csv
import io
import json
from datetime import UTC, datetime
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labeling.core.exports import COLUMNS, csv_safe, encoded, encoder_for

AT = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)


def row(**overrides: Any) -> dict[str, Any]:
    return {
        "annotation_id": 1,
        "item_id": 2,
        "external_id": "t-1",
        "data": {"text": "good, “very” good", "n": [1, {"x": None}]},
        "meta": {"lang": "en"},
        "split": "pool",
        "value": "positive",
        "annotator": "ann",
        "source": "member",
        "schema_version": 3,
        "seconds": 1.5,
        "suggestion_shown": True,
        "suggestion": {"value": "positive", "p": 0.9},
        "reason": "acquisition",
        "propensity": None,
        "is_late": False,
        "created_at": AT,
    } | overrides


def write(rows: list[dict[str, Any]], file_format: str, kind: str = "annotations") -> tuple[bytes, int]:
    encoder = encoder_for(file_format, kind)
    return b"".join(encoded(rows, encoder)), encoder.n_changed_cells


def read_csv(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


@given(st.lists(st.text(alphabet=st.characters(codec="utf-8")), max_size=5))
def test_json_lines_change_nothing(texts: list[str]) -> None:
    rows = [row(data={"text": text}) for text in texts]
    content, n_changed = write(rows, "jsonl")
    read = [json.loads(line) for line in content.decode().split("\n") if line]
    assert read == [one | {"created_at": AT.isoformat()} for one in rows]
    assert n_changed == 0


@pytest.mark.parametrize("dangerous", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\x00x"])
def test_a_formula_becomes_text_in_csv(dangerous: str) -> None:
    content, n_changed = write([row(data={"text": dangerous}, annotator=dangerous, external_id=dangerous)], "csv")
    (read,) = read_csv(content)
    assert read["text"] == read["annotator"] == read["external_id"] == "'" + dangerous
    assert n_changed == 3
    assert json.loads(write([row(data={"text": dangerous})], "jsonl")[0])["data"]["text"] == dangerous


def test_a_negative_rating_stays_a_number_in_csv() -> None:
    content, n_changed = write([row(value=-4)], "csv")
    assert read_csv(content)[0]["value"] == "-4" and n_changed == 0


@pytest.mark.parametrize("text", ["", "plain", "a=b", "'quoted", " =spaced"])
def test_other_texts_are_left_alone(text: str) -> None:
    assert csv_safe(text) == text


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\x00")))
def test_csv_survives_any_text(text: str) -> None:
    (read,) = read_csv(write([row(data={"text": text})], "csv")[0])
    assert read["text"] == csv_safe(text)


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_tables_have_the_documented_columns_without_rows(file_format: str) -> None:
    for kind, columns in COLUMNS.items():
        content, _ = write([], file_format, kind)
        names = (
            content.decode().strip().split(",") if file_format == "csv" else pq.read_schema(io.BytesIO(content)).names
        )
        assert names == list(columns)


def test_csv_cells() -> None:
    (read,) = read_csv(write([row(value=["a", "b"], annotator=None, suggestion=None)], "csv")[0])
    assert read["value"] == '["a", "b"]' and read["annotator"] == "" and read["suggestion"] == ""
    assert json.loads(read["data"]) == {"n": [1, {"x": None}]} and read["text"] == "good, “very” good"
    assert read["suggestion_shown"] == "true" and read["is_late"] == "false"
    assert read["created_at"] == AT.isoformat()


def test_parquet_keeps_types_over_many_row_groups() -> None:
    rows = [row(annotation_id=i, value=-i) for i in range(45_000)]
    content, _ = write(rows, "parquet")
    table = pq.read_table(io.BytesIO(content))
    assert table.num_rows == 45_000 and pq.ParquetFile(io.BytesIO(content)).metadata.num_row_groups == 3
    last = table.slice(44_999).to_pylist()[0]
    assert last["annotation_id"] == 44_999 and last["value"] == "-44999"
    assert last["created_at"].astimezone(UTC) == AT and last["seconds"] == 1.5 and last["propensity"] is None
    assert json.loads(last["meta"]) == {"lang": "en"}


def test_parquet_comes_in_pieces() -> None:
    pieces = list(encoded((row(annotation_id=i) for i in range(45_000)), encoder_for("parquet", "annotations")))
    assert sum(bool(piece) for piece in pieces) >= 4
