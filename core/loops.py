"""Loops of the daemon: what repeats, how often, and under which lease."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, ParamSpec, Protocol, TypeVar, runtime_checkable

from django.db import close_old_connections, connections

from core import jobs, leases
from core.discovery import declared

if TYPE_CHECKING:
    from core.leases import Held

P = ParamSpec("P")
R = TypeVar("R")
Slice = Callable[["Held"], Awaitable[None]]

logger = logging.getLogger(__name__)

_POOL_THREADS: Final = 4
_DRAIN_SECONDS: Final = 60
_pool: ThreadPoolExecutor | None = None
_alarms: dict[str, Callable[[], object]] = {}


@dataclass(frozen=True, slots=True)
class Loop:
    """Work that repeats; `start` returns the slice to run once per period, with its own memory.

    `stand_in` is what beat's entry runs instead of a slice, where one slice alone does too little.
    """

    name: str
    period_seconds: float
    lease_seconds: float
    start: Callable[[], Slice]
    why: str
    stand_in: Slice | None = None


def wake(name: str) -> None:
    """Let a loop begin its next slice at once, if this very process runs it; from any thread.

    Only a hint, for work that has been committed: elsewhere it does nothing, and the loop finds the
    work within its period. Wakes that come before the slice begins are one.
    """
    if (alarm := _alarms.get(name)) is not None:
        alarm()


@contextlib.contextmanager
def heeding(name: str, alarm: asyncio.Event) -> Iterator[None]:
    """Let `wake` set this event of the running event loop; for whoever repeats a loop."""
    event_loop = asyncio.get_running_loop()

    def ring() -> None:
        # An event loop that has just ended has nothing to wake.
        with contextlib.suppress(RuntimeError):
            event_loop.call_soon_threadsafe(alarm.set)

    _alarms[name] = ring
    try:
        yield
    finally:
        if _alarms.get(name) is ring:
            del _alarms[name]


def all_loops() -> dict[str, Loop]:
    """Return the loops of every app by name."""
    return {loop.name: loop for loop in declared("loops", "LOOPS", Loop)}


async def in_thread(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run code that uses the database in the loops' own small pool, never in the event loop."""
    global _pool  # noqa: PLW0603  # one pool a process, made after the fork
    if _pool is None:
        _pool = ThreadPoolExecutor(_POOL_THREADS, thread_name_prefix="loops")
    # The thread works in the caller's context, so that its log lines and audit rows carry the ids.
    context = contextvars.copy_context()
    call = partial(context.run, with_fresh_connection, partial(function, *args, **kwargs))
    return await asyncio.get_running_loop().run_in_executor(_pool, call)


def threaded(service: Callable[[Held], object]) -> Callable[[], Slice]:
    """Make a loop's `start` from a synchronous service without memory between slices."""

    async def run(held: Held) -> None:
        await in_thread(service, held)

    return lambda: run


@runtime_checkable
class Background(Protocol):
    """A slice that starts work which goes on after it has returned."""

    async def __call__(self, held: Held) -> None:
        """Run one slice."""

    async def drain(self) -> None:
        """Wait until the work has come to its own end."""

    async def close(self) -> None:
        """End the work soon; called before the event loop ends, which would cut it off."""


async def run_once(loop: Loop) -> bool:
    """Run one slice under the lease; return False if another process holds it.

    What the slice has started gets a minute to come to its end.
    """
    held = await in_thread(leases.acquire, name=loop.name, seconds=loop.lease_seconds)
    if held is None:
        return False
    run = loop.stand_in or loop.start()
    try:
        await run(held)
        if isinstance(run, Background):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(run.drain(), _DRAIN_SECONDS)
    finally:
        await close(run)
        await in_thread(leases.release, held)
    return True


async def close(run: Slice) -> None:
    """End what a loop's slices have started; whoever runs a loop calls this when it stops."""
    if isinstance(run, Background):
        await run.close()


def close_pool() -> None:
    """End the pool's threads and their database connections."""
    global _pool  # see in_thread
    if _pool is not None:
        pool, _pool = _pool, None
        for _ in range(_POOL_THREADS):
            pool.submit(connections.close_all)
        pool.shutdown(wait=True)


def with_fresh_connection(call: Callable[[], R]) -> R:
    """Run code in a thread that outlives restarts of the database.

    A connection that broke meanwhile is not used again.
    """
    close_old_connections()
    try:
        return call()
    finally:
        close_old_connections()


def _sweep(_held: Held) -> None:
    jobs.sweep_jobs()


LOOPS: Final = (
    Loop(
        name="core.jobs",
        period_seconds=15,
        lease_seconds=60,
        start=threaded(_sweep),
        why="Rings again for waiting jobs and recovers those of dead workers.",
    ),
)
