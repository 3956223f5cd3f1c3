"""A journey: Olga reads how far people agree, has it measured again and sees what came of it."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from labeling.models import Job, Project
from labeling.services.agreement import measure_agreement
from tests.labeling.test_agreement import SKILLS, crowd, measured

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("width, height", [(1280, 800), (390, 844)])
def test_olga_reads_and_measures_again(
    page: Page, sign_in: Any, axe: Any, owner: Any, project: Project, width: int, height: int
) -> None:
    crowd(project, 80, SKILLS)
    measured(project)
    page.set_viewport_size({"width": width, "height": height})
    sign_in(owner)
    page.goto("/projects/tweets/agreement/")
    expect(page.get_by_role("heading", name="Krippendorff's alpha, nominal")).to_be_visible()
    expect(page.locator("#agreement-now")).to_contain_text("nothing new since")
    for summary in page.locator("main summary").all():
        summary.click()
    axe()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    crowd(project, 20, SKILLS, seed=11)
    page.get_by_role("button", name="Measure now").click()
    expect(page.locator("#agreement-now")).to_contain_text("waits in line")
    measure_agreement(job_id=str(Job.objects.filter(kind="agreement").latest("created_at").pk))
    # The page that watched it shows the new numbers by itself.
    expect(page.get_by_text("100 items with two answers or more")).to_be_visible(timeout=10_000)
