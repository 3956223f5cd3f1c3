"""A journey: a program asks, the model is unsure, Rae corrects it in the inbox, and the next training contains that."""

import json
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from active_learning.models import Dataset
from active_learning.services import files
from labeling.models import Item
from tests.active_learning.pools import run_training, taught
from tests.factories import make_key, make_member

pytestmark = pytest.mark.django_db(transaction=True)

TEXT = "the referee of the soup paid with a loan"


def test_what_the_model_is_unsure_of_teaches_the_next_one(page: Page, owner: Any, sign_in: Any, axe: Any) -> None:
    project = taught(owner)
    before = Dataset.objects.latest("number")

    sign_in(owner)
    page.goto(f"/projects/{project.slug}/live/")
    page.get_by_role("link", name="Who decides").click()
    page.get_by_label("A person decides below").fill("99.9")
    page.get_by_label("The model decides alone above").fill("90")
    page.get_by_role("button", name="See what it would do").click()
    expect(page.get_by_text("The bands overlap")).to_be_visible()
    page.get_by_label("The model decides alone above").fill("99.9")
    page.get_by_label("Random share judged blind").fill("0")
    page.get_by_role("button", name="See what it would do").click()
    expect(page.get_by_role("heading", name="What it would have done")).to_be_visible()
    axe()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved. It counts from the next request on.")).to_be_visible()
    page.get_by_role("link", name="Files").click()
    expect(page.get_by_role("heading", name="Again and again")).to_be_visible()
    axe()

    asked = page.request.post(
        f"/api/v1/projects/{project.slug}/predict/",
        headers={"Authorization": f"Bearer {make_key(owner, scopes=['predict'])}"},
        data={"text": TEXT},
    ).json()
    assert asked["decision"] == "review"

    sign_in(make_member(project, "reviewer"))
    page.goto(f"/review/{project.slug}/")
    expect(page.locator(".review-item .item-text")).to_have_text(TEXT)
    labels = ["food", "money", "sport"]
    corrected = next(label for label in labels if label != asked["value"])
    page.keyboard.press(str(labels.index(corrected) + 1))
    expect(page.get_by_role("heading", name="Nothing waits for you")).to_be_visible()

    run_training(project)
    dataset = Dataset.objects.latest("number")
    assert dataset.n_items == before.n_items + 1
    item = Item.objects.get(project=project, origin="prediction")
    assert [item.pk, corrected] in [row[:2] for row in json.loads(files.absolute(dataset.path).read_bytes())["rows"]]
