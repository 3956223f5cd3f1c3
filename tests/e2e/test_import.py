"""A journey: Olga drops a file with bad rows, sees what will happen, watches it come in and fetches the errors."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from labeling.models import Annotation, Item, Project
from tests.factories import make_annotation, make_item

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "tweets.csv"
    good = "".join(f"{i},so much to say about day {i},en\n" for i in range(1, 1501))
    path.write_bytes(
        b"tweet_id,tweet,lang\n0,,en\n" + good.encode() + b"9001,short\n1,other content,en\n" + b"9002,caf\xe9,fr\n"
    )
    return path


def test_olga_imports_a_file_with_bad_rows(
    page: Page, owner: Any, project: Project, sign_in: Any, worker: Any, table: Path, axe: Any
) -> None:
    sign_in(owner)
    page.goto(f"/projects/{project.slug}/import/")
    axe()
    page.get_by_label("Drop a file here").set_input_files(table)
    page.get_by_role("button", name="Look at the file").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("tweets.csv")
    expect(page.get_by_label("tweet", exact=True)).to_have_value("text")
    expect(page.locator("#plan")).to_contain_text("people judge tweet; tweet_id is your id; lang is a segment")
    expect(page.locator("#plan")).to_contain_text("row 1: The text is empty")
    axe()
    page.set_viewport_size({"width": 390, "height": 800})
    choice = page.get_by_label("tweet", exact=True).bounding_box()
    assert choice is not None and choice["width"] > 120, "what was chosen can be read on a phone too"
    page.set_viewport_size({"width": 1280, "height": 800})
    page.get_by_label("lang", exact=True).select_option("skip")
    expect(page.locator("#plan")).not_to_contain_text("segment")
    page.get_by_label("tweet", exact=True).select_option("skip")
    expect(page.locator("#plan")).to_contain_text("Say which column holds what people will judge")
    page.get_by_label("tweet", exact=True).select_option("text")
    expect(page.locator("#plan")).to_contain_text("people judge tweet")
    page.get_by_role("button", name="Import", exact=True).click()

    expect(page.get_by_role("heading", name="1,500 items created")).to_be_visible(timeout=30_000)
    expect(page.get_by_role("row", name="Byte 0xE9")).to_be_visible()
    axe()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the errors").click()
    lines = download.value.path().read_text().splitlines()
    assert [line.split(",")[:2] for line in lines[1:]] == [
        ["1", "2"],
        ["1502", "1503"],
        ["1503", "1504"],
        ["1504", "1505"],
    ]
    assert Item.objects.filter(project=project).count() == 1500
    page.get_by_role("link", name="Label them").click()
    expect(page.locator("article.item:not([hidden])")).to_contain_text("so much to say")


def test_olga_imports_answers_from_another_tool(
    page: Page, owner: Any, project: Project, sign_in: Any, worker: Any, tmp_path: Path, axe: Any
) -> None:
    make_item(project, external_id="t1")
    path = tmp_path / "crowd.csv"
    path.write_text("task_id,worker,label,text\nt1,w1,positive,so good\nt1,w2,angry,so good\n")
    sign_in(owner)
    page.goto(f"/projects/{project.slug}/import/")
    page.get_by_label("Drop a file here").set_input_files(path)
    page.get_by_role("button", name="Look at the file").click()
    expect(page.locator("#plan")).to_contain_text("worker says who answered, task_id about which item, label what.")
    axe()
    page.get_by_role("link", name="Items to judge").click()
    expect(page.locator("#plan")).to_contain_text("people judge text")
    page.get_by_role("link", name="Answers already given").click()
    page.get_by_label("worker", exact=True).select_option("skip")
    expect(page.locator("#plan")).to_contain_text("Say which column holds who answered")
    page.get_by_label("worker", exact=True).select_option("annotator")
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_role("heading", name="1 answer created")).to_be_visible(timeout=30_000)
    axe()
    assert Annotation.objects.get().rater == "w1"
    page.get_by_role("link", name="Look at the items").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Items")


def test_a_file_that_is_no_table_is_refused_on_the_spot(
    page: Page, owner: Any, project: Project, sign_in: Any, tmp_path: Path, axe: Any
) -> None:
    (tmp_path / "sheet.xlsx").write_bytes(b"PK\x03\x04 rest of a workbook")
    sign_in(owner)
    page.goto(f"/projects/{project.slug}/import/")
    page.get_by_label("Drop a file here").set_input_files(tmp_path / "sheet.xlsx")
    page.get_by_role("button", name="Look at the file").click()
    expect(page.get_by_role("alert")).to_contain_text("Excel workbook")
    axe()


def test_olga_exports_labels(page: Page, owner: Any, project: Project, sign_in: Any, worker: Any, axe: Any) -> None:
    make_annotation(make_item(project, "hello there"), "positive")
    sign_in(owner)
    page.goto(f"/projects/{project.slug}/export/")
    axe()
    page.get_by_label("CSV").check()
    page.get_by_role("button", name="Export", exact=True).click()
    with page.expect_download(timeout=30_000) as download:
        page.get_by_role("link", name="Download").click(timeout=30_000)
    assert "hello there" in download.value.path().read_text()
    axe()
