"""Heartbeats: where their jobs report, what they reported, how long runs took."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.utils import timezone

from reliability.models import Heartbeat, HeartbeatPing

if TYPE_CHECKING:
    from datetime import datetime

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
