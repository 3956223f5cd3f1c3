"""The product's settings, with the empty view that costs are compared with."""

from config.settings import *  # noqa: F403

ROOT_URLCONF = "benchmarks.urls"

# One machine sends here what many networks would.
_COUNTED = ("key", "network", "subject", "prediction", "subject_events", "prediction_events")
FEEDBACK_PER_MINUTE = dict.fromkeys(_COUNTED, 10**9)
