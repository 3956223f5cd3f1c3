"""What the code may import, and what no linter sees."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings

from config.celery import app

APPS = ("labeling", "active_learning", "feedback")


def test_import_contracts_hold():
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=settings.BASE_DIR, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr


def test_every_beat_names_a_task_that_exists():
    app.loader.import_default_modules()
    missing = {entry["task"] for entry in app.conf.beat_schedule.values()} - set(app.tasks)
    assert not missing


def test_every_task_calls_one_service():
    for name in APPS:
        path = settings.BASE_DIR / name / "tasks.py"
        if not path.exists():
            continue
        for node in ast.parse(path.read_text()).body:
            if not isinstance(node, ast.FunctionDef):
                continue
            body = [line for line in node.body if not _is_docstring(line)]
            assert len(body) == 1, f"{name}.tasks.{node.name} does more than call a service"


def _is_docstring(line: ast.stmt) -> bool:
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant)


def test_the_web_process_does_not_carry_the_learning_libraries():
    """They take 100 MB and seconds to import: only workers load them."""
    script = (
        "import sys; from config.wsgi import application; from django.urls import get_resolver;"
        "get_resolver().reverse_dict;"
        "print(sorted({'sklearn', 'scipy', 'pandas', 'modAL', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], cwd=settings.BASE_DIR, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


@pytest.mark.django_db
def test_models_and_migrations_agree():
    from django.core.management import call_command

    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


def test_nothing_is_tied_together_by_signals():
    """What one function can do in order is not spread over receivers."""
    for name in APPS:
        for path in (settings.BASE_DIR / name).rglob("*.py"):
            assert "django.db.models.signals" not in path.read_text(), path
    assert {config.name for config in apps.get_app_configs()} >= {*APPS, "config"}
