"""The dispatcher: every channel has a worker of its own, so none waits for another."""

from __future__ import annotations

import asyncio
import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Final

from django.utils import timezone

from core.drill import is_drill
from core.loops import in_thread
from notifications.engine.base import Outcome, Verdict
from notifications.services import claims, fallback, results, senders
from notifications.services.results import Result

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from core.leases import Held
    from notifications.models import Notification
    from notifications.services.claims import Claim
    from notifications.services.senders import Sender

logger = logging.getLogger(__name__)

# Outcomes are written together that arrive within this time: a commit costs more than a row.
GATHER_SECONDS: Final = 0.05
EXPIRY_PERIOD_SECONDS: Final = 30.0
FALLBACK_PERIOD_SECONDS: Final = 5.0
# Between the receiver's timeout and the end of the lease, the outcome must be written.
WRITE_SECONDS: Final = 5.0
# What is on its way when the daemon stops gets this long; the daemon itself gets little more.
STOP_SECONDS: Final = 4.0


class Dispatcher:
    """Sends what is due; its memory is only which channels have a worker just now.

    A slice starts workers and returns, so a receiver that hangs holds up its own worker alone. Any
    number of dispatchers may run: rows are claimed exclusively.
    """

    def __init__(self) -> None:
        self._workers: dict[UUID, asyncio.Task[None]] = {}
        self._closing = False
        self._expired_at = float("-inf")
        self._fell_back_at = float("-inf")

    async def __call__(self, _held: Held | None = None) -> None:
        """Start a worker for each channel with something to send and none at work."""
        if is_drill():
            return
        if time.monotonic() - self._expired_at > EXPIRY_PERIOD_SECONDS:
            self._expired_at = time.monotonic()
            await in_thread(claims.expire)
        if time.monotonic() - self._fell_back_at > FALLBACK_PERIOD_SECONDS:
            self._fell_back_at = time.monotonic()
            await in_thread(fallback.late)
        for channel_id in await in_thread(claims.channels_due):
            if channel_id not in self._workers:
                worker = asyncio.create_task(self._work(channel_id))
                self._workers[channel_id] = worker
                worker.add_done_callback(partial(self._ended, channel_id))

    async def drain(self) -> None:
        """Wait until every worker has nothing left to send."""
        await asyncio.gather(*self._workers.values(), return_exceptions=True)

    async def close(self) -> None:
        """Stop: what has not left is given back, what is on its way may end."""
        self._closing = True
        if self._workers:
            _, late = await asyncio.wait(list(self._workers.values()), timeout=STOP_SECONDS)
            for worker in late:
                worker.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _ended(self, channel_id: UUID, worker: asyncio.Task[None]) -> None:
        self._workers.pop(channel_id, None)
        if not worker.cancelled() and (error := worker.exception()) is not None:
            # The rows' leases run out, and a later slice starts another worker.
            logger.error(
                "A channel's worker failed.",
                exc_info=error,
                extra={"channel": str(channel_id)},
            )

    async def _work(self, channel_id: UUID) -> None:
        sender: Sender | None = None
        revision = 0
        try:
            while not self._closing:
                claim = await in_thread(claims.claim, channel_id=channel_id)
                if claim is None:
                    return
                if sender is None or revision != claim.channel.revision:
                    if sender is not None:
                        await sender.close()
                    sender = (await in_thread(senders.prepare, claim.channel))()
                    revision = claim.channel.revision
                if not await self._deliver(claim, sender):
                    return
        finally:
            if sender is not None:
                await sender.close()

    async def _deliver(self, claim: Claim, sender: Sender) -> bool:
        """Send the rows of a claim; return whether the channel may go on."""
        batch = Batch(claim, sender, is_closing=lambda: self._closing)
        running = {asyncio.create_task(batch.send(message)) for message in claim.messages}
        try:
            while running:
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                if running:
                    more, running = await asyncio.wait(running, timeout=GATHER_SECONDS)
                    done |= more
                ended = [result for task in done if (result := task.result()) is not None]
                if ended and not await in_thread(results.finish, claim=claim, results=ended):
                    batch.stopped = True
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            if unsent := batch.unsent():
                await in_thread(claims.give_back, claim=claim, messages=unsent)
        return not batch.stopped


class Batch:
    """The rows of one claim, a bounded number on their way; once `stopped`, no more leave."""

    def __init__(
        self, claim: Claim, sender: Sender, *, is_closing: Callable[[], bool] = lambda: False
    ) -> None:
        self.stopped = False
        self._is_closing = is_closing
        self._claim = claim
        self._sender = sender
        self._slots = asyncio.Semaphore(sender.parallel)
        self._begun: set[int] = set()

    async def send(self, message: Notification) -> Result | None:
        """Send a row; None if it must not leave any more under this claim."""
        async with self._slots:
            needed = self._claim.channel.timeout_seconds + WRITE_SECONDS
            if self.stopped or self._is_closing() or self._claim.seconds_left() < needed:
                return None
            self._begun.add(message.pk)
            return await _attempt(self._sender, message)

    def unsent(self) -> list[Notification]:
        """Return the rows that have not left."""
        return [message for message in self._claim.messages if message.pk not in self._begun]


async def _attempt(sender: Sender, message: Notification) -> Result:
    """Send one message and return how it ended, whatever happens."""
    started_at = timezone.now()
    try:
        outcome = await sender.send(message)
    except Exception as error:
        # A fault of ours must not lose the alert, nor stop the messages behind it.
        logger.exception(
            "Sending a message failed unexpectedly.",
            extra={"notification": message.pk},
        )
        name = type(error).__name__
        outcome = Outcome(
            verdict=Verdict.RETRY,
            error_class="unexpected",
            detail=f"The platform failed to send it ({name}); the log tells more.",
            local=True,
            uncertain=True,
        )
    return Result(message=message, started_at=started_at, ended_at=timezone.now(), outcome=outcome)
