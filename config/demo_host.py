"""The product of somebody who uses Touchstone, for the demo project: its keys, and the process that serves it.

The product itself is `demo_host/`: it knows of Touchstone what any product knows, and imports nothing of it.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.http.request import validate_host

from feedback.core.errors import UnknownKey
from feedback.core.origins import LOCAL
from feedback.models import WidgetKey
from feedback.services.keys import create_widget_key, key_for, revoke_widget_key
from feedback.services.scripts import newest
from labeling.models import ApiKey, Project
from labeling.services.demo import SLUG
from labeling.services.projects import create_api_key, revoke_api_key

SERVER = settings.BASE_DIR / "demo_host" / "server.py"
NAME = "Inkwell, the demo's product"
NOTICE = "Used to improve this demo's suggestions."


def keys_file(home: Path) -> Path:
    return home / "demo_host.json"


def give_keys(*, project: Project, owner: Any, home: Path) -> bool:
    """Leaves keys of the project for the product, in a file of this user alone; False where they were there already."""
    path = keys_file(home)
    if has_keys(home):
        return False
    # Whoever has the lost file cannot use it.
    for old in ApiKey.objects.filter(project=project, name=NAME, revoked_at__isnull=True):
        revoke_api_key(key=old, actor=owner)
    for lost in WidgetKey.objects.filter(project=project, name=NAME, revoked_at__isnull=True):
        revoke_widget_key(key=lost, actor=owner)
    widget = create_widget_key(project=project, origins=LOCAL, actor=owner, name=NAME, notice=NOTICE)
    _, api_key = create_api_key(user=owner, project=project, scopes=["predict"], name=NAME, actor=owner)
    keys = {
        "project": project.slug,
        "project_name": project.name,
        "api_key": api_key,
        "widget_key": widget.key,
        "widget_secret": widget.secret,
    }
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(keys, file, indent=2)
    part.replace(path)
    return True


def has_keys(home: Path) -> bool:
    """Whether the demo project is there, with a key that the product still holds."""
    try:
        held = json.loads(keys_file(home).read_text())
        return key_for(text=held["widget_key"]).project.slug == SLUG
    except (OSError, ValueError, KeyError, UnknownKey):
        return False


def is_reachable() -> bool:
    """Whether this machine may ask Touchstone by its own name, without the proxy that ends TLS."""
    return not settings.HTTPS and validate_host("127.0.0.1", settings.ALLOWED_HOSTS)


def command(*, home: Path, port: int, touchstone: str) -> list[str]:
    """What serves the product on a port of this machine. Isolated and without packages: it needs none."""
    scripts = {
        name: {"file": file, "integrity": script.integrity}
        for name, (file, script) in ((name, newest(name)) for name in ("widget", "signals"))
    }
    plan = {"port": port, "touchstone": touchstone, "keys": str(keys_file(home)), "scripts": scripts}
    return [sys.executable, "-I", "-S", str(SERVER), json.dumps(plan)]
