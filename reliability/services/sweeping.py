"""What looks every few seconds for time that has passed: deadlines, maintenance, silence."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.db import DatabaseError

from core.actors import Actor
from core.loops import in_thread
from reliability.services import (
    acknowledged,
    alerts,
    forsaken,
    incidents,
    liveness,
    maintenance,
    overdue,
    own_jobs,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.leases import Held

logger = logging.getLogger(__name__)

LEASE: Final = "reliability.sweep"
LEASE_SECONDS: Final = 30
ACTOR: Final = Actor.schedule("sweep")
BETWEEN_TICKS: Final = timedelta(seconds=150)
"""While beat stands in, a slice a minute is all there is."""

_SELDOM_SECONDS: Final = 60.0


class SweepLoop:
    """Sweeps each slice; follows the schedule and plans maintenance once a minute."""

    def __init__(self) -> None:
        self._seldom_at = 0.0

    async def __call__(self, _held: Held) -> None:
        """Run one slice."""
        is_seldom = time.monotonic() >= self._seldom_at
        await in_thread(sweep, longest=liveness.LONGEST_SILENCE, seldom=is_seldom)
        if is_seldom:
            self._seldom_at = time.monotonic() + _SELDOM_SECONDS


async def stand_in(_held: Held) -> None:
    """Sweep once: what beat's tick does while no daemon runs."""
    await in_thread(sweep, longest=BETWEEN_TICKS, seldom=True)


def sweep(*, longest: timedelta, seldom: bool) -> None:
    """Do each part, whatever became of the others; the first trouble is raised at the end.

    Time in which nobody watched is noticed before deadlines are judged, and maintenance that has
    ended before the alerts are let go that it held back.
    """
    parts: list[Callable[[], object]] = [forsaken.end] if seldom else []
    parts += [
        lambda: liveness.stamp(longest=longest),
        liveness.settle,
        overdue.sweep,
        maintenance.tell_turns,
        lambda: alerts.release(actor=ACTOR),
        acknowledged.keep_in_step,
        lambda: incidents.expire_acknowledgements(actor=ACTOR),
    ]
    if seldom:
        parts += [maintenance.plan_ahead, own_jobs.synchronise]
    trouble: Exception | None = None
    for part in parts:
        try:
            part()
        except DatabaseError:
            raise
        except Exception as error:
            logger.exception("A part of the sweep failed.")
            trouble = trouble or error
    if trouble is not None:
        raise trouble
