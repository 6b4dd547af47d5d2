"""Catch-up and live entries without a gap: rows first, wake-ups second.

For each audience that somebody follows, the newest entries stay in memory as encoded frames, so
that a thousand clients that come back after a restart cost one read. A connection joins in the same
turn of the event loop in which it has been sent the newest of them: nothing can fall between.
"""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol

from notifications.engine import frames

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from notifications.engine.frames import Entry
    from notifications.engine.hub import Hub
    from notifications.engine.sockets import Socket

PAGE: Final = 500
MOST_BEHIND: Final = 1_000
STALL_SECONDS: Final = 30.0
_MOST_RING_BYTES: Final = 4_194_304
_BURST: Final = 100


class Rows(Protocol):
    """Where entries come from."""

    async def heads(self, audiences: Collection[str]) -> Mapping[str, int]:
        """Return the newest number of each audience, 0 for one without entries."""

    async def news(self, known: Mapping[str, int]) -> Mapping[str, tuple[int, Sequence[Entry]]]:
        """Return newest number and next entries of each audience that is not where it was."""

    async def entries(self, audience: str, after: int, limit: int) -> Sequence[Entry]:
        """Return the next entries after a number, in order."""


class _Ring:
    """The newest entries of one audience: contiguous, up to `last`, the newest that was sent."""

    def __init__(self, last: int) -> None:
        self.last = last
        self.lock = asyncio.Lock()
        self._frames: deque[bytes] = deque()
        self._bytes = 0
        # The newest cursor that is known to be too far back; as time goes on, it only gets further.
        self.out_of_reach = -1

    @property
    def first(self) -> int:
        """Return the number of the oldest entry in memory."""
        return self.last - len(self._frames) + 1

    def push(self, frame: bytes) -> None:
        """Add the next entry."""
        self.last += 1
        self._frames.append(frame)
        self._bytes += len(frame)
        while len(self._frames) > MOST_BEHIND or self._bytes > _MOST_RING_BYTES:
            self._bytes -= len(self._frames.popleft())

    def has_room(self, older: Sequence[bytes]) -> bool:
        """Tell whether so many older entries may stand before the others."""
        size = sum(map(len, older))
        fits = self._bytes + size <= _MOST_RING_BYTES
        return fits and len(older) + len(self._frames) <= MOST_BEHIND

    def extend_left(self, older: Sequence[bytes]) -> None:
        """Put older entries before the others."""
        self._frames.extendleft(reversed(older))
        self._bytes += sum(map(len, older))

    def after(self, cursor: int, limit: int) -> list[bytes]:
        """Return the frames that follow a cursor, which must not be older than the ring."""
        start = cursor + 1 - self.first
        return [self._frames[at] for at in range(start, min(start + limit, len(self._frames)))]

    def restart(self, last: int) -> None:
        """Forget everything and go on from another number."""
        self.last = last
        self._frames.clear()
        self._bytes = 0
        self.out_of_reach = -1


