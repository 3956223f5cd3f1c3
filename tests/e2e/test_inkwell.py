"""A journey over two origins: somebody corrects the demo's product, a reviewer agrees, the next model learns it, and
the same line is answered right. The product is the one of the demo, in a process of its own."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from active_learning.models import Prediction
from active_learning.services.policy import change_policy
from active_learning.services.serving_policy import change_serving
from config import demo_host
from feedback.models import CurrentVerdict, ImplicitEvent
from labeling.models import Project
from tests.active_learning.pools import run_training, taught
from tests.factories import make_member
from tests.services.product import Product

pytestmark = pytest.mark.django_db(transaction=True)

LINE = "the referee of the soup paid with a loan"


@pytest.fixture
def open_inkwell(owner: Any, live_server: Any, tmp_path: Path, page: Page) -> Iterator[Callable[[Project], None]]:
    """Serves Inkwell for a project and opens it."""
    served: list[Product] = []

    def open_it(project: Project) -> None:
        demo_host.give_keys(project=project, owner=owner, home=tmp_path)
        served.append(Product(tmp_path, live_server.url.replace("localhost", "127.0.0.1")))
        page.goto(served[0].url)

    yield open_it
    for product in served:
        product.stop()


def write(page: Page, line: str) -> str:
    """Types a line into Inkwell. Returns the tone that it suggests."""
    page.get_by_role("textbox").fill(line)
    page.get_by_role("button", name="How does it sound?").click()
    expect(page.locator("blockquote")).to_have_text(line)
    return page.locator("#lead .tone").inner_text()


def test_a_correction_becomes_a_better_answer(
    page: Page, owner: Any, open_inkwell: Any, sign_in: Any, axe_everywhere: Any
) -> None:
    project = taught(owner)
    change_policy(project=project, actor=owner, promotion="approval")
    # What is drawn to be judged blind is not brought before a reviewer as a complaint.
    change_serving(project=project, actor=owner, exploration_share=0.0)
    open_inkwell(project)
    wrong = write(page, LINE)
    answered = Prediction.objects.get()
    assert answered.value == wrong
    # What leaving it out would do to the answer is marked, and not every little word that has a weight.
    marked = page.locator("blockquote mark").all_inner_texts()
    assert 1 <= len(marked) <= 3 and not {"the", "of", "a"} & set(marked)
    page.get_by_text("What is marked speaks for it.").click()
    for passage in marked:
        expect(page.get_by_text(f"“{passage}” speaks")).to_be_visible()
    expect(page.get_by_text("% sure:")).to_be_visible()
    right = next(tone for tone in ("food", "money", "sport") if tone != wrong)

    # The visitor says that it is wrong and what would be right, and posts it so.
    page.get_by_role("button", name="No", exact=True).click()
    page.get_by_role("button", name="Tell us more").click()
    page.get_by_label("What would be right?").select_option(label=right)
    page.get_by_label("In your words").fill("there is no <referee>")
    axe_everywhere()
    page.get_by_role("button", name="Send").click()
    told = page.get_by_role("log")
    expect(told).to_contain_text(f"you say it is wrong; right would be {right}; “there is no <referee>”")
    page.get_by_role("radio", name=right).check()
    page.get_by_role("button", name="Post", exact=True).click()
    expect(page.get_by_text(f"Posted as {right}.")).to_be_visible()
    expect(told).to_contain_text(f"you changed the tone to {right}")
    verdict = CurrentVerdict.objects.get()
    assert verdict.is_verified and verdict.event.correction == right
    line = page.url

    # The owner sees it arrive; a reviewer sees the user's words and the model's, and agrees.
    sign_in(owner)
    page.goto(f"/projects/{project.slug}/feedback/")
    just_in = page.locator("#latest")
    expect(just_in).to_contain_text(f"A verified user said it is wrong right would be {right}")
    expect(just_in).to_contain_text("edited it")
    assert set(ImplicitEvent.objects.values_list("name", flat=True)) >= {"edited"}
    sign_in(make_member(project, "reviewer"))
    page.goto(f"/review/{project.slug}/?reason=complaint")
    expect(page.get_by_text("“there is no <referee>”")).to_be_visible()
    assert page.locator(".review-item .item-text mark").count() == len(answered.words)
    page.get_by_role("button", name="Take what users say").click()
    expect(page.get_by_role("heading", name="Nothing waits that fits")).to_be_visible()

    # The next model has learned it; the visitor hears of it only once it is live.
    run_training(project, reason="what users corrected")
    page.goto(line)
    expect(page.get_by_role("button", name="No", exact=True)).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_text("Used in model")).to_have_count(0)
    sign_in(owner)
    page.goto(f"/projects/{project.slug}/model/2/")
    page.get_by_label("Why it may go live").fill("users corrected it")
    page.get_by_role("button", name="Make model 2 live").click()
    expect(page.get_by_text("Model 2 is live.")).to_be_visible()

    page.goto(line)
    expect(page.get_by_text("Used in model 2 on")).to_be_visible()
    assert write(page, LINE) == right


def test_whoever_does_not_want_to_be_watched_is_not(page: Page, project: Project, open_inkwell: Any) -> None:
    open_inkwell(project)
    write(page, LINE)
    expect(page.get_by_text("By a fixed rule, not by a model")).to_be_visible()
    expect(page.get_by_text("Touchstone also hears")).to_be_visible()
    page.get_by_role("button", name="Do not tell").click()
    expect(page.get_by_text("Nothing is told")).to_be_visible()
    page.get_by_role("button", name="Post", exact=True).click()
    expect(page.get_by_text("Posted as")).to_be_visible()
    # Nor is one whose browser asks for that, and who switched nothing off.
    page.context.clear_cookies()
    page.set_extra_http_headers({"Sec-GPC": "1"})
    page.goto(page.url.partition("?")[0])
    write(page, LINE)
    expect(page.get_by_text("Your browser asks not to be watched")).to_be_visible()
    expect(page.get_by_role("button", name="Do not tell")).to_have_count(0)
    page.get_by_role("button", name="Post", exact=True).click()
    expect(page.get_by_text("Nothing yet")).to_be_visible()
    page.goto("about:blank")
    assert not ImplicitEvent.objects.filter(name__in=("accepted", "edited")).exists()
