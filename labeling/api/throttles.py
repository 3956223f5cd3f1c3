"""Limits that hold across processes: one counter a minute in the shared cache."""

import time
from typing import Any

from django.conf import settings
from django.core.cache import cache
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

WINDOW_SECONDS = 60


def count_hit(scope: str, who: str, limit: int) -> float | None:
    """Seconds to wait when `who` is over `limit` in this minute, else None. Lets everybody pass without a cache."""
    now = time.time()
    window = int(now // WINDOW_SECONDS)
    key = f"throttle:{scope}:{who}:{window}"
    try:
        hits = cache.incr(key)
    except ValueError:
        cache.add(key, 0, WINDOW_SECONDS * 2)
        try:
            hits = cache.incr(key)
        except ValueError:
            return None
    except Exception:  # a cache that is down must not stop people from working
        return None
    if hits is None or hits <= limit:
        return None
    return (window + 1) * WINDOW_SECONDS - now


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
