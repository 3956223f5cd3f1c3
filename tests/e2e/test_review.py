"""A journey: Rae settles what people differ on, by keyboard, and takes one decision back."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from labeling.models import Comment, Project, Resolution, ReviewItem
from labeling.services.review import decide
from labeling.services.suggest import ItemSuggestion, store_suggestions
from tests.factories import make_project
from tests.labeling.test_review import make_dispute, open_flagged

TEXTS = ["Great, another Monday", "It could be worse", "The bus came on time", "Well done, team"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def disputes(project: Project, annotator: Any, annotator2: Any) -> list[ReviewItem]:
    project.overlap = 2
    project.save()
    people = [annotator, annotator2]
    made = [
        make_dispute(project, "positive", "negative", users=people, data={"text": text}, meta={"lang": "en"})
        for text in TEXTS
    ]
    Comment.objects.create(project=project, item=made[0].item, user=annotator, text="Irony, I think", is_flag=True)
    words = [{"start": 0, "end": 5, "weight": 0.8}]
    chances = {"positive": 0.74, "neutral": 0.2, "negative": 0.06}
    store_suggestions(
        project=project,
        suggestions=[
            ItemSuggestion(item_id=one.item_id, value="positive", probabilities=chances, words=words, source="model 4")
            for one in made
        ],
    )
    return made


@pytest.fixture
def inbox(page: Page, sign_in: Any, reviewer: Any, disputes: list[ReviewItem]) -> Page:
    sign_in(reviewer)
    page.goto("/review/tweets/")
    expect(shown(page)).to_have_text(TEXTS[0])
    return page


def shown(page: Page) -> Any:
    return page.locator(".review-item .item-text")


def standing(review: ReviewItem) -> tuple[str, str] | None:
    found = Resolution.objects.filter(item_id=review.item_id, superseded_at=None).first()
    return (found.value, found.note) if found else None


def test_rae_settles_disputes_by_keyboard(inbox: Page, disputes: list[ReviewItem]) -> None:
    page = inbox
    expect(page.locator("#review-count")).to_contain_text("(4")
    expect(page.locator(".review-item mark")).to_have_text("Great")

    # Letters first, names by a key, and the browser remembers them.
    names = page.locator(".if-named")
    expect(names.first).to_be_hidden()
    page.keyboard.press("o")
    expect(names.first).to_be_visible()
    expect(page.locator("[data-names]")).to_have_attribute("aria-pressed", "true")

    # A note, then a value of its own: neither side's.
    page.keyboard.press("n")
    page.keyboard.type("irony is neutral here")
    page.keyboard.press("Escape")
    page.keyboard.press("2")
    expect(shown(page)).to_have_text(TEXTS[1])
    expect(page.locator("#review-count")).to_contain_text("(3")
    expect(page.locator(".review-done")).to_contain_text(TEXTS[0])
    expect(names.first).to_be_visible()
    assert standing(disputes[0]) == ("neutral", "irony is neutral here")

    # Side A's, then back by z, then the model's.
    page.keyboard.press("a")
    expect(shown(page)).to_have_text(TEXTS[2])
    assert standing(disputes[1]) == ("negative", "")
    page.keyboard.press("z")
    expect(shown(page)).to_have_text(TEXTS[1])
    assert standing(disputes[1]) is None
    page.keyboard.press("m")
    expect(shown(page)).to_have_text(TEXTS[2])
    assert standing(disputes[1]) == ("positive", "")

    # Next and previous decide nothing; q asks one more person.
    page.keyboard.press("j")
    expect(shown(page)).to_have_text(TEXTS[3])
    page.keyboard.press("ArrowLeft")
    expect(shown(page)).to_have_text(TEXTS[2])
    page.keyboard.press("q")
    expect(shown(page)).to_have_text(TEXTS[3])
    assert ReviewItem.objects.get(pk=disputes[2].pk).state == "requeued"

    page.keyboard.press("g")
    expect(page.get_by_role("dialog", name="Guidelines")).to_be_visible()
    page.keyboard.press("1")  # a key behind an open dialog decides nothing
    page.keyboard.press("Escape")
    page.keyboard.press("b")
    expect(page.get_by_role("heading", name="Nothing waits for you")).to_be_visible()
    assert standing(disputes[3]) == ("positive", "")
    page.keyboard.press("z")
    expect(shown(page)).to_have_text(TEXTS[3])

    page.reload()
    expect(shown(page)).to_have_text(TEXTS[3])
    expect(names.first).to_be_visible()


def test_who_is_slower_reads_what_was_decided(inbox: Page, owner: Any, disputes: list[ReviewItem]) -> None:
    page = inbox
    decide(review=disputes[0], value="negative", user=owner)
    page.keyboard.press("n")
    page.keyboard.type("not so fast")
    page.keyboard.press("Escape")
    page.keyboard.press("3")
    expect(page.get_by_role("alert")).to_contain_text("olga has decided this one already: negative")
    expect(page.locator("#note")).to_have_value("not so fast")
    expect(shown(page)).to_have_text(TEXTS[1])
    assert standing(disputes[0]) == ("negative", "")
    page.keyboard.press("3")
    expect(shown(page)).to_have_text(TEXTS[2])


def test_filtering_and_taking_the_majority(page: Page, sign_in: Any, reviewer: Any, project: Project) -> None:
    open_flagged(project, "positive", "positive", "negative")
    open_flagged(project, "neutral", "negative", "positive")
    sign_in(reviewer)
    page.goto("/review/tweets/")
    page.get_by_text("Filter", exact=True).click()
    page.get_by_label("Somebody said", exact=True).select_option("neutral")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.locator(".review-rows li")).to_have_count(1)
    page.get_by_role("link", name="Show all").click()
    expect(page.locator(".review-rows li")).to_have_count(2)
    page.get_by_role("link", name="Where two thirds agree").click()
    expect(page.get_by_role("row")).to_have_count(2)
    page.get_by_role("button", name="Decide the chosen ones").click()
    expect(page.get_by_role("status").filter(has_text="1 decided by their majority")).to_be_visible()
    expect(page.locator(".review-rows li")).to_have_count(1)


def test_several_labels_are_toggled_and_decided_with_enter(
    page: Page, sign_in: Any, reviewer: Any, owner: Any, project: Project
) -> None:
    animals = make_project(
        reviewer, slug="animals", kind="choices", config={"labels": ["cat", "dog", "owl"]}, overlap=2
    )
    review = make_dispute(animals, ["cat"], ["dog"])
    sign_in(reviewer)
    page.goto("/review/animals/")
    page.keyboard.press("1")
    page.keyboard.press("3")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Nothing waits for you")).to_be_visible()
    assert standing(review) == (["cat", "owl"], "")


def test_nobody_is_shut_out(
    inbox: Page,
    axe_everywhere: Any,
    reviewer: Any,
    disputes: list[ReviewItem],
    annotator: Any,
    sign_in: Any,
) -> None:
    page = inbox
    page.set_viewport_size({"width": 390, "height": 844})
    page.keyboard.press("1")
    expect(shown(page)).to_have_text(TEXTS[1])
    axe_everywhere()
    page.goto("/review/tweets/majority/")
    axe_everywhere()
    sign_in(annotator)
    page.goto("/projects/tweets/mine/")
    expect(page.get_by_role("heading", name="Decided by a reviewer")).to_be_visible()
    axe_everywhere()
