"""Periodic jobs of the audit log."""

from typing import Final

from core.periodic import PeriodicJob

PERIODIC_JOBS: Final = (
    PeriodicJob(
        name="Audit: seal",
        task="core.run_loop_slice",
        kwargs={"loop": "audit.seal"},
        cron="* * * * *",
        expires_seconds=60,
        why="Stands in for the daemon: seals audit records into the chain.",
    ),
    PeriodicJob(
        name="Audit: verify",
        task="audit.verify_daily",
        cron="30 2 * * *",
        expires_seconds=3600,
        why="Verifies the whole chain of the audit log; damage opens an incident.",
    ),
    PeriodicJob(
        name="Audit: retention",
        task="audit.archive",
        cron="30 4 * * *",
        expires_seconds=3600,
        why="Moves sealed audit records beyond their retention into archives that still verify.",
    ),
)
