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
        name="Notifications: escalate",
        task="core.run_loop_slice",
        kwargs={"loop": "notifications.escalate"},
        cron="* * * * *",
        expires_seconds=60,
        why="Stands in for the daemon: tells the next ones while nobody acknowledges.",
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
    PeriodicJob(
        name="Notifications: retention",
        task="notifications.remove_old_messages",
        cron="50 4 * * *",
        expires_seconds=3600,
        why="Removes messages after OPS_MESSAGES_DAYS, attempts after OPS_ATTEMPTS_DAYS.",
    ),
    PeriodicJob(
        name="Notifications: auditor",
        task="notifications.audit",
        cron="*/5 * * * *",
        expires_seconds=240,
        why="Looks whether alerts reach people, mends, and tells the dead man's switch.",
    ),
)
