"""Loops of the audit log."""

from typing import Final

from audit.services import seal
from core.loops import Loop, threaded

LOOPS: Final = (
    Loop(
        name="audit.seal",
        period_seconds=5,
        lease_seconds=60,
        start=threaded(seal.run),
        why="Seals audit records into the chain and signs its head.",
    ),
)
