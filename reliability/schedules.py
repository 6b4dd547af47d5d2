"""Periodic jobs of reliability."""

from typing import Final

from core.periodic import PeriodicJob

PERIODIC_JOBS: Final = (
    PeriodicJob(
        name="Uptime checks",
        task="core.run_loop_slice",
        kwargs={"loop": "reliability.probes"},
        cron="* * * * *",
        expires_seconds=60,
        why="Stands in for the daemon: probes what is overdue while no daemon does.",
    ),
    PeriodicJob(
        name="Heartbeats and maintenance",
        task="core.run_loop_slice",
        kwargs={"loop": "reliability.sweep"},
        cron="* * * * *",
        expires_seconds=60,
        why="Stands in for the daemon: looks for late heartbeats and for maintenance that ends.",
    ),
    PeriodicJob(
        name="SLO guard",
        task="reliability.guard_objectives",
        cron="*/15 * * * *",
        expires_seconds=900,
        why="Stores where every objective stands, and raises and ends the alerts of their budgets.",
    ),
    PeriodicJob(
        name="Fast burns",
        task="core.run_loop_slice",
        kwargs={"loop": "reliability.slo"},
        cron="* * * * *",
        expires_seconds=60,
        why="Stands in for the daemon: notices that an error budget burns fast.",
    ),
)
