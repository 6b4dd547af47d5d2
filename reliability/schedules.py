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
    PeriodicJob(
        name="Results: add up",
        task="reliability.add_up_results",
        cron="*/5 * * * *",
        expires_seconds=270,
        why="Adds up what was found of all checks, for the curves over everything.",
    ),
    PeriodicJob(
        name="Results: pack",
        task="reliability.pack_results",
        cron="7 * * * *",
        expires_seconds=3000,
        why="Packs results whose hour is over, and their days after two days.",
    ),
    PeriodicJob(
        name="Results: retention",
        task="reliability.remove_old_results",
        cron="30 4 * * *",
        expires_seconds=3600,
        why="Removes single results after OPS_RESULTS_DAYS, old pings, snapshots and tests.",
    ),
)
