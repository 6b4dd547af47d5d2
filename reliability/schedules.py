"""Periodic jobs of reliability."""

from typing import Final

from core.periodic import PeriodicJob

PERIODIC_JOBS: Final = (
    PeriodicJob(
        name="Uptime checks",
        task="reliability.check_uptime",
        cron="* * * * *",
        expires_seconds=60,
        why="Stands in for the daemon: probes what is overdue while no daemon does.",
    ),
)
