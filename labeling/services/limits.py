"""Limits that hold across processes: one counter a minute in the shared cache."""

import time

from django.core.cache import cache

WINDOW_SECONDS = 60


def count_hit(scope: str, who: str, limit: int, n: int = 1) -> float | None:
    """Seconds to wait when `who` is over `limit` in this minute, with `n` more, else None.

    Without a cache everybody passes.
    """
    now = time.time()
    window = int(now // WINDOW_SECONDS)
    key = f"throttle:{scope}:{who}:{window}"
    try:
        hits = cache.incr(key, n)
    except ValueError:
        cache.add(key, 0, WINDOW_SECONDS * 2)
        try:
            hits = cache.incr(key, n)
        except ValueError:
            return None
    except Exception:  # a cache that is down must not stop people from working
        return None
    if hits is None or hits <= limit:
        return None
    return (window + 1) * WINDOW_SECONDS - now
