"""Know when the platform did not watch, so that nobody is blamed for it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.utils import timezone

from reliability.models import Blackout, Liveness
from reliability.services import overdue

STAMP_SECONDS: Final = 10
"""How often the platform notes that it watches."""
LONGEST_SILENCE: Final = timedelta(seconds=30)
"""With more between two notes, it did not watch."""


def stamp(*, now: datetime | None = None, longest: timedelta = LONGEST_SILENCE) -> Blackout | None:
    """Note that the platform watches; return the time since the last note if that is a blackout.

    The gap is measured by the clock of the wall: a machine that was paused, a stop, and a clock
    that jumped ahead all look alike and are all no fault of any job. How long a gap may be is up to
    whoever made the last note as well: beat looks each minute, the daemon every few seconds.
    """
    when = now or timezone.now()
    with transaction.atomic():
        row = Liveness.objects.select_for_update().filter(pk=1).first()
        promised = round(longest.total_seconds())
        if row is None:
            first = Liveness(pk=1, at=when, silence_seconds=promised)
            Liveness.objects.bulk_create([first], ignore_conflicts=True)
            return None
        age = when - row.at
        # A note of the future was made before the clock was set back.
        if timedelta() <= age < timedelta(seconds=STAMP_SECONDS):
            return None
        last, row.at = row.at, when
        longest = max(longest, timedelta(seconds=row.silence_seconds))
        row.silence_seconds = promised
        row.save(force_update=True, update_fields=["at", "silence_seconds"])
        if age <= longest:
            return None
        return Blackout.objects.create(kind=Blackout.Kind.STOPPED, started_at=last, ended_at=when)


@transaction.atomic
def offline_began(*, at: datetime) -> Blackout:
    """Note since when the platform's own network is gone; once, however often it is told."""
    Blackout.objects.bulk_create(
        [Blackout(kind=Blackout.Kind.OFFLINE, started_at=at)], ignore_conflicts=True
    )
    return Blackout.objects.get(kind=Blackout.Kind.OFFLINE, ended_at=None)


@transaction.atomic
def offline_ended(*, at: datetime) -> Blackout | None:
    """Note that the network is back; the sweep moves what jobs outside should have reported."""
    row = Blackout.objects.filter(kind=Blackout.Kind.OFFLINE, ended_at=None).first()
    if row is None:
        return None
    row.ended_at = max(at, row.started_at)
    if not Blackout.objects.filter(pk=row.pk, ended_at=None).update(ended_at=row.ended_at):
        return None
    return row


def settle(*, now: datetime | None = None) -> int:
    """Move what was due within blackouts that have ended; return how many deadlines were moved.

    Whatever interrupts it, the next one goes on behind the last heartbeat that is done: none is
    moved twice, and none is judged before.
    """
    moved = 0
    ended = Blackout.objects.filter(settled_at=None, ended_at__isnull=False)
    for blackout in list(ended.order_by("ended_at", "pk")):
        moved += overdue.postpone(blackout)
        Blackout.objects.filter(pk=blackout.pk).update(settled_at=now or timezone.now())
    return moved
