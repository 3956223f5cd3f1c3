"""Owners write Markdown; annotators get HTML that can neither run nor load anything."""

import pytest

from labeling.core.guidelines import render_guidelines


def test_what_markdown_can_say_is_kept() -> None:
    html = render_guidelines(
        "# Tone\n\nJudge the **tone**.\n\n- *negative*\n- neutral\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n"
    )
    assert "<h3>Tone</h3>" in html  # the page and the panel have the headings above
    assert "<strong>tone</strong>" in html
    assert "<li><em>negative</em></li>" in html
    assert "<table>" in html
    assert "style" not in html


@pytest.mark.parametrize(
    "markdown",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[click](javascript:alert(1))",
        "[click](data:text/html;base64,PHNjcmlwdD4=)",
        "<a href='vbscript:x'>x</a>",
        "<style>body{display:none}</style>",
        "<iframe src='https://example.org'></iframe>",
        "![pixel](https://example.org/pixel.png)",
    ],
)
def test_what_could_run_or_load_is_not(markdown: str) -> None:
    html = render_guidelines(markdown).lower()
    for forbidden in ("<script", "<img", "<style", "<iframe", 'href="javascript', 'href="data', 'href="vbscript'):
        assert forbidden not in html


def test_links_open_aside_and_tell_nothing() -> None:
    html = render_guidelines("[guide](https://example.org/guide)")
    assert 'href="https://example.org/guide"' in html
    assert 'rel="noopener noreferrer"' in html
    assert 'target="_blank"' in html


def test_no_guidelines_are_no_html() -> None:
    assert render_guidelines("") == ""
