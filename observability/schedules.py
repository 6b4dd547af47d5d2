"""Periodic jobs of observability."""

from typing import Final

from core.periodic import PeriodicJob

PERIODIC_JOBS: Final = (
    PeriodicJob(
        name="Log retention",
        task="observability.tidy_logs",
        cron="30 4 * * *",
        expires_seconds=3600,
        why="Compresses rotated log files and removes those older than LOG_RETENTION_DAYS.",
    ),
)
