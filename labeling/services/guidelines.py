"""A section of the guidelines that somebody prepared elsewhere, kept until its editor saves or drops it."""

from collections.abc import MutableMapping
from typing import Any

from labeling.models import Project

_KEY = "prepared_guidelines"


def keep_section(*, session: MutableMapping[str, Any], project: Project, text: str) -> None:
    """Keeps a Markdown section for the project's editor, in this person's session. Nothing is saved by it."""
    session[_KEY] = {"project": project.pk, "text": text}


def kept_section(*, session: MutableMapping[str, Any], project: Project) -> str:
    """The section that waits for the project's editor; empty without one."""
    kept = session.get(_KEY) or {}
    return str(kept["text"]) if kept.get("project") == project.pk else ""


def drop_section(*, session: MutableMapping[str, Any]) -> None:
    session.pop(_KEY, None)
