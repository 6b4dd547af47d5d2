"""Celery's way in: ids in, one service call."""

from celery import shared_task

from audit.services import archives, verification


@shared_task(name="audit.run_verification", acks_late=True, soft_time_limit=3_300, time_limit=3_400)
def run_verification(*, job_id: str) -> bool:
    """Run a verification that somebody asked for."""
    return verification.perform(job_id=job_id)


@shared_task(name="audit.verify_daily", soft_time_limit=3_300, time_limit=3_400)
def verify_daily() -> bool:
    """Verify the whole log."""
    return verification.perform_daily()


@shared_task(name="audit.archive", soft_time_limit=3_300, time_limit=3_400)
def archive() -> int:
    """Archive what is beyond its retention; return how many records."""
    return archives.archive_all()
