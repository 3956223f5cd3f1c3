"""A journey: Olga reads how far people agree, has it measured again and sees what came of it."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from labeling.models import Job, Project, Resolution
from labeling.services.agreement import measure_agreement
from labeling.services.resolve import settle_items
from tests.factories import make_annotation, make_item, make_member
from tests.labeling.test_agreement import SKILLS, crowd, measured

pytestmark = pytest.mark.django_db(transaction=True)


def test_olga_reads_and_measures_again(
    page: Page, sign_in: Any, axe_everywhere: Any, owner: Any, project: Project
) -> None:
    crowd(project, 80, SKILLS)
    measured(project)
    page.set_viewport_size({"width": 390, "height": 844})
    sign_in(owner)
    page.goto("/projects/tweets/agreement/")
    expect(page.get_by_role("heading", name="Krippendorff's alpha, nominal")).to_be_visible()
    expect(page.locator("#agreement-now")).to_contain_text("nothing new since")
    for summary in page.locator("main summary").all():
        summary.click()
    axe_everywhere()
    crowd(project, 20, SKILLS, seed=11)
    page.get_by_role("button", name="Measure now").click()
    expect(page.locator("#agreement-now")).to_contain_text("waits in line")
    measure_agreement(job_id=str(Job.objects.filter(kind="agreement").latest("created_at").pk))
    # The page that watched it shows the new numbers by itself.
    expect(page.get_by_text("100 items with two answers or more")).to_be_visible(timeout=10_000)


def test_rae_checks_a_doubtful_item_by_keyboard(
    page: Page, sign_in: Any, axe: Any, reviewer: Any, project: Project
) -> None:
    project.overlap = 3
    project.save()
    people = [make_member(project) for _ in range(3)]
    items = [make_item(project, f"a text that divides {n}") for n in range(3)]
    for item in items:
        for user, value in zip(people, ("positive", "positive", "negative"), strict=True):
            make_annotation(item, value, user)
    settle_items(project=project, item_ids=[item.pk for item in items])
    measured(project)
    sign_in(reviewer)
    page.goto("/projects/tweets/agreement/")
    # One click by key: the button of the first row.
    page.get_by_role("button", name="Send to review: a text that divides 0").focus()
    page.keyboard.press("Enter")
    onward = page.get_by_role("link", name="Review it now")
    expect(onward).to_be_focused()
    axe()
    page.keyboard.press("Enter")
    expect(page.locator(".review-item .item-text")).to_have_text("a text that divides 0")
    expect(page.locator(".review-doubt")).to_contain_text("number 1 of 3 settled items to check first")
    axe()
    page.keyboard.press("s")
    expect(page.locator(".review-done")).to_contain_text("a text that divides 0")
    page.keyboard.press("z")
    expect(page.locator(".review-doubt")).to_be_visible()
    page.keyboard.press("1")
    expect(page.get_by_role("heading", name="Nothing waits")).to_be_visible()
    stands = Resolution.objects.get(item=items[0], superseded_at=None)
    assert (stands.value, stands.method) == ("negative", "adjudicated")

    page.goto("/projects/tweets/agreement/")
    expect(page.locator("#doubtful")).to_contain_text("decided:")
    page.get_by_role("button", name="Send all 2 to review").press("Enter")
    expect(page.get_by_role("link", name="Review them now")).to_be_focused()
    # What each takes for what is fetched when it is opened.
    page.get_by_text("What each takes for what").press("Enter")
    page.locator("summary", has_text=people[2].username).press("Enter")
    expect(page.get_by_role("table").filter(has_text="Of such items")).to_contain_text("100 %")
    axe()
