"""docs/api.md names every endpoint, and nothing that is not there."""

import re
from pathlib import Path

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from labeling.core.errors import Invalid
from labeling.core.schema import KINDS, check_config

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


def test_the_kinds_of_schemas_are_those_there_are_and_spans_are_none():
    listed = (DOCS / "api.md").read_text().split("Kinds: ", 1)[1].split(";", 1)[0]
    assert re.findall(r"`(\w+)`", re.sub(r"\(.*?\)", "", listed)) == list(KINDS)
    assert "cannot be marked: there is no such kind" in (DOCS / "projects.md").read_text()
    with pytest.raises(Invalid, match=", ".join(KINDS)):
        check_config("span", {"labels": ["person", "place"]})
