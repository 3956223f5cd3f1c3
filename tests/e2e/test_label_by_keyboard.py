"""A journey: Ann labels by keyboard, takes answers back, and never waits for the server."""

from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from labeling.models import Annotation, Assignment, Comment, Item, Project, Suggestion
from labeling.services.queue import QueueCandidate, lease_items, replace_queue
from tests.factories import make_item, make_member, make_project

TEXTS = ["Best day ever", "It rains", "Worst bus in town", "Meh", "So proud of her", "The film is long", "lol", "Ok"]


pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def items(project: Project) -> list[Item]:
    made = [make_item(project, text) for text in TEXTS]
    reason = {"reason": "acquisition", "detail": {"p": [["neutral", 0.46], ["negative", 0.41]]}}
    replace_queue(
        project=project,
        entries=[QueueCandidate(item_id=item.pk, **reason) for item in made],
        batch=1,
        ordered_by="model 4",
    )
    return made


def shown(page: Page) -> Any:
    return page.locator("article.item:not([hidden])")


def answers(user: Any) -> list[tuple[str, Any]]:
    """The live answers as (text, value), in the order in which they were given."""
    found = Annotation.objects.live().filter(user=user).order_by("pk").select_related("item")
    return [(a.item.data["text"], a.value) for a in found]


@pytest.fixture
def screen(page: Page, sign_in: Any, annotator: Any, items: list[Item]) -> Page:
    sign_in(annotator)
    page.goto("/label/tweets/")
    expect(shown(page)).to_have_text(TEXTS[0])
    return page


