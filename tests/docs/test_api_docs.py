"""docs/api.md names every endpoint, and nothing that is not there."""

import re
from pathlib import Path

from django.urls import URLPattern, URLResolver, get_resolver

DOCS = Path(__file__).parents[2] / "docs"


def api_paths(patterns, prefix=""):
    for entry in patterns:
        path = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from api_paths(entry.url_patterns, path)
        elif isinstance(entry, URLPattern) and path.startswith("api/v1/"):
            yield "/" + re.sub(r"<(?:\w+:)?(\w+)>", lambda m: f"<{'id' if m[1] == 'pk' else m[1]}>", path)


def documented():
    text = (DOCS / "api.md").read_text()
    found, base = set(), ""
    for row in re.findall(r"^\| (.+?) \|", text, re.MULTILINE):
        for path in re.findall(r"`(?:[A-Z]+ )?(/api/v1/[^`?]*|[a-z]+/)", row):
            if path.startswith("/"):
                base = path.rsplit("/", 2)[0] + "/"
                found.add(path)
            else:
                found.add(base + path)  # a sibling of the one before it: `.../skip/`, `unskip/`
    return found


def test_every_endpoint_is_documented_and_every_documented_endpoint_exists():
    there = set(api_paths(get_resolver().url_patterns))
    assert there - documented() == set(), "missing from docs/api.md"
    assert documented() - there == set(), "docs/api.md names what is not there"
