"""A journey: Olga watches the model page come alive while people label, and tells it how to learn."""

from typing import Any

import pytest
from django.core.cache import cache
from django.utils import timezone
from playwright.sync_api import Page, expect

from active_learning.services.triggers import check_triggers
from labeling.selectors import WORKER_ALIVE_KEY
from labeling.services.jobs import sweep_jobs
from tests.active_learning.pools import answer, audit_items, make_pool, pool_items

pytestmark = pytest.mark.django_db(transaction=True)


def tick() -> None:
    """What beat does every few seconds."""
    cache.set(WORKER_ALIVE_KEY, timezone.now().isoformat(), 60)
    check_triggers()
    sweep_jobs()


def test_olga_watches_the_model_learn(page: Page, owner: Any, sign_in: Any, worker: Any, axe: Any) -> None:
    project = make_pool(owner, 240)
    sign_in(owner)
    tick()
    page.goto(f"/projects/{project.slug}/model/")
    expect(page.get_by_role("heading", name="No model yet")).to_be_visible()
    axe()

    worker.wait_until_idle()
    tick()
    worker.wait_until_idle()
    page.reload()
    expect(page.locator("#line-table")).to_contain_text("Typical of its group")

    answer(pool_items(project, 20))
    answer(audit_items(project, 30))
    tick()
    # Without a reload: the page asks for what has changed.
    expect(page.locator("#versions-table")).to_contain_text("live", timeout=40_000)
    expect(page.get_by_role("img", name="Audit accuracy by number of labels")).to_be_visible()
    expect(page.locator("#line-table")).to_contain_text("The model is torn")
    expect(page.locator("#jobs-table")).to_contain_text("20 new labels")
    axe()

    page.get_by_role("link", name="Quality of model 1").click()
    expect(page.get_by_role("heading", name="Quality of model 1")).to_be_visible()
    for heading in ("What is taken for what", "Is it as sure as it is right?", "Segments"):
        page.locator("summary", has_text=heading).click()
    expect(page.get_by_role("group", name="Confusion")).to_be_visible()
    axe()
    page.get_by_role("link", name="All versions").click()

    page.get_by_label("Reason").fill("the guidelines have changed")
    page.get_by_role("button", name="Train now").click()
    expect(page.get_by_text("Training waits in line.")).to_be_visible()
    expect(page.locator("#jobs-table")).to_contain_text("the guidelines have changed")

    page.get_by_label("What to ask next").select_option(label="modAL: margin sampling")
    page.get_by_text("What it is measured against").click()
    page.get_by_label("Rules to beat").fill("goal sport")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text('Line 1 does not read "word, word => label".')).to_be_visible()
    axe()
    page.get_by_label("Rules to beat").fill("goal, match => sport")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved. It holds from the next training on.")).to_be_visible()
    expect(page.locator("#learning")).to_contain_text("modAL: margin sampling")
