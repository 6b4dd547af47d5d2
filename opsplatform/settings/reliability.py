"""Defaults of checks."""

from opsplatform.env import ENV

ENV.section("Uptime")
UPTIME_INTERVAL_SEC = ENV.integer(
    "UPTIME_INTERVAL_SEC",
    default=60,
    minimum=10,
    maximum=86_400,
    about="Interval of a new check, in seconds.",
)
UPTIME_STRIKES = ENV.integer(
    "UPTIME_STRIKES",
    default=2,
    minimum=1,
    maximum=20,
    about="Failures in a row before a new check counts as down.",
)
