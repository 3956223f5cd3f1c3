import pytest
from django.core.cache import cache
from django.core.cache.backends.locmem import LocMemCache

from config.cache import ForgivingRedisCache
from labeling.services import limits


@pytest.fixture
def lost() -> ForgivingRedisCache:
    """A cache whose server is not there."""
    return ForgivingRedisCache("unix:///nowhere/valkey.sock?db=1", {})


def test_values_come_back_and_can_be_counted(broker):
    cache.set("a", {"n": [1, 2.5, None, "ü"]}, 30)
    assert cache.get("a") == {"n": [1, 2.5, None, "ü"]}
    cache.set("hits", 0, 30)
    assert cache.incr("hits") == 1
    assert cache.get("hits") == 1
    cache.set("yes", True, 30)
    assert cache.get("yes") is True
    with pytest.raises(ValueError):
        cache.incr("never-set")


def test_many_are_counted_at_once_with_whatever_cache_there_is(broker, monkeypatch, still_minute):
    assert cache.incr_many({"a": 2, "b": 1}, 30) == {"a": 2, "b": 1}
    assert cache.incr_many({"b": 5, "c": 1}, 30) == {"b": 6, "c": 1}
    for backend in (cache, LocMemCache("limits", {})):
        monkeypatch.setattr(limits, "cache", backend)
        waits = limits.count_hits("test", {"busy": 4, "quiet": 3}, 3)
        assert waits["quiet"] is None and 0 < waits["busy"] <= 60
        assert limits.count_hit("test", "quiet", 3) is not None


def test_nothing_is_ever_pickled(broker):
    with pytest.raises(TypeError):
        cache.set("object", object())


def test_a_lost_cache_is_an_empty_one(lost):
    lost.set("a", 1)
    assert lost.get("a") is None
    assert lost.get("a", "fallback") == "fallback"
    assert lost.add("a", 1) is True
    assert lost.incr("a") == 1
    assert lost.incr_many({"a": 1}, 30) == {}
    assert lost.get_many(["a"]) == {}
    assert lost.set_many({"a": 1}) == []
    assert not lost.has_key("a")
    assert not lost.delete("a")
    assert not lost.touch("a")
    lost.delete_many(["a"])
    lost.clear()
