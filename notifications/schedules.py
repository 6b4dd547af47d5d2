"""Stand-ins for the loops that tell people."""

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
)
