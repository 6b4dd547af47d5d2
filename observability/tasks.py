"""Tasks of observability."""

from celery import shared_task

from core.actors import Actor
from observability.services import logs


@shared_task(name="observability.tidy_logs", soft_time_limit=600, time_limit=660)
def tidy_logs() -> int:
    """Compress and remove old log segments; return how many were touched."""
    tidied = logs.tidy_logs(actor=Actor.schedule("Log retention"))
    return tidied.compressed + tidied.removed
