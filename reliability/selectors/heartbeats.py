"""Heartbeats: where their jobs report, what they reported, how long runs took."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.utils import timezone

from reliability.engine import recurrence
from reliability.models import Heartbeat, HeartbeatPing

if TYPE_CHECKING:
    from django.db.models import QuerySet

PATH: Final = "/hb/"
MOST_RUNS: Final = 500
RECENT_PINGS: Final = 1_000
"""How far back the beginning of a run is looked for."""


def address(heartbeat: Heartbeat) -> str:
    """Return the address at which the job reports success."""
    return f"{settings.BASE_URL.rstrip('/')}{PATH}{heartbeat.token}"


def began_at(check_id: int, run_id: str) -> datetime | None:
    """Return when a named run of a job began, if that was told lately."""
    recent = HeartbeatPing.objects.filter(heartbeat_id=check_id).order_by("-id")[:RECENT_PINGS]
    return next(
        (
            at
            for at, kind, its_run in recent.values_list("at", "kind", "run_id").iterator()
            if its_run == run_id and kind == HeartbeatPing.Kind.START
        ),
        None,
    )


def last_durations(check_id: int, *, most: int) -> list[int]:
    """Return how long the newest successful runs took, in milliseconds, the newest first."""
    found = HeartbeatPing.objects.filter(
        heartbeat_id=check_id, kind=HeartbeatPing.Kind.SUCCESS, duration_ms__isnull=False
    )
    return [ms for ms in found.order_by("-id").values_list("duration_ms", flat=True)[:most] if ms]


def durations(check_id: int) -> dict[str, Any]:
    """Return the newest runs in the order of time, as the columns of a chart."""
    found = HeartbeatPing.objects.filter(heartbeat_id=check_id, duration_ms__isnull=False)
    rows = list(found.order_by("-id").values_list("at", "duration_ms")[:MOST_RUNS])[::-1]
    end = timezone.now()
    start = rows[0][0] if rows else end - timedelta(days=1)
    return {
        "start": start,
        "end": max(end, start),
        "at": [round(at.timestamp()) for at, _ in rows],
        "seconds": [round((ms or 0) / 1000, 3) for _, ms in rows],
    }


def pings(check_id: int) -> QuerySet[HeartbeatPing]:
    """Return what a job reported, newest first."""
    return HeartbeatPing.objects.filter(heartbeat_id=check_id).order_by("-id")


def next_times(heartbeat: Heartbeat, *, most: int = 5) -> list[datetime]:
    """Return when the next reports are expected, without the grace."""
    now = timezone.now()
    if heartbeat.schedule == Heartbeat.Schedule.CRON:
        found = recurrence.cron_after(heartbeat.cron, heartbeat.time_zone, now)
        return [moment.astimezone(UTC) for moment in islice(found, most)]
    if heartbeat.last_success_at is None:
        return []
    period = timedelta(seconds=heartbeat.period_seconds)
    first = heartbeat.last_success_at + period
    return [first + number * period for number in range(most)]
