"""A journey with the keyboard: Rae finds a rare kind by its words, and Ann is asked about it first."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from labeling.models import Project
from tests.factories import make_item, make_items

pytestmark = pytest.mark.django_db(transaction=True)


def test_rae_finds_them_and_ann_is_asked(
    page: Page,
    sign_in: Any,
    axe_everywhere: Any,
    project: Project,
    reviewer: Any,
    annotator: Any,
) -> None:
    project.gold_share = 0.0
    project.save()
    make_items(project, 30)
    for n in range(3):
        make_item(project, f"Where is my REFUND, number {n}?")
    page.set_viewport_size({"width": 390, "height": 844})
    sign_in(reviewer)
    page.goto("/projects/tweets/items/")
    page.get_by_label("Words in it").press_sequentially("refund number")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="3 with “refund number”")).to_be_visible()
    axe_everywhere()
    page.get_by_role("checkbox", name="Ask about").nth(1).press("Space")
    page.get_by_role("button", name="Ask about the ticked ones next").press("Enter")
    expect(page.get_by_text("1 item stands in front of the queue now.")).to_be_visible()
    axe_everywhere()
    page.get_by_role("button", name="Ask about all 2 next").press("Enter")
    expect(page.get_by_text("“refund number”: 3 items in front of the queue")).to_be_visible()

    sign_in(annotator)
    page.goto("/label/tweets/")
    article = page.locator("article.item:not([hidden])")
    for n in (1, 0, 2):  # in the order of asking
        expect(article).to_contain_text(f"REFUND, number {n}?")
        expect(page.locator("#why")).to_have_text("why this one: somebody asked for it next")
        page.keyboard.press("1")
    expect(page.locator("#why")).to_have_text("why this one: in order of arrival")
    expect(page.locator("#saved")).to_have_text("saved")

    sign_in(reviewer)
    page.goto("/projects/tweets/items/?words=refund")
    expect(page.get_by_text("None of these can be asked about next")).to_be_visible()
    expect(page.get_by_role("heading", name="Asked about next")).to_have_count(0)
