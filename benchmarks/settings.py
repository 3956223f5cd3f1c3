"""The product's settings, with the empty view that costs are compared with."""

from config.settings import *  # noqa: F403

ROOT_URLCONF = "benchmarks.urls"
