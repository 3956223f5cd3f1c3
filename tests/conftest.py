"""The cast: Olga owns, Rae reviews, Ann and Ben annotate, Eve is outside."""

from typing import Any

import pytest
from django.conf import settings

from labeling.models import Project
from tests.factories import make_member, make_project, make_user


def pytest_configure() -> None:
    # A slow hash protects real passwords; here it would take most of the suite's time.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def owner(db: None) -> Any:
    return make_user("olga")


@pytest.fixture
def project(owner: Any) -> Project:
    """A choice project negative / neutral / positive with the whole cast but Eve."""
    return make_project(owner, name="Tweet sentiment", slug="tweets")


@pytest.fixture
def reviewer(project: Project) -> Any:
    return make_member(project, "reviewer", make_user("rae"))


@pytest.fixture
def annotator(project: Project) -> Any:
    return make_member(project, "annotator", make_user("ann"))


@pytest.fixture
def annotator2(project: Project) -> Any:
    return make_member(project, "annotator", make_user("ben"))


@pytest.fixture
def outsider(db: None) -> Any:
    return make_user("eve")
