"""Celery's way in: ids in, one service call."""

from celery import shared_task

from reliability.services import guard, packing, retention, rollups, uptime_tests


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


@shared_task(name="reliability.add_up_results", soft_time_limit=270, time_limit=290)
def add_up_results() -> int:
    """Add up what was found of all checks since the last time; return how many results."""
    return rollups.add_up()


@shared_task(name="reliability.pack_results", soft_time_limit=1500, time_limit=1800)
def pack_results() -> int:
    """Pack results whose hour or day is over; return how many rows were packed."""
    return packing.run(seconds=1200).results


@shared_task(name="reliability.remove_old_results", soft_time_limit=1500, time_limit=1800)
def remove_old_results() -> dict[str, int]:
    """Remove what is older than its retention; return how many rows of what."""
    return retention.remove_old()
