"""Projects that take seconds to build: built once in a process, the same rows and files again for each later test."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Model

from labeling.models import Project
from tests.settings import TOUCHSTONE_HOME

_ROWS: dict[str, list[tuple[type[Model], list[Model]]]] = {}
_FILES: dict[str, Path] = {}
_AT_ONCE = 200  # rows a statement: SQLite takes so many variables and no more


def remembered(storage: Path, owner: Any, build: Callable[[Any], Project]) -> Project:
    """What `build(owner)` makes, in a database with nobody but the owner and an empty storage folder.

    The owner then has the id of the one who was there the first time.
    """
    assert get_user_model().objects.get() == owner, "make other users after it: they would be remembered too"
    name = f"{build.__module__}.{build.__qualname__}"
    if name not in _ROWS:
        project = build(owner)
        _ROWS[name] = [(model, list(model._base_manager.all())) for model in _models()]
        _FILES[name] = Path(tempfile.mkdtemp(dir=TOUCHSTONE_HOME)) / "storage"
        shutil.copytree(storage, _FILES[name])
        return project
    (same,) = [user for user in _ROWS[name][0][1] if user.get_username() == owner.get_username()]
    owner.delete()
    with transaction.atomic():  # references are looked at when it ends
        for model, rows in _ROWS[name]:
            for start in range(0, len(rows), _AT_ONCE):
                part = rows[start : start + _AT_ONCE]
                # As they were: neither the times nor the ids are made anew.
                model._base_manager.all()._insert(part, fields=model._meta.concrete_fields, using="default", raw=True)
    owner.pk = same.pk
    owner.refresh_from_db()
    shutil.copytree(_FILES[name], storage, dirs_exist_ok=True)
    return Project.objects.get()


def _models() -> list[type[Model]]:
    ours = [*apps.get_app_config("labeling").get_models(), *apps.get_app_config("active_learning").get_models()]
    return [get_user_model(), *ours]
