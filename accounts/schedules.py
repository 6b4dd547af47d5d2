"""Periodic jobs of access."""

from typing import Final

from core.periodic import PeriodicJob

PERIODIC_JOBS: Final = (
    PeriodicJob(
        name="Session retention",
        task="accounts.clear_sessions",
        cron="30 4 * * *",
        expires_seconds=3600,
        why="Deletes expired console sessions.",
    ),
)
