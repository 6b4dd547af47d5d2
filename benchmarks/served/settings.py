"""The platform's settings, with a view to measure and without rate limits in the way."""

from opsplatform.settings import *  # noqa: F403

ROOT_URLCONF = "benchmarks.served.views"
OPS_RATE_LIMIT = 1_000_000_000
