"""A real browser on a live server. A test gets `page` and signs in with `sign_in(user)`."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.signals import request_finished, request_started
from django.test import Client
from playwright.sync_api import Page

from tests.services import chromium
from tests.services.missing import missing

# Playwright's synchronous interface runs a loop in this thread; Django would take it for asynchronous code.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

DESK, PHONE = (1280, 800), (390, 844)
AXE = Path(__file__).parent.parent / "vendor" / "axe-4.14.1" / "axe.min.js"
AXE_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# What colours can change.
AXE_IN = {"light": {"type": "tag", "values": AXE_RULES}, "dark": {"type": "rule", "values": ["color-contrast"]}}


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    try:
        found = chromium.find()
    except chromium.NoChromium as error:
        missing(str(error))
    return browser_type_launch_args | {
        "executable_path": found.path,
        "args": ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
        "env": os.environ | found.env,
    }


@pytest.fixture
def browser_context_args(browser_context_args: dict[str, Any], live_server: Any) -> dict[str, Any]:
    return browser_context_args | {"base_url": live_server.url, "viewport": {"width": DESK[0], "height": DESK[1]}}


@pytest.fixture
def quiet_server(transactional_db: None) -> Iterator[None]:
    """Ends when the server has been idle for a moment: a page that is left still gives its leases back, and a request
    that runs while the tables are emptied would lock against it."""
    in_flight, last_change = 0, time.monotonic()
    lock = threading.Lock()

    def change(by: int) -> None:
        nonlocal in_flight, last_change
        with lock:
            in_flight, last_change = in_flight + by, time.monotonic()

    def started(**kwargs: Any) -> None:
        change(1)

    def finished(**kwargs: Any) -> None:
        change(-1)

    request_started.connect(started)
    request_finished.connect(finished)
    yield
    deadline = time.monotonic() + 10
    change(0)
    while (in_flight > 0 or time.monotonic() - last_change < 0.15) and time.monotonic() < deadline:
        time.sleep(0.02)
    request_started.disconnect(started)
    request_finished.disconnect(finished)


@pytest.fixture
def context(quiet_server: None, context: Any) -> Any:
    # Asked for in this order, so that the page closes before the server is waited for and the tables are emptied.
    context.set_default_timeout(10_000)
    return context


@pytest.fixture
def page(page: Page) -> Any:
    """A page on which any error of a script or refusal of the content security policy fails the test."""
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if "Content Security Policy" in line.text else None)
    yield page
    assert not errors, errors


@pytest.fixture
def sign_in(page: Page, live_server: Any) -> Callable[[Any], None]:
    """Logs the browser in as a user, by the session that the log-in page would have made."""

    def sign(user: Any) -> None:
        client = Client()
        client.force_login(user)
        cookie = client.cookies[settings.SESSION_COOKIE_NAME]
        page.context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": live_server.url}])

    return sign


@pytest.fixture
def axe(page: Page) -> Callable[[], None]:
    """Looks for what shuts people out, in light and in dark; fails the test naming each element."""

    def look() -> None:
        found = []
        page.evaluate(AXE.read_text())
        for scheme, rules in AXE_IN.items():
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            result = page.evaluate("rules => axe.run(document, {runOnly: rules})", rules)
            for violation in result["violations"]:
                for node in violation["nodes"]:
                    found.append(
                        f"{scheme}: {violation['id']} ({violation['help']}) at {node['target']}: {node['html'][:120]}"
                    )
        page.emulate_media(color_scheme="light", reduced_motion="no-preference")
        assert not found, "\n".join(found)

    return look


@pytest.fixture
def axe_everywhere(page: Page, axe: Callable[[], None]) -> Callable[[], None]:
    """The same on a desk and on a phone, where nothing is wider than the screen either."""

    def look() -> None:
        size = page.viewport_size
        for width, height in (DESK, PHONE):
            page.set_viewport_size({"width": width, "height": height})
            axe()
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"too wide for {width}"
        if size is not None:
            page.set_viewport_size(size)

    return look
