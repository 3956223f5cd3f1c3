"""The widget on a page of another origin, under a strict policy: click, undo, more, a lost network, no JavaScript."""

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.signals import request_started
from django.core.signing import TimestampSigner
from playwright.sync_api import expect

from feedback.core.origins import LOCAL
from feedback.core.statements import Statement
from feedback.models import CurrentVerdict, FeedbackEvent, ImplicitEvent, WidgetKey
from feedback.services.intake import record_feedback
from feedback.services.keys import create_widget_key
from feedback.services.scripts import newest
from tests.factories import make_project, make_user
from tests.feedback.conftest import make_prediction, token_of
from tests.services.processes import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


class Host:
    """A product's own site: pages under a policy that allows the widget's origin and nothing inline."""

    def __init__(self, touchstone: str) -> None:
        self.page = ""
        host = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = host.page.encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                policy = (
                    f"default-src 'none'; script-src {touchstone}; connect-src {touchstone}; form-action {touchstone}"
                )
                self.send_header("Content-Security-Policy", policy + "; require-trusted-types-for 'script'")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def touchstone(live_server: Any) -> str:
    return live_server.url.replace("127.0.0.1", "localhost")


@pytest.fixture
def host(touchstone: str) -> Iterator[Host]:
    host = Host(touchstone)
    yield host
    host.close()


@pytest.fixture
def asked() -> Iterator[dict[str, str]]:
    """By method, the last address that was asked of the interface for programs; in the order in which they came."""
    found: dict[str, str] = {}

    def note(environ: dict[str, Any], **kwargs: Any) -> None:
        if environ["PATH_INFO"].startswith("/api/"):
            found[environ["REQUEST_METHOD"]] = environ["PATH_INFO"]

    request_started.connect(note)
    yield found
    request_started.disconnect(note)


@pytest.fixture
def key(project: Any, owner: Any) -> WidgetKey:
    return create_widget_key(project=project, origins=LOCAL, actor=owner, notice="Used to improve suggestions.")


def script_tag(touchstone: str, name: str) -> str:
    file, script = newest(name)
    address = f"{touchstone}/embed/v1/{file}"
    return f'<script async src="{address}" integrity="{script.integrity}" crossorigin="anonymous"></script>'


def page_with(touchstone: str, key: WidgetKey, token: str, extra: str = "", **attributes: str) -> str:
    named = " ".join(f"{name.replace('_', '-')}='{value}'" for name, value in attributes.items())
    return f"""<!doctype html><html lang="en"><head><title>Shop</title>
{script_tag(touchstone, "widget")}{extra}
</head><body><main><h1>Shop</h1><p id="answer">Probably positive.</p>
<touchstone-feedback token="{token}" key="{key.key}" {named}>
<form method="post" action="{touchstone}/feedback/form/"><input type="hidden" name="token" value="{token}">
<input type="hidden" name="key" value="{key.key}"><button name="verdict" value="down">Wrong</button></form>
</touchstone-feedback></main></body></html>"""


def widget_events(page: Any) -> None:
    page.evaluate(
        "() => { window.heard = []; for (const n of ['feedback', 'error'])"
        " document.addEventListener('touchstone:' + n, (e) => heard.push([n, e.detail.verdict || e.detail.code])); }"
    )


def test_a_user_says_it_takes_it_back_and_says_more(host, touchstone, key, project, page, axe, asked):
    prediction = make_prediction(project)
    host.page = page_with(touchstone, key, token_of(prediction))
    page.goto(host.url)
    widget_events(page)
    assert "/api/v1/feedback/" not in asked.values(), "nothing is sent before a click"
    yes, no = page.get_by_role("button", name="Yes"), page.get_by_role("button", name="No", exact=True)
    status = page.get_by_role("status")
    expect(page.get_by_role("button", name="Wrong")).to_be_hidden()
    no.dblclick()
    expect(status).to_have_text("Thanks, recorded.")
    expect(no).to_have_attribute("aria-pressed", "true")
    assert FeedbackEvent.objects.count() == 1, "a double click is one click"
    assert list(asked) == ["OPTIONS", "POST"], "the browser asked whether this page may"
    page.get_by_role("button", name="Undo").click()
    expect(status).to_have_text("Taken back.")
    expect(no).to_have_attribute("aria-pressed", "false")
    # By keyboard alone.
    no.focus()
    page.keyboard.press("Enter")
    expect(status).to_have_text("Thanks, recorded.")
    more = page.get_by_role("button", name="Tell us more")
    more.focus()
    page.keyboard.press("Space")
    expect(more).to_have_attribute("aria-expanded", "true")
    page.get_by_role("button", name="Not true").click()
    page.get_by_label("What would be right?").select_option(label="negative")
    page.get_by_label("In your words").fill("<b>sad</b>")
    expect(page.get_by_text("Used to improve suggestions.")).to_be_visible()
    axe()
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_label("In your words")).to_be_hidden()
    expect(no).to_be_focused()
    verdict = CurrentVerdict.objects.get()
    event = verdict.event
    assert (verdict.verdict, event.correction, event.reasons, event.comment) == (
        "down",
        "negative",
        ["wrong"],
        "<b>sad</b>",
    )
    # Whoever adds a word later finds what they said before, also when the page has moved the element since.
    page.evaluate("document.querySelector('h1').after(document.querySelector('touchstone-feedback'))")
    expect(no).to_have_attribute("aria-pressed", "true")
    more.click()
    expect(page.get_by_label("What would be right?")).to_have_value("0")
    page.get_by_label("In your words").fill("sad, and late")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_label("In your words")).to_be_hidden()
    event = CurrentVerdict.objects.get().event
    assert (event.correction, event.reasons, event.comment) == ("negative", ["wrong"], "sad, and late")
    yes.click()
    expect(yes).to_have_attribute("aria-pressed", "true")
    expect(status).to_have_text("Thanks, recorded.")
    assert page.evaluate("heard") == [["feedback", name] for name in ("down", "undo", "down", "down", "down", "up")]
    assert page.context.cookies() == []


