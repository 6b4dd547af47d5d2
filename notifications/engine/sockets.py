"""One connection: what it follows, and a bounded queue between the hub and a slow client."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

MOST_FRAMES: Final = 256
MOST_BYTES: Final = 1_048_576


class Outlet(Protocol):
    """The way out to one client."""

    drained: Callable[[], None] | None
    """Called when more may be written after `write` has returned False."""

    def write(self, frame: bytes) -> bool:
        """Hand a frame over; return whether another one may follow at once."""

    def end(self, code: int, reason: str) -> None:
        """Close the connection, at once and without waiting for a client that does not read."""


@dataclass(slots=True, eq=False)
class Socket:
    """One open connection."""

    number: str
    owner: str
    role: str
    bearer: Any
    outlet: Outlet
    opened_at: float
    granted: frozenset[str] = frozenset()
    topics: frozenset[str] = frozenset()
    cursors: dict[str, int] = field(default_factory=dict)
    is_behind: bool = False
    missed: int = 0
    ping_at: float = 0.0
    code: int = 0
    queued_bytes: int = 0
    queue: deque[list[Any]] | None = None
    room: asyncio.Event | None = None

    def offer(self, frame: bytes, metrics: str = "") -> tuple[bool, bool]:
        """Send a frame or let it wait; return whether there was room, and whether it replaced one.

        Of a metrics topic only the newest value waits, in the place of the one before.
        """
        if self.queue is None:
            if not self.outlet.write(frame):
                self.queue = deque()
            return True, False
        if metrics:
            for waiting in self.queue:
                if waiting[0] == metrics:
                    self.queued_bytes += len(frame) - len(waiting[1])
                    waiting[1] = frame
                    return True, True
        if len(self.queue) >= MOST_FRAMES or self.queued_bytes + len(frame) > MOST_BYTES:
            return False, False
        self.queue.append([metrics, frame])
        self.queued_bytes += len(frame)
        return True, False

    def drain(self) -> None:
        """Send what waits; called when the client has read."""
        queue = self.queue
        while queue:
            _, frame = queue.popleft()
            self.queued_bytes -= len(frame)
            if not self.outlet.write(frame):
                break
        else:
            self.queue = None
        if self.room is not None and not self.queue:
            self.room.set()

    @property
    def depth(self) -> int:
        """Return how many frames wait."""
        return 0 if self.queue is None else len(self.queue)

    def clear(self) -> None:
        """Forget what waits; for a connection that ends."""
        self.queue = None
        self.queued_bytes = 0
        if self.room is not None:
            self.room.set()
