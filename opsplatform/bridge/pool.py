"""A fixed number of threads, a bounded line before them, and what liveness asks of both."""

from __future__ import annotations

import asyncio
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final

from opsplatform.bridge.types import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

_WAITING_PER_THREAD: Final = 16
_LONGEST_WAIT_SECONDS: Final = 10.0
_STUCK_SECONDS: Final = 60.0
_RETRY_AFTER_SECONDS: Final = 2


class Pool:
    """Lets as many requests run as there are threads.

    All counting happens in the event loop, so there is nothing to lock: the loop admits, the
    thread works, and the loop releases when the thread has called back.
    """

    def __init__(
        self,
        threads: int,
        *,
        waiting_per_thread: int = _WAITING_PER_THREAD,
        longest_wait_seconds: float = _LONGEST_WAIT_SECONDS,
        stuck_seconds: float = _STUCK_SECONDS,
    ) -> None:
        self._threads = threads
        self._free = asyncio.Semaphore(threads)
        self._running = 0
        self._waiting = 0
        self._most_waiting = threads * waiting_per_thread
        self._longest_wait_seconds = longest_wait_seconds
        self._stuck_seconds = stuck_seconds
        self._kept_waiting = False
        self._progress_at = 0.0
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._started: list[threading.Thread] = []

    async def enter(self) -> bool:
        """Take a thread and return whether there was a line before it.

        Raise RefusedError (503) if the line is full or does not move.
        """
        waits = self._free.locked()
        if waits:
            await self._wait()
        else:
            await self._free.acquire()
        self._running += 1
        if self._running == self._threads:
            self.progress()
        return waits

    def leave(self) -> None:
        """Give the thread to the next in line."""
        self._running -= 1
        self._free.release()
        self.progress()

    def progress(self) -> None:
        """Note that a thread did something a client can see; called in the event loop."""
        self._progress_at = asyncio.get_running_loop().time()
        self._kept_waiting = self._waiting > 0

    def run(self, job: Callable[[], None]) -> None:
        """Let a thread do the job of a request that has entered; the job must not raise."""
        if len(self._started) < self._threads:
            # Threads come with the first requests, so an idle process has none.
            thread = threading.Thread(
                target=self._work, name=f"web-{len(self._started) + 1}", daemon=True
            )
            self._started.append(thread)
            thread.start()
        self._jobs.put(job)

    def is_stuck(self) -> bool:
        """Say whether somebody had to wait while no thread got anything done for a minute."""
        silent_seconds = asyncio.get_running_loop().time() - self._progress_at
        return (
            self._running == self._threads
            and self._kept_waiting
            and silent_seconds > self._stuck_seconds
        )

    def close(self) -> None:
        """Let the threads end after what they do now."""
        for _ in self._started:
            self._jobs.put(None)
        self._started.clear()

    async def _wait(self) -> None:
        self._kept_waiting = True
        if self._waiting >= self._most_waiting:
            message = "The server has too many requests waiting."
            raise RefusedError(503, message, retry_after_seconds=_RETRY_AFTER_SECONDS)
        self._waiting += 1
        try:
            async with asyncio.timeout(self._longest_wait_seconds):
                await self._free.acquire()
        except TimeoutError:
            message = "The server found no time for the request."
            raise RefusedError(503, message, retry_after_seconds=_RETRY_AFTER_SECONDS) from None
        finally:
            self._waiting -= 1

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