def test_a_lost_network_is_said_and_tried_again(host, touchstone, key, project, page, context):
    host.page = page_with(touchstone, key, token_of(make_prediction(project)))
    page.add_init_script("const at = AbortSignal.timeout; AbortSignal.timeout = (n) => at.call(AbortSignal, n / 50)")
    page.goto(host.url)
    widget_events(page)
    no = page.get_by_role("button", name="No", exact=True)
    expect(no).to_be_visible()
    # A server that takes it and never answers is no better than none.
    unanswered: list[Any] = []
    page.route("**/api/v1/feedback/", lambda route: unanswered.append(route))
    no.click()
    expect(page.get_by_role("status")).to_have_text("Not recorded.")
    assert page.evaluate("heard.pop()") == ["error", "network"]
    # What fails once the page shows another suggestion says nothing about that one.
    no.click()
    page.evaluate(
        "token => document.querySelector('touchstone-feedback').setAttribute('token', token)",
        token_of(make_prediction(project)),
    )
    page.wait_for_timeout(600)
    expect(page.get_by_role("status")).to_be_empty()
    assert page.evaluate("heard") == []
    for route in unanswered:
        route.abort()
    page.unroute("**/api/v1/feedback/")
    context.set_offline(True)
    no.click()
    expect(page.get_by_role("status")).to_have_text("Not recorded.")
    expect(no).to_have_attribute("aria-pressed", "false")
    context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("status")).to_have_text("Thanks, recorded.")
    assert FeedbackEvent.objects.count() == 1
    assert page.evaluate("heard") == [["error", "network"], ["feedback", "down"]]


def test_what_can_never_be_taken_offers_no_second_try(host, touchstone, key, project, page, monkeypatch):
    good = token_of(make_prediction(project))
    monkeypatch.setattr(TimestampSigner, "timestamp", lambda self: "1tXXXX")
    expired = token_of(make_prediction(project))
    monkeypatch.undo()
    bad = {
        "token_expired": expired,
        "bad_token": good[:-4] + ("AAAA" if not good.endswith("AAAA") else "BBBB"),
        "foreign_token": token_of(make_prediction(make_project(make_user("oscar"), slug="others"))),
        "foreign_subject": token_of(make_prediction(project), "somebody else"),
    }
    host.page = page_with(touchstone, key, good, subject="alice", recall="")
    page.goto(host.url)
    widget_events(page)
    status = page.get_by_role("status")
    for token in bad.values():
        page.evaluate("token => document.querySelector('touchstone-feedback').setAttribute('token', token)", token)
        page.get_by_role("button", name="Yes").click()
        expect(status).to_have_text("This can no longer be rated.")
        expect(page.get_by_role("button", name="Yes")).to_have_attribute("aria-pressed", "false")
        expect(page.get_by_role("button", name="Try again")).to_have_count(0)
    assert page.evaluate("heard") == [["error", code] for code in bad]
    assert not FeedbackEvent.objects.exists()


def test_by_keyboard_alone_and_recalled_on_the_next_visit(host, touchstone, key, project, page):
    host.page = page_with(touchstone, key, token_of(make_prediction(project)), recall="", lang="en")
    page.goto(host.url)
    no = page.get_by_role("button", name="No", exact=True)
    expect(no).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Yes")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("Thanks, recorded.")
    expect(no).to_be_focused()
    # What a screen reader is told.
    expect(page.get_by_role("group", name="Was this right?")).to_match_aria_snapshot("""
        - group "Was this right?":
          - text: Was this right?
          - button "Yes"
          - button "No" [pressed]
          - status: Thanks, recorded.
          - button "Undo"
          - button "Tell us more"
    """)
    for _ in ("Undo", "Tell us more"):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    for _ in range(5):  # the reasons
        page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type("neg")
    page.keyboard.press("Tab")
    page.keyboard.type("not at all")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_label("In your words")).to_be_hidden()
    assert CurrentVerdict.objects.get().event.correction == "negative"
    page.reload()
    expect(no).to_have_attribute("aria-pressed", "true")
    no.click()  # once more takes it back
    expect(page.get_by_role("status")).to_have_text("Taken back.")
    assert CurrentVerdict.objects.get().verdict == "undo"


