"""How many requests a minute a caller of the API may send."""

from typing import Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from labeling.services.limits import count_hit


class ScopeThrottle(BaseThrottle):
    """The limit of the view's `scope` in requests a minute and caller (settings.THROTTLE_PER_MINUTE)."""

    def __init__(self) -> None:
        self._wait: float | None = None

    def allow_request(self, request: Request, view: Any) -> bool:
        scope = getattr(view, "scope", "manage")
        limit = settings.THROTTLE_PER_MINUTE.get(scope)
        if limit is None:
            return True
        who = str(request.user.pk) if request.user and request.user.is_authenticated else self.get_ident(request)
        self._wait = count_hit(scope, who, limit)
        return self._wait is None

    def wait(self) -> float | None:
        return self._wait
