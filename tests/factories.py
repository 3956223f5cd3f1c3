"""Rows for tests, each with what a real one would have."""

import itertools
from typing import Any

from django.contrib.auth import get_user_model
from django.utils import timezone

from labeling.models import Annotation, Item, LabelSchema, Membership, Project
from labeling.services import projects

_count = itertools.count(1)
LABELS = ["negative", "neutral", "positive"]
PASSWORD = "a stone for testing gold"


def make_user(username: str = "", **overrides: Any) -> Any:
    return get_user_model().objects.create_user(username or f"user{next(_count)}", password=PASSWORD, **overrides)


def make_project(owner: Any = None, **overrides: Any) -> Project:
    """A choice project of negative, neutral, positive, unless `kind` and `config` say otherwise."""
    fields: dict[str, Any] = {
        "name": "Tweets",
        "slug": f"tweets-{next(_count)}",
        "kind": "choice",
        "config": {"labels": LABELS},
        "suggestion_policy": "shown",
    }
    return projects.create_project(owner=owner or make_user(), **(fields | overrides))


def make_member(project: Project, role: str = "annotator", user: Any = None) -> Any:
    user = user or make_user()
    Membership.objects.create(project=project, user=user, role=role)
    return user


def make_key(user: Any, project: Project | None = None, scopes: list[str] | None = None) -> str:
    """The secret of a new API key."""
    return projects.create_api_key(user=user, project=project, scopes=scopes or ["manage"])[1]


def make_item(project: Project, text: str = "", **overrides: Any) -> Item:
    number = next(_count)
    fields: dict[str, Any] = {"data": {"text": text or f"text {number}"}, "content_hash": f"{number:032x}"}
    return Item.objects.create(project=project, **(fields | overrides))


def make_items(project: Project, n: int, **overrides: Any) -> list[Item]:
    return [make_item(project, **overrides) for _ in range(n)]


def make_annotation(item: Item, value: Any = "positive", user: Any = None, **overrides: Any) -> Annotation:
    """A stored answer, without its effect on the item: for reading tests. Writing tests go through the services."""
    fields: dict[str, Any] = {
        "project_id": item.project_id,
        "schema": LabelSchema.objects.current(item.project_id),
        "created_at": timezone.now(),
        "source": "import" if user is None else "member",
    }
    return Annotation.objects.create(item=item, value=value, user=user, **(fields | overrides))
