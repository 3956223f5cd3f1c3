"""Own API keys: looked up by the SHA-256 of the secret, so that the table alone opens nothing."""

import hashlib
from datetime import timedelta
from typing import Any

from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from labeling.models import ApiKey

LAST_USED_GRAIN = timedelta(minutes=1)


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer sk_...`; `request.auth` is then the key."""

    def authenticate(self, request: Request) -> tuple[Any, ApiKey] | None:
        header = request.META.get("HTTP_AUTHORIZATION", "")
        scheme, _, secret = header.partition(" ")
        if scheme.lower() != "bearer":
            return None
        if secret.strip().startswith("pk_"):
            raise exceptions.AuthenticationFailed("A publishable key (pk_...) opens the feedback endpoints only.")
        digest = hashlib.sha256(secret.strip().encode()).hexdigest()
        key = ApiKey.objects.select_related("user").filter(digest=digest).first()
        now = timezone.now()
        if key is None or key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= now):
            raise exceptions.AuthenticationFailed("This key is unknown, was revoked or has expired.")
        if not key.user.is_active:
            raise exceptions.AuthenticationFailed("The account of this key is closed.")
        if key.last_used_at is None or now - key.last_used_at > LAST_USED_GRAIN:
            ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)
        return key.user, key

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="touchstone"'


class HasScope(BasePermission):
    """Keys carry scopes; a view names the one it needs as `scope`. `manage` includes `annotate` and `predict`.

    A person who is logged in has every scope: there the role decides.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        if not request.user or not request.user.is_authenticated:
            return False
        key = request.auth
        if not isinstance(key, ApiKey):
            return True
        needed = getattr(view, "scope", "manage")
        if needed in key.scopes or ("manage" in key.scopes and needed in ("annotate", "predict")):
            return True
        raise exceptions.PermissionDenied(f"This key lacks the scope {needed}; it has {', '.join(key.scopes)}.")


class ApiKeyScheme(OpenApiAuthenticationExtension):
    """Tells the OpenAPI document about the keys."""

    target_class = "labeling.api.authentication.ApiKeyAuthentication"
    name = "ApiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "A key from Settings, or `manage.py create_key`.",
        }
