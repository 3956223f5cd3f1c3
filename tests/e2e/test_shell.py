"""The pages that belong to no app, in a real browser."""

import pytest
from playwright.sync_api import expect

from tests.factories import PASSWORD

pytestmark = pytest.mark.django_db(transaction=True)


def test_logging_in_leads_to_the_projects(page, owner, axe):
    page.goto("/")
    expect(page).to_have_url("/login/?next=/")
    axe()
    page.get_by_label("Username").fill("olga")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Log in").click()
    expect(page).to_have_url("/projects/")
    axe()


def test_what_was_done_is_said(page, owner, project, sign_in, axe):
    sign_in(owner)
    page.goto(f"/projects/{project.slug}/settings/")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").filter(has_text="Saved.")).to_be_visible()
    axe()


def test_on_a_phone_the_way_out_is_on_the_account_page(page, owner, sign_in, axe):
    sign_in(owner)
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto("/projects/")
    page.get_by_role("link", name="Account: olga").click()
    expect(page.get_by_role("heading", name="Change the password")).to_be_visible()
    axe()
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url("/login/")


def test_what_is_not_there_is_said(page, owner, sign_in, axe):
    sign_in(owner)
    page.goto("/projects/none-such/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Not found")
    axe()


def test_the_api_reference_lists_the_calls_under_the_strict_policy(page, owner):
    page.goto("/api/docs/")
    expect(page.get_by_text("/api/v1/projects/{slug}/next/").first).to_be_visible(timeout=20_000)
