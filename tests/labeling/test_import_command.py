"""`manage.py import_items`: the same services at the command line."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from labeling.models import Item, Project
from tests.factories import make_project

pytestmark = pytest.mark.django_db


def run(project: str, path: Path, **options: Any) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command("import_items", project, path, stdout=out, stderr=err, **options)
    return out.getvalue(), err.getvalue()


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "tweets.csv"
    path.write_text("tweet_id,tweet,lang,month\n1,so good today,en,may\n2,,en,may\n3,very bad day,en,june\n")
    return path


def test_columns_are_guessed_and_said(project: Project, table: Path) -> None:
    out, err = run(project.slug, table)
    assert "tweet: text. Its name says so" in out and "2 created, 0 there already, 1 left out." in out
    assert "row 2 (line 3): The text is empty" in err
    assert Item.objects.get(external_id="3").meta == {"lang": "en", "month": "june"}


def test_ten_thousand_numbers_are_one_vector_and_said_in_one_line(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    names, zeros = ",".join(f"f{i}" for i in range(10_000)), ",0" * 10_000
    path.write_text(f"image,{names}\nhttps://example.org/1.png{zeros}\n")
    out, _ = run(project.slug, path)
    assert "f0 to f9999 (10,000 columns): features. 10000 columns named f" in out
    assert "1 created" in out and len(out.splitlines()) == 3
    assert len(Item.objects.get().features) == 40_000


def test_named_columns_are_used_alone(project: Project, table: Path) -> None:
    run(project.slug, table, text="tweet", meta="lang")
    item = Item.objects.order_by("id")[0]
    assert item.external_id is None and item.meta == {"lang": "en"} and item.data == {"text": "so good today"}


def test_a_second_run_is_harmless(project: Project, table: Path) -> None:
    run(project.slug, table)
    assert "0 created, 2 there already, 1 left out." in run(project.slug, table)[0]


def test_a_file_without_one_good_row_fails_with_advice(project: Project, table: Path) -> None:
    with pytest.raises(CommandError, match="No row could be used.*--text"):
        run(project.slug, table, text="no such column")


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "empty"), (b"\x00" * 50, "empty"), (b"\x00\x01\x02" * 50, "binary"), (b"a,a\n1,1\n", "more than once")],
)
def test_a_bad_file_fails_with_words(project: Project, tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    with pytest.raises(CommandError, match=words):
        run(project.slug, path)


def test_a_missing_file_or_project_fails_with_words(project: Project, tmp_path: Path, table: Path) -> None:
    with pytest.raises(CommandError, match="No such file"):
        run(project.slug, tmp_path / "nothing.csv")
    with pytest.raises(CommandError, match=f"Projects: {project.slug}"):
        run("nope", table)


def test_the_encoding_can_be_given(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "old.csv"
    path.write_bytes("text\nIt’s fine today\n".encode("cp1252"))
    with pytest.raises(CommandError):
        run(project.slug, path)
    run(project.slug, path, encoding="cp1252")
    assert Item.objects.get().data == {"text": "It’s fine today"}


def test_other_kinds_of_items_come_in_too(owner: Any, tmp_path: Path) -> None:
    pairs = make_project(owner, kind="pair", config={"tie": True})
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps({"prompt": "why?", "chosen": "because", "rejected": "no"}) + "\n")
    run(pairs.slug, path)
    item = Item.objects.get(project=pairs)
    assert item.data == {"a": "because", "b": "no", "prompt": "why?"} and item.meta == {}
    pictures = make_project(owner)
    path.write_text(json.dumps({"url": "https://example.org/cat.png", "embedding": [0.5, 1.0]}) + "\n")
    run(pictures.slug, path)
    item = Item.objects.get(project=pictures)
    assert item.data == {"image": "https://example.org/cat.png"} and len(bytes(item.features or b"")) == 8