def test_ann_labels_undoes_skips_and_goes_back(screen: Page, annotator: Any) -> None:
    page = screen
    expect(page.locator("#why")).to_contain_text("the model is torn: neutral 0.46 / negative 0.41")
    expect(page.locator("#ahead")).to_contain_text("next 5 are ready")

    page.keyboard.press("3")
    expect(shown(page)).to_have_text(TEXTS[1])
    page.keyboard.press("2")
    page.keyboard.press("2")
    expect(shown(page)).to_have_text(TEXTS[3])
    expect(page.locator("#saved")).to_have_text("saved")
    assert answers(annotator) == [(TEXTS[0], "positive"), (TEXTS[1], "neutral"), (TEXTS[2], "neutral")]

    page.keyboard.press("z")
    expect(shown(page)).to_have_text(TEXTS[2])
    page.keyboard.press("1")
    expect(shown(page)).to_have_text(TEXTS[3])

    page.keyboard.press("s")
    expect(page.get_by_role("heading", name="Why skip it?")).to_be_visible()
    page.keyboard.press("1")
    expect(shown(page)).to_have_text(TEXTS[4])

    # Back to the first of all: three dots to the left of the skip.
    page.keyboard.press("h")
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(shown(page)).to_have_text(TEXTS[0])
    expect(page.locator(".answer", has_text="positive")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("2")
    expect(shown(page)).to_have_text(TEXTS[4])
    expect(page.locator("#saved")).to_have_text("saved")
    expect(page.locator("#mine")).to_contain_text("you 3")

    assert answers(annotator) == [(TEXTS[1], "neutral"), (TEXTS[2], "negative"), (TEXTS[0], "neutral")]
    skipped = Assignment.objects.get(user=annotator, state="skipped")
    assert (skipped.item.data["text"], skipped.skip_reason) == (TEXTS[3], "unclear")
    assert all(a.seconds is not None for a in Annotation.objects.filter(user=annotator))


def test_who_stands_on_an_earlier_answer_stays_there_when_the_server_speaks_of_a_later_one(screen: Page) -> None:
    page = screen
    page.keyboard.press("3")
    expect(page.locator("#saved")).to_have_text("saved")
    held: list[Route] = []
    page.route("**/submit/", lambda route: held.append(route))
    page.keyboard.press("2")
    expect(shown(page)).to_have_text(TEXTS[2])
    page.keyboard.press("h")
    page.keyboard.press("ArrowLeft")
    first = page.locator(".history-entry").first
    expect(first).to_be_focused()
    while not held:
        page.wait_for_timeout(20)
    held[0].continue_()
    expect(page.locator("#saved")).to_have_text("saved")
    expect(first).to_be_focused()
    page.keyboard.press("Enter")
    expect(shown(page)).to_have_text(TEXTS[0])


def test_the_next_item_is_there_before_the_key_press_returns(screen: Page) -> None:
    before, after = screen.evaluate(
        """() => {
          const text = () => document.querySelector("article.item:not([hidden])").textContent;
          const press = new KeyboardEvent("keydown", {key: "1", bubbles: true, cancelable: true});
          const before = text();
          document.body.dispatchEvent(press);
          return [before, text()];
        }"""
    )
    assert (before, after) == (TEXTS[0], TEXTS[1])


def test_an_answer_can_be_undone_after_a_reload(screen: Page, annotator: Any) -> None:
    page = screen
    page.keyboard.press("3")
    page.keyboard.press("1")
    expect(page.locator("#saved")).to_have_text("saved")
    # An item that is being leased during the reload would come first afterwards: the server holds it for her.
    expect(page.locator("#ahead")).to_contain_text("next 5 are ready")
    page.reload()
    expect(shown(page)).to_have_text(TEXTS[2])
    expect(page.locator("#history button")).to_have_count(2)
    page.keyboard.press("Backspace")
    expect(shown(page)).to_have_text(TEXTS[1])
    page.keyboard.press("2")
    expect(shown(page)).to_have_text(TEXTS[2])
    expect(page.locator("#saved")).to_have_text("saved")
    assert answers(annotator) == [(TEXTS[0], "positive"), (TEXTS[1], "neutral")]


def test_a_skip_can_be_undone_after_a_reload(screen: Page, annotator: Any) -> None:
    page = screen
    page.keyboard.press("f")
    page.keyboard.press("s")
    page.keyboard.press("s")
    expect(shown(page)).to_have_text(TEXTS[1])
    page.keyboard.press("1")
    expect(page.locator("#saved")).to_have_text("saved")
    assert Comment.objects.get(user=annotator).is_flag
    expect(page.locator("#ahead")).to_contain_text("next 5 are ready")
    page.reload()
    expect(page.locator("#history .history-name")).to_have_text(["skip", "negative"])
    page.keyboard.press("z")
    expect(shown(page)).to_have_text(TEXTS[1])
    page.keyboard.press("z")
    expect(shown(page)).to_have_text(TEXTS[0])
    page.keyboard.press("3")
    page.keyboard.press("1")
    expect(page.locator("#saved")).to_have_text("saved")
    assert answers(annotator) == [(TEXTS[0], "positive"), (TEXTS[1], "negative")]


def test_flag_and_comment_go_with_the_answer(screen: Page, annotator: Any) -> None:
    page = screen
    page.keyboard.press("f")
    page.keyboard.press("c")
    page.keyboard.type("1 is ironic")  # keys are letters while she types
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("button", name="comment")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("1")
    expect(page.locator("#saved")).to_have_text("saved")
    assert answers(annotator) == [(TEXTS[0], "negative")]
    comment = Comment.objects.get(user=annotator)
    assert (comment.text, comment.is_flag, comment.item.data["text"]) == ("1 is ironic", True, TEXTS[0])


def test_a_suggestion_is_shown_and_explained(page: Page, sign_in: Any, annotator: Any, items: list[Item]) -> None:
    Suggestion.objects.create(
        project=items[0].project,
        item=items[0],
        value="positive",
        probabilities={"positive": 0.71, "neutral": 0.2, "negative": 0.09},
        words=[{"start": 0, "end": 4, "weight": 0.8}],
        source="model 4",
    )
    sign_in(annotator)
    page.goto("/label/tweets/")
    expect(page.locator(".answer", has_text="positive")).to_contain_text("✦ .71")
    expect(page.get_by_role("button", name="positive (suggested by the model, 71 %)")).to_be_visible()
    expect(shown(page).locator("mark")).to_have_text("Best")
    page.keyboard.press("e")
    expect(shown(page).locator("mark")).to_have_count(0)
    page.keyboard.press("e")
    expect(shown(page).locator("mark")).to_have_text("Best")
    page.keyboard.press("3")
    expect(shown(page).locator("mark")).to_have_count(0)
    assert Assignment.objects.get(item=items[0], user=annotator).suggestion_shown is True


def test_words_are_underlined_in_the_field_they_stand_in(page: Page, sign_in: Any, owner: Any) -> None:
    project = make_project(owner, slug="letters")
    item = make_item(project, data={"subject": "Best offer", "body": "Best before May"})
    words = [{"field": "body", "start": 5, "end": 11, "weight": 0.4}]
    Suggestion.objects.create(project=project, item=item, value="neutral", words=words, source="model 1")
    sign_in(owner)
    page.goto("/label/letters/")
    expect(shown(page).locator("mark")).to_have_text("before")


def test_a_held_key_answers_one_item(screen: Page, annotator: Any) -> None:
    screen.evaluate(
        """() => {
          for (const repeat of [false, true, true, true]) {
            const press = new KeyboardEvent("keydown", {key: "1", repeat, bubbles: true, cancelable: true});
            document.body.dispatchEvent(press);
          }
        }"""
    )
    expect(shown(screen)).to_have_text(TEXTS[1])


def test_a_key_right_after_a_dialog_was_closed_is_heard(screen: Page) -> None:
    is_open = screen.evaluate(
        """() => {
          const down = (key) => new KeyboardEvent("keydown", {key, bubbles: true});
          const press = (key) => document.activeElement.dispatchEvent(down(key));
          press("c");
          document.getElementById("comment-text").focus();
          document.getElementById("comment-dialog").close();
          press("g");
          return document.getElementById("guidelines-dialog").open;
        }"""
    )
    assert is_open


def test_several_labels_are_toggled_and_submitted(page: Page, sign_in: Any, owner: Any) -> None:
    labels = {"labels": ["sport", "weather", "music"], "min": 1, "max": 2}
    project = make_project(owner, slug="topics", kind="choices", config=labels)
    item = make_item(project, "Rain stops play")
    sign_in(owner)
    page.goto("/label/topics/")
    expect(shown(page)).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.locator("#complaint")).to_have_text("Choose at least 1 label.")
    for key in "213":
        page.keyboard.press(key)
    expect(page.locator("#complaint")).to_contain_text("At most 2")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Nothing left for you")).to_be_visible()
    assert Annotation.objects.get(item=item).value == ["sport", "weather"]


