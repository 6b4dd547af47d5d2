"""The live hub of a process: sockets, their rows, and whether their people may still listen."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from django.conf import settings
from django.db import close_old_connections, connections
from django.utils import timezone

from accounts.selectors import still_granted
from notifications import selectors
from notifications.engine import frames
from notifications.engine.audiences import ASKED, allowed_topics, audiences_of
from notifications.engine.follower import Follower
from notifications.engine.hub import Hub
from notifications.services import wakeups
from notifications.services.slots import Slots

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

    from accounts.selectors import Bearer
    from notifications.engine.frames import Entry
    from notifications.engine.sockets import Outlet, Socket

P = ParamSpec("P")
R = TypeVar("R")

logger = logging.getLogger(__name__)

RECHECK_SECONDS: Final = 0.7
HOLD_SECONDS: Final = 30.0
SPREAD_MS: Final = 10_000
METRICS_SECONDS: Final = 1.0
# A value that did not change is told again after so long, so that its age stays honest.
_REPEAT_SECONDS: Final = 15.0
# Of a second, sampling may take so much.
_SAMPLING_SHARE: Final = 0.05
_THREADS: Final = 2
_CLOSE_SECONDS: Final = 5.0


class LiveHub:
    """Starts with the first connection; `stop` says goodbye to all."""

    def __init__(self) -> None:
        self.sources: dict[str, Callable[[], Mapping[str, Any]]] = {}
        self._reset()

    def _reset(self) -> None:
        self.hub = Hub(
            most=settings.WS_MAX_CONNECTIONS,
            heartbeat_seconds=settings.WS_HEARTBEAT_INTERVAL / 1000,
        )
        self._rows = _Rows(self.in_thread)
        self._follower = Follower(self.hub, self._rows)
        self._slots = Slots(settings.WS_MAX_CONNECTIONS)
        self._pool: ThreadPoolExecutor | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._busy = asyncio.Event()
        self._news = asyncio.Event()
        self._freed: list[str] = []
        self._latest: dict[str, bytes] = {}
        self.is_stopping = False

    # Life

    def start(self) -> None:
        """Begin to work, if it is not under way."""
        if self._tasks or self.is_stopping:
            return
        loops = (self._sweep, self._pump, self._watch, *map(self._sampler, self.sources))
        self._tasks = [asyncio.create_task(self._keep(loop)) for loop in loops]

    async def stop(self) -> None:
        """Say goodbye to everybody, spread over ten seconds, and end; a later start is another."""
        self.is_stopping = True
        numbers = [*self.hub.sockets]
        for socket in [*self.hub.sockets.values()]:
            retry_ms = random.randrange(SPREAD_MS)  # noqa: S311  # no secret depends on it
            self.hub.close(socket, frames.RESTART, "restart", retry_ms=retry_ms)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        if self._pool is not None:
            await self.in_thread(self._slots.give_back, [*self._freed, *numbers])
            self._freed = []
            await asyncio.get_running_loop().run_in_executor(None, self._close_pool)

    def restart(self) -> None:
        """Become as new; for a server that starts again in the same process."""
        self._reset()

    async def in_thread(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run code that uses the database in the hub's own two threads."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="live")
        context = contextvars.copy_context()
        call = partial(context.run, _with_fresh_connection, partial(function, *args, **kwargs))
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)

    def _close_pool(self) -> None:
        pool, self._pool = self._pool, None
        if pool is None:
            return
        meeting = threading.Barrier(_THREADS)

        def close() -> None:
            # Each thread takes one of these: the first waits until the other has taken the second.
            try:
                meeting.wait(_CLOSE_SECONDS)
            except threading.BrokenBarrierError:
                logger.warning("A thread of the live hub is still at work.")
            connections.close_all()

        for _ in range(_THREADS):
            pool.submit(close)
        pool.shutdown(wait=True)

    async def _keep(self, loop: Callable[[], Awaitable[None]]) -> None:
        """Run one of the loops for ever: what fails must not end the others."""
        while True:
            try:
                await loop()
            except Exception as error:  # the edge of a loop that must live
                logger.warning("The live hub goes on after an error.", exc_info=error)
            await asyncio.sleep(1)

    # Connections

    def admit(self, number: str, outlet: Outlet, bearer: Bearer, granted: frozenset[str]) -> Socket:
        """Take a connection in that has a place."""
        self.start()
        socket = self.hub.add(number, outlet, owner=bearer.key, role=bearer.role, bearer=bearer)
        socket.granted = granted
        self._busy.set()
        return socket

    def take_slot(self, number: str) -> bool:
        """Take one of the places of all processes; in a thread."""
        return self._slots.take(number)

    def leave(self, socket: Socket, code: int) -> None:
        """Forget a connection."""
        self.hub.remove(socket, code)
        self.free(socket.number)

    def free(self, number: str) -> None:
        """Give a place back soon, together with others."""
        self._freed.append(number)

    async def subscribe(
        self,
        socket: Socket,
        topics: Collection[str],
        cursors: Mapping[str, int | None],
    ) -> frozenset[str]:
        """Follow these topics and no others; return those that the person may not have."""
        allowed = allowed_topics(socket.granted)
        refused = frozenset(topics) - allowed
        socket.topics = frozenset(topics) & allowed
        self._narrow(socket)
        for topic in socket.topics & self._latest.keys():
            self.hub.send(socket, self._latest[topic], topic)
        wanted = audiences_of(socket.topics, socket.bearer.user_id)
        for audience in sorted(wanted - socket.cursors.keys()):
            await self._follower.catch_up(socket, audience, cursors.get(audience))
        # What was published meanwhile is read now, not with the next wake-up.
        self._news.set()
        return refused

    # Loops

    async def _sweep(self) -> None:
        hold_at = 0.0
        while True:
            await asyncio.sleep(RECHECK_SECONDS)
            if self._freed:
                freed, self._freed = self._freed, []
                await self.in_thread(self._slots.give_back, freed)
            if not self.hub.sockets:
                self._busy.clear()
                continue
            self.hub.beat()
            if time.monotonic() >= hold_at:
                hold_at = time.monotonic() + HOLD_SECONDS
                await self.in_thread(self._slots.hold, [*self.hub.sockets])
            await self._recheck()

    async def _recheck(self) -> None:
        """Close whose sign-in is over; take away topics that roles no longer give."""
        bearers = [bearer for bearer in self.hub.bearers if bearer.session]
        if not bearers:
            return
        standing = await self.in_thread(still_granted, bearers, ASKED)
        for bearer in bearers:
            granted = standing.get(bearer)
            for socket in self.hub.of_bearer(bearer):
                if granted is None:
                    self.hub.close(socket, frames.NOT_AUTHENTICATED, "signed out")
                elif granted != socket.granted:
                    socket.granted = granted
                    socket.topics &= allowed_topics(granted)
                    self._narrow(socket)

    def _narrow(self, socket: Socket) -> None:
        """Let a connection hear nothing but its topics."""
        self.hub.watch(socket, socket.topics & self.sources.keys())
        wanted = audiences_of(socket.topics, socket.bearer.user_id)
        self.hub.unfollow(socket, socket.cursors.keys() - wanted)

    async def _watch(self) -> None:
        await wakeups.watch(self._news.set, self.in_thread, busy=self._busy)

    async def _pump(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            await self._follower.advance()

    def _sampler(self, topic: str) -> Callable[[], Awaitable[None]]:
        async def sample() -> None:
            told: Mapping[str, Any] | None = None
            told_at = 0.0
            while True:
                await self._busy.wait()
                pause = METRICS_SECONDS
                if self.hub.is_watched(topic):
                    began = time.monotonic()
                    data = await self.in_thread(self.sources[topic])
                    now = time.monotonic()
                    pause = max(pause, (now - began) / _SAMPLING_SHARE)
                    if data != told or now - told_at > _REPEAT_SECONDS:
                        told, told_at = data, now
                        at = timezone.now().isoformat(timespec="milliseconds")
                        frame = frames.encode("metrics", topic=topic, data=data, at=at)
                        self._latest[topic] = frame
                        self.hub.metrics(topic, frame)
                else:
                    self._latest.pop(topic, None)
                await asyncio.sleep(pause)

        return sample


class _Rows:
    """The rows of the feeds, read in the hub's threads."""

    def __init__(self, in_thread: Callable[..., Awaitable[Any]]) -> None:
        self._in_thread = in_thread

    async def heads(self, audiences: Collection[str]) -> Mapping[str, int]:
        found: Mapping[str, int] = await self._in_thread(selectors.heads, audiences)
        return found

    async def news(self, known: Mapping[str, int]) -> Mapping[str, tuple[int, Sequence[Entry]]]:
        found: Mapping[str, tuple[int, Sequence[Entry]]] = await self._in_thread(
            selectors.news, known
        )
        return found

    async def entries(self, audience: str, after: int, limit: int) -> Sequence[Entry]:
        found: Sequence[Entry] = await self._in_thread(selectors.entries, audience, after, limit)
        return found


def _with_fresh_connection(call: Callable[[], R]) -> R:
    # The hub outlives restarts of the database; a broken connection must not be used again.
    close_old_connections()
    try:
        return call()
    finally:
        close_old_connections()


live: Final = LiveHub()


def statistics() -> dict[str, object]:
    """Return what this process reports about its connections."""
    return {"sockets": live.hub.statistics()}
