import os
import stat

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.env import env_bool, env_choice, env_former_secrets, env_int, env_list, env_secret, env_storage_folder
from config.settings import _cache_location, _database, _socket_path


@pytest.mark.parametrize(("text", "value"), [("true", True), ("1", True), ("No", False), ("off", False), ("", True)])
def test_a_switch_takes_the_usual_words(monkeypatch, text, value):
    monkeypatch.setenv("DEBUG", text)
    assert env_bool("DEBUG", True) is value


def test_a_bad_value_names_its_variable(monkeypatch):
    monkeypatch.setenv("DEBUG", "maybe")
    monkeypatch.setenv("PORT", "80a")
    monkeypatch.setenv("LOG_FORMAT", "xml")
    with pytest.raises(ImproperlyConfigured, match="DEBUG"):
        env_bool("DEBUG", False)
    with pytest.raises(ImproperlyConfigured, match="PORT"):
        env_int("PORT", 8000, low=1, high=65535)
    with pytest.raises(ImproperlyConfigured, match="LOG_FORMAT"):
        env_choice("LOG_FORMAT", "json", ("json", "console"))


@pytest.mark.parametrize("text", ["0", "65536", "-1", "8000.5"])
def test_a_port_out_of_range_is_refused(monkeypatch, text):
    monkeypatch.setenv("PORT", text)
    with pytest.raises(ImproperlyConfigured):
        env_int("PORT", 8000, low=1, high=65535)


def test_a_list_drops_what_is_empty(monkeypatch):
    monkeypatch.setenv("ALLOWED_HOSTS", " a.org ,, b.org")
    assert env_list("ALLOWED_HOSTS", ["x"]) == ["a.org", "b.org"]
    monkeypatch.setenv("ALLOWED_HOSTS", " , ")
    assert env_list("ALLOWED_HOSTS", ["x"]) == ["x"]


def test_a_secret_is_made_once_and_only_its_owner_may_read_it(monkeypatch, tmp_path):
    monkeypatch.delenv("SECRET_KEY", raising=False)
    file = tmp_path / "secret_key"
    first = env_secret("SECRET_KEY", file)
    assert len(first) >= 50
    assert env_secret("SECRET_KEY", file) == first
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret_key"]


def test_a_torn_secret_file_is_replaced(monkeypatch, tmp_path):
    monkeypatch.delenv("SECRET_KEY", raising=False)
    file = tmp_path / "secret_key"
    file.write_text("")
    assert len(env_secret("SECRET_KEY", file)) >= 50


@pytest.mark.parametrize("text", ["short", "changeme" * 8, "django-insecure-" + "a" * 50])
def test_a_placeholder_is_no_secret(monkeypatch, tmp_path, text):
    monkeypatch.setenv("SECRET_KEY", text)
    with pytest.raises(ImproperlyConfigured, match="SECRET_KEY"):
        env_secret("SECRET_KEY", tmp_path / "secret_key")


def test_former_secrets_are_secrets_too(monkeypatch):
    monkeypatch.delenv("SECRET_KEY_FALLBACKS", raising=False)
    assert env_former_secrets("SECRET_KEY_FALLBACKS") == []
    monkeypatch.setenv("SECRET_KEY_FALLBACKS", f"{'a1' * 16}, {'b2' * 16}")
    assert env_former_secrets("SECRET_KEY_FALLBACKS") == ["a1" * 16, "b2" * 16]
    monkeypatch.setenv("SECRET_KEY_FALLBACKS", f"{'a1' * 16},short")
    with pytest.raises(ImproperlyConfigured, match="SECRET_KEY_FALLBACKS"):
        env_former_secrets("SECRET_KEY_FALLBACKS")


def test_a_given_secret_is_taken_and_not_written(monkeypatch, tmp_path):
    monkeypatch.setenv("SECRET_KEY", "0123456789abcdefghijklmnopqrstuvwxyz")
    assert env_secret("SECRET_KEY", tmp_path / "secret_key") == "0123456789abcdefghijklmnopqrstuvwxyz"
    assert not list(tmp_path.iterdir())


def test_storage_is_a_folder_and_nothing_else(monkeypatch, tmp_path):
    monkeypatch.setenv("STORAGE_URL", f"file://{tmp_path}/with%20space")
    assert env_storage_folder("STORAGE_URL", tmp_path) == tmp_path / "with space"
    monkeypatch.setenv("STORAGE_URL", str(tmp_path / "plain"))
    assert env_storage_folder("STORAGE_URL", tmp_path) == tmp_path / "plain"
    monkeypatch.setenv("STORAGE_URL", "s3://bucket/models")
    with pytest.raises(ImproperlyConfigured, match="STORAGE_URL"):
        env_storage_folder("STORAGE_URL", tmp_path)


def test_a_database_address_is_sqlite_or_postgresql():
    assert _database("sqlite:////srv/a.sqlite3")["NAME"] == "/srv/a.sqlite3"
    assert _database("sqlite:////srv/a.sqlite3")["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert _database("postgres://me:pw@db/ts")["HOST"] == "db"
    for bad in ("mysql://me@db/ts", "sqlite://:memory:", "nonsense"):
        with pytest.raises(ImproperlyConfigured, match="DATABASE_URL"):
            _database(bad)


@pytest.mark.parametrize(
    ("broker", "cache"),
    [
        ("redis://:pw@host:6379/0", "redis://:pw@host:6379/1"),
        ("rediss://host/0?ssl_cert_reqs=required", "rediss://host/1?ssl_cert_reqs=required"),
        ("redis+socket:///run/valkey.sock?virtual_host=0", "unix:///run/valkey.sock?db=1"),
        ("amqp://host//", ""),
    ],
)
def test_the_cache_is_the_brokers_second_database(broker, cache):
    assert _cache_location(broker) == cache


def test_an_unknown_broker_is_refused():
    with pytest.raises(ImproperlyConfigured, match="BROKER_URL"):
        _cache_location("sqs://")


def test_a_deep_data_folder_gets_a_short_socket(tmp_path):
    shallow, deep = tmp_path / "a", tmp_path / ("d" * 120)
    short = _socket_path(deep)
    assert len(os.fsencode(short)) <= 100
    assert short == _socket_path(deep) != _socket_path(tmp_path / ("e" * 120))
    if len(os.fsencode(shallow)) < 80:
        assert _socket_path(shallow).parent == shallow
