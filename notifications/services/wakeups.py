"""Wake-ups of the live feed: a hint that rows are there; losing one only costs seconds.

With Redis, publishers ring a channel. Without it, hubs look themselves while somebody is connected:
on SQLite fifty times a second at a number that every commit of another connection changes, on
PostgreSQL each second at the feeds. A Redis that says nothing may hang: then they look each second
too.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import time
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.db import connection

from core.drill import is_drill

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

logger = logging.getLogger(__name__)

CHANNEL: Final = "opsplatform:live"
LOOK_SECONDS: Final = 0.02
POLL_SECONDS: Final = 1.0
SAFETY_SECONDS: Final = 5.0
_AWAY_SECONDS: Final = 10.0
# Publishers wait for Redis after their commit, so a Redis that hangs must not cost them more.
_ANSWER_SECONDS: Final = 0.25


def redis_url() -> str:
    """Return the Redis of the live feed; a copy for a drill must not touch the original's."""
    return "" if is_drill() else str(settings.REDIS_URL)


def connect(url: str) -> Any:  # noqa: ANN401  # imported only where Redis is used
    """Return a client that gives up early and does not try again."""
    # The client's import costs as much as all of Django's; only Redis users pay for it.
    redis, retry = import_module("redis"), import_module("redis.retry")
    never = retry.Retry(import_module("redis.backoff").NoBackoff(), 0)
    return redis.Redis.from_url(
        url, socket_timeout=_ANSWER_SECONDS, socket_connect_timeout=_ANSWER_SECONDS, retry=never
    )


class _Bell:
    """Rings through Redis, and leaves it alone for a while when it does not answer."""

    def __init__(self) -> None:
        self._client: Any = None
        self._away_until = 0.0

    def ring(self) -> None:
        url = redis_url()
        if not url or time.monotonic() < self._away_until:
            return
        try:
            if self._client is None:
                self._client = connect(url)
            self._client.publish(CHANNEL, b"1")
        except import_module("redis").RedisError as error:
            self._away_until = time.monotonic() + _AWAY_SECONDS
            logger.warning("Redis does not ring for the live feed (%s).", type(error).__name__)


_bell = _Bell()


def ring() -> None:
    """Tell every hub that there is something new; called after the commit."""
    _bell.ring()


def reset() -> None:
    """Forget the connection; for tests and after a fork."""
    global _bell  # noqa: PLW0603  # one bell a process
    _bell = _Bell()


os.register_at_fork(after_in_child=reset)


class SQLiteWatch:
    """Sees on a connection of its own whether any other has committed.

    A look takes some microseconds and never waits: it reads shared memory, and a file that is
    locked counts as changed. So it may be taken in the event loop.
    """

    def __init__(self) -> None:
        self._connection: sqlite3.Connection | None = None
        self._seen = -1

    def open(self) -> None:
        """Open the file; in a thread."""
        self._connection = sqlite3.connect(
            str(connection.settings_dict["NAME"]), timeout=0, check_same_thread=False
        )

    def changed(self) -> bool:
        """Tell whether something was committed since the last look; the first look says yes."""
        if self._connection is None:
            return True
        try:
            seen = self._connection.execute("PRAGMA data_version").fetchone()[0]
        except sqlite3.OperationalError:
            return True
        changed, self._seen = seen != self._seen, seen
        return bool(changed)

    def close(self) -> None:
        """Give the file back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


async def watch(
    wake: Callable[[], None], in_thread: Callable[..., Awaitable[Any]], *, busy: asyncio.Event
) -> None:
    """Call `wake` whenever there may be something new, until cancelled.

    `busy` is set while somebody is connected; otherwise nothing is asked. Beside every kind of
    wake-up the feeds are looked at: each second, or each five on SQLite.
    """
    if redis_url():
        async with asyncio.TaskGroup() as both:
            both.create_task(_watch_redis(wake, busy))
            both.create_task(_poll(wake, busy))
    elif connection.vendor == "sqlite":
        await _watch_sqlite(wake, in_thread, busy)
    else:
        await _poll(wake, busy)


async def _poll(wake: Callable[[], None], busy: asyncio.Event) -> None:
    while True:
        await _while_busy(busy, POLL_SECONDS)
        wake()


async def _watch_sqlite(
    wake: Callable[[], None], in_thread: Callable[..., Awaitable[Any]], busy: asyncio.Event
) -> None:
    look = SQLiteWatch()
    safe_until = 0.0
    try:
        await in_thread(look.open)
        while True:
            await _while_busy(busy, LOOK_SECONDS)
            if look.changed() or time.monotonic() > safe_until:
                safe_until = time.monotonic() + SAFETY_SECONDS
                wake()
    finally:
        look.close()


async def _watch_redis(wake: Callable[[], None], busy: asyncio.Event) -> None:
    redis = import_module("redis.asyncio")
    errors = import_module("redis").RedisError
    told = False
    while True:
        client = redis.Redis.from_url(redis_url(), socket_timeout=1, socket_connect_timeout=1)
        try:
            async with client.pubsub(ignore_subscribe_messages=True) as bell:
                await bell.subscribe(CHANNEL)
                _heed_cancellation()
                if told:
                    logger.warning("Redis rings for the live feed again.")
                told = False
                # What was published while nobody listened is found by this look.
                wake()
                while True:
                    # Never `listen()`: it raises when the channel is silent for some seconds.
                    if await bell.get_message(timeout=SAFETY_SECONDS):
                        wake()
                    _heed_cancellation()
        except (errors, OSError) as error:
            if not told:
                logger.warning("Without Redis, feeds are looked at each second (%s).", error)
            told = True
        finally:
            await client.aclose()
        await _while_busy(busy, POLL_SECONDS)


def _heed_cancellation() -> None:
    """Raise a cancellation that the client has swallowed, which it may do while it connects."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def _while_busy(busy: asyncio.Event, seconds: float) -> None:
    await asyncio.sleep(seconds)
    await busy.wait()
