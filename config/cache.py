"""The shared cache. It holds only what can be lost, so a cache that is down must not take a page down."""

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import structlog
from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

T = TypeVar("T")


class JsonSerializer:
    """Values as JSON: what comes from a server over the network is never unpickled. Tuples come back as lists."""

    def dumps(self, value: Any) -> int | str:
        return value if type(value) is int else json.dumps(value)  # a bare number stays countable by INCR

    def loads(self, data: bytes) -> Any:
        return json.loads(data)


class ForgivingRedisCache(RedisCache):
    """Django's Redis cache; while the server is away it behaves as if it were empty, and says so in the log."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        params["OPTIONS"] = {
            "serializer": JsonSerializer,
            "socket_connect_timeout": 1,
            "socket_timeout": 2,
        } | params.get("OPTIONS", {})
        super().__init__(server, params)

    def _or(self, default: T, call: Callable[[], T]) -> T:
        try:
            return call()
        except (RedisError, OSError) as error:
            log.warning("cache_unavailable", error=str(error))
            return default

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        return self._or(True, lambda: super(ForgivingRedisCache, self).add(key, value, timeout, version))

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        return self._or(default, lambda: super(ForgivingRedisCache, self).get(key, default, version))

    def set(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        self._or(None, lambda: super(ForgivingRedisCache, self).set(key, value, timeout, version))

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        return self._or(False, lambda: super(ForgivingRedisCache, self).touch(key, timeout, version))

    def delete(self, key: Any, version: int | None = None) -> bool:
        return self._or(False, lambda: super(ForgivingRedisCache, self).delete(key, version))

    def has_key(self, key: Any, version: int | None = None) -> bool:
        return self._or(False, lambda: super(ForgivingRedisCache, self).has_key(key, version))

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        return self._or(delta, lambda: super(ForgivingRedisCache, self).incr(key, delta, version))

    def incr_many(self, counts: Mapping[str, int], timeout: int) -> dict[str, int]:
        """The counters after adding so much to each, new ones to 0, in one round trip; none without a server."""

        def call() -> dict[str, int]:
            with self._cache.get_client(None, write=True).pipeline(transaction=False) as pipe:
                for key, n in counts.items():
                    stored = self.make_and_validate_key(key)
                    pipe.incrby(stored, n)
                    pipe.expire(stored, timeout)
                return dict(zip(counts, pipe.execute()[::2], strict=True))

        return self._or({}, call)

    def get_many(self, keys: Any, version: int | None = None) -> dict[Any, Any]:
        return self._or({}, lambda: super(ForgivingRedisCache, self).get_many(keys, version))

    def set_many(self, data: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> list[Any]:
        return self._or([], lambda: super(ForgivingRedisCache, self).set_many(data, timeout, version))

    def delete_many(self, keys: Any, version: int | None = None) -> None:
        self._or(None, lambda: super(ForgivingRedisCache, self).delete_many(keys, version))

    def clear(self) -> None:
        self._or(None, lambda: super(ForgivingRedisCache, self).clear())