def test_a_pair_is_judged_and_an_empty_queue_says_why(page: Page, sign_in: Any, owner: Any) -> None:
    project = make_project(owner, slug="pairs", kind="pair", config={"tie": True})
    item = make_item(project, data={"question": "What is gold?", "a": "A metal.", "b": "A colour."})
    sign_in(owner)
    page.goto("/label/pairs/")
    expect(page.locator(".pair-side")).to_have_count(2)
    page.keyboard.press("0")
    expect(page.locator("#empty")).to_contain_text("Everything is judged")
    expect(page.locator("#saved")).to_have_text("saved")
    assert Annotation.objects.get(item=item).value == "tie"
    page.keyboard.press("z")
    expect(page.locator(".pair-side")).to_have_count(2)


def test_a_picture_that_does_not_load_says_so(page: Page, sign_in: Any, owner: Any) -> None:
    project = make_project(owner, slug="photos", config={"labels": ["cat", "dog"]})
    make_item(project, data={"image": "/static/no-such-picture.png", "alt": "A cat"})
    sign_in(owner)
    page.goto("/label/photos/")
    expect(shown(page)).to_contain_text("The picture did not load.")


def test_two_people_get_different_items_and_the_queue_says_who_waits_for_whom(
    page: Page, sign_in: Any, owner: Any
) -> None:
    project = make_project(owner, slug="last", lease_seconds=60)
    make_item(project, "the last one")
    other = make_member(project)
    lease_items(project=project, user=other, n=1)
    sign_in(owner)
    page.goto("/label/last/")
    expect(page.get_by_role("heading", name="The rest is with other people")).to_be_visible()
    expect(page.locator("#empty-countdown")).to_contain_text("Looks again by itself in")


def test_the_screen_is_accessible_and_fits_a_phone(screen: Page, axe: Any) -> None:
    page = screen
    for key in "123121":
        page.keyboard.press(key)
    expect(page.locator("#history button")).to_have_count(6)
    axe()
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    box = page.locator("#answers").bounding_box()
    assert box is not None and box["y"] > 844 / 2 and box["y"] + box["height"] < 844
    axe()
    for key, name in (("s", "Why skip it?"), ("c", "Comment"), ("g", "Guidelines"), ("?", "Help")):
        page.keyboard.press(key)
        expect(page.get_by_role("heading", name=name)).to_be_visible()
        axe()
        page.keyboard.press("Escape")
        expect(page.get_by_role("heading", name=name)).to_be_hidden()
