"""Periodic jobs: declared by the apps, kept as rows that operators may change."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from core.discovery import declared

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class PeriodicJob:
    """A task that beat sends; `cron` is minute, hour, day, month, weekday in UTC."""

    name: str
    task: str
    cron: str
    expires_seconds: int
    why: str
    kwargs: Mapping[str, str] = field(default_factory=dict)


class Synchronised(NamedTuple):
    """Names of the jobs that are new, and of those that differed from the code."""

    created: list[str]
    refreshed: list[str]


def all_periodic_jobs() -> list[PeriodicJob]:
    """Return the periodic jobs of every app."""
    return list(declared("schedules", "PERIODIC_JOBS", PeriodicJob))


def synchronise(crontab_model: Any, task_model: Any) -> Synchronised:  # noqa: ANN401  # historical models of a migration have no type
    """Create missing rows and refresh what code decides; tell which.

    Timing, queue and the switch belong to the operator once the row exists.
    """
    created_names, refreshed = [], []
    for job in all_periodic_jobs():
        minute, hour, day, month, weekday = job.cron.split()
        ours = {
            "task": job.task,
            "kwargs": json.dumps(dict(job.kwargs), sort_keys=True),
            "description": job.why,
            "expire_seconds": job.expires_seconds,
        }
        known = task_model.objects.filter(name=job.name).first()
        if known is None:
            crontab, _ = crontab_model.objects.get_or_create(
                minute=minute,
                hour=hour,
                day_of_month=day,
                month_of_year=month,
                day_of_week=weekday,
                timezone="UTC",
            )
            task_model.objects.create(name=job.name, crontab=crontab, **ours)
            created_names.append(job.name)
        elif any(getattr(known, name) != value for name, value in ours.items()):
            for name, value in ours.items():
                setattr(known, name, value)
            known.save(update_fields=list(ours))
            refreshed.append(job.name)
    return Synchronised(created_names, refreshed)
