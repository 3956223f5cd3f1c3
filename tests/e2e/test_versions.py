"""A journey: Olga trains, compares, approves, and rolls back."""

from typing import Any

import pytest
from django.conf import settings
from django.core.cache import cache
from django.utils import timezone
from playwright.sync_api import Page, expect

from active_learning.services.policy import change_policy
from labeling.selectors import WORKER_ALIVE_KEY
from labeling.services.jobs import sweep_jobs
from tests.active_learning.pools import answer, audit_items, make_pool, pool_items, run_features, run_training

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def storage() -> Any:
    """The folder that the real worker uses."""
    return settings.STORAGE_ROOT


def test_train_compare_approve_roll_back(page: Page, owner: Any, sign_in: Any, worker: Any, axe: Any) -> None:
    project = make_pool(owner, 260)
    run_features(project)
    answer(audit_items(project, 60))
    answer(pool_items(project, 12))
    run_training(project, reason="the first labels")
    change_policy(project=project, actor=owner, promotion="approval")
    answer(pool_items(project, 60, offset=12))
    cache.set(WORKER_ALIVE_KEY, timezone.now().isoformat(), 60)
    sign_in(owner)

    # Train.
    page.goto(f"/projects/{project.slug}/model/")
    page.get_by_label("Reason").fill("sixty more labels")
    page.get_by_role("button", name="Train now").click()
    sweep_jobs()
    versions = page.locator("#versions-table")
    expect(versions).to_contain_text("waits for approval", timeout=40_000)

    # Compare.
    versions.get_by_role("link", name="compare with 1").first.click()
    expect(page.get_by_role("heading", name="Model 1 and model 2")).to_be_visible()
    expect(page.get_by_text("McNemar, two-sided")).to_be_visible()
    expect(page.locator("#words-table")).to_contain_text("food")
    axe()

    # Approve.
    page.locator("#sides-table").get_by_role("link", name="2", exact=True).click()
    expect(page.locator("#gate-table")).to_contain_text("No less accurate than model 1")
    axe()
    page.get_by_label("It solves the problem that it is for").check()
    page.get_by_label("Note").fill("tried on ten messages of last week")
    page.get_by_label("Why it may go live").fill("clearly better")
    page.get_by_role("button", name="Make model 2 live").click()
    expect(page.get_by_text("Model 2 is live.")).to_be_visible()
    expect(page.locator("#events-table")).to_contain_text("tried on ten messages of last week")
    expect(page.locator("#checklist-table")).to_contain_text("ticked by the approver")

    # Roll back: one click, and one to take it back.
    page.get_by_label("Reason").fill("complaints since noon")
    page.get_by_role("button", name="Roll back to model 1").click()
    expect(page.get_by_text("Model 1 is live again.")).to_be_visible()
    expect(page.locator("#events-table")).to_contain_text("rollback: complaints since noon")
    axe()
    page.goto(f"/projects/{project.slug}/model/2/")
    page.keyboard.press("b")  # without a reason the key leads to its field
    page.keyboard.type("it was the importer")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Model 2 is live again.")).to_be_visible()
