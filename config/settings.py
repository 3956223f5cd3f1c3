"""The only settings file. What differs between deployments is read from the environment, see docs/settings.md."""

import hashlib
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import environ
import structlog
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from config.env import (
    env_bool,
    env_choice,
    env_folder,
    env_former_secrets,
    env_int,
    env_list,
    env_secret,
    env_storage_folder,
    env_text,
)
from config.logs import mask_invitations

BASE_DIR = Path(__file__).resolve().parent.parent

# The deployment

PORT = env_int("PORT", 8000, low=1, high=65_535)
# Where the demo's own product listens on this machine; 0 where it does not run.
DEMO_HOST_PORT = env_int("DEMO_HOST_PORT", 0, low=0, high=65_535)
TOUCHSTONE_HOME = env_folder("TOUCHSTONE_HOME", BASE_DIR / "var")
SECRET_KEY = env_secret("SECRET_KEY", TOUCHSTONE_HOME / "secret_key")
SECRET_KEY_FALLBACKS = env_former_secrets("SECRET_KEY_FALLBACKS")
DEBUG = env_bool("DEBUG", False)
ALLOWED_HOSTS = env_list("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
HTTPS = env_bool("HTTPS", False)
STORAGE_ROOT = env_storage_folder("STORAGE_URL", TOUCHSTONE_HOME / "storage")
LOG_FORMAT = env_choice("LOG_FORMAT", "console" if DEBUG or sys.stderr.isatty() else "json", ("console", "json"))

# Database


def _sqlite(name: str) -> dict[str, Any]:
    """One machine: WAL for readers beside the writer, IMMEDIATE so that no transaction fails on its upgrade."""
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": name,
        "CONN_MAX_AGE": None,
        # A file, because tests use the database from several threads and processes as the product does.
        "TEST": {"NAME": str(TOUCHSTONE_HOME / "test.sqlite3")},
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": (
                "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;"
                "PRAGMA cache_size=-20000;PRAGMA mmap_size=134217728;PRAGMA temp_store=MEMORY;"
                "PRAGMA journal_size_limit=67108864;"
            ),
        },
    }


