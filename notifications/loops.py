"""Loops of the daemon that tell people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from core.loops import Loop, in_thread
from notifications.services.dispatch import Dispatcher
from notifications.services.environment import sync_environment_channels
from notifications.services.routing import route

if TYPE_CHECKING:
    from core.leases import Held
    from core.loops import Slice


def start_routing() -> Slice:
    """Return the slice that routes; its first run takes over the channels of the environment."""
    synchronised = False

    async def run(held: Held) -> None:
        nonlocal synchronised
        if not synchronised:
            await in_thread(sync_environment_channels)
            synchronised = True
        await in_thread(route, held)

    return run


LOOPS: Final = (
    Loop(
        name="notifications.route",
        period_seconds=1,
        lease_seconds=15,
        start=start_routing,
        why="Turns alerts into messages.",
    ),
    Loop(
        name="notifications.dispatch",
        period_seconds=1,
        lease_seconds=15,
        start=Dispatcher,
        why="Sends messages, each channel by itself.",
    ),
)
