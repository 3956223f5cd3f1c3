"""A journey: Ann is new, practises on known items by keyboard, is told what was right, and goes on."""

from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from labeling.models import Annotation, Item, Membership, Project, Resolution
from labeling.services.queue import QueueCandidate, replace_queue
from tests.factories import make_item

KNOWN = {
    "Great, another Monday": ("negative", "The praise is ironic: see the guidelines."),
    "The library opens at nine": ("neutral", ""),
    "Finally home, and there is cake": ("positive", ""),
}
OTHERS = ["Best day ever", "It rains", "Meh", "lol"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def items(project: Project) -> list[Item]:
    for text, (value, note) in KNOWN.items():
        item = make_item(project, text, gold=value, state="resolved")
        facts = {"method": "adjudicated", "n_annotations": 2, "created_at": item.created_at, "note": note}
        Resolution.objects.create(project=project, item=item, value=value, **facts)
    Project.objects.update(onboarding=3, gold_feedback="practice", gold_share=0.0)
    made = [make_item(project, text) for text in OTHERS]
    entries = [QueueCandidate(item.pk, "import_order") for item in made]
    replace_queue(project=project, entries=entries, batch=1, ordered_by="order")
    return made


@pytest.fixture
def screen(page: Page, sign_in: Any, annotator: Any, items: list[Item]) -> Page:
    sign_in(annotator)
    page.goto("/label/tweets/")
    expect(shown(page)).to_be_visible()
    return page


def shown(page: Page) -> Any:
    return page.locator("article.item:not([hidden])")


def note(page: Page) -> Any:
    return page.locator("#note")


def key_of(text: str, is_right: bool = True) -> str:
    right = {"negative": "1", "neutral": "2", "positive": "3"}[KNOWN[text][0]]
    return right if is_right else {"1": "3", "2": "1", "3": "2"}[right]


def test_ann_practises_is_told_and_goes_on(screen: Page, annotator: Any) -> None:
    page = screen
    expect(page.locator("#why")).to_have_text("practice 1 of 3: its answer is known")
    texts = []
    for number in (1, 2, 3):
        text = shown(page).inner_text()
        texts.append(text)
        expect(page.locator("#why")).to_contain_text(f"practice {number} of 3")
        page.keyboard.press(key_of(text, is_right=number > 1))
        if number == 1:
            words = f"the known answer is {KNOWN[text][0]}."
            expect(note(page)).to_contain_text(words)
            expect(note(page)).to_contain_text(text)
            expect(note(page)).to_contain_text(KNOWN[text][1])
    # The wrong one still waits to be read, while two others were answered.
    expect(note(page)).to_contain_text("the known answer is")
    expect(shown(page)).to_have_text(OTHERS[0])
    expect(page.locator("#why")).to_contain_text("why this one")
    expect(page.locator("#saved")).to_have_text("saved")
    page.keyboard.press("Escape")
    expect(note(page)).to_contain_text("2 of 3 right (95 % interval 21 % to 94 %).")
    expect(note(page)).to_contain_text("You go on with the other items.")
    page.keyboard.press("Escape")
    expect(note(page)).to_be_hidden()

    page.keyboard.press("3")
    expect(shown(page)).to_have_text(OTHERS[1])
    expect(page.locator("#saved")).to_have_text("saved")
    given = Annotation.objects.live().filter(user=annotator).order_by("pk").select_related("item")
    assert [a.item.data["text"] for a in given] == [*texts, OTHERS[0]]
    expect(note(page)).to_be_hidden()
    page.reload()
    expect(shown(page)).to_be_visible()
    expect(page.locator("#mine")).to_contain_text("you 4")
    expect(note(page)).to_be_hidden()


def test_an_answer_that_was_followed_by_the_known_one_stands(screen: Page, annotator: Any) -> None:
    page = screen
    text = shown(page).inner_text()
    page.keyboard.press(key_of(text, is_right=False))
    expect(note(page)).to_contain_text("the known answer is")
    page.keyboard.press("Escape")
    second = shown(page).inner_text()
    page.keyboard.press("z")
    expect(note(page)).to_contain_text("what you said stands")
    expect(shown(page)).to_have_text(second)
    page.reload()
    expect(page.locator("#history button")).to_have_count(1)
    page.keyboard.press("z")
    expect(note(page)).to_contain_text("what you said stands")
    assert Annotation.objects.filter(user=annotator, withdrawn_at=None).count() == 1


def test_an_undo_that_crosses_the_known_answer_on_the_way_changes_nothing(screen: Page, annotator: Any) -> None:
    page = screen
    held: list[Route] = []
    page.route("**/submit/", lambda route: held.append(route) if not held else route.continue_())
    text = shown(page).inner_text()
    page.keyboard.press(key_of(text, is_right=False))
    expect(page.locator("#saved")).to_have_text("sending")
    second = shown(page).inner_text()
    page.keyboard.press("z")
    expect(shown(page)).to_have_text(text)
    page.keyboard.press(key_of(text))
    expect(shown(page)).to_have_text(second)
    held[0].continue_()
    expect(note(page)).to_contain_text("the known answer is")
    expect(page.locator("#saved")).to_have_text("saved")
    expect(page.locator("#trouble-open")).to_be_hidden()
    expect(shown(page)).to_have_text(second)
    expect(page.locator("#history button")).to_have_count(1)
    (answer,) = Annotation.objects.filter(user=annotator)
    assert answer.value != KNOWN[text][0], "the first answer is the one that counts"


def test_answers_given_offline_are_told_when_they_arrive(screen: Page) -> None:
    page = screen
    expect(page.locator("#ahead")).to_contain_text("next 5 are ready")
    page.context.set_offline(True)
    for _ in range(3):
        page.keyboard.press(key_of(shown(page).inner_text(), is_right=False))
    expect(shown(page)).to_have_text(OTHERS[0])
    expect(note(page)).to_be_hidden()
    page.context.set_offline(False)
    expect(page.locator("#note-more")).to_have_text("3 more")
    # The end of practice may be known before the last answer is told.
    told = []
    for left in (3, 2, 1, 0):
        expect(page.locator("#note-more")).to_have_text(f"{left} more" if left else "")
        told.append(note(page).inner_text())
        page.keyboard.press("Escape")
    expect(note(page)).to_be_hidden()
    assert sum("the known answer is" in text for text in told) == 3
    assert sum("Practice is over" in text and "0 of 3 right" in text for text in told) == 1


def test_the_note_shuts_nobody_out_and_moves_nothing(screen: Page, axe: Any) -> None:
    page = screen
    expect(page.locator("#mine")).to_contain_text("you 0")
    for width, height in ((1280, 800), (390, 844)):
        page.set_viewport_size({"width": width, "height": height})
        before = page.locator("#answers").bounding_box()
        text = shown(page).inner_text()
        page.keyboard.press(key_of(text, is_right=False))
        expect(note(page)).to_contain_text("the known answer is")
        assert page.locator("#answers").bounding_box() == before
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        axe()
        page.get_by_role("button", name="Read").click()
        expect(note(page)).to_be_hidden()
    page.keyboard.press(key_of(shown(page).inner_text()))
    expect(note(page)).to_contain_text("Practice is over")


def test_the_owner_sets_practice_up_and_sees_how_it_went(
    screen: Page, sign_in: Any, owner: Any, axe: Any, annotator: Any
) -> None:
    page = screen
    for _ in range(3):
        page.keyboard.press(key_of(shown(page).inner_text()))
    expect(note(page)).to_contain_text("Practice is over")
    page.keyboard.press("1")
    expect(page.locator("#saved")).to_have_text("saved")
    assert Membership.objects.get(user=annotator).practised_at is not None
    sign_in(owner)
    page.goto("/projects/tweets/settings/")
    page.get_by_label("Known items that a new annotator begins with").fill("10")
    page.get_by_label("After every known item").check()
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#gold-title ~ .notice")).to_contain_text("That is fewer than the practice asks for")
    axe()
    page.goto("/projects/tweets/members/")
    expect(page.get_by_role("row", name="ann Role")).to_contain_text("of these in practice 100 %")
    axe()
