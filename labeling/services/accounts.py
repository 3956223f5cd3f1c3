"""Accounts of people who come by an invitation."""

from typing import Any

from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction

from labeling.core.errors import Conflict
from labeling.services.projects import accept_invitation


def create_account_by_invitation(*, token: str, username: str, password: str) -> Any:
    """The new user, already a member. Nothing is created when the invitation is no longer valid."""
    try:
        with transaction.atomic():
            user = get_user_model().objects.create_user(username, password=password)
            accept_invitation(token=token, user=user)
    except IntegrityError:
        raise Conflict(f"The name {username} is taken. Choose another one.", fields={"username": "taken"}) from None
    return user
