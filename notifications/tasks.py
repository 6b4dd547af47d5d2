"""Tasks of notifications."""

from celery import shared_task

from notifications.services import live


@shared_task(name="notifications.trim_feeds", soft_time_limit=240, time_limit=270)
def trim_feeds() -> int:
    """Remove entries of the live feed that are too old to be caught up; return how many."""
    return live.trim()
