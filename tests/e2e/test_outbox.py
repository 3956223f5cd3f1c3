"""A journey: the connection goes, Ann goes on, nothing is lost and nothing is counted twice."""

from typing import Any

import pytest
from django.db.models import Count
from playwright.sync_api import Page, Route, expect

from labeling.models import Annotation, Assignment
from labeling.services.annotate import submit_annotation
from tests.factories import make_item

TEXTS = [f"text number {n}" for n in range(1, 21)]


pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def screen(page: Page, sign_in: Any, annotator: Any, project: Any) -> Page:
    for text in TEXTS:
        make_item(project, text)
    sign_in(annotator)
    page.goto("/label/tweets/")
    expect(shown(page)).to_have_text(TEXTS[0])
    return page


def shown(page: Page) -> Any:
    return page.locator("article.item:not([hidden])")


def saved(page: Page) -> Any:
    return page.locator("#saved")


def answers(user: Any) -> list[tuple[str, Any]]:
    found = Annotation.objects.live().filter(user=user).order_by("pk").select_related("item")
    return [(a.item.data["text"], a.value) for a in found]


def drop(route: Route) -> None:
    route.abort()


def test_answers_wait_for_the_network_and_survive_a_reload(screen: Page, annotator: Any) -> None:
    page = screen
    page.context.set_offline(True)
    page.keyboard.press("1")
    page.keyboard.press("2")
    expect(saved(page)).to_have_text("2 answers wait here, sent when you are back")
    assert answers(annotator) == []

    # Undo needs no network either.
    page.keyboard.press("z")
    expect(shown(page)).to_have_text(TEXTS[1])
    page.keyboard.press("3")
    expect(shown(page)).to_have_text(TEXTS[2])

    # The page comes back, the API does not: what waits is still here.
    page.route("**/api/**", drop)
    page.context.set_offline(False)
    page.reload()
    expect(saved(page)).to_have_text("2 answers wait here, sent when you are back")
    expect(page.locator("#empty")).to_contain_text("2 of your answers wait here")
    assert answers(annotator) == []

    page.unroute("**/api/**", drop)
    page.keyboard.press("Enter")  # look again
    expect(saved(page)).to_have_text("saved")
    expect(shown(page)).to_be_visible()
    assert answers(annotator) == [(TEXTS[0], "negative"), (TEXTS[1], "positive")]


def test_all_that_is_ready_can_be_answered_offline(screen: Page, annotator: Any) -> None:
    page = screen
    page.context.set_offline(True)
    for key in "123123":
        page.keyboard.press(key)
    expect(page.get_by_role("heading", name="No connection")).to_be_visible()
    expect(page.locator("#empty")).to_contain_text("6 of your answers wait here")
    page.context.set_offline(False)
    expect(saved(page)).to_have_text("saved")
    expect(shown(page)).to_have_text(TEXTS[6])
    assert answers(annotator) == list(zip(TEXTS[:6], ["negative", "neutral", "positive"] * 2, strict=True))


def test_an_answer_whose_receipt_was_lost_counts_once(screen: Page, annotator: Any) -> None:
    page = screen
    lost: list[str] = []

    def lose_receipt(route: Route) -> None:
        if lost:
            route.continue_()
            return
        lost.append(route.request.url)
        route.fetch()  # the server has it
        route.abort()  # the page does not know

    page.route("**/submit/", lose_receipt)
    page.keyboard.press("1")
    expect(saved(page)).to_contain_text("waits here")
    expect(saved(page)).to_have_text("saved", timeout=10_000)
    assert len(lost) == 1
    assert Annotation.objects.filter(user=annotator).count() == 1


def test_after_a_log_out_answers_wait_for_the_log_in(screen: Page, annotator: Any) -> None:
    page = screen
    cookies = page.context.cookies()
    page.context.clear_cookies()
    page.keyboard.press("2")
    expect(saved(page)).to_have_text("1 answer waits here: log in to send")
    expect(page.get_by_role("link", name="Log in again")).to_be_visible()
    page.context.add_cookies(cookies)  # as after a log-in in another tab
    page.reload()
    expect(saved(page)).to_have_text("saved")
    expect(shown(page)).to_be_visible()
    expect(page.locator("#history button")).to_have_count(1)
    assert answers(annotator) == [(TEXTS[0], "neutral")]


def test_a_refused_answer_is_shown_and_kept_until_ann_decides(screen: Page, annotator: Any) -> None:
    page = screen
    assignment = Assignment.objects.get(user=annotator, item__data__text=TEXTS[0])
    submit_annotation(assignment=assignment, value="positive", client_id="from elsewhere")
    page.keyboard.press("1")
    page.keyboard.press("2")
    expect(page.get_by_role("button", name="1 answer was refused")).to_be_visible()
    expect(saved(page)).to_have_text("saved")
    page.reload()
    page.get_by_role("button", name="1 answer was refused").click()
    expect(page.locator("#trouble")).to_contain_text("negative for “text number 1”")
    expect(page.locator("#trouble")).to_contain_text("already answered")
    page.get_by_role("button", name="Throw away").click()
    expect(page.get_by_role("heading", name="Refused answers")).to_be_hidden()
    expect(page.locator("#trouble-open")).to_be_hidden()
    assert answers(annotator) == [(TEXTS[0], "positive"), (TEXTS[1], "neutral")]


def test_two_tabs_work_on_different_items_and_nothing_counts_twice(screen: Page, annotator: Any) -> None:
    page = screen
    answered: list[tuple[str, int]] = []
    page.context.on("response", lambda r: answered.append((r.url, r.status)) if "/submit/" in r.url else None)
    other = page.context.new_page()
    other.goto(page.url)
    expect(shown(other)).to_have_text(TEXTS[6])
    page.context.set_offline(True)
    page.keyboard.press("1")
    other.keyboard.press("1")
    page.keyboard.press("1")
    expect(saved(page)).to_have_text("3 answers wait here, sent when you are back")
    page.context.set_offline(False)
    expect(saved(page)).to_have_text("saved")
    expect(saved(other)).to_have_text("saved")
    # A tab may see only late that another one has sent an act; sent again it is known by its client id.
    assert len([url for url, status in answered if status == 201]) == 3
    assert {status for _, status in answered} <= {200, 201}
    assert sorted(text for text, _ in answers(annotator)) == sorted([TEXTS[0], TEXTS[1], TEXTS[6]])
    doubles = Annotation.objects.live().values("item", "user").annotate(n=Count("pk")).filter(n__gt=1)
    assert not doubles.exists()


def test_leaving_gives_unanswered_items_back(screen: Page, annotator: Any) -> None:
    page = screen
    page.keyboard.press("1")
    expect(saved(page)).to_have_text("saved")
    page.goto("/projects/")
    for _ in range(50):
        if not Assignment.objects.filter(user=annotator, state="leased").exists():
            break
        page.wait_for_timeout(100)
    assert not Assignment.objects.filter(user=annotator, state="leased").exists()
