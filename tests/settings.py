"""The product's own settings, on a data folder that is thrown away."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

# Before the settings are read. Each worker of pytest-xdist has a folder, and so a broker and a cache, of its own.
_HOME = os.environ.get("TOUCHSTONE_TEST_HOME", "")
if not _HOME:
    _HOME = tempfile.mkdtemp(prefix="touchstone-test-")
    atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
    os.environ["TOUCHSTONE_TEST_HOME"] = _HOME
os.environ["TOUCHSTONE_HOME"] = str(Path(_HOME) / os.environ.get("PYTEST_XDIST_WORKER", "main"))
for _name in ("BROKER_URL", "STORAGE_URL", "SECRET_KEY", "ALLOWED_HOSTS", "DEBUG", "HTTPS", "PORT", "DEMO_HOST_PORT"):
    os.environ.pop(_name, None)

# As `serve` does: tests run side by side, and threads that wait for each other's turn cost a sixth of the time.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

from config.settings import *  # noqa: E402, F403
from config.settings import DATABASES, STORAGES, TOUCHSTONE_HOME  # noqa: E402

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A file: threads with connections of their own and a real worker cannot share one in memory.
    DATABASES["default"]["TEST"] = {"NAME": str(TOUCHSTONE_HOME / "test.sqlite3")}

# A slow hash protects real passwords; here it would take most of the suite's time.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# A thread with a connection of its own would not see what a test's transaction holds.
PREDICTION_LOG_SECONDS = 0

# Static files straight from their folders. tests/architecture collects them for real.
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
WHITENOISE_AUTOREFRESH = True
WHITENOISE_USE_FINDERS = True
