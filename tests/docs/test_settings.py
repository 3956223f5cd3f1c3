"""Code, documentation and example name the same settings."""

import re

from django.conf import settings


def test_every_setting_is_documented_and_in_the_example():
    code = (settings.BASE_DIR / "config" / "settings.py").read_text()
    read = re.findall(r"""env_\w+\("([A-Z_]+)\"""", code)
    documented = re.findall(
        r"^\| `([A-Z_]+)` \|", (settings.BASE_DIR / "docs" / "settings.md").read_text(), re.MULTILINE
    )
    example = re.findall(r"^#([A-Z_]+)=", (settings.BASE_DIR / ".env.example").read_text(), re.MULTILINE)
    assert len(set(read)) > 5
    assert set(read) == set(documented) == set(example)
    assert documented == example, "the table and the example are in one order"


def test_every_make_target_is_a_bootstrap_command():
    targets = re.findall(r"bootstrap\.py (\w+)", (settings.BASE_DIR / "Makefile").read_text())
    bootstrap = (settings.BASE_DIR / "bootstrap.py").read_text()
    assert targets == ["install", "run", "test", "check", "lock"]
    for target in targets:
        assert f"\ndef {target}(" in bootstrap