def test_other_languages_directions_and_colours(host, touchstone, key, project, page):
    strings = json.dumps({"ask": "האם זה נכון?", "up": "כן", "down": "לא", "done": "תודה."}, ensure_ascii=False)
    host.page = page_with(touchstone, key, token_of(make_prediction(project)), strings=strings, dir="rtl")
    page.emulate_media(color_scheme="dark", forced_colors="active")
    page.goto(host.url)
    page.get_by_role("button", name="כן").click()
    expect(page.get_by_role("status")).to_have_text("תודה.")
    boxes = [page.get_by_role("button", name=name).bounding_box() for name in ("כן", "לא")]
    assert boxes[0]["x"] > boxes[1]["x"] and min(box["height"] for box in boxes) >= 32
    # Words that are longer than a phone is wide stay on it.
    long = json.dumps(
        {"down": "nein, das stimmt so nicht ganz und gar nicht", "none": "nichts davon " * 9, "more": "mehr"}
    )
    page.set_viewport_size({"width": 320, "height": 700})
    page.evaluate("text => document.querySelector('touchstone-feedback').setAttribute('strings', text)", long)
    page.get_by_role("button", name="nein").click()
    page.get_by_role("button", name="mehr").click()
    expect(page.get_by_label("What would be right?")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


@pytest.mark.parametrize("end", ["left", "closed"])
def test_signals_are_sent_when_the_page_is_left(host, touchstone, key, project, context, end):
    page = context.new_page()
    prediction = make_prediction(project)
    host.page = page_with(touchstone, key, token_of(prediction), script_tag(touchstone, "signals"), watch="#answer")
    page.goto(host.url)
    page.wait_for_function("!!globalThis.touchstoneSignals && !!customElements.get('touchstone-feedback')")
    page.wait_for_timeout(1_300)  # half of it on the screen for a second
    page.evaluate("touchstoneSignals.track(document.querySelector('touchstone-feedback'), 'edited', 0.5)")
    assert not ImplicitEvent.objects.exists()
    if end == "left":
        page.goto("about:blank")
    else:
        page.close(run_before_unload=True)
    wait_until(lambda: ImplicitEvent.objects.count() >= 3, seconds=5, what="the beacon")
    assert set(ImplicitEvent.objects.values_list("name", flat=True)) == {"shown", "edited", "dwell"}


def test_another_suggestion_is_seen_anew_and_a_long_one_too(host, touchstone, key, project, page):
    first, second = make_prediction(project), make_prediction(project)
    scripts = script_tag(touchstone, "signals")
    host.page = page_with(touchstone, key, token_of(first), scripts, watch="main").replace(
        "Probably positive.", "<br>" * 200
    )
    page.goto(host.url)
    page.wait_for_function("!!globalThis.touchstoneSignals && !!customElements.get('touchstone-feedback')")
    hide = "is => { Object.defineProperty(document, 'visibilityState', { value: is, configurable: true });"
    hide += " document.dispatchEvent(new Event('visibilitychange')); }"
    page.evaluate(hide, "hidden")  # before the second is over
    page.wait_for_timeout(1_300)
    page.evaluate(hide, "visible")
    page.wait_for_timeout(1_300)
    page.evaluate(
        "token => document.querySelector('touchstone-feedback').setAttribute('token', token)", token_of(second)
    )
    page.wait_for_timeout(1_300)
    page.goto("about:blank")
    wait_until(lambda: ImplicitEvent.objects.count() >= 4, seconds=5, what="the beacons")
    events = list(ImplicitEvent.objects.order_by("prediction", "name").values_list("prediction", "name", "value"))
    assert [(pk, name) for pk, name, _ in events] == [
        (one.pk, name) for one in (first, second) for name in ("dwell", "shown")
    ]
    assert all(seconds < 1 for _, name, seconds in events if name == "dwell"), "each for as long as it was there"


def test_without_javascript_a_form_does_it(host, touchstone, key, project, browser):
    host.page = page_with(touchstone, key, token_of(make_prediction(project)))
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(host.url)
    page.get_by_role("button", name="Wrong").click()
    expect(page.get_by_role("heading", name="Thanks, recorded")).to_be_visible()
    page.get_by_label("What would be right?").select_option(label="neutral")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_label("What would be right?")).to_have_value("1")
    page.get_by_label("In your words").fill("neither")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_text("“neither”")).to_be_visible()
    assert CurrentVerdict.objects.get().event.correction == "neutral"
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("heading", name="Taken back")).to_be_visible()
    page.context.close()


def test_the_owner_copies_what_to_paste(key, project, owner, page, sign_in, axe):
    record_feedback(
        key=key,
        token=token_of(make_prediction(project)),
        statement=Statement("down", correction="negative", comment="no"),
        client_id="one",
    )
    sign_in(owner)
    for address in ("feedback/", "feedback/keys/", "feedback/quarantine/"):
        page.goto(f"/projects/{project.slug}/{address}")
        axe()
    page.goto(f"/review/{project.slug}/?reason=complaint")
    expect(page.get_by_role("button", name="Take what users say")).to_be_visible()
    axe()
