"""The loop that notices within seconds that a budget burns fast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from core.loops import in_thread
from reliability.services import guard

if TYPE_CHECKING:
    from core.leases import Held

LEASE: Final = "reliability.slo"
LEASE_SECONDS: Final = 60
PERIOD_SECONDS: Final = 15

_EVENTS_EVERY: Final = 4


class BurnLoop:
    """Looks at lines of time at each turn, and once a minute at events, which cost more to read."""

    def __init__(self) -> None:
        self._turn = 0

    async def __call__(self, _held: Held) -> None:
        """Run one slice."""
        with_events = self._turn % _EVENTS_EVERY == 0
        self._turn += 1
        await in_thread(guard.watch_fast, with_events=with_events)
