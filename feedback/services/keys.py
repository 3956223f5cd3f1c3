"""Publishable keys: made, looked up, replaced, revoked."""

import math
import re
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from feedback.core.errors import UnknownKey
from feedback.core.origins import is_allowed, parse_origins
from feedback.models import WidgetKey
from labeling.core.errors import Conflict, Forbidden
from labeling.models import Project
from labeling.services.audit import record_audit

# For so long a replaced key works beside the new one: pages in caches still carry it.
GRACE = timedelta(days=7)
PREFIX = "pk_"
# Seconds: a page that was listed a moment ago waits for its preflight no longer than the first; and an origin that was
# found is looked for again after the second.
ASKED_AGAIN_AFTER = 2.0
FORGOTTEN_AFTER = 60.0
# Anything else is no key, and some of it a database does not even take.
KEY_FORM = re.compile(r"pk_[\w-]{1,97}", re.ASCII)


def create_widget_key(
    *, project: Project, origins: Iterable[str], actor: Any, name: str = "", notice: str = ""
) -> WidgetKey:
    """A new key of the project for pages of these origins. Raises Invalid for what is no origin."""
    with transaction.atomic():
        key = WidgetKey.objects.create(
            project=project,
            name=name.strip()[:80],
            key=PREFIX + secrets.token_urlsafe(32),
            secret="ws_" + secrets.token_urlsafe(32),
            origins=parse_origins(origins),
            notice=notice.strip()[:200],
            created_by=actor,
        )
        _note(key, "create", actor)
    return key


def change_widget_key(*, key: WidgetKey, origins: Iterable[str], name: str, notice: str, actor: Any) -> WidgetKey:
    """The key for other pages, or with another name or notice."""
    key.origins, key.name, key.notice = parse_origins(origins), name.strip()[:80], notice.strip()[:200]
    with transaction.atomic():
        key.save(update_fields=["origins", "name", "notice"])
        _note(key, "change", actor)
    return key


def rotate_widget_key(*, key: WidgetKey, actor: Any) -> WidgetKey:
    """A new key in place of this one, with a new secret; the old one works for GRACE longer."""
    now = timezone.now()
    with transaction.atomic():
        replaced = WidgetKey.objects.filter(pk=key.pk, revoked_at__isnull=True, expires_at__isnull=True)
        if not replaced.update(expires_at=now + GRACE):
            raise Conflict("This key was replaced or revoked already.", code="replaced")
        _note(key, "rotate", actor)
        return create_widget_key(
            project=key.project, origins=key.origins, actor=actor, name=key.name, notice=key.notice
        )


def revoke_widget_key(*, key: WidgetKey, actor: Any) -> None:
    """The key stops working with the next request."""
    with transaction.atomic():
        WidgetKey.objects.filter(pk=key.pk, revoked_at__isnull=True).update(revoked_at=timezone.now())
        _note(key, "revoke", actor)


def key_for(*, text: object, origin: str = "") -> WidgetKey:
    """The working key with its project. Raises UnknownKey, and Forbidden for a page that it does not list.

    What names no origin is no browser: a server that sends what its users said.
    """
    is_one = isinstance(text, str) and KEY_FORM.fullmatch(text) is not None
    found = _working().select_related("project").filter(key=text).first() if is_one else None
    if found is None:
        raise UnknownKey(
            "This key is unknown, was revoked or has expired. Feedback takes publishable keys (pk_...), as `key`.",
            fields={"key": "unknown"} if text else {"key": "required"},
        )
    if origin and not is_allowed(origin, found.origins):
        raise Forbidden(
            f"Pages of {origin[:100]} may not use this key. Its owner can list them under Feedback.",
            code="origin_not_allowed",
        )
    return found


def is_listed(*, origin: str) -> bool:
    """Whether any working key is for pages of this origin: what a preflight asks, which carries no key.

    Anybody may ask, as often as they like: the origins of all keys are read at most every few seconds and process. Of a
    revoked key a preflight may be answered for a minute longer; what follows it is not.
    """
    known = _known
    if is_allowed(origin, known.origins) and time.monotonic() < known.read_at + FORGOTTEN_AFTER:
        return True
    if time.monotonic() > known.read_at + ASKED_AGAIN_AFTER:
        known = _read_origins()
    return is_allowed(origin, known.origins)


@dataclass(frozen=True, slots=True)
class _Known:
    """The origins of all working keys, as this process read them last."""

    origins: frozenset[str]
    read_at: float


_NOTHING = _Known(frozenset(), -math.inf)
_known = _NOTHING


def _read_origins() -> _Known:
    global _known
    listed = _working().values_list("origins", flat=True)
    _known = _Known(frozenset(origin for origins in listed for origin in origins), time.monotonic())
    return _known


def forget_origins() -> None:
    """The next preflight in this process looks again."""
    global _known
    _known = _NOTHING


def _working() -> Any:
    return WidgetKey.objects.filter(Q(expires_at__isnull=True) | Q(expires_at__gt=timezone.now())).filter(
        revoked_at__isnull=True
    )


def _note(key: WidgetKey, act: str, actor: Any) -> None:
    transaction.on_commit(forget_origins)
    record_audit(
        action=f"widget_key.{act}",
        actor=actor,
        project=key.project,
        target=key.key[:10],
        detail={"origins": key.origins},
    )
