"""Loops of access in the daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from accounts.services import signing_keys
from core.actors import Actor
from core.loops import Loop, threaded

if TYPE_CHECKING:
    from core.leases import Held

_NAME: Final = "accounts.signing_keys"


def _keep_in_step(_held: Held) -> None:
    signing_keys.keep_in_step(actor=Actor.schedule(_NAME))


LOOPS: Final = (
    Loop(
        name=_NAME,
        period_seconds=30,
        lease_seconds=90,
        start=threaded(_keep_in_step),
        why="Rotates the keys that sign access tokens each 90 days, and signs nobody out.",
    ),
)
