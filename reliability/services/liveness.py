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

    What was due within it is due later by as much. The gap is measured by the clock of the wall: a
    machine that was paused, a stop, and a clock that jumped ahead all look alike and are all no
    fault of any job.
    """
    when = now or timezone.now()
    missed = _stamp(when, longest)
    if missed is None:
        return None
    start, end = missed.started_at, missed.ended_at or when
    overdue.postpone(start=start, end=end, own_jobs=True)
    return missed


@transaction.atomic
def _stamp(now: datetime, longest: timedelta) -> Blackout | None:
    row = Liveness.objects.select_for_update().filter(pk=1).first()
    if row is None:
        Liveness.objects.bulk_create([Liveness(pk=1, at=now)], ignore_conflicts=True)
        return None
    age = now - row.at
    # A note of the future was made before the clock was set back.
    if timedelta() <= age < timedelta(seconds=STAMP_SECONDS):
        return None
    last, row.at = row.at, now
    row.save(force_update=True, update_fields=["at"])
    if age <= longest:
        return None
    return Blackout.objects.create(kind=Blackout.Kind.STOPPED, started_at=last, ended_at=now)


@transaction.atomic
def offline_began(*, at: datetime) -> Blackout:
    """Note since when the platform's own network is gone; once, however often it is told."""
    Blackout.objects.bulk_create(
        [Blackout(kind=Blackout.Kind.OFFLINE, started_at=at)], ignore_conflicts=True
    )
    return Blackout.objects.get(kind=Blackout.Kind.OFFLINE, ended_at=None)


def offline_ended(*, at: datetime) -> Blackout | None:
    """Note that the network is back; what jobs outside should have reported is due later."""
    with transaction.atomic():
        row = Blackout.objects.filter(kind=Blackout.Kind.OFFLINE, ended_at=None).first()
        if row is None:
            return None
        row.ended_at = max(at, row.started_at)
        if not Blackout.objects.filter(pk=row.pk, ended_at=None).update(ended_at=row.ended_at):
            return None
    overdue.postpone(start=row.started_at, end=row.ended_at, own_jobs=False)
    return row
