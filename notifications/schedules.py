"""Stand-ins for the loops that tell people, and retention of the live feed."""

from typing import Final

from core.periodic import PeriodicJob

PERIODIC_JOBS: Final = (
    PeriodicJob(
        name="Notifications: route",
        task="core.run_loop_slice",
        kwargs={"loop": "notifications.route"},
        cron="* * * * *",
        expires_seconds=60,
        why="Stands in for the daemon: turns alerts into messages.",
    ),
    PeriodicJob(
        name="Notifications: dispatch",
        task="core.run_loop_slice",
        kwargs={"loop": "notifications.dispatch"},
        cron="* * * * *",
        expires_seconds=60,
        why="Stands in for the daemon: sends messages.",
    ),
    PeriodicJob(
        name="Notifications: trim the live feed",
        task="notifications.trim_feeds",
        cron="25 * * * *",
        expires_seconds=1800,
        why="Removes entries of the live feed after seven days.",
    ),
)
