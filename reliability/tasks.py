"""Celery's way in: ids in, one service call."""

from celery import shared_task

from reliability.services import guard, uptime_tests


@shared_task(
    name="reliability.run_uptime_test", acks_late=True, soft_time_limit=540, time_limit=600
)
def run_uptime_test(*, job_id: str) -> bool:
    """Run the checks of a requested test."""
    return uptime_tests.perform(job_id=job_id)


@shared_task(name="reliability.guard_objectives", soft_time_limit=540, time_limit=600)
def guard_objectives() -> int:
    """Judge every objective; return how many there are."""
    return len(guard.guard())