def _database(url: str) -> dict[str, Any]:
    if not url:
        return _sqlite(str(TOUCHSTONE_HOME / "touchstone.sqlite3"))
    try:
        database = dict(environ.Env.db_url_config(url))
    except Exception as error:
        raise ImproperlyConfigured(
            "DATABASE_URL is not a database address such as postgres://user:pw@host/db."
        ) from error
    if database.get("ENGINE") == "django.db.backends.sqlite3":
        if database["NAME"] in ("", ":memory:"):
            raise ImproperlyConfigured("DATABASE_URL must name a file: web and worker share the database.")
        return _sqlite(str(database["NAME"]))
    if database.get("ENGINE") == "django.db.backends.postgresql":
        return database | {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
    raise ImproperlyConfigured("DATABASE_URL must start with postgres:// or sqlite:///.")


DATABASES = {"default": _database(env_text("DATABASE_URL"))}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Broker and cache. Unset, `manage.py serve` runs its own Valkey on a unix socket in the data folder.


def _socket_path(home: Path) -> Path:
    """Where the embedded broker listens. The kernel takes about 104 bytes, so a deep folder gets a short stand-in."""
    path = home / "valkey.sock"
    if len(os.fsencode(path)) <= 100:
        return path
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"touchstone-{digest}" / "valkey.sock"


BROKER_URL = env_text("BROKER_URL")
EMBEDDED_BROKER = not BROKER_URL
VALKEY_SOCKET = _socket_path(TOUCHSTONE_HOME)


def _cache_location(broker_url: str) -> str:
    """The same server's second database, or the empty string where the broker is not a Redis or Valkey."""
    if not broker_url:
        return f"unix://{VALKEY_SOCKET}?db=1"
    if broker_url.startswith("redis+socket://"):
        return "unix://" + broker_url.removeprefix("redis+socket://").partition("?")[0] + "?db=1"
    if broker_url.startswith(("redis://", "rediss://")):
        address, _, query = broker_url.partition("?")
        scheme, _, rest = address.partition("://")
        return f"{scheme}://{rest.partition('/')[0]}/1" + (f"?{query}" if query else "")
    if broker_url.startswith(("amqp://", "amqps://")):
        return ""
    raise ImproperlyConfigured("BROKER_URL must start with redis://, rediss://, redis+socket://, amqp:// or amqps://.")


_CACHE_LOCATION = _cache_location(BROKER_URL)
CACHES: dict[str, Any] = {
    "default": (
        {"BACKEND": "config.cache.ForgivingRedisCache", "LOCATION": _CACHE_LOCATION, "KEY_PREFIX": "touchstone"}
        if _CACHE_LOCATION
        # With RabbitMQ alone the processes share no memory: the database is the one thing that all of them see.
        else {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cache"}
    )
}

# Celery: see config/celery.py for the queues' schedule.

CELERY_BROKER_URL = BROKER_URL or f"redis+socket://{VALKEY_SOCKET}?virtual_host=0"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_TIME_LIMIT = 7_500
CELERY_TASK_SOFT_TIME_LIMIT = 7_200
# Ringing a broker that is down fails at once: the job's row waits, and no page waits with it.
_FAIL_FAST = {"max_retries": 1, "interval_start": 0, "interval_step": 0.1, "interval_max": 0.1}
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = (
    _FAIL_FAST
    if BROKER_URL.startswith("amqp")
    else _FAIL_FAST
    | {
        # A message that is not acknowledged within this time is delivered again: longer than any task may run.
        "visibility_timeout": 3 * 3_600,
        "unacked_restore_interval": 10,
        "unacked_restore_throttle": 1,
        "priority_steps": [0, 3, 6, 9],
        "queue_order_strategy": "priority",
        "health_check_interval": 25,
        "socket_keepalive": True,
        # A server that is there and does not answer must not hold a page or a probe for ever.
        "socket_connect_timeout": 2,
        "socket_timeout": 5,
    }
)
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True  # results and progress live in Job rows
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_MAX_TASKS_PER_CHILD = 200
# Kilobytes. A child that a task left larger is replaced by a fresh copy of the worker, whose libraries are shared
# memory (200 MB with scikit-learn): what training takes is given back when it ends.
CELERY_WORKER_MAX_MEMORY_PER_CHILD = 280_000
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 30
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"

# Applications

INSTALLED_APPS = [
    "config",
    "feedback",
    "active_learning",
    "labeling",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_htmx",
    "django_structlog",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "config.middleware.RequestIdMiddleware",
    "config.middleware.CookieMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "config.middleware.NulMiddleware",
    "config.middleware.DomainErrorMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# People

LOGIN_URL = "/login/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/login/"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

LANGUAGE_CODE = "en"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"

# Static files

STATIC_URL = "/static/"
STATIC_ROOT = TOUCHSTONE_HOME / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": STORAGE_ROOT}},
    "staticfiles": {
        "BACKEND": (
            "django.contrib.staticfiles.storage.StaticFilesStorage" if DEBUG else "config.storage.HashedStaticFiles"
        )
    },
}
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "config.storage.ServedAppsFinder",
]
WHITENOISE_USE_FINDERS = DEBUG

# Limits of what comes in. Larger bodies are answered 413.

DATA_UPLOAD_MAX_MEMORY_SIZE = 32 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2_000
FILE_UPLOAD_TEMP_DIR = str(TOUCHSTONE_HOME)
FILE_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
FILE_UPLOAD_PERMISSIONS = 0o600
FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o700
# Query strategies of the operator's own, as dotted paths. Owners choose among them; nobody types a path in a browser.
QUERY_STRATEGIES = env_list("QUERY_STRATEGIES", [])
IMPORT_MAX_BYTES = env_int("IMPORT_MAX_MB", 2_000, low=1, high=1_000_000) * 1_000_000
# Models that a process keeps in memory to answer with; those used longest ago make room.
SERVING_MEMORY_BYTES = env_int("SERVING_MEMORY_MB", 256, low=1, high=1_000_000) * 1_000_000
# Seconds for which logged predictions may wait in memory; a killed process takes them along. 0: written at once.
PREDICTION_LOG_SECONDS = 0.5
# Webhooks may go to this machine itself, also without TLS: for trying them out.
WEBHOOKS_TO_LOOPBACK = env_bool("WEBHOOKS_TO_LOOPBACK", DEBUG)

# Security

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "https:", "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "form-action": [SELF],
    }
}
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "config.views.csrf_failure"
# Only behind a proxy that ends TLS: plain http on this machine would otherwise lose its cookies.
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = 365 * 24 * 3_600 if HTTPS else 0
# Subdomains and browsers' preload lists belong to whoever owns the domain, not to one product on it.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
SECURE_SSL_REDIRECT = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
# Orchestrators ask for these from inside, without the proxy.
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]

