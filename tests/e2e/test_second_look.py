"""A journey: Olga edits the guidelines and queues a second look, Ann judges again, Olga reads what came of it."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from labeling.models import Annotation, Job, Project, SecondLook
from labeling.services.agreement import check_agreement, measure_agreement
from labeling.services.annotate import submit_annotation
from labeling.services.queue import lease_items
from tests.factories import make_items

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def labelled(project: Project, annotator: Any) -> None:
    project.gold_share = 0.0
    project.save()
    make_items(project, 24)
    while leased := lease_items(project=project, user=annotator, n=20).items:
        for one in leased:
            value = "positive" if one.assignment.pk % 2 else "neutral"
            submit_annotation(assignment=one.assignment, value=value, client_id=f"c{one.assignment.pk}")


def test_olga_asks_again_and_ann_answers(
    page: Page, sign_in: Any, axe_everywhere: Any, owner: Any, annotator: Any, labelled: None
) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    sign_in(owner)
    page.goto("/projects/tweets/settings/schema/")
    page.get_by_label("Guidelines").fill("Irony counts as negative.")
    page.get_by_role("button", name="Save as version 2").click()
    expect(page.get_by_text("Saved as version 2.")).to_be_visible()
    page.get_by_role("link", name="Look again").click()
    expect(page.get_by_label("Labels given under")).to_contain_text("version 1 (24 labels)")
    axe_everywhere()
    page.get_by_label("How many items").fill("0")
    page.get_by_role("button", name="Queue").click()
    expect(page.get_by_role("alert")).to_contain_text("greater than or equal to 1")
    page.get_by_label("How many items").fill("22")
    page.get_by_role("button", name="Queue").click()
    expect(page.get_by_text("0 of 22 items judged again")).to_be_visible()
    expect(page.get_by_text("Waiting: 22 for ann.")).to_be_visible()

    sign_in(annotator)
    page.goto("/label/tweets/")
    for place in range(22):
        expect(page.locator("article.item:not([hidden])")).to_be_visible()
        expect(page.locator("#why")).not_to_contain_text("look")
        page.keyboard.press("1" if place % 4 == 0 else "3")
    expect(page.locator("#saved")).to_have_text("saved")
    page.keyboard.press("z")
    expect(page.locator(".answer", has_text="positive")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("1")
    expect(page.locator("#saved")).to_have_text("saved")
    expect(page.get_by_text("Everything is judged")).to_be_visible()
    assert Annotation.objects.live().count() == 24

    look = SecondLook.objects.get()
    assert look.closed_at is not None
    assert check_agreement() == 1
    measure_agreement(job_id=str(Job.objects.get(kind="agreement").pk))
    sign_in(owner)
    page.goto("/projects/tweets/settings/schema/second-look/")
    expect(page.get_by_text("22 of 22 items judged again")).to_be_visible()
    expect(page.get_by_text("Under version 2 people answer otherwise on")).to_be_visible()
    expect(page.get_by_role("row", name="neutral → positive")).to_be_visible()
    axe_everywhere()
