"""Tasks of notifications."""

from celery import shared_task

from notifications.services import auditing, live, retention


@shared_task(name="notifications.trim_feeds", soft_time_limit=240, time_limit=270)
def trim_feeds() -> int:
    """Remove entries of the live feed that are too old to be caught up; return how many."""
    return live.trim()


@shared_task(name="notifications.remove_old_messages", soft_time_limit=1500, time_limit=1800)
def remove_old_messages() -> dict[str, int]:
    """Remove messages, attempts and alerts past their retention; return how many rows of what."""
    return retention.remove_old()


@shared_task(name="notifications.audit", soft_time_limit=240, time_limit=270)
def audit() -> int:
    """Look whether alerts reach people; return how many things were wrong."""
    return len(auditing.audit().found)
