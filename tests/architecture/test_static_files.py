"""Vendored files are what was published; collected files name each other rightly."""

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command

from config.management.commands.serve import static_fingerprint
from config.storage import HashedStaticFiles

IMPORT = re.compile(r"""^(?:(?:import|export)\s[^;"']*?from|import)\s*["']([^"']+)["']""", re.MULTILINE)


@pytest.mark.parametrize("folder", ["static/vendor", "tests/vendor"])
def test_vendored_files_are_what_was_published(folder):
    root = settings.BASE_DIR / folder
    listed = json.loads((root / "vendor.json").read_text())
    assert set(listed) == {path.name for path in root.iterdir() if path.is_dir()}
    for name, package in listed.items():
        assert set(package["files"]) == {path.name for path in (root / name).iterdir()}
        assert "LICENSE" in package["files"]
        assert package["integrity"].startswith("sha512-")
        for file, expected in package["files"].items():
            digest = hashlib.sha384((root / name / file).read_bytes()).digest()
            assert "sha384-" + base64.b64encode(digest).decode() == expected, f"{name}/{file} was changed"


@pytest.fixture(scope="module")
def collected(tmp_path_factory) -> Path:
    """The static files as `serve` collects them."""
    folder = tmp_path_factory.mktemp("static")
    storages = settings.STORAGES | {
        "staticfiles": {"BACKEND": "config.storage.HashedStaticFiles", "OPTIONS": {"location": str(folder)}}
    }
    from django.test import override_settings

    with override_settings(STORAGES=storages, STATIC_ROOT=folder):
        call_command("collectstatic", interactive=False, verbosity=0, skip_checks=True)
    return folder


def test_each_import_between_modules_leads_to_a_hashed_file(collected):
    manifest = json.loads((collected / "staticfiles.json").read_text())["paths"]
    ours = [name for name in manifest if name.endswith(".js") and not name.startswith(("admin/", "drf_", "vendor/"))]
    assert ours
    n_imports = 0
    for name in ours:
        path = collected / manifest[name]
        for match in IMPORT.finditer(path.read_text()):
            target = (path.parent / match[1]).resolve()
            assert target.is_file(), f"{name} imports {match[1]}, which was not collected"
            assert re.search(r"\.[0-9a-f]{12}\.js$", target.name), f"{name} imports {target.name} without its hash"
            n_imports += 1
    sources = sum(len(IMPORT.findall((settings.BASE_DIR / "static" / name).read_text())) for name in ours)
    assert n_imports == sources


def test_files_are_packed_and_only_under_their_hashed_names(collected):
    assert list(collected.glob("app.*.css.gz"))
    assert not (collected / "app.css").exists()


def test_templates_name_only_static_files_that_exist(collected):
    manifest = json.loads((collected / "staticfiles.json").read_text())["paths"]
    for template in (settings.BASE_DIR / "templates").rglob("*.html"):
        for name in re.findall(r"{% static ['\"]([^'\"]+)['\"]", template.read_text()):
            assert name in manifest, f"{template.name} wants {name}"


def test_no_template_has_what_the_content_security_policy_refuses():
    for template in (settings.BASE_DIR / "templates").rglob("*.html"):
        text = re.sub(r"{% comment %}.*?{% endcomment %}", "", template.read_text(), flags=re.DOTALL)
        assert not re.search(r"\sstyle=", text), template
        assert not re.search(r"<style", text), template
        assert not re.search(r"\son\w+=", text), template
        for script in re.findall(r"<script\b[^>]*>", text):
            assert "src=" in script or "application/json" in script, f"{template}: {script}"


def test_the_fingerprint_changes_with_a_file(tmp_path, settings):
    settings.STATICFILES_DIRS = [tmp_path]
    from django.contrib.staticfiles import finders

    finders.get_finder.cache_clear()
    try:
        (tmp_path / "a.js").write_text("1;")
        before = static_fingerprint()
        assert before == static_fingerprint()
        (tmp_path / "a.js").write_text("12;")
        assert before != static_fingerprint()
    finally:
        finders.get_finder.cache_clear()


def test_the_storage_rewrites_imports_of_modules():
    assert HashedStaticFiles.support_js_module_import_aggregation is True
