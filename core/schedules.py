"""Periodic jobs of the foundation."""

from typing import Final

from core.periodic import PeriodicJob

PERIODIC_JOBS: Final = (
    PeriodicJob(
        name="Job sweep",
        task="core.run_loop_slice",
        kwargs={"loop": "core.jobs"},
        cron="* * * * *",
        expires_seconds=60,
        why="Stands in for the daemon: rings again for waiting jobs.",
    ),
)
