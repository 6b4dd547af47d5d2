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
from django.db import OperationalError, connections
from django.utils import timezone

from accounts.authentication.bearers import over, still_granted
from core.errors import UnavailableError
from core.feed import FAIL_SECONDS
from core.loops import with_fresh_connection
from notifications import selectors
from notifications.engine import frames
from notifications.engine.audiences import ASKED, allowed_topics, audiences_of
from notifications.engine.follower import Follower
from notifications.engine.hub import Hub
from notifications.services import wakeups
from notifications.services.slots import Slots

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

    from accounts.selectors.bearers import Bearer
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
ANSWER_SECONDS: Final = 5.0
STOP_SECONDS: Final = 5.0
BLIND_SECONDS: Final = FAIL_SECONDS + 2.0
"""So long connections stay open unjudged: as long as requests are answered, and a slow look."""
# Before the end of all patience, so that places are given back even if one thread hangs.
_MEETING_SECONDS: Final = 3.0


class NoAnswerError(OperationalError):
    """The database did not answer in time, or the hub has ended."""


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
        self._arriving: set[str] = set()
        self._latest: dict[str, bytes] = {}
        self._judged_at = time.monotonic()
        self.is_stopping = False

    # Life

    def start(self) -> None:
        """Begin to work, if it is not under way."""
        if self._tasks or self.is_stopping:
            return
        loops = (
            self._beat,
            self._guard,
            self._sweep,
            self._pump,
            self._watch,
            *map(self._sampler, self.sources),
        )
        self._tasks = [asyncio.create_task(self._keep(loop)) for loop in loops]

    async def stop(self) -> None:
        """Say goodbye to everybody, spread over ten seconds, and end; a later start is another.

        It takes five seconds at most, also while the database does not answer.
        """
        self.is_stopping = True
        for socket in [*self.hub.sockets.values()]:
            retry_ms = random.randrange(SPREAD_MS)  # noqa: S311  # no secret depends on it
            self.hub.close(socket, frames.RESTART, "restart", retry_ms=retry_ms)
        for task in self._tasks:
            task.cancel()
        pool = self._pool
        try:
            async with asyncio.timeout(STOP_SECONDS):
                if self._tasks:
                    # Not `gather`, which for its own end waits for tasks that do not end.
                    await asyncio.wait(self._tasks)
                if pool is not None:
                    await self._part(pool)
        except TimeoutError:
            logger.warning("The live hub waits no longer for its threads.")
        self._tasks = []
        self._pool = None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)

    def restart(self) -> None:
        """Become as new; for a server that starts again in the same process."""
        self._reset()

    async def in_thread(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run code that uses the database in the hub's own two threads."""
        if self._pool is None:
            if self.is_stopping:
                raise NoAnswerError
            self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="live")
        context = contextvars.copy_context()
        call = partial(context.run, with_fresh_connection, partial(function, *args, **kwargs))
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, call)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and not task.cancelling():
                # Not this task was cancelled but the call, by the end of the hub.
                raise NoAnswerError from None
            raise

    async def in_time(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run code in a thread for a client that waits; raise NoAnswerError after five seconds."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self.in_thread(function, *args, **kwargs)
        except TimeoutError:
            raise NoAnswerError from None

    async def _part(self, pool: ThreadPoolExecutor) -> None:
        """Give back all places and close the connections of both threads."""
        meeting = threading.Barrier(_THREADS)

        def part() -> None:
            # Each thread takes one of these: the first waits until the other has taken the second.
            try:
                is_one_of_two = meeting.wait(_MEETING_SECONDS) > 0
            except threading.BrokenBarrierError:
                is_one_of_two = False
            if not is_one_of_two:
                self._slots.give_back_all()
            connections.close_all()

        parting = [pool.submit(part) for _ in range(_THREADS)]
        await asyncio.gather(*map(asyncio.wrap_future, parting))

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
        if not self.hub.sockets:
            self._judged_at = time.monotonic()
        socket = self.hub.add(number, outlet, owner=bearer.key, role=bearer.role, bearer=bearer)
        socket.granted = granted
        self._busy.set()
        return socket

    async def judge(
        self, number: str, function: Callable[P, R], *args: P.args, **kw: P.kwargs
    ) -> R:
        """Run what finds out who is there, and may take a place meanwhile."""
        self._arriving.add(number)
        try:
            return await self.in_time(function, *args, **kw)
        except NoAnswerError:
            # The thread may have got a place in the last moment.
            self.free(number)
            raise
        finally:
            self._arriving.discard(number)

    @property
    def arriving(self) -> int:
        """Return how many handshakes are being judged."""
        return len(self._arriving)

    def take_slot(self, number: str) -> bool:
        """Take one of the places of all processes; in a thread, for who still waits for it."""
        return number in self._arriving and self._slots.take(number)

    def leave(self, socket: Socket, code: int) -> None:
        """Forget a connection."""
        self.hub.remove(socket, code)
        self.free(socket.number)

    def free(self, number: str) -> None:
        """Give a place back soon, together with others."""
        self._freed.append(number)

    def choose(self, socket: Socket, topics: Collection[str]) -> frozenset[str]:
        """Choose these topics and no others; return those that the person may not have."""
        allowed = allowed_topics(socket.granted)
        socket.topics = frozenset(topics) & allowed
        self._narrow(socket)
        for topic in socket.topics & self._latest.keys():
            self.hub.send(socket, self._latest[topic], topic)
        return frozenset(topics) - allowed

    async def catch_up(self, socket: Socket, cursors: Mapping[str, int | None]) -> None:
        """Send what was missed of the topics chosen, and let the connection follow them."""
        for audience in sorted(_wanted(socket) - socket.cursors.keys()):
            await self._follower.catch_up(
                socket,
                audience,
                cursors.get(audience),
                is_wanted=partial(_wants, socket, audience),
            )
        # What was published meanwhile is read now, not with the next wake-up.
        self._news.set()

    def tell_topics(self, socket: Socket) -> None:
        """Tell a connection what it follows and what it might follow."""
        told = frames.encode(
            "subscribed",
            topics=sorted(socket.topics),
            allowed=sorted(allowed_topics(socket.granted)),
        )
        self.hub.send(socket, told)

    # Loops

    async def _beat(self) -> None:
        """Ping; apart from all that waits for the database, so that no client is lost with it."""
        while True:
            await asyncio.sleep(RECHECK_SECONDS)
            self.hub.beat()
            if time.monotonic() - self._judged_at > BLIND_SECONDS:
                self._end_unjudged()
            if not self.hub.sockets:
                self._busy.clear()

    async def _guard(self) -> None:
        """Judge who is connected; apart from the places, whose writes may have to wait."""
        while True:
            await asyncio.sleep(RECHECK_SECONDS)
            if self.hub.sockets:
                await self._recheck()

    async def _sweep(self) -> None:
        hold_at = 0.0
        while True:
            await asyncio.sleep(RECHECK_SECONDS)
            if self._freed:
                freed, self._freed = self._freed, []
                await self.in_thread(self._slots.give_back, freed)
            if not self.hub.sockets:
                continue
            if time.monotonic() >= hold_at:
                hold_at = time.monotonic() + HOLD_SECONDS
                await self.in_thread(self._slots.hold, [*self.hub.sockets])
                await self._end_what_is_over()

    async def _end_what_is_over(self) -> None:
        """Close whose session has ended by itself, of which the feed does not tell."""
        for bearer in await self.in_thread(over, self.hub.bearers):
            for socket in self.hub.of_bearer(bearer):
                self.hub.close(socket, frames.NOT_AUTHENTICATED, "signed out")

    async def _recheck(self) -> None:
        """Close whose sign-in is over; take away topics that roles no longer give."""
        bearers = self.hub.bearers
        began = time.monotonic()
        try:
            standing = await self.in_thread(still_granted, bearers, ASKED)
        except UnavailableError:
            self._end_unjudged()
            return
        self._judged_at = began
        for bearer in bearers:
            granted = standing.get(bearer)
            for socket in self.hub.of_bearer(bearer):
                if granted is None:
                    self.hub.close(socket, frames.NOT_AUTHENTICATED, "signed out")
                elif granted != socket.granted:
                    socket.granted = granted
                    socket.topics &= allowed_topics(granted)
                    self._narrow(socket)
                    if not socket.is_behind:
                        self.tell_topics(socket)

    def _end_unjudged(self) -> None:
        """Close all while nobody can know who may still listen; they come back, and are judged."""
        if settings.OPS_AUTH_STALE_READS:
            return
        for socket in [*self.hub.sockets.values()]:
            retry_ms = random.randrange(1_000, SPREAD_MS)  # noqa: S311  # no secret depends on it
            self.hub.close(socket, frames.FULL, "unavailable", retry_ms=retry_ms)

    def _narrow(self, socket: Socket) -> None:
        """Let a connection hear nothing but its topics."""
        self.hub.watch(socket, socket.topics & self.sources.keys())
        self.hub.unfollow(socket, socket.cursors.keys() - _wanted(socket))

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


def _wanted(socket: Socket) -> frozenset[str]:
    """Return the audiences that a connection has chosen and may follow now."""
    return audiences_of(socket.topics, socket.bearer.user_id)


def _wants(socket: Socket, audience: str) -> bool:
    return audience in _wanted(socket)


live: Final = LiveHub()


def statistics() -> dict[str, object]:
    """Return what this process reports about its connections."""
    return {"sockets": live.hub.statistics()}
