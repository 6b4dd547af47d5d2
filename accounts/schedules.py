"""Periodic jobs of access."""

from typing import Final

from core.periodic import PeriodicJob

PERIODIC_JOBS: Final = (
    PeriodicJob(
        name="Session retention",
        task="accounts.clear_sessions",
        cron="30 4 * * *",
        expires_seconds=3600,
        why="Deletes expired console sessions and what was counted of attempts to sign in.",
    ),
    PeriodicJob(
        name="Signing keys",
        task="core.run_loop_slice",
        kwargs={"loop": "accounts.signing_keys"},
        cron="*/5 * * * *",
        expires_seconds=300,
        why="Stands in for the daemon: rotates the keys that sign tokens while no daemon does.",
    ),
    PeriodicJob(
        name="Default passwords",
        task="accounts.judge_passwords",
        cron="7,37 * * * *",
        expires_seconds=1500,
        why="Compares passwords of the console that changed with those that everybody knows.",
    ),
    PeriodicJob(
        name="API keys",
        task="accounts.tend_api_keys",
        cron="20 * * * *",
        expires_seconds=3000,
        why="Warns of API keys that end within 14, 3 and 1 days, and revokes unused ones.",
    ),
    PeriodicJob(
        name="Access reviews",
        task="accounts.tend_access_reviews",
        cron="0 6 * * *",
        expires_seconds=36_000,
        why="Opens the review of each quarter, and reminds of reviews that are due.",
    ),
)
