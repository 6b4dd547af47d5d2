"""Defaults of checks and objectives, and what leaves with age."""

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
OPS_PROBE_ANCHORS = ENV.items(
    "OPS_PROBE_ANCHORS",
    about="Two or three host:port by which the platform tells its own outage from that of its "
    "targets, when most checks fail at once; empty means the machine's name servers.",
)
SLO_WINDOW_DAYS = ENV.integer(
    "SLO_WINDOW_DAYS",
    default=30,
    minimum=1,
    maximum=90,
    about="Rolling window of a new SLO, in days.",
)
SLO_TARGET = ENV.number(
    "SLO_TARGET",
    default=0.995,
    minimum=0.000_001,
    maximum=0.999_999,
    about="Objective of a new SLO: the share that has to be good.",
)
OPS_RESULTS_DAYS = ENV.integer(
    "OPS_RESULTS_DAYS",
    default=396,
    minimum=2,
    about="How long every single result is kept, in days; daily sums are kept for ever.",
)
OPS_STATUS_PAGE_TITLE = ENV.text(
    "OPS_STATUS_PAGE_TITLE", default="Service status", about="Title of the public status page."
)
