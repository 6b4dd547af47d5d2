"""Pasts of checks: stretches of time and probes as if they had been seen."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from audit.services.acts import unwatched
from reliability.models import Check, CheckState, Sample, StateSegment

if TYPE_CHECKING:
    from collections.abc import Iterable

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def stood(
    check: Check,
    now: datetime,
    *stretches: tuple[str, timedelta],
    since: timedelta | None = None,
    last_at: datetime | None = None,
) -> None:
    """Give a check a past: standings with how long ago each began, the last one still holds.

    It was made `since` ago, by default when the first of them began.
    """
    begins = [now - ago for _, ago in stretches]
    made = now - since if since is not None else begins[0]
    with unwatched("set-up of a test"):
        Check.objects.filter(pk=check.pk).update(created_at=made)
    StateSegment.objects.filter(check_of=check).delete()
    ends = [*begins[1:], None]
    StateSegment.objects.bulk_create(
        StateSegment(
            check_of=check,
            standing="unknown" if standing == "paused" else standing,
            started_at=begin,
            ended_at=end,
            reason="switched off" if standing == "paused" else "",
        )
        for (standing, _), begin, end in zip(stretches, begins, ends, strict=True)
    )
    last, _ = stretches[-1]
    CheckState.objects.filter(pk=check.pk).update(
        state="unknown" if last == "paused" else last,
        standing="unknown" if last == "paused" else last,
        since=begins[-1],
        last_at=last_at or now,
    )


def probed(check: Check, moments: Iterable[datetime], *, ok: bool, ms: float = 20.0) -> None:
    """Store results of the schedule."""
    Sample.objects.bulk_create(
        Sample(check_of=check, at=at, ok=ok, latency_ms=ms, failure="" if ok else "status")
        for at in moments
    )


def each_minute(now: datetime, begin: timedelta, end: timedelta = timedelta()) -> list[datetime]:
    """Return one moment a minute, from so long ago until so long ago."""
    count = round((begin - end) / MINUTE)
    return [now - begin + MINUTE * number + timedelta(seconds=1) for number in range(count)]
