"""A real browser on a live server. A test gets `page` and signs in with `sign_in(user)`."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Page

from tests.services import chromium
from tests.services.missing import missing

# Playwright's synchronous interface runs a loop in this thread; Django would take it for asynchronous code.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

AXE = Path(__file__).parent.parent / "vendor" / "axe-4.14.1" / "axe.min.js"
AXE_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


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
    return browser_context_args | {"base_url": live_server.url, "viewport": {"width": 1280, "height": 800}}


@pytest.fixture
def context(transactional_db: None, context: Any) -> Any:
    # The page closes before the tables are emptied, and so asks for nothing while that happens.
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
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            page.evaluate(AXE.read_text())
            result = page.evaluate("rules => axe.run(document, {runOnly: rules})", AXE_RULES)
            for violation in result["violations"]:
                for node in violation["nodes"]:
                    found.append(
                        f"{scheme}: {violation['id']} ({violation['help']}) at {node['target']}: {node['html'][:120]}"
                    )
        page.emulate_media(color_scheme="light", reduced_motion="no-preference")
        assert not found, "\n".join(found)

    return look
