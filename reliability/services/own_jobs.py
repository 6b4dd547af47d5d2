"""The platform's own periodic jobs as heartbeats of the service OpsPlatform."""

from __future__ import annotations

import logging
from typing import Any, Final

from django.db import IntegrityError
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from audit.services.acts import audited
from core.actors import Actor
from core.errors import DomainError
from reliability.engine.heartbeats import Kind
from reliability.engine.recurrence import check_cron
from reliability.models import Check, Heartbeat
from reliability.services import catalogue, heartbeats
from reliability.services.job_states import Said
from reliability.services.self_check import platform_service

logger = logging.getLogger(__name__)

ACTOR: Final = Actor.schedule("heartbeats of jobs")
GRACE_SECONDS: Final = 600
MAX_RUNTIME_SECONDS: Final = 7_200


def started(*, name: str) -> None:
    """Take that a job begins; one that is not known yet makes itself known when it has ended."""
    heartbeats.report(job=name, said=Said(Kind.START, timezone.now()))


def finished(*, name: str, ok: bool, error: str = "") -> None:
    """Take how a job ended; the first time, this registers its heartbeat.

    Before its first run nothing is known of a job, and nobody is troubled with it.
    """
    now = timezone.now()
    kind = Kind.SUCCESS if ok else Kind.FAIL
    said = Said(kind, now, body=f"The task ended with {error}." if error else "")
    if not heartbeats.report(job=name, said=said) and _register(name):
        heartbeats.report(job=name, said=said)


def _register(name: str) -> bool:
    task = _tasks().filter(name=name).first()
    rhythm = _rhythm_of(task) if task is not None else None
    if rhythm is None:
        return False
    try:
        _create(name, rhythm)
    except IntegrityError:
        # Another worker was quicker.
        logger.info("The job %s has its heartbeat already.", name)
    except DomainError as error:
        logger.warning("The job %s gets no heartbeat: %s", name, error.message)
        return False
    return True


@audited
def _create(name: str, rhythm: dict[str, Any]) -> None:
    check = catalogue.create_check(
        actor=ACTOR,
        service_id=platform_service().pk,
        kind=Check.Kind.HEARTBEAT,
        name=f"job {name}"[:120],
        heartbeat={
            **rhythm,
            "grace_seconds": GRACE_SECONDS,
            "max_runtime_seconds": MAX_RUNTIME_SECONDS,
        },
    )
    Heartbeat.objects.filter(pk=check.pk).update(job=name)


def synchronise() -> dict[str, int]:
    """Follow the schedule: new times, the switch, and jobs that are gone; return how many of each.

    What an operator has set on the check itself stays, until the job's own switch is turned.
    """
    counts = {"changed": 0, "switched": 0, "removed": 0}
    tasks = {task.name: task for task in _tasks()}
    for heartbeat in Heartbeat.objects.exclude(job="").order_by("pk"):
        task = tasks.get(heartbeat.job)
        if task is None:
            catalogue.delete_check(actor=ACTOR, check_id=heartbeat.pk)
            counts["removed"] += 1
            continue
        rhythm = _rhythm_of(task)
        if rhythm and any(getattr(heartbeat, key) != value for key, value in rhythm.items()):
            catalogue.update_check(actor=ACTOR, check_id=heartbeat.pk, heartbeat=rhythm)
            counts["changed"] += 1
        if task.enabled != heartbeat.job_enabled:
            _switch(heartbeat.pk, enabled=task.enabled)
            counts["switched"] += 1
    return counts


@audited
def _switch(check_id: int, *, enabled: bool) -> None:
    catalogue.update_check(actor=ACTOR, check_id=check_id, enabled=enabled)
    Heartbeat.objects.filter(pk=check_id).update(job_enabled=enabled)


def _tasks() -> Any:  # noqa: ANN401  # the package has no types
    return PeriodicTask.objects.select_related("crontab", "interval")


def _rhythm_of(task: Any) -> dict[str, Any] | None:  # noqa: ANN401  # the same
    """Return the rhythm of a job's schedule; None for one that never comes again by itself."""
    if task.one_off:
        return None
    if task.interval is not None:
        seconds = round(task.interval.schedule.run_every.total_seconds())
        return {"schedule": Heartbeat.Schedule.PERIOD, "period_seconds": max(seconds, 10)}
    if task.crontab is None:
        return None
    when = task.crontab
    fields = (when.minute, when.hour, when.day_of_month, when.month_of_year, when.day_of_week)
    cron = " ".join(field.replace(" ", "") for field in fields)
    try:
        check_cron(cron)
    except ValueError:
        return None
    return {
        "schedule": Heartbeat.Schedule.CRON,
        "cron": cron,
        "time_zone": str(when.timezone),
    }
