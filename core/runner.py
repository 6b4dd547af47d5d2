"""Run loops until the process is asked to stop, each under its lease and apart from the others."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import uvloop
from django.db import DatabaseError, InterfaceError, OperationalError
from django.utils import timezone

from core import leases, tracing
from core.leases import LeaseLostError
from core.loops import close, close_pool, heeding, in_thread
from core.processes import Reporter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.leases import Held
    from core.loops import Loop
    from core.models import Process

logger = logging.getLogger(__name__)

_STAMP_SECONDS: Final = 0.5
_DEAF_SECONDS: Final = 15.0  # so long without a turn, the event loop is blocked, not busy
_GRACE_SECONDS: Final = 5.0
_LONGEST_BACK_OFF: Final = 60.0
_STABLE_SECONDS: Final = 60.0


def run_loops(loops: Sequence[Loop], *, kind: Process.Kind) -> None:
    """Run the loops until SIGTERM or SIGINT; what is under way gets five seconds to end."""
    runner = _Runner(loops)
    watchdog = threading.Thread(target=runner.watch, name="watchdog", daemon=True)
    with suppress(DatabaseError):
        leases.release_of_the_dead()
    with Reporter(kind, alive=runner.hears, detail=runner.failing):
        watchdog.start()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as event_loop:
            event_loop.run(runner.main())
    close_pool()


def tell_defect(event_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what nobody caught, but not that a TLS connection was closed while uvloop still wrote.

    Whoever used the connection knows that already, and there is one for each of thousands.
    """
    error = context.get("exception")
    is_closed = isinstance(error, RuntimeError) and str(error).endswith("the handler is closed")
    if not (is_closed and context.get("message") == "Fatal error on SSL protocol"):
        event_loop.default_exception_handler(context)


class _Runner:
    def __init__(self, loops: Sequence[Loop]) -> None:
        self._loops = loops
        self._stop = asyncio.Event()
        self._alarms = {loop.name: asyncio.Event() for loop in loops}
        self._stamp = time.monotonic()
        self._failing: dict[str, str] = {}

    async def main(self) -> None:
        """Start every loop and wait for the signal."""
        event_loop = asyncio.get_running_loop()
        event_loop.set_exception_handler(tell_defect)
        for number in (signal.SIGTERM, signal.SIGINT):
            event_loop.add_signal_handler(number, self._end)
        logger.info("Loops start: %s.", ", ".join(loop.name for loop in self._loops))
        tasks = [asyncio.create_task(self._keep(loop), name=loop.name) for loop in self._loops]
        while not self._stop.is_set():
            self._stamp = time.monotonic()
            await self._pause(_STAMP_SECONDS)
        _, pending = await asyncio.wait(tasks, timeout=_GRACE_SECONDS)
        for task in pending:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        logger.info("Loops have ended.")

    def _end(self) -> None:
        self._stop.set()
        for alarm in self._alarms.values():
            alarm.set()

    def hears(self) -> bool:
        """Tell whether the event loop had a turn lately."""
        return time.monotonic() - self._stamp < _DEAF_SECONDS

    def failing(self) -> dict[str, object]:
        """Return which loops fail, and since when; for the process's row."""
        return {"failing": dict(self._failing)} if self._failing else {}

    def _note_failure(self, loop: Loop) -> None:
        self._failing.setdefault(loop.name, timezone.now().isoformat(timespec="seconds"))

    def watch(self) -> None:
        """End the process when the event loop is blocked: the supervisor starts a sound one."""
        missed = 0
        while not self._stop.is_set():
            time.sleep(1)
            missed = 0 if self.hears() else missed + 1
            # Twice in a row: after a stopped process continues, the first look is always late.
            if missed > 1:
                logger.critical("The event loop is blocked; the process ends itself.")
                os._exit(70)

    async def _keep(self, loop: Loop) -> None:
        """Run one loop, again and again with growing pauses when it fails."""
        back_off = loop.period_seconds
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                await self._hold(loop)
            except LeaseLostError:
                logger.warning("The loop %s lost its lease and stands by.", loop.name)
            except DatabaseError as error:
                self._note_failure(loop)
                logger.warning("The loop %s has no database (%s).", loop.name, type(error).__name__)
            except Exception:
                # The edge of a loop that must live: whatever failed must not end its neighbours.
                self._note_failure(loop)
                logger.exception("The loop %s failed.", loop.name)
            if time.monotonic() - began > _STABLE_SECONDS:
                back_off = loop.period_seconds
            await self._pause(back_off)
            back_off = min(max(back_off, 1.0) * 2, _LONGEST_BACK_OFF)

    async def _hold(self, loop: Loop) -> None:
        """Wait for the lease, then run a slice each period while it lasts."""
        held = await in_thread(leases.acquire, name=loop.name, seconds=loop.lease_seconds)
        while held is None:
            if await self._pause(max(1.0, loop.lease_seconds / 10)):
                return
            held = await in_thread(leases.acquire, name=loop.name, seconds=loop.lease_seconds)
        renewal = asyncio.create_task(self._renew(loop, held))
        work = asyncio.create_task(self._repeat(loop, held))
        try:
            done, _ = await asyncio.wait({renewal, work}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (renewal, work):
                task.cancel()
            await asyncio.gather(renewal, work, return_exceptions=True)
            with suppress(DatabaseError):
                await in_thread(leases.release, held)

    async def _repeat(self, loop: Loop, held: Held) -> None:
        run_slice = loop.start()
        alarm = self._alarms[loop.name]
        due = time.monotonic()
        try:
            with heeding(loop.name, alarm):
                while not self._stop.is_set():
                    # What wakes it from here on may be too late for this slice.
                    alarm.clear()
                    ids = {
                        "request_id": tracing.new_request_id(),
                        "trace_id": tracing.new_trace_id(),
                    }
                    with tracing.bind(**ids):
                        await run_slice(held)
                    self._failing.pop(loop.name, None)
                    # A slice longer than its period skips what it missed instead of catching up.
                    due = max(due + loop.period_seconds, time.monotonic())
                    if await _rings(alarm, due - time.monotonic()):
                        due = time.monotonic()
        finally:
            await close(run_slice)

    async def _renew(self, loop: Loop, held: Held) -> None:
        while True:
            await asyncio.sleep(loop.lease_seconds / 3)
            try:
                is_ours = await in_thread(leases.renew, held, seconds=loop.lease_seconds)
            except (OperationalError, InterfaceError) as error:
                # Nobody else can take the lease from a database that is away; if this process is
                # cut off alone, the fence refuses what it writes. A loop keeps its memory.
                logger.warning("The lease %s could not be renewed: %s", loop.name, error)
                continue
            if not is_ours:
                message = f"The lease {loop.name} was taken over."
                raise LeaseLostError(message)

    async def _pause(self, seconds: float) -> bool:
        """Wait, but not longer than until the stop signal; return whether it came."""
        return await _rings(self._stop, seconds)


async def _rings(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event, but not longer than this; return whether it is set."""
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), timeout=max(seconds, 0.0))
    return event.is_set()