# HTTP API

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "labeling.api.authentication.ApiKeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["labeling.api.authentication.HasScope"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "labeling.api.schema.RefusingSchema",
    "EXCEPTION_HANDLER": "labeling.api.errors.exception_handler",
    "DEFAULT_THROTTLE_CLASSES": ["labeling.api.throttles.ScopeThrottle"],
    # The proxies in front whose X-Forwarded-For may be believed.
    "NUM_PROXIES": 1 if HTTPS else 0,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    # `format` in a query belongs to the endpoint: labels/?format=csv.
    "URL_FORMAT_OVERRIDE": None,
}

# Requests a minute and caller, by the scope that the endpoint needs; counted in the shared cache. Far above what a
# person does.
THROTTLE_PER_MINUTE = {"annotate": 12_000, "manage": 1_200, "predict": 12_000, "login": 20}

# The same for the feedback of end users, by what it is counted for: requests, each of which may carry many events; what
# somebody says; and what they do, which is counted event by event.
FEEDBACK_PER_MINUTE = {
    "key": 6_000,
    "network": 1_200,
    "subject": 120,
    "prediction": 60,
    "subject_events": 1_200,
    "prediction_events": 300,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Touchstone",
    "DESCRIPTION": "People give values to items, models learn from them and choose what to ask next.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "ENUM_NAME_OVERRIDES": {"VerdictEnum": "feedback.models.FeedbackEvent.Verdict"},
}

# Logs: one event a line; request and job ids come from structlog's context.

_LOG_PROCESSORS: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
_LAST_PROCESSORS: list[Any] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, mask_invitations]
structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        *_LOG_PROCESSORS,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "console": {
            "()": "structlog.stdlib.ProcessorFormatter",
            "foreign_pre_chain": _LOG_PROCESSORS,
            "processors": [
                *_LAST_PROCESSORS,
                structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
            ],
        },
        "json": {
            "()": "structlog.stdlib.ProcessorFormatter",
            "foreign_pre_chain": _LOG_PROCESSORS,
            "processors": [
                *_LAST_PROCESSORS,
                # Without the local variables: they hold people's texts and secrets.
                structlog.processors.ExceptionRenderer(
                    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
                ),
                structlog.processors.JSONRenderer(),
            ],
        },
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {
        # django-structlog reports each request and its exception once, with the ids.
        "django.server": {"level": "WARNING"},
        "django.request": {"level": "CRITICAL"},
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.beat": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
    },
}
DJANGO_STRUCTLOG_CELERY_ENABLED = True
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False
DJANGO_STRUCTLOG_TRUST_UPSTREAM_REQUEST_ID = True  # config.middleware lets only well-formed ones through
DJANGO_STRUCTLOG_STATUS_START_LOG_LEVEL = 10  # DEBUG: the end of a request is the one line worth keeping
DJANGO_STRUCTLOG_CELERY_TASK_START_LOG_LEVEL = 10
DJANGO_STRUCTLOG_CELERY_TASK_SUCCESS_LOG_LEVEL = 10
