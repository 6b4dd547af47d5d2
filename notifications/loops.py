"""Loops of the daemon that tell people."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Final

from core.loops import Loop, in_thread
from notifications.services import acknowledgements, escalation
from notifications.services.dispatch import Dispatcher
from notifications.services.environment import sync_environment_channels
from notifications.services.routing import route

if TYPE_CHECKING:
    from core.leases import Held
    from core.loops import Slice


SYNC_AGAIN_SECONDS: Final = 60


def start_routing() -> Slice:
    """Return the slice that routes; its first run takes over the channels of the environment.

    While the keyring hinders that, alerts go to the other channels, and it tries again.
    """
    sync_at = 0.0

    async def run(held: Held) -> None:
        nonlocal sync_at
        if (now := time.monotonic()) >= sync_at:
            in_step = await in_thread(sync_environment_channels)
            sync_at = math.inf if in_step else now + SYNC_AGAIN_SECONDS
        await in_thread(route, held)

    return run


def start_escalating() -> Slice:
    """Return the slice that takes due steps, after it has ended acknowledgements that ran out."""

    async def run(_held: Held) -> None:
        try:
            await in_thread(acknowledgements.expire)
        except Exception:
            # One that cannot end must not keep people from being called.
            await in_thread(escalation.tick)
            raise
        await in_thread(escalation.tick)

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
        name="notifications.escalate",
        period_seconds=1,
        lease_seconds=15,
        start=start_escalating,
        why="Tells the next ones while nobody acknowledges.",
    ),
    Loop(
        name="notifications.dispatch",
        period_seconds=1,
        lease_seconds=15,
        start=Dispatcher,
        why="Sends messages, each channel by itself.",
    ),
)
