"""The product's settings, with the empty view that costs are compared with."""

from config.settings import *  # noqa: F403

ROOT_URLCONF = "benchmarks.urls"

# One machine sends here what many networks would.
FEEDBACK_PER_MINUTE = {"key": 10**9, "network": 10**9, "subject": 10**9, "prediction": 10**9}
