"""Accounts of people: they come by an invitation, and keep their own password."""

from typing import Any

from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction

from labeling.core.errors import Conflict
from labeling.services.audit import record_audit
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


def change_password(*, user: Any, password: str) -> Any:
    """The user with a new password. Sessions that began with the old one end; keys for programs stay."""
    with transaction.atomic():
        user.set_password(password)
        user.save(update_fields=["password"])
        record_audit(action="account.password", actor=user, target=user.get_username())
    return user