class Follower:
    """Keeps the audiences of a hub up to date from the rows."""

    def __init__(self, hub: Hub, rows: Rows) -> None:
        self._hub = hub
        self._rows = rows
        self._rings: dict[str, _Ring] = {}

    async def catch_up(
        self,
        socket: Socket,
        audience: str,
        cursor: int | None,
        *,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        """Send what came after the cursor, then let the connection follow.

        Without a cursor it begins now. One that is too old, or ahead of the feed since the database
        was restored, is answered by `resync`. `is_wanted` is asked in the very turn in which
        something is sent: a right may be lost while rows are read, and then it ends there.
        """
        ring = await self._ring(audience)
        if cursor is None:
            cursor = ring.last
        elif cursor != ring.last:
            self._hub.stats["replays"] += 1
        has_looked = False
        # After each wait it begins here again.
        while not socket.code and is_wanted():
            if cursor > ring.last and not has_looked:
                # Another process may have published what this one has not read yet.
                has_looked = True
                await self._advance(audience, ring)
            elif cursor > ring.last or cursor <= ring.out_of_reach:
                cursor = self._resync(socket, audience, ring.last)
            elif cursor + 1 < ring.first:
                await self._cover(audience, ring, cursor)
            elif cursor == ring.last:
                self._rings[audience] = ring
                self._hub.follow(socket, audience, cursor)
                return
            else:
                cursor = await self._replay(socket, audience, ring, cursor)

    async def advance(self) -> None:
        """Read and send what is new, once per audience for all its followers."""
        for audience in [*self._rings]:
            if not self._hub.is_followed(audience) and not self._rings[audience].lock.locked():
                del self._rings[audience]
        if not self._rings:
            return
        found = await self._rows.news({name: ring.last for name, ring in self._rings.items()})
        for audience, (head, page) in found.items():
            ring = self._rings.get(audience)
            if ring is None:
                continue
            if not ring.lock.locked() and page and page[0].seq == ring.last + 1:
                for entry in page:
                    self._send(audience, ring, entry)
            if ring.last != head:
                await self._advance(audience, ring)

    async def _ring(self, audience: str) -> _Ring:
        ring = self._rings.get(audience)
        if ring is None:
            heads = await self._rows.heads([audience])
            # Another connection may have made it meanwhile.
            ring = self._rings.setdefault(audience, _Ring(heads.get(audience, 0)))
        return ring

    async def _advance(self, audience: str, ring: _Ring) -> None:
        async with ring.lock:
            while True:
                page = await self._rows.entries(audience, ring.last, PAGE)
                if not page:
                    break
                if page[0].seq != ring.last + 1:
                    # What lay between was trimmed: everybody reads the lists anew.
                    self._restart(audience, ring, page[0].seq - 1)
                for entry in page:
                    self._send(audience, ring, entry)
                if len(page) < PAGE:
                    return
                # Others get a turn; a long way behind must not stop the loop.
                await asyncio.sleep(0)
            head = (await self._rows.heads([audience])).get(audience, 0)
            if head < ring.last:
                # The database was restored from a backup.
                self._restart(audience, ring, head)

    def _send(self, audience: str, ring: _Ring, entry: Entry) -> None:
        frame = frames.event(entry)
        ring.push(frame)
        delay = (datetime.now(UTC) - entry.at).total_seconds()
        self._hub.broadcast(audience, entry.seq, frame, delay=delay)

    def _restart(self, audience: str, ring: _Ring, last: int) -> None:
        ring.restart(last)
        frame = frames.encode("resync", audience=audience, seq=last)
        self._hub.tell(audience, frame, last)

    async def _cover(self, audience: str, ring: _Ring, cursor: int) -> None:
        """Read the entries between a cursor and the ring, or note that they are out of reach."""
        async with ring.lock:
            older: list[bytes] = []
            while cursor + 1 + len(older) < ring.first:
                at = cursor + len(older)
                page: Sequence[Entry] = []
                # The oldest come first: where the limit is met, the whole is too large.
                if cursor > ring.out_of_reach and ring.last - cursor <= MOST_BEHIND:
                    limit = min(_BURST, ring.first - at - 1)
                    page = await self._rows.entries(audience, at, limit)
                older += [frames.event(entry) for entry in page]
                if not page or page[0].seq != at + 1 or not ring.has_room(older):
                    ring.out_of_reach = max(ring.out_of_reach, cursor)
                    return
            ring.extend_left(older)

    async def _replay(self, socket: Socket, audience: str, ring: _Ring, cursor: int) -> int:
        """Send some of what a connection missed, as fast as it reads; return how far it is."""
        for frame in ring.after(cursor, _BURST):
            if socket.queue or not self._hub.send_entry(socket, frame, audience):
                break
            cursor += 1
        if socket.queue:
            socket.room = asyncio.Event()
            try:
                async with asyncio.timeout(STALL_SECONDS):
                    await socket.room.wait()
            except TimeoutError:
                self._hub.drop_slow(socket)
            finally:
                socket.room = None
        return cursor

    def _resync(self, socket: Socket, audience: str, seq: int) -> int:
        self._hub.send(socket, frames.encode("resync", audience=audience, seq=seq))
        return seq
