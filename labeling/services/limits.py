"""Limits that hold across processes: one counter a minute in the shared cache."""

import time
from collections.abc import Mapping

from django.core.cache import cache

WINDOW_SECONDS = 60


def count_hit(scope: str, who: str, limit: int) -> float | None:
    """Seconds to wait when `who` is over `limit` in this minute, else None. Lets everybody pass without a cache."""
    return count_hits(scope, {who: 1}, limit)[who]


def count_hits(scope: str, counted: Mapping[str, int], limit: int) -> dict[str, float | None]:
    """The same for many at once, each so many times."""
    now = time.time()
    window = int(now // WINDOW_SECONDS)
    keys = {f"throttle:{scope}:{who}:{window}": who for who in counted}
    hits = _added({key: counted[who] for key, who in keys.items()})
    wait = (window + 1) * WINDOW_SECONDS - now
    return {who: wait if hits.get(key, 0) > limit else None for key, who in keys.items()}


def _added(counts: Mapping[str, int]) -> dict[str, int]:
    """The counters after these were added; those that the cache does not tell are left out."""
    if hasattr(cache, "incr_many"):  # in one round trip, where the cache can
        found: dict[str, int] = cache.incr_many(counts, WINDOW_SECONDS * 2)
        return found
    return {key: hits for key, n in counts.items() if (hits := _added_one(key, n)) is not None}


def _added_one(key: str, n: int) -> int | None:
    try:
        return int(cache.incr(key, n))
    except ValueError:
        cache.add(key, 0, WINDOW_SECONDS * 2)
    except Exception:  # a cache that is down must not stop people from working
        return None
    try:
        return int(cache.incr(key, n))
    except ValueError:
        return None
