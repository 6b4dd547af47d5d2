"""What a look at one part of the platform may find."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class State(StrEnum):
    """How a part does: degraded works, but wants attention; down makes the platform unready."""

    OK = "ok"
    DEGRADED = "degraded"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Finding:
    """A state and why; the reason is read by strangers and names no host, path or account."""

    state: State
    reason: str = ""


OK: Final = Finding(State.OK)


def degraded(reason: str) -> Finding:
    """Return a finding of a part that works with less than it should have."""
    return Finding(State.DEGRADED, reason)


def down(reason: str) -> Finding:
    """Return a finding of a part that does not work."""
    return Finding(State.DOWN, reason)
